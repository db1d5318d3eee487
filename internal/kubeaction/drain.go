package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	defaultDrainDeadline = 10 * time.Minute
	maxDrainDeadline     = time.Hour
	defaultMaxPods       = 30
	limitMaxPods         = 250
	// lockDrain is shared by all drains: one node at a time.
	lockDrain = "Node//*drain*"
)

// Drain cordons the node that the incident names, and evicts its pods one by one as their disruption budgets allow. Pods of
// DaemonSets, static and finished pods are left. When the deadline passes, or a pod can never be evicted, it stops,
// uncordons the node and gives a [Halted]. Undo uncordons the node; the pods stay where they have gone.
type Drain struct {
	// Deadline is for the whole drain, restarts of ours included, 10 s to 1 h; 0 for 10 min.
	Deadline time.Duration `mapstructure:"deadline"`
	// GracePeriod is how long each pod may take to end, 1 s to 10 min in whole seconds; 0 for the pod's own.
	GracePeriod time.Duration `mapstructure:"grace_period"`
	// MaxPods is how many pods may have to be evicted at most, 1 to 250; 0 for 30.
	MaxPods int `mapstructure:"max_pods"`
	// MinReadyNodes is how many ready nodes of the scope must still take pods afterwards, 1 to 1000; 0 for 2.
	MinReadyNodes int `mapstructure:"min_ready_nodes"`
	// AllowEmptyDir lets pods be evicted whose emptyDir volumes are lost with them.
	AllowEmptyDir bool `mapstructure:"allow_empty_dir"`
	// AllowBarePods lets pods be evicted that nobody makes anew.
	AllowBarePods bool `mapstructure:"allow_bare_pods"`
	// AllowProtected lets pods of protected namespaces, but never of our own, be evicted.
	AllowProtected bool `mapstructure:"allow_protected"`
}

func (*Drain) name() string { return "drain" }
func (*Drain) class() Class { return ClassNode }

func (a *Drain) validate() error {
	errs := []error{validateGrace(a.GracePeriod), validateMinReadyNodes(a.MinReadyNodes)}
	if a.Deadline != 0 && (a.Deadline < 10*time.Second || a.Deadline > maxDrainDeadline) {
		errs = append(errs, fmt.Errorf("deadline must be 0 (%s) or between 10s and %s, got %s", defaultDrainDeadline, maxDrainDeadline, a.Deadline))
	}
	if a.MaxPods < 0 || a.MaxPods > limitMaxPods {
		errs = append(errs, fmt.Errorf("max_pods must be 0 (%d) or between 1 and %d, got %d", defaultMaxPods, limitMaxPods, a.MaxPods))
	}
	return errors.Join(errs...)
}

func (*Drain) needs() []permission {
	eviction := evictionNeed
	eviction.Cluster = true
	return append(nodeNeeds(), eviction)
}

// drainData is what has to hold when a node is drained, and after a restart in the midst of it.
type drainData struct {
	NodeSelector   string        `json:"node_selector"`
	Deadline       time.Duration `json:"deadline"`
	Grace          *int64        `json:"grace,omitempty"`
	MaxPods        int           `json:"max_pods"`
	MinReadyNodes  int           `json:"min_ready_nodes"`
	AllowEmptyDir  bool          `json:"allow_empty_dir,omitempty"`
	AllowBarePods  bool          `json:"allow_bare_pods,omitempty"`
	AllowProtected bool          `json:"allow_protected,omitempty"`
	// WasCordoned is set where somebody else had cordoned the node before: then it stays so.
	WasCordoned bool `json:"was_cordoned,omitempty"`
	// Owners are the controllers of the pods, with how many ready pods each had.
	Owners []drainedOwner `json:"owners,omitempty"`
}

type drainedOwner struct {
	Namespace string `json:"namespace"`
	UID       string `json:"uid"`
	Name      string `json:"name"`
	Ready     int    `json:"ready"`
}

