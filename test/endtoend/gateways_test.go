package endtoend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/postgrestest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// gatewayConfig is one of several gateways on one PostgreSQL. Services whose names begin with ask- are only acted on when people
// agree, all others at once.
const gatewayConfig = `
extensions:
  health_check: {endpoint: "${env:PARAMEDIC_HEALTH_ENDPOINT}"}
  file_storage: {directory: "${env:PARAMEDIC_STATE_DIR}", create_directory: true}
  basicauth/people:
    htpasswd: {inline: "ann:ann\nbob:bob"}
  incidentstore:
    database: {driver: postgresql, dsn: "DSN"}
    leader_election: {identity: NAME, lease: 5s, renew_deadline: 4s, retry_period: 1s}
    api:
      endpoint: ${env:PARAMEDIC_EXTRA_ENDPOINT}
      auth: {authenticator: basicauth/people}
receivers:
  otlp:
    protocols: {grpc: {endpoint: "${env:PARAMEDIC_OTLP_GRPC_ENDPOINT}"}}
exporters:
  remediation:
    storage: file_storage
    incident_store: incidentstore
    coordination: store
    store: {name: NAME}
    ELECTION
    max_event_age: 0s
    max_event_lead: 0s
    storm: {max_incidents: 1000}
    budget: {max_actions: 100, window: 10m}
    breakers: {playbook: {failures: 0}, target: {failures: 0, max_actions: 0}, fleet: {rate_failures: 0, rate_outcomes: 0}}
    retry_on_failure: {initial_interval: 200ms, max_interval: 1s, multiplier: 2}
    webhooks:
      shop:
        endpoint: ${env:SHOP_WEBHOOK_URL}
        secrets: ["${env:SHOP_WEBHOOK_SECRET}"]
        allow_private_ranges: true
        timeout: 1m
        events: []
    playbooks:
      - name: act
        when: ['not(IsMatch(attributes["incident.title"], "^ask"))']
        mode: auto
        cooldown: 0s
        steps: [{webhook: shop, action: {name: restart, parameters: {service: {from: cause.entity.name}}}}]
        verify: {within: WITHIN}
      - name: ask
        when: ['IsMatch(attributes["incident.title"], "^ask")']
        mode: approve
        cooldown: 0s
        steps: [{webhook: shop, action: {name: restart, parameters: {service: {from: cause.entity.name}}}}]
        verify: {within: WITHIN}
service:
  extensions: [health_check, file_storage, basicauth/people, incidentstore]
  telemetry:
    metrics:
      readers:
        - pull: {exporter: {prometheus: {host: 127.0.0.1, port: "${env:PARAMEDIC_METRICS_PORT}"}}}
  pipelines:
    logs: {receivers: [otlp], exporters: [remediation]}
`

// actor is a collector with its sender.
type actor struct {
	*collector
	sender *sender
	dir    string
}

// startGateway runs one. With elects the replicas choose a leader through the store.
func startActor(t *testing.T, name, dsn, webhook, dir, within string, elects bool) *actor {
	t.Helper()
	election := ""
	if elects {
		election = "leader_elector: incidentstore"
	}
	text := strings.NewReplacer("DSN", dsn, "NAME", name, "ELECTION", election, "WITHIN", within).Replace(gatewayConfig)
	path := filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	c := start(t, setup{dir: dir, webhook: webhook, config: path})
	return &actor{collector: c, sender: newSender(t, c.grpc), dir: dir}
}

// gatewayEvent is an incident event, whose title begins with ask where people are to be asked.
func gatewayEvent(id string, revision int64, name semconv.EventName, title string) plog.Logs {
	ld := plog.NewLogs()
	now := time.Now()
	inc := semconv.Incident{
		ID: id, Revision: revision, Fingerprint: "f-" + id, Status: semconv.StatusOpen, Severity: semconv.SeverityMajor, StartedAt: now, DetectedAt: now,
		Title: title, Causes: []semconv.Cause{{
			Entity: semconv.Entity{Type: semconv.EntityService, Name: "shop/" + id}, Kind: semconv.CauseErrors, Confidence: 0.95, Share: 1,
		}},
	}
	if name == semconv.EventIncidentResolved {
		inc.Status, inc.Resolution, inc.ResolvedAt = semconv.StatusResolved, semconv.ResolutionRecovered, now
	}
	semconv.IncidentEvent{Name: name, Time: now, Incident: inc}.Encode(
		ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	return ld
}

// orders is a webhook that counts the actions which it is asked for.
type orders struct {
	server *httptest.Server
	// hold, if not nil, keeps an answer back until it is closed.
	mu   sync.Mutex
	hold chan struct{}
	// asked are the IDs of the messages for each service, in order, repetitions included.
	asked map[string][]string
}

func newOrders(t *testing.T) *orders {
	t.Helper()
	o := &orders{asked: map[string][]string{}}
	o.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e event
		if b, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(b, &e) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		o.mu.Lock()
		service := e.Data.Action.Parameters["service"]
		o.asked[service] = append(o.asked[service], r.Header.Get("webhook-id"))
		hold := o.hold
		o.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(func() {
		o.server.CloseClientConnections()
		o.server.Close()
	})
	return o
}

func (o *orders) of(id string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asked["shop/"+id])
}

