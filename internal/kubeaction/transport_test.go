package kubeaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// permitFunc is a Permit made of a function.
type permitFunc func(context.Context, Request) error

func (p permitFunc) Allow(ctx context.Context, request Request) error { return p(ctx, request) }

func allowAll(context.Context, Request) error { return nil }

// arrivals is a server that notes what arrives.
type arrivals struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newArrivals(t *testing.T) *arrivals {
	t.Helper()
	a := &arrivals{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.seen = append(a.seen, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		a.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *arrivals) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}

// guardedHTTP returns a plain HTTP client behind the choke point, and what it told its witness.
func guardedHTTP(t *testing.T, config *rest.Config) (*http.Client, *[]Call) {
	t.Helper()
	var calls []Call
	guarded, err := Guarded(config, TransportSettings{Observe: func(call Call) { calls = append(calls, call) }})
	require.NoError(t, err)
	client, err := rest.HTTPClientFor(guarded)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client, &calls
}

func guardedClientset(t testing.TB, config *rest.Config, settings TransportSettings) *kubernetes.Clientset {
	t.Helper()
	guarded, err := Guarded(config, settings)
	require.NoError(t, err)
	guarded.QPS = -1
	client, err := kubernetes.NewForConfig(guarded)
	require.NoError(t, err)
	return client
}

// mutations are requests that could change something, with what a permit should be asked for.
var mutations = []struct {
	method, path, contentType, body string
	want                            Request
}{
	{"POST", "/api/v1/namespaces/shop/pods", "application/json", "{}", Request{Verb: "create", Resource: "pods", Namespace: "shop"}},
	{"POST", "/api/v1/namespaces", "application/json", "{}", Request{Verb: "create", Resource: "namespaces"}},
	{"POST", "/api/v1/namespaces/shop/pods/a/eviction", "application/json", "{}", Request{Verb: "create", Resource: "pods/eviction", Namespace: "shop", Name: "a"}},
	{"POST", "/api/v1/namespaces/shop/pods/a/binding", "application/json", "{}", Request{Verb: "create", Resource: "pods/binding", Namespace: "shop", Name: "a"}},
	{"PUT", "/apis/apps/v1/namespaces/shop/deployments/cart", "application/json", "{}", Request{Verb: "update", Group: "apps", Resource: "deployments", Namespace: "shop", Name: "cart"}},
	{"PUT", "/apis/apps/v1/namespaces/shop/deployments/cart/scale", "application/json", "{}", Request{Verb: "update", Group: "apps", Resource: "deployments/scale", Namespace: "shop", Name: "cart"}},
	{"PUT", "/api/v1/namespaces/shop/finalize", "application/json", "{}", Request{Verb: "update", Resource: "namespaces/finalize", Namespace: "shop", Name: "shop"}},
	{"PATCH", "/api/v1/nodes/n1", "application/strategic-merge-patch+json", "{}", Request{Verb: "patch", Resource: "nodes", Name: "n1"}},
	{"PATCH", "/api/v1/nodes/n1/status", "application/merge-patch+json", "{}", Request{Verb: "patch", Resource: "nodes/status", Name: "n1"}},
	{"PATCH", "/api/v1/namespaces/shop/configmaps/flags?fieldManager=x&force=true", "application/apply-patch+yaml", "a: b", Request{Verb: "patch", Resource: "configmaps", Namespace: "shop", Name: "flags"}},
	{"DELETE", "/api/v1/namespaces/shop/pods/a", "application/json", `{"preconditions":{"uid":"x"}}`, Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"DELETE", "/api/v1/namespaces/shop/pods/a", "", "", Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"DELETE", "/api/v1/namespaces/shop/pods", "", "", Request{Verb: "deletecollection", Resource: "pods", Namespace: "shop"}},
	{"DELETE", "/api/v1/namespaces/shop", "", "", Request{Verb: "delete", Resource: "namespaces", Namespace: "shop", Name: "shop"}},
	{"DELETE", "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/cart/", "", "", Request{Verb: "delete", Group: "argoproj.io", Resource: "rollouts", Namespace: "shop", Name: "cart"}},
	// The options of a DELETE with a body are in the body: the API server does not look at the query then.
	{"DELETE", "/api/v1/namespaces/shop/pods/a?dryRun=All", "application/json", `{}`, Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"DELETE", "/api/v1/namespaces/shop/pods/a?dryRun=All", "application/json", `{"DryRun":["All"]}`, Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"DELETE", "/api/v1/namespaces/shop/pods/a?dryRun=All", "application/json", `{"dryRun":["All"],"dryRun":[]}`, Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"DELETE", "/api/v1/namespaces/shop/pods/a?dryRun=All", "application/vnd.kubernetes.protobuf", `{"dryRun":["All"]}`, Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"DELETE", "/api/v1/namespaces/shop/pods/a?dryRun=All", "application/json", `not JSON`, Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}},
	{"PUT", "/api/v1/nodes/n1?dryRun=None", "application/json", "{}", Request{Verb: "update", Resource: "nodes", Name: "n1"}},
	{"PUT", "/api/v1/nodes/n1?dryrun=All", "application/json", "{}", Request{Verb: "update", Resource: "nodes", Name: "n1"}},
	{"PUT", "/api/v1/nodes/n1?dryRun=All&dryRun=", "application/json", "{}", Request{Verb: "update", Resource: "nodes", Name: "n1"}},
	{"POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "application/json", "{}", Request{Verb: "create", Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}},
	{"PUT", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x", "application/json", "{}", Request{Verb: "update", Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews", Name: "x"}},
}

