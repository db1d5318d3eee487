package remediationexporter

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// request is what a receiver got.
type request struct {
	url    string
	header http.Header
	body   []byte
	at     time.Time
	event  map[string]any
}

func (r request) id() string  { return r.header.Get("webhook-id") }
func (r request) typ() string { return strings.TrimPrefix(r.event["type"].(string), "io.paramedic.") }

// receiver answers instead of the network, so that tests can run in a bubble.
type receiver struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	got    []request
	answer func(n int, r request) (status int, header http.Header, body string, err error)
}

func (r *receiver) GetHTTPRoundTripper(http.RoundTripper) (http.RoundTripper, error) { return r, nil }

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	rq := request{url: req.URL.String(), header: req.Header.Clone(), body: body, at: time.Now()}
	if err := json.Unmarshal(body, &rq.event); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, rq)
	status, header, text := http.StatusNoContent, http.Header{}, ""
	if r.answer != nil {
		if status, header, text, err = r.answer(len(r.got), rq); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: req, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

// types returns the short types of what was received, in order.
func (r *receiver) types() []string {
	out := []string{}
	for _, q := range r.requests() {
		out = append(out, q.typ())
	}
	return out
}

// status makes the receiver answer always the same.
func (r *receiver) status(code int, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(int, request) (int, http.Header, string, error) { return code, http.Header{}, body, nil }
}

// memoryStorage keeps what was written even when nobody closes it, like a disk does when a process is killed.
type memoryStorage struct {
	component.StartFunc
	component.ShutdownFunc
	mu   sync.Mutex
	data map[string][]byte
	fail bool
}

var errDisk = errors.New("disk is full")

func (s *memoryStorage) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return s, nil
}

func (s *memoryStorage) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := s.Batch(ctx, op)
	return op.Value, err
}

func (s *memoryStorage) Set(ctx context.Context, key string, value []byte) error {
	return s.Batch(ctx, storage.SetOperation(key, value))
}

func (s *memoryStorage) Delete(ctx context.Context, key string) error {
	return s.Batch(ctx, storage.DeleteOperation(key))
}

func (s *memoryStorage) Batch(_ context.Context, ops ...*storage.Operation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errDisk
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = s.data[op.Key]
		case storage.Set:
			s.data[op.Key] = bytes.Clone(op.Value)
		case storage.Delete:
			delete(s.data, op.Key)
		}
	}
	return nil
}
func (s *memoryStorage) Close(context.Context) error { return nil }

func (s *memoryStorage) setFail(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// copy is the disk as it is now, for a collector that starts after this one was killed.
func (s *memoryStorage) copy() *memoryStorage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memoryStorage{data: maps.Clone(s.data)}
}

type testHost struct {
	component.Host
	extensions map[component.ID]component.Component
	reports    *reports
}

// reports are the statuses that a component reported.
type reports struct {
	mu     sync.Mutex
	events []*componentstatus.Event
}

func (h testHost) Report(e *componentstatus.Event) {
	h.reports.mu.Lock()
	defer h.reports.mu.Unlock()
	h.reports.events = append(h.reports.events, e)
}

