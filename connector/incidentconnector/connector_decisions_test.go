package incidentconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// decided returns the decisions among the records that came out.
func (w *world) decided() (out []map[string]any) {
	for _, ld := range w.sink.AllLogs() {
		for _, lr := range ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
			if lr.EventName() == string(semconv.EventIncidentDecision) {
				assert.Equal(w.t, plog.SeverityNumberDebug, lr.SeverityNumber())
				out = append(out, lr.Attributes().AsRaw())
			}
		}
	}
	return out
}

func TestDecisions(t *testing.T) {
	live := func(detail DecisionDetail) *world {
		w := newWorld(t, func(c *Config) { c.Decisions = detail })
		w.play(0, 320, whole)
		w.stop()
		return w
	}
	quiet := live(DecisionsOff)
	assert.Empty(t, quiet.decided())
	assert.Equal(t, int64(1), quiet.count("decisions", "opened"), "they are counted nevertheless")
	assert.Equal(t, int64(1), quiet.count("decisions", "recovered"))
	for _, e := range quiet.events() {
		assert.Empty(t, e.Incident.Decisions)
	}

	told := live(DecisionsDebug)
	seen := map[string]int{}
	for _, d := range told.decided() {
		v, r := d[semconv.AttrDecision].(string), d[semconv.AttrDecisionReason].(string)
		assert.Contains(t, verdicts[verdict(v)], reason(r), "both are from the closed sets")
		assert.NotEmpty(t, d[semconv.AttrDecisionSubject])
		seen[v]++
		if v == string(verdictOpened) {
			assert.Equal(t, told.one().ID, d[semconv.AttrIncidentID])
		}
	}
	assert.Equal(t, 1, seen["opened"])
	assert.Equal(t, 1, seen["resolved"])
	assert.Equal(t, told.count("decisions", ""), int64(len(told.decided())), "all are told")
	require.NotEmpty(t, told.one().Decisions, "the event has them as well")
	assert.LessOrEqual(t, len(told.one().Decisions), maxToldDecisions)
	assert.Equal(t, quiet.count("decisions", ""), told.count("decisions", ""))
	checkLives(t, told.events())

	again := newWorld(t, nil)
	again.play(0, 3, calm)
	for _, ld := range told.sink.AllLogs() {
		again.feed(ld)
	}
	again.stop()
	assert.Empty(t, again.events(), "what comes back is ignored")
}

func TestDecisionsLimit(t *testing.T) {
	e := &engine{decisions: decisions{detailed: true, limit: 2, counts: map[decisionKind]int64{}}}
	for i := range 5 {
		e.decide(at(i), nil, &symptom{entity: service("a")}, verdictWaits, reasonWeak, "n")
	}
	untold, dropped := e.decisions.take()
	assert.Len(t, untold, 2)
	assert.Equal(t, at(3), untold[0].Time, "the oldest go")
	assert.Equal(t, int64(3), dropped)
	untold, _ = e.decisions.take()
	assert.Empty(t, untold)
}

// TestWhyNot asserts that what opens nothing says why.
func TestWhyNot(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Decisions = DecisionsDebug; c.OpenSurprise = 100; c.WarmUp = 0 })
	w.play(0, 240, calm)
	w.play(240, 260, func(i int) []any {
		_, orders, _ := shop()
		orders.failed = 8
		return []any{graph(at(i), orders)}
	})
	w.stop()
	require.NotEmpty(t, w.decided())
	assert.Equal(t, "waits", w.decided()[0][semconv.AttrDecision])
	assert.Equal(t, "little_evidence", w.decided()[0][semconv.AttrDecisionReason])
	assert.Less(t, len(w.decided()), 10, "once, not at each bucket")
	assert.Empty(t, w.events())
}

func TestDecisionsRefused(t *testing.T) {
	next := &refusing{}
	w := newWorldTo(t, func(c *Config) { c.Decisions = DecisionsDebug }, next)
	next.refuse(assert.AnError)
	w.play(0, 320, whole)
	assert.Positive(t, w.count("dropped_decisions", ""))
	next.refuse(nil)
	w.stop()
}
