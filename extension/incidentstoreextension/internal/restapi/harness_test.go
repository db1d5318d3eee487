package restapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/approvallink"
	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) {
	status := m.Run()
	// Only a whole run can tell what no test exercises.
	if whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == ""; status == 0 && whole {
		if missing := document.untested(); len(missing) > 0 {
			fmt.Fprintln(os.Stderr, "no test exercises with success:", missing)
			status = 1
		}
	}
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// described is the OpenAPI document, by which every answer of every test is checked.
type described struct {
	doc    *openapi3.T
	router routers.Router

	mu sync.Mutex
	// mu guards everything below.
	exercised map[string]bool
}

var document = func() *described {
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(err)
	}
	// A client may be told more some day, but here every field must be described.
	for _, s := range doc.Components.Schemas {
		strict(s)
	}
	for _, path := range doc.Paths.Map() {
		for _, op := range path.Operations() {
			for _, r := range op.Responses.Map() {
				for _, c := range r.Value.Content {
					strict(c.Schema)
				}
			}
		}
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	for _, contentType := range []string{"application/jsonl", "application/yaml", "text/event-stream", "text/html"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.FileBodyDecoder)
	}
	return &described{doc: doc, router: router, exercised: map[string]bool{}}
}()

func strict(s *openapi3.SchemaRef) {
	if s == nil || s.Value == nil {
		return
	}
	v := s.Value
	if v.Type.Is("object") && v.AdditionalProperties.Has == nil && v.AdditionalProperties.Schema == nil {
		no := false
		v.AdditionalProperties.Has = &no
		for _, p := range v.Properties {
			strict(p)
		}
	}
	strict(v.Items)
}

// check holds an answer against the document.
func (d *described) check(t testing.TB, r *http.Request, sent string, status int, header http.Header, body []byte) {
	t.Helper()
	lookup := r.Clone(context.Background())
	if lookup.Method == http.MethodHead {
		lookup.Method, body = http.MethodGet, nil
	}
	lookup.URL.Path = lookup.URL.EscapedPath() // a slash within a part is none between parts
	route, params, err := d.router.FindRoute(lookup)
	if err != nil {
		assert.Contains(t, []int{301, 307, 308, 400, 403, 404, 405}, status, "%s %s is not described, and answers %d", r.Method, r.URL, status)
		return
	}
	lookup.Body = io.NopCloser(strings.NewReader(sent))
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	request := &openapi3filter.RequestValidationInput{Request: lookup, PathParams: params, Route: route, Options: options}
	if status < 300 {
		require.NoError(t, openapi3filter.ValidateRequest(context.Background(), request), "%s %s %s was taken", r.Method, r.URL, sent)
		d.mu.Lock()
		d.exercised[route.Method+" "+route.Path] = true
		d.mu.Unlock()
	}
	if r.Method == http.MethodHead {
		return
	}
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: status, Header: header, Options: options}
	response.SetBodyBytes(body)
	require.NoError(t, openapi3filter.ValidateResponse(context.Background(), response), "%s %s answers %d %s", r.Method, r.URL, status, body)
}

