package kubeaction

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sfields "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

// The bounds of evidence.
const (
	maxEvidenceBytes  = 16 << 10
	maxEvidencePods   = 10
	maxEvidenceEvents = 20
	maxEvidenceText   = 256
	// maxEventSources is of how many objects events are asked for: the target and its worst pods.
	maxEventSources = 4
)

// eventsNeed is wanted for evidence alone.
var eventsNeed = permission{Resource: "events", Verbs: []string{"list"}, Optional: true}

// evidence is what is kept of a target as it was before acting. It names fields one by one: values of environment variables,
// commands, arguments and annotations may hold secrets and are never taken.
type evidence struct {
	Object     Object              `json:"object"`
	Generation int64               `json:"generation"`
	Replicas   map[string]int      `json:"replicas,omitempty"`
	Containers []evidenceContainer `json:"containers,omitempty"`
	Conditions []evidenceCondition `json:"conditions,omitempty"`
	Pods       []evidencePod       `json:"pods,omitempty"`
	// PodsLeftOut counts the pods beyond the bound; those with most trouble are kept.
	PodsLeftOut int             `json:"pods_left_out,omitempty"`
	Events      []evidenceEvent `json:"events,omitempty"`
}

type evidenceContainer struct {
	Name  string   `json:"name"`
	Image string   `json:"image"`
	Env   []string `json:"env_names,omitempty"`
	// Resources are requests and limits.
	Resources corev1.ResourceRequirements `json:"resources"`
}

type evidenceCondition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Since   string `json:"since,omitempty"`
}

type evidencePod struct {
	Name       string                   `json:"name"`
	UID        string                   `json:"uid"`
	Node       string                   `json:"node,omitempty"`
	Phase      string                   `json:"phase"`
	Reason     string                   `json:"reason,omitempty"`
	Ready      bool                     `json:"ready"`
	Created    time.Time                `json:"created"`
	Containers []evidenceContainerState `json:"containers,omitempty"`

	trouble int
}

type evidenceContainerState struct {
	Name        string `json:"name"`
	Ready       bool   `json:"ready"`
	Restarts    int32  `json:"restarts"`
	Waiting     string `json:"waiting,omitempty"`
	LastReason  string `json:"last_reason,omitempty"`
	LastExit    *int32 `json:"last_exit_code,omitempty"`
	LastStopped string `json:"last_stopped,omitempty"`
}

type evidenceEvent struct {
	Last    time.Time `json:"last"`
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Object  string    `json:"object"`
	Message string    `json:"message"`
	Count   int32     `json:"count"`
}

// capture keeps what can be seen of a workload. That something cannot be seen is no reason not to act, but is recorded.
func (c *Client) capture(ctx context.Context, u *unstructured.Unstructured, p *Plan) {
	e := evidence{Object: objectOf(u), Generation: u.GetGeneration(), Conditions: conditionsOf(u), Containers: containersOf(u)}
	if u.GetKind() != kindCronJob.name && u.GetKind() != kindConfigMap.name {
		r := replicasOf(u)
		e.Replicas = map[string]int{"desired": r.desired, "total": r.total, "ready": r.ready, "updated": r.updated, "available": r.available}
		pods, err := c.podsOf(ctx, u)
		if err != nil {
			p.noted("evidence", "pods: %v", err)
		}
		e.addPods(pods)
		p.Troubled = slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return troubled(&pod, c.now()) })
	}
	if err := c.addEvents(ctx, &e); err != nil {
		p.noted("evidence", "events: %v", err)
	}
	p.Evidence = e.encode()
}

// encode drops events, then pods, from the least telling on until it fits.
func (e *evidence) encode() json.RawMessage {
	for {
		text, err := json.Marshal(e)
		if err == nil && len(text) <= maxEvidenceBytes {
			return text
		}
		switch {
		case len(e.Events) > 0:
			e.Events = e.Events[:len(e.Events)-1]
		case len(e.Pods) > 0:
			e.Pods = e.Pods[:len(e.Pods)-1]
			e.PodsLeftOut++
		case len(e.Containers) > 0:
			e.Containers = e.Containers[:len(e.Containers)-1]
		case len(e.Conditions) > 0:
			e.Conditions = nil
		default:
			return nil
		}
	}
}

