package restapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// ids are those of the incidents of a page.
func ids(t testing.TB, page map[string]any) (out []string) {
	t.Helper()
	for _, i := range page["incidents"].([]any) {
		out = append(out, i.(map[string]any)["id"].(string))
	}
	return out
}

func TestIncidents(t *testing.T) {
	r := filled(t, nil)
	require.Equal(t, http.StatusOK, r.ask("ann", http.MethodPost, "/v1/incidents/i-2/acknowledge", "").status)
	for query, want := range map[string][]string{
		"":                            {"i-1", "i-2", "i-0"},
		"?status=open":                {"i-1", "i-2"},
		"?status=resolved":            {"i-0"},
		"?severity=minor":             {"i-2"},
		"?cause_kind=errors":          {"i-1", "i-2", "i-0"},
		"?cause_kind=memory":          nil,
		"?fingerprint=fp-2":           {"i-2"},
		"?service=shop/payment":       {"i-1", "i-2", "i-0"},
		"?service=shop/nothing":       nil,
		"?text=slow":                  {"i-2"},
		"?since=2026-03-01T10:00:00Z": {"i-1"},
		"?until=2026-03-01T10:00:00Z": {"i-2", "i-0"},
		"?acknowledged=true":          {"i-2"},
		"?acknowledged=false":         {"i-1", "i-0"},
		"?severity=major&status=open&service=shop/payment":              {"i-1"},
		"?since=2026-03-01T09:00:00%2B00:00&until=2026-03-01T10:00:00Z": {"i-2"},
	} {
		assert.Equal(t, want, ids(t, r.get("/v1/incidents"+query)), query)
	}
	var all []string
	for cursor, pages := "", 0; ; pages++ {
		page := r.get("/v1/incidents?limit=1" + cursor)
		all = append(all, ids(t, page)...)
		next, more := page["next"]
		if !more {
			break
		}
		cursor = "&cursor=" + next.(string)
		require.Less(t, pages, 5)
	}
	assert.Equal(t, []string{"i-1", "i-2", "i-0"}, all)
}

func TestIncident(t *testing.T) {
	r := filled(t, nil)
	i := r.get("/v1/incidents/i-1")
	assert.Equal(t, "errors in shop/payment", i["title"])
	assert.InEpsilon(t, 2.0, i["occurrence"], 0)
	require.Len(t, i["intents"], 1)

	timeline := r.get("/v1/incidents/i-1/timeline")["timeline"].([]any)
	assert.NotEmpty(t, timeline)
	assert.Len(t, r.get("/v1/incidents/i-1/timeline?limit=1")["timeline"], 1)

	assert.Len(t, r.get("/v1/incidents/i-1/similar?limit=1")["similar"], 1)
	var alike []any
	for _, s := range r.get("/v1/incidents/i-1/similar")["similar"].([]any) {
		alike = append(alike, s.(map[string]any)["id"])
	}
	assert.Contains(t, alike, "i-0")

	for _, path := range []string{"", "/timeline", "/graph", "/similar"} {
		a := r.ask("ann", http.MethodGet, "/v1/incidents/nothing"+path, "")
		assert.Equal(t, http.StatusNotFound, a.status, path)
		assert.Equal(t, "not_found", a.code())
	}
	head := r.ask("ann", http.MethodHead, "/v1/incidents/i-1", "")
	assert.Equal(t, http.StatusOK, head.status)
}

func TestGraph(t *testing.T) {
	r := filled(t, nil)
	var got graphView
	a := r.ask("ann", http.MethodGet, "/v1/incidents/i-1/graph", "")
	require.NoError(t, json.Unmarshal([]byte(a.raw), &got))
	var nodes []string
	for _, n := range got.Nodes {
		nodes = append(nodes, n.ID+" "+strings.Join(n.Roles, ","))
	}
	assert.Equal(t, []string{
		"service:shop/payment cause,impacted", "k8s.node:node-1 cause", "database:ledger neighbour", "external:bank.example neighbour",
		"external:user neighbour", "k8s.pod:payment-1 evidence", "messaging:queue neighbour", "service:db/orders downstream", "service:shop/checkout impacted,upstream",
		"service:shop/frontend entry_point",
	}, nodes)
	require.Len(t, got.Edges, 5)
	assert.Equal(t, graphEdge{From: "service:shop/checkout", To: "service:shop/payment", RequestsPerSecond: 12, FailureRatio: 0.4, MeanDuration: 0.2, Abnormal: true}, got.Edges[0])
	assert.Equal(t, "database:ledger", got.Edges[1].To)
	assert.Equal(t, 1, got.Nodes[0].Rank)
	assert.Equal(t, semconv.CauseErrors, got.Nodes[0].Kind)
}

