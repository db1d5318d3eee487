package kubeaction

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTroubled(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	ready := []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	restarted := func(ago time.Duration) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{RestartCount: 1, LastTerminationState: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(now.Add(-ago))},
		}}}
	}
	waiting := func(reason string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
	for name, tc := range map[string]struct {
		age    time.Duration
		status corev1.PodStatus
		gone   bool
		want   bool
	}{
		"well":                {age: time.Hour, status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: ready}},
		"not ready":           {age: time.Hour, status: corev1.PodStatus{Phase: corev1.PodRunning}, want: true},
		"not ready yet":       {age: 59 * time.Second, status: corev1.PodStatus{Phase: corev1.PodRunning}},
		"being created":       {status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: waiting("ContainerCreating")}},
		"cannot pull":         {status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: waiting("ImagePullBackOff")}, want: true},
		"init cannot start":   {status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: waiting("CrashLoopBackOff")}, want: true},
		"restarted just now":  {age: time.Hour, status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: ready, ContainerStatuses: restarted(9 * time.Minute)}, want: true},
		"restarted long ago":  {age: time.Hour, status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: ready, ContainerStatuses: restarted(10 * time.Minute)}},
		"is being taken away": {age: time.Hour, status: corev1.PodStatus{Phase: corev1.PodRunning}, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-tc.age))}, Status: tc.status}
			if tc.gone {
				pod.DeletionTimestamp = new(metav1.NewTime(now))
			}
			assert.Equal(t, tc.want, troubled(pod, now))
		})
	}
}