func (a *Drain) plan(ctx context.Context, c *Client, p *Plan) error {
	view, err := c.viewNode(ctx, p.Order)
	if err != nil {
		return err
	}
	if err := c.describeNode(view, p); err != nil {
		return err
	}
	p.Locks = append(p.Locks, lockDrain)
	p.Destructive, p.Undoable = true, true
	data := drainData{
		NodeSelector: p.Order.Scope.NodeSelector, Deadline: a.Deadline, Grace: graceSeconds(a.GracePeriod), MaxPods: a.MaxPods,
		MinReadyNodes: a.MinReadyNodes, AllowEmptyDir: a.AllowEmptyDir, AllowBarePods: a.AllowBarePods, AllowProtected: a.AllowProtected,
	}
	note, _ := noteOn(view.node.Annotations)
	data.WasCordoned = view.node.Spec.Unschedulable && note.Key != p.key()
	if data.Deadline == 0 {
		data.Deadline = defaultDrainDeadline
	}
	if data.MaxPods == 0 {
		data.MaxPods = defaultMaxPods
	}
	if data.MinReadyNodes == 0 {
		data.MinReadyNodes = defaultMinReadyNodes
	}
	work, everywhere, err := c.judgeDrain(ctx, view, data, p.key(), p)
	if err != nil {
		return err
	}
	data.Owners = ownersOf(work.evict, everywhere)
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	if view.node.Spec.Unschedulable && len(work.evict)+len(work.ending) == 0 {
		p.NoOp, p.Weight, p.Summary = true, 0, fmt.Sprintf("Nothing: %s is cordoned and has no pods to evict", p.Target)
		return nil
	}
	p.Summary = fmt.Sprintf("Drain %s: cordon it, and evict %d pods one by one within %s", p.Target, len(work.evict), data.Deadline)
	p.Commands = []string{fmt.Sprintf("kubectl drain %s --ignore-daemonsets --timeout=%s", p.Target.Name, data.Deadline)}
	var pods []Object
	for _, pod := range work.evict {
		pods = append(pods, podObject(pod))
	}
	if err := c.tryEvictions(ctx, p, pods, data.Grace); err != nil {
		return err
	}
	return c.try(ctx, p, drainChange(c, p, data))
}

func drainChange(c *Client, p *Plan, data drainData) change {
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		if boolAt(u, "spec", "unschedulable") != data.WasCordoned {
			return nil, refuse(ReasonTargetChanged, "unschedulable of %s is not what it was when this was planned", p.Target)
		}
		f, err := c.cordonFields(p, true)
		if err == nil && data.WasCordoned {
			// The note of whoever cordoned it stays.
			f = fields{"metadata": fields{"annotations": fields{annotationDraining: c.drainMark(p)}}}
		}
		return f, err
	})
}

// drainWork is what there is to do on a node.
type drainWork struct {
	evict, ending []*corev1.Pod
}

// judgeDrain refuses a drain that would take too much away, or something that does not come back.
func (c *Client) judgeDrain(ctx context.Context, view nodeView, data drainData, key string, p *Plan) (drainWork, []corev1.Pod, error) {
	cordon := cordonData{NodeSelector: data.NodeSelector, MinReadyNodes: data.MinReadyNodes}
	if err := c.judgeCordon(view, cordon, p); err != nil {
		return drainWork{}, nil, err
	}
	for i := range view.all {
		other := &view.all[i]
		if mark := drainOf(other.Annotations); mark.key != "" && mark.key != key {
			return drainWork{}, nil, refuse(ReasonBounds, "%s is being drained, and it is one node at a time; if that drain has died, look at the node and run kubectl annotate node %s %s-",
				nodeObject(other), other.Name, annotationDraining)
		}
	}
	work, err := c.judgePods(view.pods, data)
	if err != nil {
		return drainWork{}, nil, err
	}
	everywhere, err := c.listPods(ctx, "")
	if err != nil {
		return drainWork{}, nil, err
	}
	if left := place(work.evict, hosts(view.all, everywhere, view.node.Name)); len(left) > 0 {
		return drainWork{}, nil, refuse(ReasonCapacity, "the other nodes have no room for what %d pods of %s request: %s", len(left), nodeObject(view.node), podNames(left))
	}
	if p != nil {
		p.passed("room", "the other nodes have room for what %d pods request", len(work.evict))
	}
	return work, everywhere, nil
}