// TestLists walks through what else can be read.
func TestLists(t *testing.T) {
	r := filled(t, nil)
	assert.Len(t, r.get("/v1/intents")["intents"], 1)
	assert.Len(t, r.get("/v1/intents?awaiting=true&incident=i-1&playbook=restart&outcome=awaiting_approval")["intents"], 1)
	assert.Empty(t, r.get("/v1/intents?playbook=other")["intents"])
	assert.Equal(t, "i-1", r.get("/v1/intents/" + intentID)["incident"])

	assert.Len(t, r.get("/v1/deliveries?incident=i-1")["deliveries"], 2)
	assert.Len(t, r.get("/v1/deliveries?destination=pager&state=delivered&limit=1")["deliveries"], 1)
	dead := r.get("/v1/deadletters?destination=chat&incident=i-1")["deliveries"].([]any)
	require.Len(t, dead, 1)
	assert.Equal(t, "e-1", dead[0].(map[string]any)["id"])
	assert.Empty(t, r.get("/v1/deadletters?destination=pager")["deliveries"])

	executors := r.get("/v1/executors")["executors"].([]any)
	require.Len(t, executors, 1)
	breakers := r.get("/v1/breakers")["breakers"].([]any)
	require.Len(t, breakers, 1)
	assert.Equal(t, "open", breakers[0].(map[string]any)["state"])
	assert.Equal(t, "gateway-0", breakers[0].(map[string]any)["executor"])

	status := r.get("/v1/status")
	assert.Equal(t, "ann", status["person"])
	assert.Equal(t, false, status["read_only"])
	assert.Equal(t, true, status["operator"])
	assert.InEpsilon(t, 1.0, status["awaiting_approval"], 0)
}

// TestBreakersOfOthers reads the list of an executor without its object, and passes over what cannot be read.
func TestBreakersOfOthers(t *testing.T) {
	r := newRig(t, nil)
	for name, told := range map[string]string{"a": `[{"guard":"fleet_breaker","key":"","state":"closed"}]`, "b": `"nonsense"`, "c": ""} {
		require.NoError(t, r.store.Report(t.Context(), incidentstore.ExecutorStatus{Name: name, At: at, Breakers: json.RawMessage(told)}))
	}
	got := r.get("/v1/breakers")["breakers"].([]any)
	require.Len(t, got, 1)
	assert.Equal(t, "a", got[0].(map[string]any)["executor"])
	assert.Len(t, r.seen.failed, 1)
}

func TestAudit(t *testing.T) {
	r := filled(t, nil)
	a := r.ask("ann", http.MethodGet, "/v1/audit?from=0&limit=1000", "")
	require.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, "application/jsonl", a.header.Get("Content-Type"))
	var records []auditchain.Record
	for lines := auditchain.NewReader(strings.NewReader(a.raw), 1<<20); ; {
		record, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		records = append(records, record)
	}
	require.NotEmpty(t, records)
	require.NoError(t, auditchain.Verify(records, auditchain.Genesis()))
	v := r.get("/v1/audit/verify")
	assert.Equal(t, true, v["whole"])
	assert.InEpsilon(t, float64(len(records)), v["records"], 0)

	r.memory.fail(&auditchain.BrokenError{Index: 3, Seq: 4, Reason: "the record was changed"})
	broken := r.ask("ann", http.MethodGet, "/v1/audit/verify", "")
	assert.Equal(t, http.StatusInternalServerError, broken.status)
	assert.Equal(t, "audit_broken", broken.code())
	assert.Contains(t, broken.raw, "seq 4")

	r.api.verifying.Lock()
	busy := r.ask("ann", http.MethodGet, "/v1/audit/verify", "")
	r.api.verifying.Unlock()
	assert.Equal(t, http.StatusTooManyRequests, busy.status)
	assert.NotEmpty(t, busy.header.Get("Retry-After"))
}