func (h testHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

// rig is an exporter with its surroundings.
type rig struct {
	t   testing.TB
	cfg *Config
	exp exporter.Logs
	// metrics is the same exporter in a metrics pipeline, if it is in one.
	metrics       exporter.Metrics
	createMetrics func() (exporter.Metrics, error)
	// metric is the name of what feed sends, if not the usual one; first is set for a rig that is fed once.
	metric string
	first  bool
	tel    *componenttest.Telemetry
	logs   *observer.ObservedLogs
	host   testHost
	hooks  map[string]*receiver
	disk   *memoryStorage
	// boards are drivers in place of those of webhooks.
	boards map[string]notifier.Destination
	// cluster and fleet stand in for an API server, if set.
	cluster *fakeCluster
	fleet   coordinator
	// real is a client of a real API server.
	real cluster
	api  *APIConfig
}

// newRig makes a configuration with one webhook of each name, which subscribes to everything.
func newRig(t testing.TB, hooks ...string) *rig {
	cfg := createDefaultConfig().(*Config)
	cfg.RetryConfig.RandomizationFactor = 0
	cfg.MaxEventLead = 0 // a bubble's clock is decades behind t0
	cfg.Storm.MaxIncidents, cfg.Storm.Jitter = 10_000, 0
	cfg.Breakers.Playbook.Failures, cfg.Breakers.Target.Failures, cfg.Breakers.Fleet.RateFailures, cfg.Breakers.Fleet.RateOutcomes = 100, 100, 0, 0
	cfg.Webhooks = map[string]WebhookConfig{}
	r := &rig{t: t, cfg: cfg, hooks: map[string]*receiver{}}
	r.host = testHost{componenttest.NewNopHost(), map[component.ID]component.Component{}, &reports{}}
	for _, name := range hooks {
		id := component.MustNewIDWithName("fake", name)
		r.hooks[name] = &receiver{}
		r.host.extensions[id] = r.hooks[name]
		h := defaultWebhook()
		h.Endpoint = "https://" + name + ".example.com/hook/tok3n"
		h.Secrets = []configopaque.String{secretA}
		h.Middlewares = []configmiddleware.Config{{ID: id}}
		h.Events, h.MaxEventsPerMinute = nil, 0
		for _, e := range eventTypes {
			h.Events = append(h.Events, e.name)
		}
		cfg.Webhooks[name] = h
	}
	return r
}

func (r *rig) editHook(name string, edit func(*WebhookConfig)) {
	h := r.cfg.Webhooks[name]
	edit(&h)
	r.cfg.Webhooks[name] = h
}

// playbook adds an acting playbook that restarts the cause.
func (r *rig) playbook(name, hook string, edit func(*PlaybookConfig)) {
	p := defaultPlaybook()
	p.Name, p.When, p.Mode, p.MinConfidence = name, []string{`attributes["incident.cause.kind"] == "latency"`}, "auto", 0.5
	p.Verify.Within = 90 * time.Second
	p.Steps = []StepConfig{{
		Webhook: hook, OnFailure: "next",
		Action: ActionConfig{Name: "restart", Parameters: map[string]ParameterConfig{"service": {From: "cause.entity.name"}}},
	}}
	if edit != nil {
		edit(&p)
	}
	r.cfg.Playbooks = append(r.cfg.Playbooks, p)
}

// durable gives the exporter a disk.
func (r *rig) durable(disk *memoryStorage) {
	id := component.MustNewIDWithName("memory", "disk")
	r.disk = disk
	r.host.extensions[id] = disk
	r.cfg.Storage = &id
}

func (r *rig) start() {
	r.t.Helper()
	r.tel = componenttest.NewTelemetry()
	set := metadataSettings(r.tel)
	core, logs := observer.New(zap.DebugLevel)
	r.logs = logs
	set.Logger = zap.New(core)
	factory := NewFactory()
	exp, err := factory.CreateLogs(r.t.Context(), set, r.cfg)
	require.NoError(r.t, err)
	r.exp = exp
	r.createMetrics = func() (exporter.Metrics, error) { return factory.CreateMetrics(r.t.Context(), set, r.cfg) }
	if r.cluster != nil {
		r.exporter().useCluster(r.cluster, r.fleet)
	}
	if r.real != nil {
		r.exporter().useCluster(r.real, r.fleet)
	}
	for _, h := range r.exporter().destinations {
		if b := r.boards[h.name]; b != nil {
			h.create = func(*http.Client) (notifier.Destination, error) { return b, nil }
		}
	}
	require.NoError(r.t, exp.Start(r.t.Context(), r.host))
}

func metadataSettings(tel *componenttest.Telemetry) exporter.Settings {
	set := exportertest.NewNopSettings(metadata.Type)
	set.ID = component.NewID(metadata.Type) // the same after a restart
	set.TelemetrySettings = tel.NewTelemetrySettings()
	return set
}

func (r *rig) stop() {
	r.t.Helper()
	if r.metrics != nil {
		require.NoError(r.t, r.metrics.Shutdown(context.Background()))
		r.metrics = nil
	}
	require.NoError(r.t, r.exp.Shutdown(context.Background()))
	require.NoError(r.t, r.tel.Shutdown(context.Background()))
}

func (r *rig) statuses() []*componentstatus.Event {
	r.host.reports.mu.Lock()
	defer r.host.reports.mu.Unlock()
	return r.host.reports.events
}

func (r *rig) consume(events ...semconv.IncidentEvent) error {
	return r.exp.ConsumeLogs(context.Background(), logsOf(events...))
}

func (r *rig) must(events ...semconv.IncidentEvent) {
	r.t.Helper()
	require.NoError(r.t, r.consume(events...))
}

// sum returns a counter's or gauge's value for the given attribute, or over all when none is given.
func (r *rig) sum(name string, attribute ...string) int64 {
	r.t.Helper()
	return sumOf(r.t, r.tel, name, attribute...)
}

// audit returns the decisions that were logged, as outcome/reason.
func (r *rig) audit() []string {
	out := []string{}
	for _, l := range r.logs.FilterMessage("remediation decision").All() {
		f := l.ContextMap()
		entry := f["outcome"].(string)
		if f["reason"] != "" {
			entry += "/" + f["reason"].(string)
		}
		out = append(out, entry)
	}
	return out
}

func timestamp(after time.Duration) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(t0.Add(after))
}

