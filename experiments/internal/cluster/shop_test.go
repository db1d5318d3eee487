package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

type hosted struct {
	*testing.T
	*Shop
}

func host(t *testing.T) *hosted {
	t.Helper()
	t.Parallel()
	lab := kubetest.Shared(t)
	c, err := Open(t.Context(), lab.Kubeconfig)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	namespace, err := c.Namespace(t.Context(), "shop")
	require.NoError(t, err)
	cfg := shop.DefaultConfig()
	cfg.Start, cfg.Namespace, cfg.Steady = time.Now(), namespace, true
	simulation, err := shop.New(cfg)
	require.NoError(t, err)
	s, err := c.Host(t.Context(), namespace, simulation)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close()
		assert.NoError(t, c.Delete(context.WithoutCancel(t.Context()), namespace))
	})
	return &hosted{t, s}
}

// until lets time pass, faster than it would, until check returns nil.
func (h *hosted) until(what string, check func(shop.State) error) {
	h.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		require.NoError(h, h.Sync(h.Context()))
		h.Simulation.Tick()
		if err = check(h.Simulation.State()); err == nil {
			return
		}
		select {
		case <-h.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	h.Fatalf("%s: %v", what, err)
}

func (h *hosted) inject(f shop.Fault) shop.FaultStatus {
	h.Helper()
	status, err := h.Inject(h.Context(), f)
	require.NoError(h, err)
	return status
}

func over(s shop.State) error {
	if len(s.Faults) > 0 {
		return fmt.Errorf("%s is in force", s.Faults[0].Kind)
	}
	return nil
}

func of(s shop.State, service string) shop.ServiceState {
	for _, v := range s.Services {
		if v.Name == service {
			return v
		}
	}
	return shop.ServiceState{}
}

func (h *hosted) patch(service, patch string) {
	h.Helper()
	_, err := h.cluster.client.AppsV1().Deployments(h.Namespace).Patch(h.Context(), service, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(h, err)
}

func (h *hosted) restart(service string) {
	h.Helper()
	h.patch(service, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"`+time.Now().Format(time.RFC3339Nano)+`"}}}}}`)
}

func TestKubernetesShopIsCuredByARestart(t *testing.T) {
	h := host(t)
	f := h.inject(shop.Fault{Kind: shop.Crash, Service: "cart"})
	h.until("its containers crash", func(s shop.State) error {
		pods, err := h.cluster.client.CoreV1().Pods(h.Namespace).List(h.Context(), metav1.ListOptions{LabelSelector: "app=cart"})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			status := pods.Items[i].Status.ContainerStatuses[0]
			if ready(&pods.Items[i]) || status.RestartCount == 0 || status.State.Waiting == nil || status.State.Waiting.Reason != "CrashLoopBackOff" {
				return fmt.Errorf("%s: %+v", pods.Items[i].Name, status)
			}
		}
		if n := of(s, "cart").Available; n != 0 {
			return fmt.Errorf("%d pods serve", n)
		}
		return nil
	})
	h.restart("user") // the wrong one
	h.until("the wrong restart", func(s shop.State) error {
		if d, err := h.Deployment(h.Context(), "user"); err != nil || d.Status.UpdatedReplicas != 2 || d.Status.AvailableReplicas != 2 {
			return fmt.Errorf("not rolled out: %w", err)
		}
		return nil
	})
	require.Len(t, h.Simulation.State().Faults, 1)
	h.restart("cart")
	h.until("cured", over)
	assert.Equal(t, f.ID, h.Simulation.State().Ended[0].ID)
	assert.Equal(t, "cured by restart", h.Simulation.State().Ended[0].Ended)
	h.until("it serves", func(s shop.State) error {
		if n := of(s, "cart").Available; n != 2 {
			return fmt.Errorf("%d pods serve", n)
		}
		return nil
	})
}

func TestKubernetesShopIsCuredByARollback(t *testing.T) {
	h := host(t)
	good := of(h.Simulation.State(), "catalogue").Version
	f := h.inject(shop.Fault{Kind: shop.BadDeploy, Service: "catalogue"})
	h.until("the release is out", func(s shop.State) error {
		if c := of(s, "catalogue"); c.Version != f.Version || c.ErrorRatio < 0.1 {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	require.NoError(t, h.Release(t.Context(), "catalogue", good))
	h.until("cured", over)
	assert.Equal(t, "cured by rollback", h.Simulation.State().Ended[0].Ended)
}

func TestKubernetesShopIsKilledForMemory(t *testing.T) {
	h := host(t)
	h.inject(shop.Fault{Kind: shop.MemoryLeak, Service: "cart"})
	h.until("a container is killed and comes back", func(shop.State) error {
		pods, err := h.cluster.client.CoreV1().Pods(h.Namespace).List(h.Context(), metav1.ListOptions{LabelSelector: "app=cart"})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			status := pods.Items[i].Status.ContainerStatuses[0]
			if last := status.LastTerminationState.Terminated; last != nil && last.Reason == shop.ReasonOOMKilled && status.Ready {
				return nil
			}
		}
		return errors.New("none")
	})
}

func TestKubernetesShopFollowsObjects(t *testing.T) {
	h := host(t)
	client := h.cluster.client
	h.until("pods are scaled", func() func(s shop.State) error {
		h.patch("search", `{"spec":{"replicas":4}}`)
		return func(s shop.State) error {
			if v := of(s, "search"); v.Available != 4 || v.Replicas != 4 {
				return fmt.Errorf("%+v", v)
			}
			return nil
		}
	}())

	_, err := client.NetworkingV1().NetworkPolicies(h.Namespace).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "isolate"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels("user")}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	h.until("a policy cuts pods off", func(s shop.State) error {
		if v := of(s, "user"); v.Available != 0 || v.Replicas != 2 {
			return fmt.Errorf("%+v", v)
		}
		return nil
	})
	require.NoError(t, client.NetworkingV1().NetworkPolicies(h.Namespace).Delete(t.Context(), "isolate", metav1.DeleteOptions{}))

	_, err = client.CoreV1().ConfigMaps(h.Namespace).Patch(t.Context(), AdmissionMap, types.MergePatchType, []byte(`{"data":{"least":"critical"}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	h.until("requests are shed", func(s shop.State) error {
		if v := of(s, "search"); v.Rate > 0.05 {
			return fmt.Errorf("%+v", v)
		}
		return nil
	})

	h.inject(shop.Fault{Kind: shop.SlowDependency})
	job := flushJob(h.Namespace).Spec.JobTemplate
	run := job.Spec
	_, err = client.BatchV1().Jobs(h.Namespace).Create(t.Context(), jobOf("by-hand-1", run), metav1.CreateOptions{})
	require.NoError(t, err)
	h.until("the cache is flushed", over)
	assert.Equal(t, "cured by flush-cache", h.Simulation.State().Ended[0].Ended)
}

func TestKubernetesAccountIsLimited(t *testing.T) {
	lab := kubetest.Shared(t)
	c, err := Open(t.Context(), lab.Kubeconfig)
	require.NoError(t, err)
	defer c.Close()
	namespace, err := c.Namespace(t.Context(), "account")
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Delete(t.Context(), namespace)) }()
	require.NoError(t, c.Apply(t.Context(), namespace, strings.NewReader(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: collector}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: collector}]
`)))
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, c.AccountFile(t.Context(), namespace, "collector", path))
	_, err = Open(t.Context(), path)
	require.ErrorContains(t, err, "forbidden", "it may not list nodes")
	require.ErrorContains(t, c.Apply(t.Context(), namespace, strings.NewReader("kind: Nonsense\napiVersion: v1\nmetadata: {name: a}")), "Nonsense")
}

func jobOf(name string, spec batchv1.JobSpec) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}