func TestNoMutationArrivesWithoutPermit(t *testing.T) {
	server := newArrivals(t)
	// A path before the API, as gateways to several clusters have it, is no part of the resource.
	for _, prefix := range []string{"", "/k8s/clusters/c-1"} {
		client, calls := guardedHTTP(t, &rest.Config{Host: server.URL + prefix})
		for _, m := range mutations {
			t.Run(m.method+" "+prefix+m.path, func(t *testing.T) {
				*calls = nil
				send := func(ctx context.Context) error {
					request, err := http.NewRequestWithContext(ctx, m.method, server.URL+prefix+m.path, strings.NewReader(m.body))
					require.NoError(t, err)
					request.Header.Set("Content-Type", m.contentType)
					response, err := client.Do(request)
					if err == nil {
						require.NoError(t, response.Body.Close())
					}
					return err
				}
				err := send(t.Context())
				var forbidden *ForbiddenCall
				require.ErrorAs(t, err, &forbidden)
				require.ErrorIs(t, err, ErrNoPermit)
				assert.Equal(t, m.want, forbidden.Request)
				require.Empty(t, server.take(), "nothing may arrive")

				killed := errors.New("kill switch is on")
				err = send(WithPermit(t.Context(), permitFunc(func(_ context.Context, request Request) error {
					assert.Equal(t, m.want, request)
					return killed
				})))
				require.ErrorIs(t, err, killed)
				require.Empty(t, server.take(), "nothing may arrive")

				ctx, cancel := context.WithCancel(t.Context())
				err = send(WithPermit(ctx, permitFunc(func(context.Context, Request) error { cancel(); return nil })))
				require.ErrorIs(t, err, context.Canceled)
				require.Empty(t, server.take(), "nothing may arrive after the wait for the permit was given up")

				require.NoError(t, send(WithPermit(t.Context(), permitFunc(allowAll))))
				require.Equal(t, []string{m.method + " " + prefix + m.path + " " + m.body}, server.take())

				require.Len(t, *calls, 4)
				for i, call := range *calls {
					assert.Equal(t, m.want, call.Request)
					assert.False(t, call.DryRun)
					assert.Equal(t, i < 3, call.Refused)
					assert.Equal(t, i < 3, call.Err != nil)
				}
				assert.Equal(t, http.StatusOK, (*calls)[3].Status)
				assert.Positive(t, (*calls)[3].Duration)
			})
		}
	}
}

