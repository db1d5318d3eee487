package kubetest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// The server's own log tells what an account asked for, whichever client it used, and of nobody else.
func TestKubernetesAudit(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	web := kubetest.Deployment(ns, "web", 1)
	lab.Create(t, web)
	lab.WaitRolledOut(t, web)
	pod := lab.Pods(t, ns, kubetest.Selector("web"))[0].Name
	account := lab.ServiceAccount(t, ns, kubetest.Grant{Namespace: ns, Rules: []rbacv1.PolicyRule{
		kubetest.Rule("", []string{"pods", "pods/eviction"}, []string{"get", "delete", "create"}),
	}})
	before := len(lab.Audit(t, account))
	client := kubernetes.NewForConfigOrDie(account)
	through := kubernetes.NewForConfigOrDie(lab.FaultProxy(t, 1, kubetest.FaultRule{
		Fault: kubetest.FaultResetAfter, Verbs: []string{"delete"},
	}).Config(t, account))
	ctx, try := t.Context(), metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}

	_, err := client.CoreV1().Pods(ns).Get(ctx, pod, metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, client.CoreV1().Pods(ns).Delete(ctx, pod, try))
	require.NoError(t, client.CoreV1().Pods(ns).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod}, DeleteOptions: &try}))
	require.Error(t, client.AppsV1().Deployments(ns).Delete(ctx, "web", metav1.DeleteOptions{}), "forbidden")
	require.Error(t, through.CoreV1().Pods(ns).Delete(ctx, pod, metav1.DeleteOptions{}), "the answer is lost")

	var got []string
	var codes []int
	for _, request := range lab.Audit(t, account)[before:] {
		got, codes = append(got, request.String()), append(codes, request.Code)
	}
	assert.Equal(t, []string{
		"get pods " + ns + "/" + pod,
		"delete pods " + ns + "/" + pod + " (dry run)",
		"create pods/eviction " + ns + "/" + pod + " (dry run)",
		"delete deployments " + ns + "/web",
		"delete pods " + ns + "/" + pod,
	}, got)
	assert.Equal(t, []int{200, 200, 201, 403, 200}, codes)
	assert.Len(t, lab.AuditWrites(t, account), 2, "asked for, granted or not")
	assert.Empty(t, lab.AuditWrites(t, lab.ServiceAccount(t, ns)), "another account")
}
