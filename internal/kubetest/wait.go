package kubetest

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// patience is how long the lab may take for what a test waits for: ten times what it takes on two busy cores.
	patience = time.Minute
	// pause is the time between two looks.
	pause = 20 * time.Millisecond
)

// Eventually waits until check returns nil, and fails the test with its last error if it does not within a minute.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(pause):
		}
	}
}

// WaitFor refreshes an object until check returns nil.
func (l *Lab) WaitFor(t testing.TB, object Object, what string, check func() error) {
	t.Helper()
	resource := l.resource(t, object)
	Eventually(t, describe(object)+" "+what, func() error {
		got, err := resource.Get(t.Context(), object.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		fromUnstructured(t, got, object)
		return check()
	})
}

// WaitRolledOut refreshes a Deployment, StatefulSet or DaemonSet until all its pods are of the newest template and
// available, and none is left over.
func (l *Lab) WaitRolledOut(t testing.TB, workload Object) {
	t.Helper()
	l.WaitFor(t, workload, "rolled out", func() error { return rolledOut(workload) })
}

func rolledOut(workload Object) error {
	var want, updated, available, all int32
	var observed int64
	switch w := workload.(type) {
	case *appsv1.Deployment:
		s := w.Status
		want, updated, available, all, observed = *w.Spec.Replicas, s.UpdatedReplicas, s.AvailableReplicas, s.Replicas, s.ObservedGeneration
	case *appsv1.StatefulSet:
		s := w.Status
		want, updated, available, all, observed = *w.Spec.Replicas, s.UpdatedReplicas, s.AvailableReplicas, s.Replicas, s.ObservedGeneration
		if s.CurrentRevision == s.UpdateRevision {
			updated = s.CurrentReplicas
		}
	case *appsv1.DaemonSet:
		s := w.Status
		want, updated, available, all, observed = s.DesiredNumberScheduled, s.UpdatedNumberScheduled, s.NumberAvailable, s.CurrentNumberScheduled, s.ObservedGeneration
		if want == 0 {
			return fmt.Errorf("no node is scheduled yet")
		}
	default:
		return fmt.Errorf("%T does not roll out", workload)
	}
	if observed < workload.GetGeneration() || updated != want || available != want || all != want {
		return fmt.Errorf("generation %d of %d observed; of %d pods %d are there, %d updated, %d available",
			observed, workload.GetGeneration(), want, all, updated, available)
	}
	return nil
}

// WaitGone waits until the API server has no such object any more, or another one of the same name.
func (l *Lab) WaitGone(t testing.TB, object Object) {
	t.Helper()
	resource := l.resource(t, object)
	Eventually(t, describe(object)+" gone", func() error {
		got, err := resource.Get(t.Context(), object.GetName(), metav1.GetOptions{})
		switch {
		case errors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case object.GetUID() != "" && got.GetUID() != object.GetUID():
			return nil
		}
		return fmt.Errorf("it is still there, deletion timestamp %v", got.GetDeletionTimestamp())
	})
}

// WaitPodReady refreshes a pod until it is ready.
func (l *Lab) WaitPodReady(t testing.TB, pod *corev1.Pod) {
	t.Helper()
	l.WaitFor(t, pod, "ready", func() error {
		if !PodReady(pod) {
			return fmt.Errorf("phase %s, conditions %v", pod.Status.Phase, pod.Status.Conditions)
		}
		return nil
	})
}

// PodReady tells whether a pod is ready and not being deleted.
func PodReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// Pods lists the pods of a namespace that a label selector matches (all when empty), in the order of their names.
func (l *Lab) Pods(t testing.TB, namespace, selector string) []corev1.Pod {
	t.Helper()
	list, err := l.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatalf("list the pods of %s: %v", namespace, err)
	}
	return list.Items
}

// Nodes lists the nodes in the order of their names.
func (l *Lab) Nodes(t testing.TB) []corev1.Node {
	t.Helper()
	list, err := l.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list the nodes: %v", err)
	}
	return list.Items
}

// WaitNode refreshes a node until its Ready condition has this status.
func (l *Lab) WaitNode(t testing.TB, node *corev1.Node, ready corev1.ConditionStatus) {
	t.Helper()
	l.WaitFor(t, node, "Ready="+string(ready), func() error {
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == ready {
				return nil
			}
		}
		return fmt.Errorf("conditions %v", node.Status.Conditions)
	})
}
