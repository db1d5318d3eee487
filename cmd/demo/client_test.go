package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClient(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"load_requests_per_second":12.5,"services":[{},{}],"faults":[{"id":"fault-1","kind":"crash"}],"ended_faults":[]}`)
	})
	mux.HandleFunc("GET /webhooks", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"deliveries":[{"type":"x","verified":true,"incident_id":"i","time":"2026-03-01T10:00:00Z"}]}`)
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"kind":"crash"}` {
			http.Error(w, `{"error":"unknown"}`, http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"id":"fault-1","kind":"crash","service":"cart","cure":"restart"}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	c := client{shop: server.URL, health: server.URL + "/nothing"}

	state, err := c.state(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 12.5, state.Load)
	assert.Len(t, state.Services, 2)
	assert.Equal(t, []fault{{ID: "fault-1", Kind: "crash"}}, state.Faults)
	list, err := c.deliveries(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []delivery{{Type: "x", Verified: true, Incident: "i", Time: t0}}, list)
	f, err := c.inject(t.Context(), "crash")
	require.NoError(t, err)
	assert.Equal(t, "cart", f.Service)
	_, err = c.inject(t.Context(), "flood")
	require.ErrorContains(t, err, "unknown")
	assert.False(t, c.ready(t.Context()))
	c.health = server.URL + "/state"
	assert.True(t, c.ready(t.Context()))
}

const someMetrics = `# HELP x y
otelcol_receiver_accepted_spans_total{receiver="otlp",transport="grpc"} 100
otelcol_receiver_accepted_spans_total{receiver="otlp",transport="http"} 5
otelcol_receiver_accepted_metric_points_total{receiver="otlp"} 1e+03
otelcol_receiver_accepted_log_records_total{receiver="otlp"} 7
otelcol_connector_tracegraph_edges{a="b"} 34
otelcol_connector_tracegraph_edges_limit{a="b"} 10000
otelcol_processor_anomaly_held_series 738
otelcol_connector_incident_held_items{held="services",x="y"} 15
otelcol_connector_incident_held_items{held="series"} 120
otelcol_connector_incident_held_items{held="symptoms"} 3
broken
`

func TestParseMetrics(t *testing.T) {
	assert.Equal(t,
		collectorStats{spans: 105, points: 1000, logs: 7, edges: 34, services: 15, series: 738, graphSeries: 120},
		parseMetrics(strings.NewReader(someMetrics)))
}

func FuzzParseMetrics(f *testing.F) {
	f.Add(someMetrics)
	f.Fuzz(func(_ *testing.T, text string) { parseMetrics(strings.NewReader(text)) })
}

func TestOptions(t *testing.T) {
	o, err := parse([]string{
		"-bin", "b", "-config", "c", "-fault", "all", "-learn", "1m", "-detect-within", "15s", "-timeout", "4m", "-seed", "7", "-rate", "50",
	}, io.Discard)
	require.NoError(t, err)
	assert.Len(t, o.kinds, 10)
	o.kinds = nil
	assert.Equal(t, options{
		bin: "b", config: "c", learn: time.Minute, detectWithin: 15 * time.Second, timeout: 4 * time.Minute, seed: 7, rate: 50,
	}, o)
	o, err = parse([]string{"-fault", "crash,cpu-hog"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"crash", "cpu-hog"}, o.kinds)
	for _, wrong := range [][]string{
		{"-fault", "flood"}, {"-fault", ""}, {"-learn", "-1s"}, {"-detect-within", "0s"}, {"-timeout", "1s"}, {"crash"}, {"-nothing"},
	} {
		_, err := parse(wrong, io.Discard)
		require.Error(t, err, wrong)
	}
}