func TestReadingAndDryRunsPass(t *testing.T) {
	server := newArrivals(t)
	client, calls := guardedHTTP(t, &rest.Config{Host: server.URL})
	for _, test := range []struct {
		method, path, contentType, body string
		calls                           []Call
	}{
		{method: "GET", path: "/version"},
		{method: "GET", path: "/"},
		{method: "GET", path: "/apis/apps/v1"},
		{method: "HEAD", path: "/api/v1/nodes"},
		{method: "GET", path: "/api/v1/namespaces/shop/pods?watch=true"},
		{method: "GET", path: "/api/v1/watch/namespaces/shop/pods"},
		{method: "GET", path: "/api/v1/namespaces/shop/pods/a/log"},
		{method: "GET", path: "/apis/apps/v1/namespaces/shop/deployments/cart/scale"},
		{method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body: "{}"},
		{
			method: "PATCH", path: "/api/v1/nodes/n1?dryRun=All", body: "{}",
			calls: []Call{{Request: Request{Verb: "patch", Resource: "nodes", Name: "n1"}, DryRun: true, Status: 200}},
		},
		{
			method: "POST", path: "/api/v1/namespaces/shop/pods/a/eviction?dryRun=All", body: "{}",
			calls: []Call{{Request: Request{Verb: "create", Resource: "pods/eviction", Namespace: "shop", Name: "a"}, DryRun: true, Status: 200}},
		},
		{
			method: "DELETE", path: "/api/v1/namespaces/shop/pods/a", contentType: "application/json; charset=utf-8", body: `{"dryRun":["All"]}`,
			calls: []Call{{Request: Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}, DryRun: true, Status: 200}},
		},
		{
			method: "DELETE", path: "/api/v1/namespaces/shop/pods/a?dryRun=All",
			calls: []Call{{Request: Request{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "a"}, DryRun: true, Status: 200}},
		},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			*calls = nil
			request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, strings.NewReader(test.body))
			require.NoError(t, err)
			request.Header.Set("Content-Type", test.contentType)
			response, err := client.Do(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, []string{test.method + " " + test.path + " " + test.body}, server.take())
			for i := range *calls {
				(*calls)[i].Duration = 0
			}
			assert.Equal(t, test.calls, *calls)
		})
	}
}