func (o *orders) setHold(hold chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hold = hold
}

// ask asks the store's API of a gateway as a person whose password is the name.
func (g *actor) ask(by, method, path, body string) (status int, answer map[string]any) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.extra+path, bytes.NewBufferString(body))
	require.NoError(g.t, err)
	req.SetBasicAuth(by, by)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer) // what is no JSON has no answer
	return resp.StatusCode, answer
}

// outcomes are those of an incident's intents, as a gateway's API tells them.
func (g *actor) outcomes(id string) []string {
	_, answer := g.ask("ann", http.MethodGet, "/v1/intents?incident="+id, "")
	list, _ := answer["intents"].([]any)
	var out []string
	for _, item := range list {
		v, _ := item.(map[string]any)
		r, _ := v["remediation"].(map[string]any)
		out = append(out, fmt.Sprint(r["outcome"]))
	}
	return out
}

// intent waits for the intent of an incident and returns its ID.
func (g *actor) intent(id string) string {
	g.t.Helper()
	found := ""
	require.Eventually(g.t, func() bool {
		_, answer := g.ask("ann", http.MethodGet, "/v1/intents?incident="+id, "")
		list, _ := answer["intents"].([]any)
		if len(list) == 0 {
			return false
		}
		r, _ := list[0].(map[string]any)["remediation"].(map[string]any)
		found, _ = r["intent"].(string)
		return found != ""
	}, patience, 5*poll)
	return found
}

// agree waits until both gateways, and with them the database, say the same of an incident.
func agree(t *testing.T, id, outcome string, gateways ...*actor) {
	t.Helper()
	for _, g := range gateways {
		require.Eventually(t, func() bool { return slices.Equal(g.outcomes(id), []string{outcome}) }, patience, 5*poll,
			"%s should be %s and is %v", id, outcome, g.outcomes(id))
	}
}

// TestTwoGateways runs two collectors on one PostgreSQL. Both take all incidents, and both may act: each action is asked for once,
// whoever approves where, and the database may be restarted meanwhile.
func TestTwoGateways(t *testing.T) {
	t.Parallel()
	db := postgrestest.Start(t)
	dsn := db.Database(t)
	shop := newOrders(t)
	a := startActor(t, "one", dsn, shop.server.URL, t.TempDir(), "60s", false)
	b := startActor(t, "two", dsn, shop.server.URL, t.TempDir(), "60s", false)
	both := func(ld func() plog.Logs) {
		var wg sync.WaitGroup
		first, second := ld(), ld()
		wg.Go(func() { a.sender.sendLogs(first) })
		wg.Go(func() { b.sender.sendLogs(second) })
		wg.Wait()
	}
	incident := func(id string, revision int64, name semconv.EventName, title string) {
		ld := gatewayEvent(id, revision, name, title)
		both(func() plog.Logs {
			c := plog.NewLogs()
			ld.CopyTo(c)
			return c
		})
	}
	const each = 8
	for i := range each {
		incident(fmt.Sprint("auto-", i), 1, semconv.EventIncidentOpened, "errors")
		incident(fmt.Sprint("people-", i), 1, semconv.EventIncidentOpened, "ask about errors")
	}
	for i := range each {
		agree(t, fmt.Sprint("auto-", i), "accepted", a, b)
	}
	// The same intents are approved at both APIs at the same moment, by different people.
	var answers sync.Map
	var wg sync.WaitGroup
	for i := range each {
		intent := a.intent(fmt.Sprint("people-", i))
		for by, g := range map[string]*actor{"ann": a, "bob": b} {
			wg.Go(func() {
				status, answer := g.ask(by, http.MethodPost, "/v1/intents/"+intent+"/approve", `{"comment":"go"}`)
				answers.Store(intent+by, fmt.Sprint(status, " ", answer))
				assert.Contains(t, []int{http.StatusOK, http.StatusAccepted, http.StatusConflict}, status, answer)
			})
		}
	}
	wg.Wait()
	for i := range each {
		id := fmt.Sprint("people-", i)
		agree(t, id, "accepted", a, b)
	}

	// The database restarts; what happens meanwhile waits, and nothing is done that the other may be doing.
	require.NoError(t, db.Stop())
	for i := range each {
		incident(fmt.Sprint("dark-", i), 1, semconv.EventIncidentOpened, "errors")
	}
	for i := range each {
		require.Empty(t, shop.of(fmt.Sprint("dark-", i)), "nobody can be asked")
	}
	require.NoError(t, db.Launch())
	for i := range each {
		agree(t, fmt.Sprint("dark-", i), "accepted", a, b)
	}
	for _, kind := range []string{"auto", "people", "dark"} {
		for i := range each {
			id := fmt.Sprint(kind, "-", i)
			assert.Len(t, shop.of(id), 1, "%s is asked for once", id)
			title := "errors"
			if kind == "people" {
				title = "ask about errors"
			}
			incident(id, 2, semconv.EventIncidentResolved, title)
		}
	}
	for _, kind := range []string{"auto", "people", "dark"} {
		for i := range each {
			agree(t, fmt.Sprint(kind, "-", i), "succeeded", a, b)
		}
	}
	for _, g := range []*actor{a, b} {
		g.eventually(0, "otelcol_exporter_remediation_queued_records")
		assert.Zero(t, g.metric("otelcol_exporter_remediation_unrecorded_records"))
		assert.Zero(t, g.metric("otelcol_exporter_remediation_storage_errors"))
	}
	status, verified := a.ask("ann", http.MethodGet, "/v1/audit/verify", "")
	assert.Equal(t, http.StatusOK, status, verified)
	// A pause at one holds at both.
	status, _ = a.ask("ann", http.MethodPost, "/v1/pause", `{"reason":"test"}`)
	require.Equal(t, http.StatusOK, status)
	time.Sleep(2 * time.Second) // longer than both look for it
	incident("paused-0", 1, semconv.EventIncidentOpened, "errors")
	agree(t, "paused-0", "skipped", a, b)
	assert.Empty(t, shop.of("paused-0"))
	status, _ = b.ask("bob", http.MethodDelete, "/v1/pause", "")
	require.Equal(t, http.StatusOK, status)
	agree(t, "paused-0", "accepted", a, b)
	assert.Len(t, shop.of("paused-0"), 1)
	a.stop()
	b.stop()
	fmt.Printf("two gateways on one PostgreSQL: %d actions, each asked for once; %d were approved at both at the same moment, %d came while the database was stopped\n",
		3*each+1, each, each)
}

