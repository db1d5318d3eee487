package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestWaitingIsDecidedOnce has a weak trouble far away from an open incident.
func TestWaitingIsDecidedOnce(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Decisions = DecisionsDebug; c.OpenSurprise = 25 })
	far := func(failed float64) call {
		return call{client: "batch", server: "archive", n: 40, failed: failed, took: 0.01, waited: 0.011}
	}
	with := func(failing bool, failed float64) func(i int) []any {
		return func(i int) []any {
			front, orders, stock := shop()
			if failing {
				front.failed, orders.failed, stock.failed = 30, 30, 30
			}
			return []any{graph(at(i), front, orders, stock, far(failed))}
		}
	}
	w.play(0, 240, with(false, 0))
	w.play(240, 260, with(true, 0))
	require.Len(t, w.last(), 1)
	w.play(260, 275, with(true, 4))
	w.play(275, 300, with(true, 0))
	w.stop()
	n := map[string]int{}
	for _, d := range w.decided() {
		n[d[semconv.AttrDecision].(string)+" "+d[semconv.AttrDecisionReason].(string)]++
	}
	assert.LessOrEqual(t, n["waits little_evidence"], 1)
	assert.LessOrEqual(t, n["not_joined too_far"], 1)
	assert.Positive(t, n["not_joined too_far"])
}

// TestSplitIsSilenced has an incident split of which one part is silenced.
func TestSplitIsSilenced(t *testing.T) {
	w := newWorld(t, silenced(200, 400, MatchersConfig{Entities: []string{"mail"}}))
	w.play(0, 240, func(i int) []any { return fork(i, 0, 0) })
	w.play(240, 252, func(i int) []any { return fork(i, 25, 0) })
	w.play(252, 300, func(i int) []any { return fork(i, 25, 15) })
	w.stop()
	assert.Positive(t, w.count("decisions", "independent_causes"))
	assert.Equal(t, service("stock"), w.one().Cause().Entity, "nobody is told of mail")
}

// TestReopenedIsKnown ends an incident without data, and has the trouble still there when they are back.
func TestReopenedIsKnown(t *testing.T) {
	minute := inBuckets(time.Minute)
	others := func(i int) []any { return []any{logs(at(i), record{service: "other", body: "alive"})} }
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 260, stockFails)
	w.play(260, 260+5*minute, others)
	require.Equal(t, semconv.ResolutionNoData, w.one().Resolution)
	w.play(260+5*minute, 260+7*minute, stockFails)
	w.play(260+7*minute, 260+10*minute, calm)
	w.stop()
	checkLives(t, w.events())
	again := false
	for _, e := range w.events() {
		if again = again || e.Incident.Reopened > 0; again {
			assert.Zero(t, e.Incident.UnknownSince, e.Name)
		}
	}
	assert.True(t, again)
	assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution)
	assert.WithinDuration(t, at(260+7*minute), w.one().ResolvedAt, 4*step)
}

// TestMetricsAfterTimeWentBack has time go back by less than the connector has run.
func TestMetricsAfterTimeWentBack(t *testing.T) {
	m := newMeasured(t, nil, nil)
	m.play(0, 240, calm)
	before := len(m.out.AllMetrics())
	m.play(100, 200, calm)
	m.stop()
	assert.Greater(t, len(m.out.AllMetrics()), before+20)
}

// TestGapsAreForgottenWhenTimeGoesBack: what was a gap is a time like any other.
func TestGapsAreForgottenWhenTimeGoesBack(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 100, calm)
	e := w.metrics.(*metricsView).lease.Engine()
	e.gaps.add(at(50), at(80))
	w.play(0, 20, calm)
	assert.Empty(t, e.gaps)
	w.stop()
}

// TestWarmUpAfterWrongClock has a first batch from long ago: no time was watched since then.
func TestWarmUpAfterWrongClock(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WarmUp = 5 * time.Minute })
	w.play(-1000, -999, calm)
	w.play(0, 20, calm)
	e := w.metrics.(*metricsView).lease.Engine()
	assert.True(t, e.warmingUp(at(19)))
	w.stop()
}

// TestMetricsAlone has no pipeline that takes events: none wait for it, and none are lost.
func TestMetricsAlone(t *testing.T) {
	tel := componenttest.NewTelemetry()
	cfg := createDefaultConfig().(*Config)
	cfg.Bucket, cfg.MaxClockSkew = step, 24*step
	cfg.Limits.Outbox = 2
	sink := new(consumertest.MetricsSink)
	v, err := NewFactory().CreateMetricsToMetrics(t.Context(), metadatatest.NewSettings(tel), cfg, sink)
	require.NoError(t, err)
	require.NoError(t, v.Start(t.Context(), componenttest.NewNopHost()))
	w := &world{t: t, tel: tel, metrics: v}
	for i := range 340 {
		for _, d := range whole(i) {
			if md, ok := d.(pmetric.Metrics); ok {
				w.feed(md)
			}
		}
	}
	e := v.(*metricsView).lease.Engine()
	assert.Zero(t, e.outbox.len())
	assert.Equal(t, int64(1), w.count("decisions", "opened"))
	require.NoError(t, v.Shutdown(t.Context()))
	assert.Zero(t, w.count("dropped_events", ""))
	assert.NotEmpty(t, sink.AllMetrics())
}

// TestSilentSeriesReopensNothing has a series of the cause fall silent, as one of a pod that is gone does, and the incident
// resolved by the calls that succeed again: what was said last is no news.
func TestSilentSeriesReopensNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 244, stockFails)
	w.play(244, 260, func(i int) []any {
		return append(stockFails(i), score(at(i), at(244), map[string]string{semconv.AttrServiceName: "stock"}, "container.cpu.utilization", 1, 20, 0.99))
	})
	require.Len(t, w.last(), 1)
	require.Equal(t, service("stock"), w.one().Cause().Entity)
	w.play(260, 260+inBuckets(6*time.Minute), calm)
	w.stop()
	checkLives(t, w.events())
	assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution)
	assert.Zero(t, w.one().Reopened)
}

// TestRestartsAreCounted has a count of restarts rise during a fault. It stays where it is afterwards, as abnormal as it was, and
// says nothing any more until it rises again.
func TestRestartsAreCounted(t *testing.T) {
	restarts := func(from, risen, every int, fault func(i int) []any) func(i int) []any {
		return func(i int) []any {
			if i < from || i%every != 0 {
				return fault(i)
			}
			n := float64(min((i-from)/12, risen)) + 1
			return append(fault(i), score(at(i), at(from), map[string]string{semconv.AttrServiceName: "stock"}, "k8s.container.restarts", 1, 40, n))
		}
	}
	for _, every := range []int{1, 6} {
		w := newWorld(t, nil)
		w.play(0, 240, calm)
		w.play(240, 264, restarts(240, 1, every, stockFails))
		require.Len(t, w.last(), 1)
		assert.Equal(t, semconv.CauseCrash, w.one().Cause().Kind)
		w.play(264, 400, restarts(240, 1, every, calm))
		assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution, "every %d", every)
		assert.Less(t, w.one().ResolvedAt, at(264+inBuckets(2*time.Minute)))
		assert.Zero(t, w.one().Reopened)
		n := len(w.events())
		w.play(400, 420, restarts(240, 20, every, calm))
		assert.Greater(t, len(w.events()), n, "it rises again")
		w.stop()
		checkLives(t, w.events())
	}
}
