package lab

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func evict(t *testing.T, pod v1.Pod) error {
	return client.CoreV1().Pods(pod.Namespace).EvictV1(t.Context(),
		&policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}})
}

func TestEvictionHonoursBudget(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	deployment(t, ns, 3, map[string]string{"lab/ready-after": "3s"})
	two := intstr.FromInt32(2)
	budgets := client.PolicyV1().PodDisruptionBudgets(ns)
	must[*policyv1.PodDisruptionBudget](t)(budgets.Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &two, Selector: selector},
	}, metav1.CreateOptions{}))
	eventually(t, "one disruption allowed", func() error {
		b, err := budgets.Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && b.Status.DisruptionsAllowed != 1 {
			err = fmt.Errorf("%d allowed", b.Status.DisruptionsAllowed)
		}
		return err
	})
	before := pods(t, ns)
	if err := evict(t, before[0]); err != nil {
		t.Fatalf("first eviction: %v", err)
	}
	if err := evict(t, before[1]); !errors.IsTooManyRequests(err) {
		t.Fatalf("second eviction: %v, want 429", err)
	}
	eventually(t, "second eviction allowed", func() error { return evict(t, before[1]) })
}

// A pod that is slow to end stays for as long as it says, and never longer than its grace period.
func TestSlowTermination(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	grace := map[string]int64{"slow": 30, "stuck": 3}
	for name, seconds := range grace {
		pod := template("v1", map[string]string{"lab/stop-after": map[string]string{"slow": "2s", "stuck": "1h"}[name]})
		pod.Spec.TerminationGracePeriodSeconds, pod.Name = &seconds, name
		must[*v1.Pod](t)(client.CoreV1().Pods(ns).Create(t.Context(), &v1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}, metav1.CreateOptions{}))
	}
	eventually(t, "both run", func() error {
		for _, pod := range pods(t, ns) {
			if pod.Status.Phase != v1.PodRunning {
				return fmt.Errorf("%s is %s", pod.Name, pod.Status.Phase)
			}
		}
		return nil
	})
	began := time.Now()
	for name := range grace {
		if err := client.CoreV1().Pods(ns).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(pods(t, ns)); n != 2 {
		t.Fatalf("%d pods right after the deletion, want 2 that are ending", n)
	}
	for name := range grace {
		eventually(t, name+" gone", func() error {
			_, err := client.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
			if errors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("it is there (%w)", err)
		})
	}
	if took := time.Since(began); took < 2*time.Second || took > 15*time.Second {
		t.Errorf("they ended within %s, want about 4 s", took)
	}
}

// Nodes can be emptied, and they die and come back. This test is alone: it disturbs every other one's pods.
func TestNodes(t *testing.T) {
	ns := namespace(t)
	deployment(t, ns, 6, nil)
	nodes := client.CoreV1().Nodes()
	patch := func(node, body string) {
		t.Helper()
		must[*v1.Node](t)(nodes.Patch(t.Context(), node, types.MergePatchType, []byte(body), metav1.PatchOptions{}))
	}
	ready := func(want v1.ConditionStatus) func() error {
		return func() error {
			node, err := nodes.Get(t.Context(), "lab-node-2", metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range node.Status.Conditions {
				if c.Type == v1.NodeReady && c.Status == want {
					return nil
				}
			}
			return fmt.Errorf("conditions %v", node.Status.Conditions)
		}
	}

	patch("lab-node-1", `{"spec":{"unschedulable":true}}`)
	eventually(t, "drained", func() error {
		left := 0
		for _, pod := range pods(t, ns) {
			if pod.Spec.NodeName == "lab-node-1" {
				left++
				if err := evict(t, pod); err != nil && !errors.IsNotFound(err) {
					return err
				}
			}
		}
		if left > 0 {
			return fmt.Errorf("%d pods left", left)
		}
		return nil
	})
	rolledOut(t, ns, 6)
	patch("lab-node-1", `{"spec":{"unschedulable":false}}`)

	patch("lab-node-2", `{"metadata":{"annotations":{"lab/offline":"true"}}}`)
	eventually(t, "node unknown", ready(v1.ConditionUnknown))
	rolledOut(t, ns, 6) // elsewhere
	if n := len(pods(t, ns)); n <= 6 {
		t.Errorf("%d pods, want those of the dead node among them: nobody confirms that they ended", n)
	}
	patch("lab-node-2", `{"metadata":{"annotations":{"lab/offline":null}}}`)
	eventually(t, "node ready again", ready(v1.ConditionTrue))
	eventually(t, "the dead node's pods gone", func() error {
		if n := len(pods(t, ns)); n != 6 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
}