func TestSomeRequestsAreNeverSent(t *testing.T) {
	server := newArrivals(t)
	client, calls := guardedHTTP(t, &rest.Config{Host: server.URL + "/base"})
	for name, test := range map[string]struct{ method, url string }{
		"exec by reading":        {"GET", "/base/api/v1/namespaces/shop/pods/a/exec?command=rm"},
		"exec":                   {"POST", "/base/api/v1/namespaces/shop/pods/a/exec?dryRun=All"},
		"attach":                 {"POST", "/base/api/v1/namespaces/shop/pods/a/attach"},
		"port forward":           {"GET", "/base/api/v1/namespaces/shop/pods/a/portforward"},
		"proxy to a pod":         {"GET", "/base/api/v1/namespaces/shop/pods/a/proxy/quitquitquit"},
		"proxy to a service":     {"POST", "/base/api/v1/namespaces/shop/services/a/proxy/"},
		"proxy to a node":        {"DELETE", "/base/api/v1/nodes/n1/proxy"},
		"old proxy":              {"GET", "/base/api/v1/proxy/nodes/n1"},
		"unknown connection":     {"GET", "/base/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachineinstances/a/vnc"},
		"token":                  {"POST", "/base/api/v1/namespaces/shop/serviceaccounts/a/token?dryRun=All"},
		"no resource":            {"POST", "/base/version"},
		"root":                   {"POST", "/base/"},
		"a group":                {"POST", "/base/apis/apps/v1"},
		"watch as resource":      {"DELETE", "/base/api/v1/watch/pods"},
		"outside of the base":    {"GET", "/api/v1/pods"},
		"near the base":          {"GET", "/basement/api/v1/pods"},
		"empty parts":            {"DELETE", "/base/api/v1/namespaces//pods"},
		"relative parts":         {"DELETE", "/base/api/v1/namespaces/shop/pods/../../../nodes/n1"},
		"encoded relative parts": {"DELETE", "/base/api/v1/namespaces/shop/pods/%2e%2e/x"},
		"long path":              {"DELETE", "/base/api/v1/namespaces/shop/pods/a/b/c"},
		"options":                {"OPTIONS", "/base/api/v1/pods"},
		"own method":             {"MERGE", "/base/api/v1/pods"},
	} {
		t.Run(name, func(t *testing.T) {
			*calls = nil
			ctx := WithPermit(t.Context(), permitFunc(func(context.Context, Request) error {
				t.Error("the permit must not be asked")
				return nil
			}))
			request, err := http.NewRequestWithContext(ctx, test.method, server.URL+test.url, http.NoBody)
			require.NoError(t, err)
			response, err := client.Do(request)
			if err == nil {
				require.NoError(t, response.Body.Close())
			}
			require.ErrorIs(t, err, ErrNeverPermitted)
			require.Empty(t, server.take())
			require.Len(t, *calls, 1)
			assert.True(t, (*calls)[0].Refused)
		})
	}
	t.Run("other server", func(t *testing.T) {
		other := newArrivals(t)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, other.URL+"/base/api/v1/pods", http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		require.ErrorIs(t, err, ErrNeverPermitted)
		require.Empty(t, other.take())
	})
	t.Run("unreadable query", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/base/api/v1/nodes/n1?dryRun=All;x", http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		require.ErrorContains(t, err, "query cannot be read")
		require.Empty(t, server.take())
	})
	t.Run("huge delete options", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, server.URL+"/base/api/v1/nodes/n1", bytes.NewReader(make([]byte, maxDeleteOptionsBytes+1)))
		require.NoError(t, err)
		response, err := client.Do(request)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		require.ErrorContains(t, err, "delete options must be at most")
		require.Empty(t, server.take())
	})
}

// The typed client's own ways of writing, with and without a dry run.
func TestTypedClientGoesThroughTheChokePoint(t *testing.T) {
	server := newArrivals(t)
	client := guardedClientset(t, &rest.Config{Host: server.URL}, TransportSettings{})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	for name, write := range map[string]func(ctx context.Context, dryRun []string) error{
		"create": func(ctx context.Context, dryRun []string) error {
			_, err := client.CoreV1().Pods("shop").Create(ctx, pod, metav1.CreateOptions{DryRun: dryRun})
			return err
		},
		"update": func(ctx context.Context, dryRun []string) error {
			_, err := client.CoreV1().Pods("shop").Update(ctx, pod, metav1.UpdateOptions{DryRun: dryRun})
			return err
		},
		"update status": func(ctx context.Context, dryRun []string) error {
			_, err := client.CoreV1().Pods("shop").UpdateStatus(ctx, pod, metav1.UpdateOptions{DryRun: dryRun})
			return err
		},
		"patch": func(ctx context.Context, dryRun []string) error {
			_, err := client.CoreV1().Pods("shop").Patch(ctx, "a", types.JSONPatchType, []byte("[]"), metav1.PatchOptions{DryRun: dryRun})
			return err
		},
		"apply": func(ctx context.Context, dryRun []string) error {
			_, err := client.CoreV1().Pods("shop").Apply(ctx, applycorev1.Pod("a", "shop"), metav1.ApplyOptions{DryRun: dryRun, FieldManager: "x"})
			return err
		},
		"delete": func(ctx context.Context, dryRun []string) error {
			return client.CoreV1().Pods("shop").Delete(ctx, "a", metav1.DeleteOptions{DryRun: dryRun})
		},
		"delete collection": func(ctx context.Context, dryRun []string) error {
			return client.CoreV1().Pods("shop").DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dryRun}, metav1.ListOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, write(t.Context(), nil), ErrNoPermit)
			require.Empty(t, server.take())
			require.NoError(t, write(t.Context(), []string{metav1.DryRunAll}))
			require.Len(t, server.take(), 1)
			require.NoError(t, write(WithPermit(t.Context(), permitFunc(allowAll)), nil))
			require.Len(t, server.take(), 1)
		})
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	require.ErrorIs(t, client.CoreV1().Pods("shop").EvictV1(t.Context(), eviction), ErrNoPermit)
	require.Empty(t, server.take())
}

