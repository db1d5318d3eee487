package kubetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Fault is a way in which a request to the API server goes wrong.
type Fault string

// The faults of a [FaultProxy]. Of those called After the API server did what it was asked for, and the answer is lost.
const (
	// FaultThrottled answers 429 and does nothing. With a Retry-After, FaultRule.RetryAfter, client-go tries again by itself.
	FaultThrottled Fault = "throttled"
	// FaultServerError answers 500 and does nothing.
	FaultServerError Fault = "server_error"
	// FaultUnavailable answers 503 and does nothing.
	FaultUnavailable Fault = "unavailable"
	// FaultConflict answers 409 as if somebody else had changed the object, and does nothing.
	FaultConflict Fault = "conflict"
	// FaultTimeoutBefore does nothing, is silent for FaultRule.Delay and closes the connection.
	FaultTimeoutBefore Fault = "timeout_before"
	// FaultTimeoutAfter does what was asked for, is silent for FaultRule.Delay and closes the connection.
	FaultTimeoutAfter Fault = "timeout_after"
	// FaultResetBefore does nothing and resets the connection.
	FaultResetBefore Fault = "reset_before"
	// FaultResetAfter does what was asked for and resets the connection.
	FaultResetAfter Fault = "reset_after"
	// FaultSlow waits for FaultRule.Delay before it forwards the request.
	FaultSlow Fault = "slow"
	// FaultTruncated does what was asked for and sends half of the answer's body.
	FaultTruncated Fault = "truncated"
	// FaultStale answers a get or list with the first answer that this very request had. One that was never answered is
	// forwarded and not counted.
	FaultStale Fault = "stale"
)

// FaultRule says which requests go wrong and how. Empty fields match every request, but a watch must be named.
type FaultRule struct {
	Fault Fault
	// Verbs are Kubernetes' (see [Request.Verb]), Resources with their subresource, such as pods/eviction.
	Verbs, Resources []string
	Namespace, Name  string
	// Odds is the probability of the fault, from 0 to 1; 0 means always.
	Odds float64
	// Skip is how many matching requests are let through first, Times how often the fault is injected at most; 0 is no limit.
	Skip, Times int
	// Delay is how long slow answers and timeouts take; RetryAfter, in whole seconds, is what a throttled client is told.
	Delay, RetryAfter time.Duration
}

func (r FaultRule) matches(q Request) bool {
	return (len(r.Verbs) == 0 && q.Verb != "watch" || slices.Contains(r.Verbs, q.Verb)) &&
		(len(r.Resources) == 0 || slices.Contains(r.Resources, q.Resource)) &&
		(r.Namespace == "" || r.Namespace == q.Namespace) && (r.Name == "" || r.Name == q.Name)
}

// FaultProxy stands in front of the API server and makes requests go wrong. For each request the first rule that matches and
// whose odds fall injects its fault. The odds come from the seed: requests that come one after the other fail alike in every
// run.
type FaultProxy struct {
	// Reached records what the API server was asked for.
	Reached Recorder

	server  *httptest.Server
	forward *httputil.ReverseProxy
	life    context.Context // until the test ends

	mu sync.Mutex
	// mu guards everything below.
	rules    []FaultRule
	matched  []int
	injected []int
	random   *rand.Rand
	counts   map[Fault]int
	answers  map[string]*httptest.ResponseRecorder
}

// maxAnswers bounds how many answers are kept for [FaultStale].
const maxAnswers = 10_000

// FaultProxy starts a proxy, on a port of its own, that ends with the test.
func (l *Lab) FaultProxy(t testing.TB, seed uint64, rules ...FaultRule) *FaultProxy {
	t.Helper()
	admin, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig)
	if err != nil {
		t.Fatalf("read the kubeconfig of the lab: %v", err)
	}
	_, transport, err := ownTransport(rest.AnonymousClientConfig(admin))
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(l.Server)
	if err != nil {
		t.Fatalf("read the address of the API server: %v", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &FaultProxy{
		life: life, random: rand.New(rand.NewPCG(seed, 0)),
		counts: map[Fault]int{}, answers: map[string]*httptest.ResponseRecorder{},
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     p.Reached.RoundTripper(transport),
		FlushInterval: -1, // watches
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // the API server cannot be reached: neither can the proxy
		},
	}
	p.Inject(rules...)
	p.server = httptest.NewTLSServer(http.HandlerFunc(p.serve)) // client-go sends a token only where it is safe
	t.Cleanup(func() {
		end()
		p.server.CloseClientConnections()
		p.server.Close()
		transport.close()
	})
	return p
}

// Config returns a copy of a configuration that goes through the proxy. Accounts are told by their token
// ([Lab.ServiceAccount]); certificates do not pass.
func (p *FaultProxy) Config(t testing.TB, config *rest.Config) *rest.Config {
	t.Helper()
	through := rest.CopyConfig(config)
	through.Host, through.TLSClientConfig = p.server.URL, rest.TLSClientConfig{}
	trusted := x509.NewCertPool()
	trusted.AddCert(p.server.Certificate())
	transport := newTransport(&tls.Config{RootCAs: trusted})
	through.Transport = transport
	t.Cleanup(transport.close)
	return through
}

