package kubeaction

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// recentRestart is how long after a container ended by itself its pod counts as troubled.
const recentRestart = 10 * time.Minute

// troubled reports whether the API server itself shows the pod in trouble: it runs and is not ready, a container cannot start,
// or one has ended not long ago. A pod that is merely starting is in none.
func troubled(pod *corev1.Pod, now time.Time) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	if pod.Status.Phase == corev1.PodRunning && !podReady(pod) && now.Sub(pod.CreationTimestamp.Time) >= recentRestart/10 {
		return true
	}
	return slices.ContainsFunc(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses), func(s corev1.ContainerStatus) bool {
		if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return true
		}
		last := s.LastTerminationState.Terminated
		return last != nil && s.RestartCount > 0 && now.Sub(last.FinishedAt.Time) < recentRestart
	})
}