func (d *described) untested() (missing []string) {
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			if !d.exercised[method+" "+path] {
				missing = append(missing, method+" "+path)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// TestDocumentIsComplete compares the routes with the document.
func TestDocumentIsComplete(t *testing.T) {
	r := newRig(t, nil)
	want := map[string][]string{}
	for path, item := range document.doc.Paths.Map() {
		want[path] = slices.Sorted(maps.Keys(item.Operations()))
	}
	got := map[string][]string{}
	for path, methods := range r.api.routes {
		got[path] = slices.Sorted(slices.Values(methods))
	}
	assert.Equal(t, want, got)
}

// observed is what the observer heard.
type observed struct {
	mu       sync.Mutex
	commands []CommandFate
	links    []LinkFate
	failed   []string
	answers  map[int]int
	unnoted  int
	refused  int
}

func (o *observed) locked(f func()) { o.mu.Lock(); defer o.mu.Unlock(); f() }

func (o *observed) Answered(status int)     { o.locked(func() { o.answers[status]++ }) }
func (o *observed) Commanded(f CommandFate) { o.locked(func() { o.commands = append(o.commands, f) }) }
func (o *observed) LinkUsed(f LinkFate)     { o.locked(func() { o.links = append(o.links, f) }) }
func (o *observed) StreamRefused()          { o.locked(func() { o.refused++ }) }
func (o *observed) Unnoted()                { o.locked(func() { o.unnoted++ }) }
func (o *observed) Failed(d string, e error) {
	o.locked(func() { o.failed = append(o.failed, d+": "+e.Error()) })
}

func (o *observed) fates() (f []CommandFate) {
	o.locked(func() { f = slices.Clone(o.commands) })
	return f
}

func (o *observed) linkFates() (f []LinkFate) {
	o.locked(func() { f = slices.Clone(o.links) })
	return f
}

// flaky is a store that fails when it is told to.
type flaky struct {
	incidentstore.Memory
	// flood gives the same changes again and again.
	flood atomic.Bool
	mu    sync.Mutex
	err   error
}

func (f *flaky) fail(err error) { f.mu.Lock(); defer f.mu.Unlock(); f.err = err }
func (f *flaky) failing() error { f.mu.Lock(); defer f.mu.Unlock(); return f.err }

func (f *flaky) Incidents(ctx context.Context, filter incidentstore.IncidentFilter, p incidentstore.Page) ([]incidentstore.Incident, string, error) {
	if err := f.failing(); err != nil {
		return nil, "", err
	}
	return f.Memory.Incidents(ctx, filter, p)
}

func (f *flaky) VerifyAudit(ctx context.Context) (auditchain.Anchor, uint64, error) {
	if err := f.failing(); err != nil {
		return auditchain.Anchor{}, 0, err
	}
	return f.Memory.VerifyAudit(ctx)
}

func (f *flaky) NoteCall(ctx context.Context, at time.Time, e auditchain.Entry) error {
	if err := f.failing(); err != nil {
		return err
	}
	return f.Memory.NoteCall(ctx, at, e)
}

func (f *flaky) Changes(ctx context.Context, after int64, limit int) ([]incidentstore.Change, error) {
	if err := f.failing(); err != nil {
		return nil, err
	}
	if f.flood.Load() {
		out := make([]incidentstore.Change, limit)
		for i := range out {
			out[i] = incidentstore.Change{Number: after + int64(i) + 1, Kind: "incident", ID: strings.Repeat("x", 200)}
		}
		return out, ctx.Err()
	}
	return f.Memory.Changes(ctx, after, limit)
}

// rig is an API on a real store.
type rig struct {
	t      testing.TB
	store  *incidentstore.Store
	memory *flaky
	seen   *observed
	api    *API
	signer *approvallink.Signer
}

const bodyLimit = 16 << 10

func newRig(t testing.TB, edit func(*Settings)) *rig {
	t.Helper()
	settings := incidentstore.DefaultSettings()
	settings.Path = filepath.Join(t.TempDir(), "incidents.db")
	settings.MaxCommands = 50
	store, err := incidentstore.Open(t.Context(), settings)
	require.NoError(t, err)
	r := &rig{
		t: t, store: store, memory: &flaky{Memory: store}, seen: &observed{answers: map[int]int{}},
		signer: approvallink.NewSigner([]byte("a key of the tests, 32 bytes....")),
	}
	s := Settings{
		Authenticated: true, CommandWait: 10 * time.Second, Timeout: 10 * time.Second, MaxSilence: 24 * time.Hour, MaxStatistics: 1000,
		Stream: StreamSettings{MaxClients: 2, Heartbeat: 30 * time.Second, WriteTimeout: 10 * time.Second, MaxDuration: time.Minute},
		Links:  r.signer, AnonymousLinks: true,
	}
	if edit != nil {
		edit(&s)
	}
	r.api = New(r.memory, s, r.seen)
	t.Cleanup(func() {
		r.api.Close()
		require.NoError(t, store.Close())
	})
	return r
}

// person is what an authenticator knows of a caller.
type person map[string]any

func (p person) GetAttribute(name string) any { return p[name] }
func (p person) GetAttributeNames() []string  { return nil }

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) code() string {
	e, _ := a.body["error"].(map[string]any)
	s, _ := e["code"].(string)
	return s
}

// ask asks as a person, unless that is empty. Each answer is held against the OpenAPI document.
func (r *rig) ask(by, method, target, body string, headers ...string) answer {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Host = "127.0.0.1:8098"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.serve(by, req, body)
}

func (r *rig) serve(by string, req *http.Request, sent string) answer {
	r.t.Helper()
	w := httptest.NewRecorder()
	asked := req.Clone(context.Background())
	req.Body = http.MaxBytesReader(w, req.Body, bodyLimit)
	if by != "" {
		req = req.WithContext(client.NewContext(req.Context(), client.Info{Auth: person{"username": by}}))
	}
	r.api.ServeHTTP(w, req)
	document.check(r.t, asked, sent, w.Code, w.Header(), w.Body.Bytes())
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if w.Code < 300 || w.Code >= 400 { // the multiplexer's own redirections say nothing
			assert.Equal(r.t, want, w.Header().Get(name), name)
		}
	}
	a := answer{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if a.header.Get("Content-Type") == "application/json" && w.Body.Len() > 0 {
		require.NoError(r.t, json.Unmarshal(w.Body.Bytes(), &a.body), a.raw)
	}
	return a
}

// get asks and requires an answer.
func (r *rig) get(target string) map[string]any {
	r.t.Helper()
	a := r.ask("ann", http.MethodGet, target, "")
	require.Equal(r.t, http.StatusOK, a.status, a.raw)
	return a.body
}

var (
	at       = time.Date(2026, 3, 1, 10, 15, 3, 0, time.UTC)
	intentID = strings.Repeat("0a", 16)
	digest   = strings.Repeat("f1", 16)
)

func moments(d time.Duration) *time.Time { t := at.Add(d); return &t }

func anIncident(id string) eventdata.Incident {
	return eventdata.Incident{
		ID: id, Revision: 1, Fingerprint: "fp-1", Status: semconv.StatusOpen, Severity: semconv.SeverityMajor, StartedAt: moments(-time.Minute),
		DetectedAt: moments(0), Title: "errors in shop/payment",
		Causes: []eventdata.Cause{
			{
				Entity: eventdata.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Kind: semconv.CauseErrors, Confidence: 0.9, Share: 0.8,
				Resource: map[string]string{"k8s.namespace.name": "shop"},
				Evidence: []eventdata.Evidence{
					{Signal: "errors", Onset: moments(-time.Minute), Deviation: 8, Score: 0.99, Summary: "error ratio 0.4", Kind: semconv.CauseErrors, TraceIDs: []string{strings.Repeat("ab", 16)}},
					{Signal: "cpu", Score: 0.7, Summary: "busy", Entity: &eventdata.Entity{Type: semconv.EntityPod, Name: "payment-1"}},
				},
				Change: &eventdata.Change{Time: moments(-2 * time.Minute), Entity: eventdata.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Summary: "v1.18", Kind: semconv.ChangeVersion},
			},
			{Entity: eventdata.Entity{Type: semconv.EntityNode, Name: "node-1"}, Kind: semconv.CauseCPU, Confidence: 0.1},
		},
		EntryPoints: []string{"shop/frontend"},
		Impact:      eventdata.Impact{Services: []string{"shop/checkout", "shop/payment"}, Ratio: 0.2, Upstream: []string{"shop/checkout"}, Downstream: []string{"db/orders"}, Objectives: []eventdata.Objective{{Objective: "availability", Service: "shop/checkout", BurnRate: 12, BudgetConsumed: 0.3}}},
		Graph: []eventdata.GraphEdge{
			{Client: "shop/checkout", Server: "shop/payment", RequestsPerSecond: 12, FailureRatio: 0.4, MeanDuration: 0.2, Abnormal: true},
			{Client: "shop/payment", Server: "ledger", ConnectionType: "database", RequestsPerSecond: 30, MeanDuration: 0.01},
			{Client: "shop/payment", Server: "queue", ConnectionType: "messaging_system"},
			{Client: semconv.GraphUser, Server: "shop/frontend"},
			{Client: "shop/payment", Server: "bank.example", ConnectionType: "virtual_node"},
		},
		Timeline: []eventdata.TimelineEntry{{Time: moments(-time.Minute), Text: "errors began"}},
		Changes:  []eventdata.Change{{Time: moments(-2 * time.Minute), Entity: eventdata.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Summary: "v1.18"}},
	}
}

func opened(inc eventdata.Incident) incidentstore.Record {
	name := semconv.EventIncidentOpened
	when := *inc.DetectedAt
	if inc.Status == semconv.StatusResolved {
		name, when = semconv.EventIncidentResolved, *inc.ResolvedAt
	}
	return incidentstore.Record{ID: fmt.Sprintf("%s.%d", inc.ID, inc.Revision), At: when, Incident: &incidentstore.IncidentRecord{Event: name, Incident: inc}}
}

func (r *rig) record(records ...incidentstore.Record) {
	r.t.Helper()
	require.NoError(r.t, r.store.Record(r.t.Context(), records))
}

func awaiting(incident string) incidentstore.Record {
	until := time.Now().Add(15 * time.Minute)
	return incidentstore.Record{ID: "intent-1", At: at.Add(time.Second), Intent: &incidentstore.IntentRecord{
		Incident: incident, Needed: 2, Approvals: []incidentstore.Approval{{By: "bob", Verdict: semconv.ApprovalGranted, At: at.Add(2 * time.Second), Source: "api"}},
		Remediation: eventdata.Remediation{
			Intent: intentID, Playbook: "restart", Action: "restart", Target: "Deployment/shop/payment", Outcome: "awaiting_approval", Revision: 1, Mode: "approve",
			Plan: &eventdata.Plan{
				Summary: "restart Deployment shop/payment", Objects: []string{"Deployment shop/payment"}, Pods: 3, Population: 12, Destructive: true, Undoable: false,
				Checks: []eventdata.Check{{Name: "exists", Passed: true}}, Commands: []string{"kubectl -n shop rollout restart deployment/payment"},
			},
			PlanDigest: digest, ApproveUntil: &until,
		},
	}}
}

// filled is a rig with an incident, an older one that is like it, an intent that waits, deliveries and an executor.
func filled(t testing.TB, edit func(*Settings)) *rig {
	r := newRig(t, edit)
	old := anIncident("i-0")
	old.StartedAt, old.DetectedAt, old.ResolvedAt = moments(-25*time.Hour), moments(-24*time.Hour), moments(-23*time.Hour)
	r.record(opened(old))
	old.Revision, old.Status, old.Resolution = 2, semconv.StatusResolved, semconv.ResolutionRecovered
	r.record(opened(old))
	minor := anIncident("i-2")
	minor.Severity, minor.Fingerprint, minor.DetectedAt, minor.Title = semconv.SeverityMinor, "fp-2", moments(-time.Hour), "slow"
	minor.StartedAt = moments(-2 * time.Hour)
	r.record(
		opened(minor), opened(anIncident("i-1")), awaiting("i-1"),
		incidentstore.Record{ID: "d-1", At: at, Delivery: &incidentstore.DeliveryRecord{ID: "e-1", Destination: "chat", Incident: "i-1", Type: semconv.EventTypeIncidentOpened, State: incidentstore.DeliveryDead, Reason: "exhausted", Detail: "503"}},
		incidentstore.Record{ID: "d-2", At: at, Delivery: &incidentstore.DeliveryRecord{ID: "e-2", Destination: "pager", Incident: "i-1", Type: semconv.EventTypeIncidentOpened, State: incidentstore.DeliveryDelivered}},
		incidentstore.Record{ID: "a-1", At: at, Audit: &auditchain.Entry{Kind: string(semconv.EventRemediationDecision), Incident: "i-1", Text: "decided"}},
	)
	require.NoError(t, r.store.Report(t.Context(), incidentstore.ExecutorStatus{
		Name: "gateway-0", At: at, Leads: true, Status: json.RawMessage(`{"leading": true}`), Budget: json.RawMessage(`[]`),
		Breakers: json.RawMessage(`{"breakers": [{"guard": "target_breaker", "key": "Deployment/shop/payment", "state": "open", "failures": 3, "recent_failures": 3, "recent_outcomes": 4, "recent_actions": 4, "since": "2026-03-01T10:00:00Z"}]}`),
	}))
	return r
}

// executor takes commands as an executor does, until the test ends.
func (r *rig) executor(answer func(incidentstore.Command) incidentstore.Command) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		after := int64(-1)
		for {
			changes, err := r.store.Changes(ctx, after, 100)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					r.t.Error(err)
				}
				return
			}
			after = changes[len(changes)-1].Number
			taken, err := r.store.Take(ctx, "gateway-0", 10, time.Minute, time.Now())
			if err != nil && ctx.Err() == nil {
				r.t.Error(err)
			}
			for _, c := range taken {
				if c = answer(c); c.State == "" {
					continue
				}
				if err := r.store.Answer(ctx, "gateway-0", c); err != nil && ctx.Err() == nil {
					r.t.Error(err)
				}
			}
		}
	})
	r.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func pauseNow() incidentstore.Pause { return incidentstore.Pause{By: "ann", At: time.Now()} }

func done(result string) func(incidentstore.Command) incidentstore.Command {
	return func(c incidentstore.Command) incidentstore.Command {
		c.State, c.Status, c.Result = incidentstore.CommandDone, http.StatusOK, json.RawMessage(result)
		return c
	}
}

// auditText is the whole audit.
func (r *rig) auditText() string {
	r.t.Helper()
	records, err := r.store.Audit(r.t.Context(), 0, 1000)
	require.NoError(r.t, err)
	var b bytes.Buffer
	require.NoError(r.t, auditchain.Write(&b, records...))
	return b.String()
}
