package remediationexporter

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// detailed is an incident with all that an event can tell.
func detailed() semconv.Incident {
	inc := opened("i-1").Incident
	pod := semconv.Entity{Type: semconv.EntityPod, Name: "shop/payment-7d9f"}
	change := semconv.Change{Time: t0.Add(-time.Minute), Entity: pod, Summary: "image 1.4 to 1.5", Kind: semconv.ChangeImage}
	cause := &inc.Causes[0]
	cause.Change = &change
	cause.Evidence[0].Kind, cause.Evidence[0].Entity = semconv.CauseLatency, pod
	cause.Evidence[0].TraceIDs = []string{"0102", "0304", "0506", "0708"}
	inc.Changes = []semconv.Change{change}
	inc.Reopened, inc.MergedInto, inc.SplitFrom, inc.SilencedBy, inc.UnknownSince = 2, "i-2", "i-3", "release", t0
	inc.Impact.Entities, inc.Impact.FailureRatio = 3, 0.25
	inc.Impact.Upstream, inc.Impact.Downstream = []string{"shop/frontend"}, []string{"shop/cache"}
	inc.Graph = []semconv.GraphEdge{{Client: "shop/checkout", Server: "bank", ConnectionType: "virtual_node", RequestsPerSecond: 12.5, FailureRatio: 0.25, MeanDuration: 1.2, Abnormal: true}}
	inc.Impact.Objectives = []semconv.ObjectiveBurn{{Objective: "o", Service: "s", BurnRate: 14.5, BudgetConsumed: 1.5}}
	return inc
}

// TestPayload passes on all that an incident tells.
func TestPayload(t *testing.T) {
	inc := detailed()
	body, err := json.Marshal(newIncidentData(&inc, levels[0]))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(body, &got))
	pod := map[string]any{"type": "k8s.pod", "name": "shop/payment-7d9f"}
	change := map[string]any{"time": "2026-03-01T10:14:03.12Z", "entity": pod, "summary": "image 1.4 to 1.5", "kind": "image"}
	cause := got["causes"].([]any)[0].(map[string]any)
	assert.Equal(t, change, cause["change"])
	assert.Equal(t, []any{map[string]any{
		"signal": semconv.MetricGraphRequestServer, "onset": "2026-03-01T10:14:55.12Z", "deviation": 41.5, "score": 0.999,
		"summary": "mean duration 1.2 s instead of 40 ms", "kind": "latency", "entity": pod,
		"trace_ids": []any{"0102", "0304", "0506", "0708"},
	}}, cause["evidence"])
	assert.Equal(t, []any{change}, got["changes"])
	assert.Equal(t, map[string]any{
		"services": []any{"shop/checkout", "shop/frontend"}, "ratio": 0.2, "entities": 3.0, "failure_ratio": 0.25,
		"upstream": []any{"shop/frontend"}, "downstream": []any{"shop/cache"},
		"objectives": []any{map[string]any{"objective": "o", "service": "s", "burn_rate": 14.5, "budget_consumed": 1.5}},
	}, got["impact"])
	assert.Equal(t, []any{map[string]any{
		"client": "shop/checkout", "server": "bank", "connection_type": "virtual_node", "requests_per_second": 12.5, "failure_ratio": 0.25,
		"mean_duration_seconds": 1.2, "abnormal": true,
	}}, got["graph"])
	for name, want := range map[string]any{
		"reopened": 2.0, "merged_into": "i-2", "split_from": "i-3", "silenced_by": "release", "unknown_since": "2026-03-01T10:15:03.12Z",
	} {
		assert.Equal(t, want, got[name], name)
	}
}

// TestPayloadLeavesOut keeps what is not known, or is usual, out of events.
func TestPayloadLeavesOut(t *testing.T) {
	inc := opened("i-1").Incident
	body, err := json.Marshal(newIncidentData(&inc, levels[0]))
	require.NoError(t, err)
	for _, name := range []string{
		"change", "trace_ids", "reopened", "merged_into", "split_from", "unknown_since", "silenced_by",
		"entities", "failure_ratio", "upstream", "downstream", "objectives", "graph",
	} {
		assert.NotContains(t, string(body), `"`+name+`":`)
	}
}

// TestPayloadIsShortened has texts so long, and so many lists, that only the least fits.
func TestPayloadIsShortened(t *testing.T) {
	inc := detailed()
	long := strings.Repeat("<", 1<<16)
	inc.MergedInto, inc.SplitFrom, inc.SilencedBy = long, long, long
	inc.Causes[0].Change.Summary, inc.Causes[0].Change.Kind, inc.Causes[0].Evidence[0].Entity.Name = long, long, long
	for range 10 {
		inc.Causes = append(inc.Causes, inc.Causes[0])
		inc.Impact.Upstream, inc.Impact.Downstream = append(inc.Impact.Upstream, long), append(inc.Impact.Downstream, long)
		inc.Impact.Objectives = append(inc.Impact.Objectives, semconv.ObjectiveBurn{Objective: long, Service: long})
	}
	body, truncated, err := shorten(&cloudevents.Event{ID: "1", Source: "s", Type: "t"}, &eventdata.Data{}, &inc, minBodySize)
	require.NoError(t, err)
	assert.True(t, truncated)
	assert.LessOrEqual(t, len(body), minBodySize)
}