func conditionsOf(u *unstructured.Unstructured) []evidenceCondition {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var conditions []evidenceCondition
	for _, item := range list[:min(len(list), maxEvidencePods)] {
		condition, _ := item.(map[string]any)
		text := func(name string) string {
			s, _ := condition[name].(string)
			return clean(s, maxEvidenceText)
		}
		conditions = append(conditions, evidenceCondition{text("type"), text("status"), text("reason"), text("message"), text("lastTransitionTime")})
	}
	return conditions
}

func containersOf(u *unstructured.Unstructured) []evidenceContainer {
	var template corev1.PodTemplateSpec
	raw, _, _ := unstructured.NestedMap(u.Object, "spec", "template")
	if u.GetKind() == kindCronJob.name {
		raw, _, _ = unstructured.NestedMap(u.Object, "spec", "jobTemplate", "spec", "template")
	}
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &template) != nil {
		return nil
	}
	var containers []evidenceContainer
	for _, container := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		kept := evidenceContainer{Name: container.Name, Image: container.Image, Resources: container.Resources}
		for _, env := range container.Env {
			kept.Env = append(kept.Env, env.Name)
		}
		containers = append(containers, kept)
	}
	return containers
}

func (e *evidence) addPods(pods []corev1.Pod) {
	for i := range pods {
		pod := &pods[i]
		kept := evidencePod{
			Name: pod.Name, UID: string(pod.UID), Node: pod.Spec.NodeName, Phase: string(pod.Status.Phase),
			Reason: clean(pod.Status.Reason, maxEvidenceText), Created: pod.CreationTimestamp.UTC(),
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady {
				kept.Ready = condition.Status == corev1.ConditionTrue
			}
		}
		if !kept.Ready {
			kept.trouble = 1 << 20
		}
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			kept.trouble += int(status.RestartCount)
			kept.Containers = append(kept.Containers, containerState(status))
		}
		e.Pods = append(e.Pods, kept)
	}
	slices.SortFunc(e.Pods, func(a, b evidencePod) int {
		return cmp.Or(cmp.Compare(b.trouble, a.trouble), strings.Compare(a.Name, b.Name))
	})
	if len(e.Pods) > maxEvidencePods {
		e.PodsLeftOut = len(e.Pods) - maxEvidencePods
		e.Pods = e.Pods[:maxEvidencePods]
	}
}

func containerState(status corev1.ContainerStatus) evidenceContainerState {
	state := evidenceContainerState{Name: status.Name, Ready: status.Ready, Restarts: status.RestartCount}
	if waiting := status.State.Waiting; waiting != nil {
		state.Waiting = clean(waiting.Reason+": "+waiting.Message, maxEvidenceText)
	}
	last := status.LastTerminationState.Terminated
	if last == nil {
		last = status.State.Terminated
	}
	if last != nil {
		state.LastReason, state.LastExit = clean(last.Reason, maxEvidenceText), &last.ExitCode
		state.LastStopped = last.FinishedAt.UTC().Format(time.RFC3339)
	}
	return state
}

func (c *Client) addEvents(ctx context.Context, e *evidence) error {
	uids := []string{e.Object.UID}
	for _, pod := range e.Pods[:min(len(e.Pods), maxEventSources-1)] {
		uids = append(uids, pod.UID)
	}
	lists := make([]*corev1.EventList, len(uids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, uid := range uids {
		group.Go(func() (err error) {
			lists[i], err = c.typed.CoreV1().Events(e.Object.Namespace).List(ctx, metav1.ListOptions{
				FieldSelector: k8sfields.OneTermEqualSelector("involvedObject.uid", uid).String(), Limit: pageSize,
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return c.explain(err, Object{Kind: "Event", Namespace: e.Object.Namespace, Name: "*"}, "list")
	}
	for _, list := range lists {
		for _, event := range list.Items {
			last := event.LastTimestamp.Time
			if event.Series != nil {
				last = event.Series.LastObservedTime.Time
			}
			if last.IsZero() {
				last = cmp.Or(event.EventTime.Time, event.CreationTimestamp.Time)
			}
			e.Events = append(e.Events, evidenceEvent{
				Last: last.UTC(), Type: clean(event.Type, 16), Reason: clean(event.Reason, 64), Count: max(event.Count, 1),
				Object: event.InvolvedObject.Kind + " " + event.InvolvedObject.Name, Message: clean(event.Message, maxEvidenceText),
			})
		}
	}
	slices.SortFunc(e.Events, func(a, b evidenceEvent) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Object, b.Object), strings.Compare(a.Reason, b.Reason))
	})
	e.Events = e.Events[:min(len(e.Events), maxEvidenceEvents)]
	return nil
}