func TestStatistics(t *testing.T) {
	r := filled(t, nil)
	r.ask("ann", http.MethodPost, "/v1/incidents/i-0/feedback", `{"verdict": "right_cause"}`)
	r.ask("bob", http.MethodPost, "/v1/incidents/i-0/feedback", `{"verdict": "wrong_cause"}`)
	r.ask("ann", http.MethodPost, "/v1/incidents/i-1/acknowledge", "")
	s := r.get("/v1/stats?since=2026-02-01T00:00:00Z&until=2026-03-02T00:00:00Z")
	incidents := s["incidents"].(map[string]any)
	assert.InEpsilon(t, 3.0, incidents["total"], 0)
	assert.InEpsilon(t, 1.0, incidents["acknowledged"], 0)
	assert.InEpsilon(t, 1.0, incidents["repeated"], 0)
	assert.Equal(t, map[string]any{"open": 2.0, "resolved": 1.0}, incidents["by_status"])
	assert.Equal(t, map[string]any{"major": 2.0, "minor": 1.0}, incidents["by_severity"])
	assert.Equal(t, map[string]any{"errors": 3.0}, incidents["by_cause_kind"])
	assert.Equal(t, map[string]any{"recovered": 1.0}, incidents["by_resolution"])
	assert.Equal(t, []any{map[string]any{"service": "shop/payment", "incidents": 3.0}}, incidents["by_service"])
	assert.Equal(t, map[string]any{"count": 1.0, "mean_seconds": 3600.0, "p50_seconds": 3600.0, "p90_seconds": 3600.0}, s["time_to_resolve"])
	// One minute, an hour, and an hour.
	assert.Equal(t, map[string]any{"count": 3.0, "mean_seconds": 2420.0, "p50_seconds": 3600.0, "p90_seconds": 3600.0}, s["time_to_detect"])
	assert.Equal(t, map[string]any{"right_cause": 1.0, "wrong_cause": 1.0, "false_alarm": 0.0, "precision": 0.5}, s["feedback"])

	few := filled(t, func(s *Settings) { s.MaxStatistics = 2 })
	assert.Equal(t, true, few.get("/v1/stats?since=2026-02-01T00:00:00Z")["incomplete"])
	empty := newRig(t, nil).get("/v1/stats")
	assert.NotContains(t, empty["feedback"], "precision")
	assert.Equal(t, http.StatusBadRequest, r.ask("ann", http.MethodGet, "/v1/stats?since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "").status)
}

func TestOpenAPI(t *testing.T) {
	r := newRig(t, nil)
	for _, form := range []string{"json", "yaml"} {
		a := r.ask("ann", http.MethodGet, "/v1/openapi."+form, "")
		require.Equal(t, http.StatusOK, a.status)
		doc, err := openapi3.NewLoader().LoadFromData([]byte(a.raw))
		require.NoError(t, err)
		require.NoError(t, doc.Validate(context.Background()))
	}
}

// TestBadRequests refuses what no list understands, and says what would be right.
func TestBadRequests(t *testing.T) {
	r := filled(t, nil)
	for target, code := range map[string]string{
		"/v1/incidents?status=closed":           "status",
		"/v1/incidents?severity=huge":           "severity",
		"/v1/incidents?cause_kind=x":            "cause_kind",
		"/v1/incidents?since=yesterday":         "since",
		"/v1/incidents?until=0000-00-00":        "until",
		"/v1/incidents?acknowledged=perhaps":    "acknowledged",
		"/v1/incidents?limit=0":                 "limit",
		"/v1/incidents?limit=201":               "limit",
		"/v1/incidents?limit=-1":                "limit",
		"/v1/incidents?cursor=nonsense":         "cursor",
		"/v1/incidents?colour=red":              "query",
		"/v1/incidents?status=open&status=open": "query",
		"/v1/incidents?text=%00":                "query",
		"/v1/incidents?cursor=":                 "query",
		"/v1/incidents?text=%ff":                "query",
		"/v1/incidents?%zz":                     "query",
		"/v1/incidents/%00":                     "id",
		"/v1/incidents/i-1/timeline?limit=x":    "limit",
		"/v1/incidents/i-1/similar?limit=51":    "limit",
		"/v1/intents?awaiting=1":                "awaiting",
		"/v1/intents/xyz":                       "intent",
		"/v1/deliveries?state=lost":             "state",
		"/v1/audit?from=-1":                     "from",
		"/v1/audit?limit=1001":                  "limit",
		"/v1/stream?after=x":                    "after",
		"/v1/silences?active=no":                "active",
	} {
		a := r.ask("ann", http.MethodGet, target, "")
		assert.Equal(t, http.StatusBadRequest, a.status, target)
		assert.Equal(t, code, a.code(), target)
	}
	assert.Equal(t, http.StatusNotFound, r.ask("ann", http.MethodGet, "/v2/incidents", "").status)
	wrong := r.ask("ann", http.MethodPut, "/v1/incidents", "")
	assert.Equal(t, http.StatusMethodNotAllowed, wrong.status)
	assert.Equal(t, "GET, HEAD", wrong.header.Get("Allow"))
}

// TestStoreFails tells the caller nothing of what the store says.
func TestStoreFails(t *testing.T) {
	r := filled(t, nil)
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("dial postgres://user:hunter2@db"), http.StatusServiceUnavailable, "store"},
		{incidentstore.ErrFull, http.StatusServiceUnavailable, "full"},
		{incidentstore.ErrConflict, http.StatusConflict, "conflict"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "store"},
	} {
		r.memory.fail(tc.err)
		a := r.ask("ann", http.MethodGet, "/v1/incidents", "")
		assert.Equal(t, tc.status, a.status)
		assert.Equal(t, tc.code, a.code())
		assert.NotContains(t, a.raw, "hunter2")
	}
	r.memory.fail(nil)
	assert.Equal(t, http.StatusOK, r.ask("ann", http.MethodGet, "/v1/incidents", "").status)
}

func TestPercentiles(t *testing.T) {
	assert.Equal(t, spanView{Count: 4, Mean: 2.5, P50: 2, P90: 4}, summary([]float64{4, 1, 3, 2}))
	assert.Nil(t, span(nil, nil, moments(0)))
	assert.Nil(t, span(nil, moments(time.Second), moments(0)))
}