// judgePods sorts out which pods have to go, and refuses if one must not.
func (c *Client) judgePods(pods []corev1.Pod, data drainData) (drainWork, error) {
	var work drainWork
	var bare, local, protected []*corev1.Pod
	for i := range pods {
		pod := &pods[i]
		controller := metav1.GetControllerOfNoCopy(pod)
		switch {
		case isMirror(pod), finished(pod), controller != nil && controller.Kind == kindDaemonSet.name:
			continue
		case pod.DeletionTimestamp != nil:
			work.ending = append(work.ending, pod)
			continue
		}
		work.evict = append(work.evict, pod)
		if controller == nil && !data.AllowBarePods {
			bare = append(bare, pod)
		}
		if !data.AllowEmptyDir && slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
			return v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory
		}) {
			local = append(local, pod)
		}
		if slices.Contains(c.settings.ProtectedNamespaces, pod.Namespace) && !data.AllowProtected || pod.Namespace == c.settings.Namespace {
			protected = append(protected, pod)
		}
	}
	slices.SortFunc(work.evict, func(a, b *corev1.Pod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	switch {
	case len(protected) > 0:
		return work, refuse(ReasonProtected, "pods of protected namespaces would be evicted: %s; allow_protected allows that, but never for our own", podNames(protected))
	case len(bare) > 0:
		return work, refuse(ReasonProtected, "pods that nobody makes anew would be lost: %s; allow_bare_pods allows that", podNames(bare))
	case len(local) > 0:
		return work, refuse(ReasonProtected, "data in emptyDir volumes would be lost: %s; allow_empty_dir allows that", podNames(local))
	case len(work.evict) > data.MaxPods:
		return work, refuse(ReasonBounds, "%d pods would have to be evicted, max_pods is %d", len(work.evict), data.MaxPods)
	}
	return work, nil
}

// podNames lists the first few.
func podNames(pods []*corev1.Pod) string {
	const most = 5
	var names []string
	for _, pod := range pods[:min(len(pods), most)] {
		names = append(names, pod.Namespace+"/"+pod.Name)
	}
	text := strings.Join(names, ", ")
	if len(pods) > most {
		text += fmt.Sprintf(" and %d more", len(pods)-most)
	}
	return text
}

// ownersOf counts the ready pods, wherever they are, of the controllers of some pods.
func ownersOf(pods []*corev1.Pod, everywhere []corev1.Pod) []drainedOwner {
	var owners []drainedOwner
	for _, pod := range pods {
		controller := metav1.GetControllerOfNoCopy(pod)
		if controller == nil || slices.ContainsFunc(owners, func(o drainedOwner) bool { return o.UID == string(controller.UID) }) {
			continue
		}
		owner := drainedOwner{Namespace: pod.Namespace, UID: string(controller.UID), Name: controller.Kind + " " + controller.Name}
		owner.Ready = owner.readyAmong(everywhere)
		owners = append(owners, owner)
	}
	return owners
}

func (o *drainedOwner) readyAmong(pods []corev1.Pod) int {
	ready := 0
	for i := range pods {
		controller := metav1.GetControllerOfNoCopy(&pods[i])
		if controller != nil && string(controller.UID) == o.UID && pods[i].DeletionTimestamp == nil && podReady(&pods[i]) {
			ready++
		}
	}
	return ready
}

func (*Drain) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	var data drainData
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	if data.WasCordoned {
		return Receipt{Objects: r.Objects, NoOp: true, Summary: cordoned(r.Objects[0]) + " before the drain, and stays so"}, nil
	}
	done, err := c.uncordonOurs(ctx, r.Objects[0], r.Key)
	if err != nil {
		return Receipt{}, err
	}
	return done.undone(fmt.Sprintf("Uncordon %s; the pods stay where they have gone", r.Objects[0])), nil
}

// health waits until the owners of the evicted pods have as many ready pods as before.
func (*Drain) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	var data drainData
	if err := decode(r.Undo, &data); err != nil {
		return Health{}, err
	}
	h, err := c.cordonHealth(ctx, r.Objects[0], true)
	if err != nil || h.Failed {
		return h, err
	}
	everywhere, err := c.listPods(ctx, "")
	if err != nil {
		return Health{}, err
	}
	for _, owner := range data.Owners {
		if ready := owner.readyAmong(everywhere); ready < owner.Ready {
			h.Ready = false
			h.Detail += fmt.Sprintf("; %s in %s has %d ready pods, had %d", owner.Name, owner.Namespace, ready, owner.Ready)
		}
	}
	return h, nil
}
