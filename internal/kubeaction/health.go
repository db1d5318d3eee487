package kubeaction

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// stuck are the reasons for which a container waits that seldom pass by themselves.
var stuck = []string{"CrashLoopBackOff", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}

// workloadHealth says whether a workload has settled after a change.
func (c *Client) workloadHealth(ctx context.Context, o Object) (Health, error) {
	u, err := c.get(ctx, o)
	if err != nil {
		return Health{}, err
	}
	r := replicasOf(u)
	detail := fmt.Sprintf("%s: %d pods desired, %d updated, %d available, %d in all", o, r.desired, r.updated, r.available, r.total)
	if !r.observed {
		return Health{Detail: detail + "; the controller has not seen the change yet"}, nil
	}
	if settled(u, r) {
		return Health{Ready: true, Detail: detail}, nil
	}
	if why := failed(u, c.lastWrite(u)); why != "" {
		return Health{Failed: true, Detail: detail + "; " + why}, nil
	}
	why, err := c.stuckPod(ctx, u)
	if err != nil {
		return Health{}, err
	}
	if why != "" {
		return Health{Failed: true, Detail: detail + "; " + why}, nil
	}
	return Health{Detail: detail}, nil
}

func settled(u *unstructured.Unstructured, r replicas) bool {
	switch u.GetKind() {
	case kindRollout.name:
		return stringAt(u, "status", "phase") == "Healthy" && restartDone(u)
	case kindStatefulSet.name:
		// Below the partition pods keep the old revision.
		partition := min(intAt(u, "spec", "updateStrategy", "rollingUpdate", "partition"), r.desired)
		revisions := partition > 0 || stringAt(u, "status", "currentRevision") == stringAt(u, "status", "updateRevision")
		return r.total == r.desired && r.available == r.desired && r.updated >= r.desired-partition && revisions
	default:
		return r.total == r.desired && r.available == r.desired && r.updated == r.desired
	}
}

// restartDone says that an Argo Rollout has carried out the restart that was asked of it.
func restartDone(u *unstructured.Unstructured) bool {
	return stringAt(u, "spec", "restartAt") <= stringAt(u, "status", "restartedAt")
}

// lastWrite is when we changed the object last, by the API server's clock; zero if we never did.
func (c *Client) lastWrite(u *unstructured.Unstructured) time.Time {
	var last time.Time
	for _, m := range u.GetManagedFields() {
		if m.Manager == c.settings.FieldManager && m.Time != nil && m.Time.After(last) {
			last = m.Time.Time
		}
	}
	return last
}

// failed reads the conditions of a workload for one that says it will not settle. One from before our last write is about
// what was before: a controller may observe a change first and correct its conditions later.
func failed(u *unstructured.Unstructured, since time.Time) string {
	if u.GetKind() == kindRollout.name && stringAt(u, "status", "phase") == "Degraded" {
		return "the rollout is degraded: " + clean(stringAt(u, "status", "message"), 256)
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, item := range conditions {
		condition, ok := item.(map[string]any)
		if !ok {
			continue
		}
		text := func(name string) string {
			s, _ := condition[name].(string)
			return clean(s, 256)
		}
		if updated, err := time.Parse(time.RFC3339, text("lastUpdateTime")); err == nil && updated.Before(since) {
			continue
		}
		if text("type") == "Progressing" && text("status") == "False" || text("type") == "ReplicaFailure" && text("status") == "True" {
			return text("reason") + ": " + text("message")
		}
	}
	return ""
}

// stuckPod looks for a pod with a container that cannot start: one of the newest revision, or one that is in the way of it.
func (c *Client) stuckPod(ctx context.Context, u *unstructured.Unstructured) (string, error) {
	pods, err := c.podsOf(ctx, u)
	if err != nil {
		return "", err
	}
	newest, err := c.newestRevision(ctx, u)
	if err != nil {
		return "", err
	}
	ordered := orderedPods(u)
	for _, pod := range pods {
		old, advice := !newest.Matches(labels.Set(pod.Labels)), ""
		if old && !ordered || pod.DeletionTimestamp != nil {
			continue
		}
		if old {
			advice = ", and its controller waits for it before it replaces it: delete it"
		}
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if waiting := status.State.Waiting; waiting != nil && slices.Contains(stuck, waiting.Reason) {
				return fmt.Sprintf("container %s of pod %s is in %s%s", status.Name, pod.Name, waiting.Reason, advice), nil
			}
		}
	}
	return "", nil
}

// orderedPods says that the workload's controller goes on to another pod only when all are ready.
func orderedPods(u *unstructured.Unstructured) bool {
	return u.GetKind() == kindStatefulSet.name && stringAt(u, "spec", "podManagementPolicy") != "Parallel"
}

// newestRevision selects the pods that have the newest template.
func (c *Client) newestRevision(ctx context.Context, u *unstructured.Unstructured) (labels.Selector, error) {
	label, value := "", ""
	switch u.GetKind() {
	case kindDeployment.name:
		label = "pod-template-hash"
		err := c.eachOwned(ctx, kindReplicaSet, u, func(rs *unstructured.Unstructured) error {
			if rs.GetAnnotations()[annotationRevision] == u.GetAnnotations()[annotationRevision] {
				value = rs.GetLabels()[label]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	case kindStatefulSet.name:
		label, value = "controller-revision-hash", stringAt(u, "status", "updateRevision")
	case kindDaemonSet.name:
		label = "controller-revision-hash"
		newest := 0
		err := c.eachOwned(ctx, kindControllerRevision, u, func(cr *unstructured.Unstructured) error {
			if revision := intAt(cr, "revision"); revision > newest {
				newest, value = revision, cr.GetLabels()[label]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	case kindRollout.name:
		label, value = "rollouts-pod-template-hash", stringAt(u, "status", "currentPodHash")
	}
	if value == "" {
		return labels.Nothing(), nil
	}
	return labels.SelectorFromSet(labels.Set{label: value}), nil
}

// annotationRevision numbers the templates of a Deployment, on it and on its ReplicaSets.
const annotationRevision = "deployment.kubernetes.io/revision"

// eachOwned calls f with the objects of a kind that the workload controls.
func (c *Client) eachOwned(ctx context.Context, k kind, u *unstructured.Unstructured, f func(*unstructured.Unstructured) error) error {
	selector, err := podSelector(u)
	if err != nil {
		return err
	}
	return c.each(ctx, k, u.GetNamespace(), selector.String(), func(owned *unstructured.Unstructured) error {
		if ref := metav1.GetControllerOfNoCopy(owned); ref == nil || ref.UID != u.GetUID() {
			return nil
		}
		return f(owned)
	})
}

// podsOf lists the pods that match the workload's selector, at most one page of them.
func (c *Client) podsOf(ctx context.Context, u *unstructured.Unstructured) ([]corev1.Pod, error) {
	selector, err := podSelector(u)
	if err != nil {
		return nil, err
	}
	list, err := c.typed.CoreV1().Pods(u.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector.String(), Limit: pageSize})
	if err != nil {
		return nil, c.explain(err, Object{APIVersion: "v1", Kind: "Pod", Namespace: u.GetNamespace(), Name: "*"}, "list")
	}
	return list.Items, nil
}

func podSelector(u *unstructured.Unstructured) (labels.Selector, error) {
	raw, found, _ := unstructured.NestedMap(u.Object, "spec", "selector")
	if !found {
		return labels.Nothing(), nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil, fmt.Errorf("read selector of %s: %w", objectOf(u), err)
	}
	return metav1.LabelSelectorAsSelector(&selector)
}
