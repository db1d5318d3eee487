package kubetest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// everything is what tests that are not about permissions may do.
var everything = []rbacv1.PolicyRule{kubetest.Rule("*", []string{"*"}, []string{"*"})}

// What the makers make runs on the real controllers.
func TestKubernetesWorkloads(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t, "team", "shop")
	web, db, agent := kubetest.Deployment(ns, "web", 2), kubetest.StatefulSet(ns, "db", 2), kubetest.DaemonSet(ns, "agent")
	scaler := kubetest.HorizontalPodAutoscaler(ns, "web", 3, 5)
	budget := kubetest.PodDisruptionBudget(ns, "web", 1)
	lab.Create(t, web, db, agent, scaler, budget, kubetest.CronJob(ns, "nightly"),
		kubetest.ConfigMap(ns, "flags", map[string]string{"checkout": "on"}), kubetest.NetworkPolicy(ns, "web"))

	lab.WaitFor(t, web, "scaled to the autoscaler's minimum", func() error { return want(3, *web.Spec.Replicas) })
	lab.WaitRolledOut(t, web)
	lab.WaitRolledOut(t, db)
	lab.WaitRolledOut(t, agent)
	lab.WaitFor(t, budget, "allows disruptions", func() error { return want(2, budget.Status.DisruptionsAllowed) })
	assert.Len(t, lab.Pods(t, ns, kubetest.Selector("agent")), len(lab.Nodes(t)))

	pods := lab.Pods(t, ns, kubetest.Selector("db"))
	require.Len(t, pods, 2)
	assert.True(t, kubetest.PodReady(&pods[0]))
	lab.Delete(t, &pods[0])
	lab.WaitGone(t, &pods[0])
	again := kubetest.Pod(ns, "db-0")
	lab.WaitPodReady(t, again)
	assert.NotEqual(t, pods[0].UID, again.UID)

	lab.Delete(t, web)
	lab.WaitGone(t, web)
	assert.False(t, lab.Exists(t, web))
	found, err := lab.Client().CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "shop", found.Labels["team"])
}

// Jobs end as their tag says, and a CronJob runs them.
func TestKubernetesJobs(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	good, bad, nightly := kubetest.Job(ns, "good", "v1"), kubetest.Job(ns, "bad", kubetest.TagCrash), kubetest.CronJob(ns, "nightly")
	nightly.Spec.Schedule = "@every 1s"
	lab.Create(t, good, bad, nightly)
	lab.WaitFor(t, good, "succeeded", func() error { return want(1, good.Status.Succeeded) })
	lab.WaitFor(t, bad, "failed", func() error { return want(1, bad.Status.Failed) })
	lab.WaitFor(t, nightly, "has run", func() error {
		if nightly.Status.LastSuccessfulTime == nil {
			return fmt.Errorf("status %+v", nightly.Status)
		}
		return nil
	})
}

func want(want, got int32) error {
	if got != want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// A service account may do what its grants say, and nothing else.
func TestKubernetesServiceAccountIsLimited(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns, other := lab.Namespace(t), lab.Namespace(t)
	lab.Create(t, kubetest.Deployment(ns, "web", 1), kubetest.Deployment(other, "web", 1))
	config := lab.ServiceAccount(t, ns,
		kubetest.Grant{Namespace: ns, Rules: []rbacv1.PolicyRule{kubetest.Rule("apps", []string{"deployments"}, []string{"get"})}},
		kubetest.Grant{Rules: []rbacv1.PolicyRule{kubetest.Rule("", []string{"nodes"}, []string{"get", "list"})}})
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ctx := t.Context()

	_, err = client.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	require.NoError(t, err)

	refused := map[string]func() error{
		"another namespace": func() error {
			_, err := client.AppsV1().Deployments(other).Get(ctx, "web", metav1.GetOptions{})
			return err
		},
		"another verb": func() error {
			return client.AppsV1().Deployments(ns).Delete(ctx, "web", metav1.DeleteOptions{})
		},
		"a subresource": func() error {
			_, err := client.AppsV1().Deployments(ns).GetScale(ctx, "web", metav1.GetOptions{})
			return err
		},
		"another resource": func() error {
			_, err := client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
			return err
		},
		"a node's deletion": func() error {
			return client.CoreV1().Nodes().Delete(ctx, "lab-node-0", metav1.DeleteOptions{})
		},
	}
	for name, do := range refused {
		assert.Truef(t, errors.IsForbidden(do()), "%s must be forbidden", name)
	}
	config.BearerToken = ""
	nobody, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	_, err = nobody.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	assert.True(t, errors.IsUnauthorized(err), "without its token nothing is allowed")
}
