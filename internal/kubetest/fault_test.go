package kubetest_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// Every fault is seen by the client as it is described, and has the effect on the server that it is described to have.
func TestKubernetesFaults(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	account := lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything})
	writes := kubetest.FaultRule{Verbs: []string{"patch"}, Resources: []string{"configmaps"}, Times: 1, Delay: 20 * time.Millisecond}

	tests := []struct {
		fault kubetest.Fault
		check func(error) bool
		done  bool // the server did it all the same
	}{
		{"", func(err error) bool { return err == nil }, true},
		{kubetest.FaultThrottled, errors.IsTooManyRequests, false},
		{kubetest.FaultServerError, errors.IsInternalError, false},
		{kubetest.FaultUnavailable, errors.IsServiceUnavailable, false},
		{kubetest.FaultConflict, errors.IsConflict, false},
		{kubetest.FaultTimeoutBefore, isLost, false},
		{kubetest.FaultTimeoutAfter, isLost, true},
		{kubetest.FaultResetBefore, net.IsConnectionReset, false},
		{kubetest.FaultResetAfter, net.IsConnectionReset, true},
		{kubetest.FaultTruncated, isLost, true},
		{kubetest.FaultSlow, func(err error) bool { return err == nil }, true},
	}
	for i, test := range tests {
		t.Run("fault "+string(test.fault), func(t *testing.T) {
			flags := kubetest.ConfigMap(ns, fmt.Sprintf("flags-%d", i), map[string]string{"a": "1"})
			lab.Create(t, flags)
			rule := writes
			rule.Fault, rule.Name = test.fault, flags.Name
			proxy := lab.FaultProxy(t, 1)
			want := map[kubetest.Fault]int{}
			if test.fault != "" {
				proxy.Inject(rule)
				want[test.fault] = 1
			}
			client := kubernetes.NewForConfigOrDie(proxy.Config(t, account)).CoreV1().ConfigMaps(ns)

			_, err := client.Patch(context.Background(), flags.Name, types.MergePatchType, []byte(`{"data":{"a":"2"}}`), metav1.PatchOptions{})

			assert.Truef(t, test.check(err), "%v", err)
			lab.Refresh(t, flags)
			assert.Equal(t, test.done, flags.Data["a"] == "2", "done by the server")
			assert.Len(t, proxy.Reached.Writes(), map[bool]int{true: 1, false: 0}[test.done])
			assert.Equal(t, want, proxy.Injected())

			_, err = client.Patch(context.Background(), flags.Name, types.MergePatchType, []byte(`{"data":{"a":"3"}}`), metav1.PatchOptions{})
			require.NoError(t, err, "the rule is spent")
		})
	}
}

// isLost tells whether no answer of the API server came.
func isLost(err error) bool {
	return err != nil && errors.ReasonForError(err) == metav1.StatusReasonUnknown
}

func TestKubernetesFaultTimeoutMeetsDeadline(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	proxy := lab.FaultProxy(t, 1, kubetest.FaultRule{Fault: kubetest.FaultTimeoutAfter, Verbs: []string{"create"}, Delay: time.Hour})
	client := kubernetes.NewForConfigOrDie(proxy.Config(t, lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything})))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	flags := kubetest.ConfigMap(ns, "flags", nil)

	_, err := client.CoreV1().ConfigMaps(ns).Create(ctx, flags, metav1.CreateOptions{})

	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, lab.Exists(t, flags), "it was created, and the answer is lost")
}

// What client-go repeats by itself is repeated.
func TestKubernetesFaultRetryAfter(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	rule := kubetest.FaultRule{Fault: kubetest.FaultThrottled, Verbs: []string{"create"}, Times: 1, RetryAfter: time.Second}
	proxy := lab.FaultProxy(t, 1, rule)
	client := kubernetes.NewForConfigOrDie(proxy.Config(t, lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything})))
	asked := time.Now()

	_, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), kubetest.ConfigMap(ns, "flags", nil), metav1.CreateOptions{})

	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(asked), time.Second)
	assert.Equal(t, map[kubetest.Fault]int{kubetest.FaultThrottled: 1}, proxy.Injected())
}

