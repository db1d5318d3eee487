package kubeaction

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sfields "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// The annotations we leave on nodes.
const (
	// annotationCordoned says who cordoned the node and why, as JSON of cordonNote.
	annotationCordoned = "paramedic.io/cordoned"
	// annotationDraining is the idempotency key of the drain that is under way, a space, and when it began.
	annotationDraining = "paramedic.io/draining"
	// annotationDrained is the idempotency key of the last drain that was completed.
	annotationDrained = "paramedic.io/drained"
)

// cordonNote is for people, and for us to know our own work again.
type cordonNote struct {
	Key      string    `json:"key"`
	Incident string    `json:"incident,omitempty"`
	Playbook string    `json:"playbook,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at"`
}

func noteOn(annotations map[string]string) (cordonNote, bool) {
	var note cordonNote
	err := json.Unmarshal([]byte(annotations[annotationCordoned]), &note)
	return note, err == nil && note.Key != ""
}

// drain is one that is under way.
type drain struct {
	key   string
	since time.Time
}

func (c *Client) drainMark(p *Plan) string { return p.key() + " " + c.now().UTC().Format(time.RFC3339) }

func drainOf(annotations map[string]string) drain {
	key, at, _ := strings.Cut(annotations[annotationDraining], " ")
	since, err := time.Parse(time.RFC3339, at)
	if err != nil {
		// Of unknown age, it has all of its time yet to go, but is a drain all the same.
		since = time.Now()
	}
	return drain{key, since}
}

// nodeNeeds are the permissions of actions on nodes.
func nodeNeeds() []permission {
	node, pod := kindNode.permission("get", "list", "patch"), kindPod.permission("list")
	node.Cluster, pod.Cluster = true, true
	return []permission{node, pod}
}

// nodeView is a node among the others.
type nodeView struct {
	node *corev1.Node
	// all are the nodes of the cluster, pods those on this node.
	all  []corev1.Node
	pods []corev1.Pod
}

// viewNode finds the node of an order, and refuses one that is not in the scope.
func (c *Client) viewNode(ctx context.Context, order Order) (nodeView, error) {
	if err := c.checkCluster(order.Subject); err != nil {
		return nodeView{}, err
	}
	if order.Subject.Node == "" {
		return nodeView{}, refuse(ReasonTargetMissing, "the incident's cause names no node; add k8s.node.name to its resource or name the target in the playbook")
	}
	return c.lookAtNode(ctx, order.Subject.Node, order.Scope.NodeSelector)
}

func (c *Client) lookAtNode(ctx context.Context, name, scope string) (nodeView, error) {
	if strings.TrimSpace(scope) == "" {
		return nodeView{}, refuse(ReasonOutOfScope, "no node is in the playbook's scope; set node_selector")
	}
	selector, err := labels.Parse(scope)
	if err != nil {
		return nodeView{}, refuse(ReasonOutOfScope, "node_selector of the scope must be a label selector: %w", err)
	}
	object := Object{APIVersion: "v1", Kind: kindNode.name, Name: name}
	view := nodeView{}
	if view.node, err = c.typed.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
		return nodeView{}, c.explain(err, object, "get")
	}
	if !selector.Matches(labels.Set(view.node.Labels)) {
		return nodeView{}, refuse(ReasonOutOfScope, "the labels of %s do not match the scope's node_selector %q", object, scope)
	}
	if view.node.DeletionTimestamp != nil {
		return nodeView{}, refuse(ReasonTargetChanged, "%s is being deleted", object)
	}
	if view.all, err = c.listNodes(ctx); err != nil {
		return nodeView{}, err
	}
	view.pods, err = c.listPods(ctx, name)
	return view, err
}

func (c *Client) listNodes(ctx context.Context) ([]corev1.Node, error) {
	var all []corev1.Node
	for options := (metav1.ListOptions{Limit: pageSize}); ; {
		list, err := c.typed.CoreV1().Nodes().List(ctx, options)
		if err != nil {
			return nil, c.explain(err, Object{APIVersion: "v1", Kind: kindNode.name, Name: "*"}, "list")
		}
		all = append(all, list.Items...)
		if options.Continue = list.Continue; options.Continue == "" {
			return all, nil
		}
	}
}

// listPods lists the pods of a node, or of all nodes if it is empty.
func (c *Client) listPods(ctx context.Context, node string) ([]corev1.Pod, error) {
	options := metav1.ListOptions{Limit: pageSize}
	if node != "" {
		options.FieldSelector = k8sfields.OneTermEqualSelector("spec.nodeName", node).String()
	}
	var all []corev1.Pod
	for {
		list, err := c.typed.CoreV1().Pods("").List(ctx, options)
		if err != nil {
			return nil, c.explain(err, Object{APIVersion: "v1", Kind: kindPod.name, Name: "*"}, "list")
		}
		all = append(all, list.Items...)
		if options.Continue = list.Continue; options.Continue == "" {
			return all, nil
		}
	}
}