// roundTripFunc answers without a network, so that it can stand in a synctest bubble.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func answer(request *http.Request, status int, body string, header ...string) *http.Response {
	response := &http.Response{
		StatusCode: status, Request: request, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for i := 0; i < len(header); i += 2 {
		response.Header.Set(header[i], header[i+1])
	}
	return response
}

func TestPermitIsAskedAgainForEachRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, sent int
		answers := []*http.Response{
			answer(nil, 429, "{}", "Retry-After", "2"), //nolint:bodyclose // client-go closes it
			answer(nil, 503, "{}", "Retry-After", "3"), //nolint:bodyclose // client-go closes it
			answer(nil, 200, "{}"),                     //nolint:bodyclose // client-go closes it
		}
		client := guardedClientset(t, &rest.Config{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
			sent++
			return answers[sent-1], nil
		})}, TransportSettings{})
		ctx := WithPermit(t.Context(), permitFunc(func(context.Context, Request) error { asked++; return nil }))
		start := time.Now()
		_, err := client.CoreV1().ConfigMaps("shop").Create(ctx, &corev1.ConfigMap{}, metav1.CreateOptions{})
		require.NoError(t, err)
		assert.Equal(t, 3, sent)
		assert.Equal(t, 3, asked)
		assert.Equal(t, 5*time.Second, time.Since(start))

		// The kill switch between two of them stops the next.
		asked, sent = 0, 0
		killed := errors.New("kill switch is on")
		ctx = WithPermit(t.Context(), permitFunc(func(context.Context, Request) error {
			if asked++; asked > 1 {
				return killed
			}
			return nil
		}))
		_, err = client.CoreV1().ConfigMaps("shop").Create(ctx, &corev1.ConfigMap{}, metav1.CreateOptions{})
		require.ErrorIs(t, err, killed)
		assert.Equal(t, 1, sent)
	})
}

func TestRepetitionsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent int
		client := guardedClientset(t, &rest.Config{Transport: roundTripFunc(func(request *http.Request) (*http.Response, error) {
			sent++
			return answer(request, 429, "{}", "Retry-After", "3600"), nil
		})}, TransportSettings{})
		ctx, cancel := context.WithTimeout(WithPermit(t.Context(), permitFunc(allowAll)), 20*time.Second)
		defer cancel()
		start := time.Now()
		_, err := client.CoreV1().ConfigMaps("shop").Create(ctx, &corev1.ConfigMap{}, metav1.CreateOptions{})
		require.Error(t, err)
		assert.Equal(t, 20*time.Second, time.Since(start))
		assert.Equal(t, 1, sent)
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var sent atomic.Int64
	client := guardedClientset(t, &rest.Config{Transport: roundTripFunc(func(request *http.Request) (*http.Response, error) {
		sent.Add(1)
		return answer(request, http.StatusTemporaryRedirect, "", "Location", "/api/v1/namespaces/other/configmaps"), nil
	})}, TransportSettings{})
	_, err := client.CoreV1().ConfigMaps("shop").Create(WithPermit(t.Context(), permitFunc(allowAll)), &corev1.ConfigMap{}, metav1.CreateOptions{})
	require.ErrorContains(t, err, "redirect (307), which is not followed")
	_, err = client.CoreV1().ConfigMaps("shop").Get(t.Context(), "a", metav1.GetOptions{})
	require.ErrorContains(t, err, "redirect")
	assert.EqualValues(t, 2, sent.Load())
}