// A program that is configured with a kubeconfig file reaches the API server, and the faults in front of it.
func TestKubernetesKubeconfigFile(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	account := lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything})
	proxy := lab.FaultProxy(t, 1)
	for name, file := range map[string]string{"direct": lab.KubeconfigFile(t, account), "proxy": proxy.KubeconfigFile(t, account)} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), name)
		config, err := clientcmd.BuildConfigFromFlags("", file)
		require.NoError(t, err)
		httpClient, err := rest.HTTPClientFor(config)
		require.NoError(t, err)
		t.Cleanup(func() { net.CloseIdleConnectionsFor(httpClient.Transport) })
		client, err := kubernetes.NewForConfigAndClient(config, httpClient)
		require.NoError(t, err)
		_, err = client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err, name)
	}
	require.Len(t, proxy.Reached.Requests(), 1)
	assert.Equal(t, "list pods "+ns+"/", proxy.Reached.Requests()[0].String())
}

func TestKubernetesFaultStale(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	flags := kubetest.ConfigMap(ns, "flags", map[string]string{"a": "1"})
	lab.Create(t, flags)
	proxy := lab.FaultProxy(t, 1, kubetest.FaultRule{Fault: kubetest.FaultStale, Skip: 1})
	client := kubernetes.NewForConfigOrDie(proxy.Config(t, lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything}))).CoreV1().ConfigMaps(ns)
	read := func() string {
		got, err := client.Get(t.Context(), "flags", metav1.GetOptions{})
		require.NoError(t, err)
		return got.Data["a"]
	}

	require.Equal(t, "1", read())
	lab.Patch(t, flags, `{"data":{"a":"2"}}`)
	assert.Equal(t, "2", read(), "skipped")
	assert.Equal(t, "1", read(), "stale")
	proxy.Inject()
	assert.Equal(t, "2", read())
	assert.Equal(t, map[kubetest.Fault]int{kubetest.FaultStale: 1}, proxy.Injected())
}

// A watch goes through, whatever befalls the rest, unless a rule names it; and the test's end ends what hangs.
func TestKubernetesFaultWatch(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	proxy := lab.FaultProxy(t, 1, kubetest.FaultRule{Fault: kubetest.FaultServerError})
	maps := kubernetes.NewForConfigOrDie(proxy.Config(t, lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything}))).CoreV1().ConfigMaps(ns)
	seen, err := maps.Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	defer seen.Stop()
	flags := kubetest.ConfigMap(ns, "flags", nil)
	lab.Create(t, flags)
	for event := range seen.ResultChan() {
		if object, ok := event.Object.(metav1.Object); ok && object.GetName() == "flags" {
			break
		}
	}

	proxy.Inject(kubetest.FaultRule{Fault: kubetest.FaultTimeoutAfter, Verbs: []string{"watch"}})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = maps.Watch(ctx, metav1.ListOptions{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, map[kubetest.Fault]int{kubetest.FaultTimeoutAfter: 1}, proxy.Injected())
}

// The seed decides which requests fail, and the rules which may.
func TestKubernetesFaultOdds(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	account := lab.ServiceAccount(t, ns, kubetest.Grant{Rules: everything})
	pattern := func(seed uint64) string {
		proxy := lab.FaultProxy(t, seed, kubetest.FaultRule{
			Fault: kubetest.FaultServerError, Verbs: []string{"get"}, Resources: []string{"configmaps"}, Namespace: ns, Odds: 0.5,
		})
		client := kubernetes.NewForConfigOrDie(proxy.Config(t, account))
		var out []byte
		for range 40 {
			_, err := client.CoreV1().ConfigMaps(ns).Get(t.Context(), "none", metav1.GetOptions{})
			out = append(out, map[bool]byte{true: 'x', false: '.'}[errors.IsInternalError(err)])
			_, err = client.CoreV1().Secrets(ns).Get(t.Context(), "none", metav1.GetOptions{})
			require.True(t, errors.IsNotFound(err), "another resource")
			_, err = client.CoreV1().ConfigMaps("default").Get(t.Context(), "none", metav1.GetOptions{})
			require.True(t, errors.IsNotFound(err), "another namespace")
			_, err = client.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err, "another verb")
		}
		return string(out)
	}
	first := pattern(1)
	assert.Contains(t, first, "x")
	assert.Contains(t, first, ".")
	assert.Equal(t, first, pattern(1))
	assert.NotEqual(t, first, pattern(2))
}
