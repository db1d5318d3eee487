package kubeaction

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

const maxGracePeriod = 10 * time.Minute

// podData is what has to hold when a pod is taken away, and who makes it anew.
type podData struct {
	Owner Object `json:"owner"`
	// Ready is whether the pod was ready. One that was not, and is now, has recovered.
	Ready bool `json:"ready"`
	// Grace in seconds; nil for the pod's own.
	Grace *int64 `json:"grace,omitempty"`
	// Deadline is how long an eviction may be asked for.
	Deadline time.Duration `json:"deadline,omitempty"`
}

// podNeeds are the permissions of actions on single pods, but the one that takes the pod away.
func podNeeds() []permission {
	return append(workloadNeeds(nil), kindJob.permission("get"), kindCronJob.permission("get"))
}

func validateGrace(grace time.Duration) error {
	if grace != 0 && (grace < time.Second || grace > maxGracePeriod) {
		return fmt.Errorf("grace_period must be 0 (the pod's own) or between 1s and %s, got %s; a pod is never killed without grace", maxGracePeriod, grace)
	}
	return nil
}

func graceSeconds(grace time.Duration) *int64 {
	if grace == 0 {
		return nil
	}
	seconds := int64(grace / time.Second)
	return &seconds
}

// planPod resolves the pod of an order, and fills in the plan but its summary. The plan does nothing if the pod is already
// going.
func (c *Client) planPod(ctx context.Context, p *Plan, data podData) (*corev1.Pod, error) {
	pod, owner, err := c.resolvePod(ctx, p.Order)
	if err != nil {
		return nil, err
	}
	p.Target = podObject(pod)
	if err := c.describe(ctx, owner, p); err != nil {
		return nil, err
	}
	p.Troubled = troubled(pod, c.now()) // of its workload's pods only this one matters
	p.Locks = append(p.Locks, p.Target.lock())
	p.Destructive, p.Weight = true, 1
	data.Owner, data.Ready = objectOf(owner), podReady(pod)
	if p.Data, err = json.Marshal(data); err != nil {
		return nil, err
	}
	if pod.DeletionTimestamp != nil {
		p.NoOp, p.Weight, p.Summary = true, 0, fmt.Sprintf("Nothing: %s is already being deleted", p.Target)
		return pod, nil
	}
	if data.Ready && isWorkload(owner) {
		return pod, c.checkCapacity(owner, p)
	}
	p.passed("capacity", "%s is not ready, so no capacity is lost with it", p.Target)
	return pod, nil
}