func TestResponsesAreBounded(t *testing.T) {
	body := fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","data":{"a":%q}}`, strings.Repeat("x", 1000))
	config := &rest.Config{Transport: roundTripFunc(func(request *http.Request) (*http.Response, error) {
		return answer(request, 200, body), nil
	})}
	_, err := guardedClientset(t, config, TransportSettings{MaxResponseBytes: int64(len(body))}).CoreV1().ConfigMaps("shop").Get(t.Context(), "a", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = guardedClientset(t, config, TransportSettings{MaxResponseBytes: int64(len(body)) - 1}).CoreV1().ConfigMaps("shop").Get(t.Context(), "a", metav1.GetOptions{})
	require.ErrorIs(t, err, ErrResponseTooLarge)
}

func TestGuardedLeavesTheOriginalAlone(t *testing.T) {
	config := &rest.Config{Host: "https://api"}
	_, err := Guarded(config, TransportSettings{})
	require.NoError(t, err)
	assert.Nil(t, config.WrapTransport)
	_, err = Guarded(&rest.Config{Host: "https://api/ /%zz"}, TransportSettings{})
	require.ErrorContains(t, err, "address of the API server")
}

// What is sent without a permit may only read, whatever the path is, as a second and simpler reading of it sees it.
func FuzzNothingButReadingPasses(f *testing.F) {
	for _, m := range mutations {
		f.Add(m.method, m.path, m.contentType, m.body)
	}
	f.Add("GET", "/api/v1/namespaces/a/pods/b/exec", "", "")
	f.Add("GET", "/api/v1/proxy/nodes/n", "", "")
	f.Add("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json", "{}")
	f.Add("DELETE", "/api/v1/nodes/n", "application/json", `{"dryRun":["All"]}`)
	f.Fuzz(func(t *testing.T, method, target, contentType, body string) {
		address, err := url.Parse("http://api" + target)
		if err != nil {
			t.Skip()
		}
		request := (&http.Request{Method: method, URL: address, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}).WithContext(t.Context())
		var passed string
		through := &transport{
			next: roundTripFunc(func(request *http.Request) (*http.Response, error) {
				read, _ := io.ReadAll(request.Body)
				passed = string(read)
				return answer(request, 200, ""), nil
			}),
			server:   &url.URL{Scheme: "http", Host: "api"},
			settings: TransportSettings{MaxResponseBytes: 10},
		}
		response, err := through.RoundTrip(request)
		if err != nil {
			var forbidden *ForbiddenCall
			require.ErrorAs(t, err, &forbidden)
			return
		}
		require.NoError(t, response.Body.Close())
		if method != http.MethodDelete || body != "" {
			require.Equal(t, body, passed)
		}
		for part := range strings.SplitSeq(address.Path, "/") {
			if strings.HasPrefix(address.Path, "/api") && strings.Count(address.Path, "/") > 4 {
				require.NotContains(t, []string{".", ".."}, part)
			}
		}
		switch {
		case method == http.MethodGet || method == http.MethodHead:
			for _, active := range []string{"/exec", "/attach", "/portforward", "/proxy"} {
				if strings.HasPrefix(address.Path, "/api/v1/namespaces/a/pods/b/") {
					require.False(t, strings.HasSuffix(address.Path, active))
				}
			}
		case method == http.MethodPost && strings.HasPrefix(address.Path, "/apis/authorization.k8s.io/") && strings.Contains(address.Path, "/selfsubjectaccessreviews"):
		default:
			require.True(t, strings.Contains(address.RawQuery, "dryRun") || strings.Contains(address.RawQuery, "%") || strings.Contains(body, "dryRun") || strings.Contains(body, `\u`))
		}
	})
}