// TestGatewayThatLeadsIsKilled kills the leader while the webhook is at its action. The other leads, and asks for the same action
// under the same ID, by which the webhook knows it.
func TestGatewayThatLeadsIsKilled(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t).Database(t)
	shop := newOrders(t)
	hold := make(chan struct{})
	shop.setHold(hold)
	const within = "10s"
	gateways := map[string]*actor{}
	for _, name := range []string{"one", "two"} {
		gateways[name] = startActor(t, name, dsn, shop.server.URL, t.TempDir(), within, true)
	}
	leader := func(among ...string) string {
		for _, name := range among {
			_, answer := gateways[name].ask("ann", http.MethodGet, "/v1/executors", "")
			list, _ := answer["executors"].([]any)
			for _, item := range list {
				v, _ := item.(map[string]any)
				if n, _ := v["name"].(string); v["leads"] == true && slices.Contains(among, n) {
					return n
				}
			}
		}
		return ""
	}
	require.Eventually(t, func() bool { return leader("one", "two") != "" }, patience, 5*poll)
	first := leader("one", "two")
	second := map[string]string{"one": "two", "two": "one"}[first]
	for _, g := range gateways {
		g.sender.sendLogs(gatewayEvent("i-1", 1, semconv.EventIncidentOpened, "errors"))
	}
	require.Eventually(t, func() bool { return len(shop.of("i-1")) == 1 }, patience, poll)
	gateways[first].kill()
	shop.setHold(nil)
	close(hold)
	agree(t, "i-1", "accepted", gateways[second])
	asked := shop.of("i-1")
	require.GreaterOrEqual(t, len(asked), 2, "the first answer was lost with the leader")
	for _, id := range asked {
		assert.Equal(t, asked[0], id, "the webhook knows the action by its ID")
	}
	assert.Equal(t, second, leader(second))

	// The one that was killed comes back, takes up what it had begun, and acts on nothing.
	restarted := startActor(t, first, dsn, shop.server.URL, gateways[first].dir, within, true)
	gateways[second].sender.sendLogs(gatewayEvent("i-1", 2, semconv.EventIncidentResolved, "errors"))
	restarted.sender.sendLogs(gatewayEvent("i-1", 2, semconv.EventIncidentResolved, "errors"))
	for _, g := range []*actor{gateways[second], restarted} {
		g.sender.sendLogs(gatewayEvent("i-2", 1, semconv.EventIncidentOpened, "errors"))
	}
	agree(t, "i-2", "accepted", gateways[second], restarted)
	assert.Len(t, shop.of("i-2"), 1)
	status, _ := restarted.ask("ann", http.MethodGet, "/v1/audit/verify", "")
	assert.Equal(t, http.StatusOK, status)
	restarted.stop()
	gateways[second].stop()
}