// resolvePod finds the pod of an order and what makes it anew. It refuses a pod that nobody would.
func (c *Client) resolvePod(ctx context.Context, order Order) (*corev1.Pod, *unstructured.Unstructured, error) {
	if err := c.checkPlace(order); err != nil {
		return nil, nil, err
	}
	s := order.Subject
	if s.Pod == "" {
		return nil, nil, refuse(ReasonTargetMissing, "the incident's cause names no pod; add k8s.pod.name to its resource, or act on the workload")
	}
	selector, err := labels.Parse(order.Scope.Selector)
	if err != nil {
		return nil, nil, refuse(ReasonOutOfScope, "selector of the scope must be a label selector: %w", err)
	}
	object := Object{APIVersion: "v1", Kind: kindPod.name, Namespace: s.Namespace, Name: s.Pod}
	pod, err := c.typed.CoreV1().Pods(s.Namespace).Get(ctx, s.Pod, metav1.GetOptions{})
	if err != nil {
		return nil, nil, c.explain(err, object, "get")
	}
	if isMirror(pod) {
		return nil, nil, refuse(ReasonProtected, "%s belongs to its node (a static pod); the API server cannot replace it", object)
	}
	s.PodUID = stringOr(s.PodUID, string(pod.UID))
	owner, err := c.ownerOfPod(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	if s.Kind != "" && s.Name != "" && (s.Kind != owner.GetKind() || s.Name != owner.GetName()) {
		return nil, nil, refuse(ReasonTargetChanged, "%s belongs to %s, not to %s %s as the incident has it", object, objectOf(owner), clean(s.Kind, 64), clean(s.Name, 253))
	}
	if !selector.Matches(labels.Set(owner.GetLabels())) {
		return nil, nil, refuse(ReasonOutOfScope, "the labels of %s, which %s belongs to, do not match the scope's selector %q", objectOf(owner), object, order.Scope.Selector)
	}
	if pod.Name == c.settings.Pod && pod.Namespace == c.settings.Namespace {
		return nil, nil, refuse(ReasonProtected, "%s is ourselves", object)
	}
	return pod, owner, nil
}

// livePod reads a pod again right before it is taken away; nil if it is gone or going. It refuses one that has recovered.
func (c *Client) livePod(ctx context.Context, o Object, data podData) (*corev1.Pod, error) {
	pod, err := c.typed.CoreV1().Pods(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.explain(err, o, "get")
	}
	if string(pod.UID) != o.UID || pod.DeletionTimestamp != nil {
		return nil, nil
	}
	if podReady(pod) && !data.Ready {
		return nil, refuse(ReasonTargetChanged, "%s was not ready when this was planned, and is now", o)
	}
	return pod, nil
}

// podReceipt says what was done to a pod, and keeps who has to replace it.
func podReceipt(p *Plan, done bool) Receipt {
	r := Receipt{Objects: []Object{p.Target}, NoOp: !done, Summary: p.Summary, Undo: p.Data}
	if !done && !p.NoOp {
		r.Summary = fmt.Sprintf("Nothing: %s is already gone", p.Target)
	}
	return r
}

// podHealth says whether the pod has gone and its owner has replaced it.
func (c *Client) podHealth(ctx context.Context, r *Receipt) (Health, error) {
	var data podData
	if err := decode(r.Undo, &data); err != nil {
		return Health{}, err
	}
	o := r.Objects[0]
	pod, err := c.typed.CoreV1().Pods(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err == nil && string(pod.UID) == o.UID {
		return Health{Detail: fmt.Sprintf("%s is still there, phase %s", o, pod.Status.Phase)}, nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return Health{}, c.explain(err, o, "get")
	}
	owner := data.Owner
	switch {
	case slices.ContainsFunc(workloads, func(k kind) bool { return k.name == owner.Kind }):
		return c.workloadHealth(ctx, owner)
	case owner.Kind != kindReplicaSet.name:
		return Health{Ready: true, Detail: fmt.Sprintf("%s is gone; %s decides whether there is another", o, owner)}, nil
	}
	u, err := c.get(ctx, owner)
	if err != nil {
		return Health{}, err
	}
	now := replicasOf(u)
	return Health{Ready: now.ready >= now.desired, Detail: fmt.Sprintf("%s: %d pods desired, %d ready", owner, now.desired, now.ready)}, nil
}

func podObject(pod *corev1.Pod) Object {
	return Object{
		APIVersion: kindPod.apiVersion(), Kind: kindPod.name, Namespace: pod.Namespace, Name: pod.Name,
		UID: string(pod.UID), ResourceVersion: pod.ResourceVersion,
	}
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// isMirror tells whether a pod only shows what a node runs by itself.
func isMirror(pod *corev1.Pod) bool {
	if _, found := pod.Annotations[corev1.MirrorPodAnnotationKey]; found {
		return true
	}
	controller := metav1.GetControllerOfNoCopy(pod)
	return controller != nil && controller.Kind == "Node"
}

func isWorkload(u *unstructured.Unstructured) bool {
	return slices.ContainsFunc(append(slices.Clone(workloads), kindReplicaSet), func(k kind) bool {
		return k.name == u.GetKind() && k.resource.Group == u.GroupVersionKind().Group
	})
}

func stringOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