// describeNode sets what every plan for a node says.
func (c *Client) describeNode(view nodeView, p *Plan) error {
	p.Target = nodeObject(view.node)
	p.Locks = append(p.Locks, p.Target.lock())
	p.passed("target", "%s has UID %s", p.Target, p.Target.UID)
	p.Weight = 1
	selector, err := labels.Parse(p.Order.Scope.NodeSelector)
	if err != nil {
		return err
	}
	for i := range view.all {
		if node := &view.all[i]; selector.Matches(labels.Set(node.Labels)) {
			p.Population++
			if nodeReady(node) && !node.Spec.Unschedulable {
				p.Healthy++
			}
		}
	}
	for i := range view.pods {
		p.Criticality = graver(p.Criticality, podCriticality(&view.pods[i]))
	}
	p.Troubled = nodeTroubled(view.node)
	e := evidence{Object: p.Target, Generation: view.node.Generation}
	for _, condition := range view.node.Status.Conditions {
		e.Conditions = append(e.Conditions, evidenceCondition{
			Type: string(condition.Type), Status: string(condition.Status), Reason: clean(condition.Reason, maxEvidenceText),
			Message: clean(condition.Message, maxEvidenceText), Since: condition.LastTransitionTime.UTC().Format(time.RFC3339),
		})
	}
	e.addPods(view.pods)
	p.Evidence = e.encode()
	return nil
}

// protectNode refuses to take a node away from us or from the control plane.
func (c *Client) protectNode(view nodeView, p *Plan) error {
	object := nodeObject(view.node)
	if view.node.Name == c.settings.Node {
		return refuse(ReasonProtected, "%s runs ourselves", object)
	}
	for _, label := range []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/etcd"} {
		if _, found := view.node.Labels[label]; found {
			return refuse(ReasonProtected, "%s is one of the control plane (label %s)", object, label)
		}
	}
	for i := range view.pods {
		pod := &view.pods[i]
		if c.settings.Namespace != "" && pod.Namespace == c.settings.Namespace && !finished(pod) {
			return refuse(ReasonProtected, "%s runs %s, which is of our own namespace", object, podObject(pod))
		}
		if isMirror(pod) && (pod.Labels["tier"] == "control-plane" || controlPlane[pod.Labels["component"]]) {
			return refuse(ReasonProtected, "%s runs %s, which is part of the control plane", object, podObject(pod))
		}
	}
	if p != nil {
		p.passed("protected", "neither ourselves nor the control plane run on %s", object)
	}
	return nil
}

var controlPlane = map[string]bool{"kube-apiserver": true, "etcd": true, "kube-controller-manager": true, "kube-scheduler": true}

func nodeObject(node *corev1.Node) Object {
	return Object{
		APIVersion: kindNode.apiVersion(), Kind: kindNode.name, Name: node.Name,
		UID: string(node.UID), ResourceVersion: node.ResourceVersion,
	}
}

func nodeReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// nodeTroubled tells whether the node itself says that something is wrong: it is not ready, or short of something.
func nodeTroubled(node *corev1.Node) bool {
	return !nodeReady(node) || slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type != corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func podCriticality(pod *corev1.Pod) string {
	const key = "service.criticality"
	return clean(stringOr(pod.Labels[key], pod.Annotations[key]), 64)
}

// cordonFields are those of a node that takes no new pods, with a note why.
func (c *Client) cordonFields(p *Plan, drain bool) (fields, error) {
	note, err := json.Marshal(cordonNote{
		Key: p.key(), Incident: clean(p.Order.Incident, 128), Playbook: clean(p.Order.Playbook, 128), Reason: clean(p.Order.Reason, 512), At: c.now().UTC(),
	})
	if err != nil {
		return nil, err
	}
	annotations := fields{annotationCordoned: string(note)}
	if drain {
		annotations[annotationDraining] = c.drainMark(p)
	}
	return fields{"spec": fields{"unschedulable": true}, "metadata": fields{"annotations": annotations}}, nil
}

// uncordonFields take all of that back.
func uncordonFields() fields {
	return fields{
		"spec":     fields{"unschedulable": nil},
		"metadata": fields{"annotations": fields{annotationCordoned: nil, annotationDraining: nil}},
	}
}

// uncordonOurs lets a node take pods again if it is the given order that cordoned it.
func (c *Client) uncordonOurs(ctx context.Context, o Object, key string) (outcome, error) {
	return c.write(ctx, change{
		object: o, key: key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			note, found := noteOn(u.GetAnnotations())
			switch {
			case found && note.Key != key:
				return nil, refuse(ReasonTargetChanged, "%s has been cordoned again since, for incident %q", o, clean(note.Incident, 128))
			case !boolAt(u, "spec", "unschedulable"):
				return nil, nil
			case !found:
				return nil, refuse(ReasonTargetChanged, "%s has been cordoned by somebody else since", o)
			}
			return uncordonFields(), nil
		},
	})
}

// nodeGone explains a node that is not the one that was planned for.
func nodeGone(o Object, node *corev1.Node) error {
	return refuse(ReasonTargetChanged, "%s was deleted and made anew: its UID is %s, not %s", o, node.UID, o.UID)
}

// cordoned describes a cordon that is not ours.
func cordoned(o Object) string {
	return fmt.Sprintf("%s was cordoned by somebody else", o)
}