func logsOf(events ...semconv.IncidentEvent) plog.Logs {
	ld := plog.NewLogs()
	sl := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	for _, e := range events {
		e.Encode(sl.LogRecords().AppendEmpty())
	}
	return ld
}

var t0 = time.Date(2026, 3, 1, 10, 15, 3, 120_000_000, time.UTC)

// event returns an incident event after the given time since t0.
func event(id string, revision int64, name semconv.EventName, after time.Duration) semconv.IncidentEvent {
	e := semconv.IncidentEvent{
		Name: name, Time: t0.Add(after),
		Incident: semconv.Incident{
			ID: id, Revision: revision, Fingerprint: "8c2d", Status: semconv.StatusOpen, Severity: semconv.SeverityMajor,
			StartedAt: t0.Add(-8 * time.Second), DetectedAt: t0, Title: "latency of shop/gateway, caused by shop/payment",
			Causes: []semconv.Cause{{
				Entity: semconv.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Kind: semconv.CauseLatency,
				Confidence: 0.93, Share: 0.87, Resource: map[string]string{semconv.AttrK8sDeploymentName: "payment"},
				Evidence: []semconv.Evidence{{
					Signal: semconv.MetricGraphRequestServer, Onset: t0.Add(-8 * time.Second), Deviation: 41.5, Score: 0.999,
					Summary: "mean duration 1.2 s instead of 40 ms",
				}},
			}},
			EntryPoints: []string{"shop/frontend"},
			Impact:      semconv.Impact{Services: []string{"shop/checkout", "shop/frontend"}, Ratio: 0.2},
			Timeline:    []semconv.TimelineEntry{{Time: t0, Text: "duration of checkout to payment rises"}},
			Changes: []semconv.Change{{
				Time: t0.Add(-time.Minute), Entity: semconv.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Summary: "version 1.4 to 1.5",
			}},
		},
	}
	if name == semconv.EventIncidentResolved {
		e.Incident.Status, e.Incident.Resolution, e.Incident.ResolvedAt = semconv.StatusResolved, semconv.ResolutionRecovered, e.Time
	}
	return e
}

func opened(id string) semconv.IncidentEvent { return event(id, 1, semconv.EventIncidentOpened, 0) }

func updated(id string, revision int64, after time.Duration) semconv.IncidentEvent {
	return event(id, revision, semconv.EventIncidentUpdated, after)
}

func resolved(id string, revision int64, after time.Duration) semconv.IncidentEvent {
	return event(id, revision, semconv.EventIncidentResolved, after)
}

// on makes the cause of an event another service.
func on(e semconv.IncidentEvent, target string) semconv.IncidentEvent {
	e.Incident.Causes[0].Entity.Name = target
	return e
}

// checkSignature verifies a request the way a receiver would who read only the specification.
func checkSignature(t testing.TB, r request, secrets ...configopaque.String) {
	t.Helper()
	var want []string
	for _, s := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(s), "whsec_"))
		require.NoError(t, err)
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, r.header.Get("webhook-id")+"."+r.header.Get("webhook-timestamp")+"."+string(r.body))
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	assert.Equal(t, strings.Join(want, " "), r.header.Get("webhook-signature"))
}