// KubeconfigFile writes a kubeconfig file of a configuration with a token ([Lab.ServiceAccount]) that goes through the
// proxy, for what is configured with a path, and returns its path.
func (p *FaultProxy) KubeconfigFile(t testing.TB, config *rest.Config) string {
	t.Helper()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return kubeconfigFile(t, &clientcmdapi.Cluster{Server: p.server.URL, CertificateAuthorityData: authority}, config)
}

// Inject replaces the rules. Counts go on.
func (p *FaultProxy) Inject(rules ...FaultRule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.matched, p.injected = slices.Clone(rules), make([]int, len(rules)), make([]int, len(rules))
}

// Injected returns how often each fault was injected.
func (p *FaultProxy) Injected() map[Fault]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// choose returns the rule whose fault a request meets.
func (p *FaultProxy) choose(q Request, staleKey string) (FaultRule, *httptest.ResponseRecorder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, rule := range p.rules {
		if !rule.matches(q) {
			continue
		}
		old := p.answers[staleKey]
		if rule.Fault == FaultStale && old == nil {
			continue
		}
		p.matched[i]++
		if p.matched[i] <= rule.Skip || rule.Times > 0 && p.injected[i] >= rule.Times {
			continue
		}
		if rule.Odds > 0 && p.random.Float64() >= rule.Odds {
			continue
		}
		p.injected[i]++
		p.counts[rule.Fault]++
		return rule, old
	}
	return FaultRule{}, nil
}

func (p *FaultProxy) serve(w http.ResponseWriter, r *http.Request) {
	r, q, err := read(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	staleKey := ""
	if q.Verb == "get" || q.Verb == "list" {
		staleKey = r.URL.RequestURI() + "\x00" + r.Header.Get("Authorization") + "\x00" + r.Header.Get("Accept")
	}
	rule, old := p.choose(q, staleKey)
	switch rule.Fault {
	case FaultThrottled:
		if rule.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(rule.RetryAfter.Seconds())))
		}
		refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
	case FaultServerError:
		refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	case FaultUnavailable:
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case FaultConflict:
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
	case FaultTimeoutBefore:
		p.wait(r, rule.Delay)
		reset(w)
	case FaultTimeoutAfter:
		p.carryOut(r)
		p.wait(r, rule.Delay)
		reset(w)
	case FaultResetBefore:
		reset(w)
	case FaultResetAfter:
		p.carryOut(r)
		reset(w)
	case FaultSlow:
		p.wait(r, rule.Delay)
		p.pass(w, r, staleKey)
	case FaultTruncated:
		answer := p.carryOut(r)
		answer.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		answer.Body.Truncate(answer.Body.Len() / 2)
		send(w, answer)
		panic(http.ErrAbortHandler) // closes the connection before the promised length
	case FaultStale:
		send(w, old)
	default:
		p.pass(w, r, staleKey)
	}
}

// pass forwards a request, and remembers the first answer to one that only reads.
func (p *FaultProxy) pass(w http.ResponseWriter, r *http.Request, staleKey string) {
	if staleKey == "" && r.Method == http.MethodGet {
		p.forward.ServeHTTP(w, r)
		return
	}
	if staleKey == "" {
		// What has been sent may be carried out though the client is gone; so the record tells what became of it.
		send(w, p.carryOut(r))
		return
	}
	answer := httptest.NewRecorder()
	p.forward.ServeHTTP(answer, r)
	if answer.Code == http.StatusOK {
		p.mu.Lock()
		if p.answers[staleKey] == nil && len(p.answers) < maxAnswers {
			p.answers[staleKey] = answer
		}
		p.mu.Unlock()
	}
	send(w, answer)
}

// carryOut has the API server do what a request asks for, also when the client does not wait for it, and returns the answer.
func (p *FaultProxy) carryOut(r *http.Request) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	answer := httptest.NewRecorder()
	p.forward.ServeHTTP(answer, r.WithContext(ctx))
	return answer
}

// wait returns after a delay, or when the client or the test is gone.
func (p *FaultProxy) wait(r *http.Request, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-p.life.Done():
	}
}

func send(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = io.Copy(w, bytes.NewReader(answer.Body.Bytes()))
}

// refuse answers as the API server does.
func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: fmt.Sprintf("injected: %s", reason),
	}
	_ = json.NewEncoder(w).Encode(status)
}

// reset closes the client's connection at once, with a TCP reset.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	under := connection
	if secure, ok := connection.(*tls.Conn); ok {
		under = secure.NetConn()
	}
	if tcp, ok := under.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = under.Close() // not the TLS connection's own way to end, which is an orderly one
}
