package anomalyprocessor

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

func TestRestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with := func(c *Config) {
			c.Ratios = []Ratio{{Name: "jobs.failing", Numerator: RatioPart{Metric: "jobs.failed"}, Denominator: RatioPart{Metric: "jobs"}}}
			c.Shadow = configoptional.Some(Shadow{Emit: true})
		}
		whole, done := onDisk(t, &disk{}, with)
		d := &disk{}
		first, stop := onDisk(t, d, with)
		assert.Empty(t, follow(whole, 0, 200, false))
		assert.Empty(t, follow(first, 0, 200, false))
		stop()
		assert.Equal(t, 1, d.closed)
		held := whole.value("held_series", "")

		second, stop := onDisk(t, d, with)
		assert.Equal(t, held, second.value("held_series", ""))
		assert.Equal(t, held, second.value("restored_series", ""))
		assert.Zero(t, second.value("rejected_series", ""))
		assert.Positive(t, second.value("stored_bytes", ""))
		want := follow(whole, 200, 230, true)
		require.NotEmpty(t, want)
		assert.Equal(t, want, follow(second, 200, 230, true), "as if nothing had been")
		assert.Zero(t, second.refused("start"), "counters go on")
		assert.Equal(t, int64(0), second.refused("reset"))

		// In the middle of an episode.
		stop()
		third, stop := onDisk(t, d, with)
		want = follow(whole, 230, 240, true)
		require.NotEmpty(t, want)
		assert.Equal(t, want, follow(third, 230, 240, true))
		assert.Zero(t, third.counter("otelcol_processor_anomaly_opened_episodes", ""), "an open episode is not opened again")
		assert.Equal(t, follow(whole, 240, 280, false), follow(third, 240, 280, false))
		stop()
		done()
	})
}

// After a longer pause the interval of a rate is longer, and the rate right.
func TestRestartAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		first, stop := onDisk(t, d)
		follow(first, 0, 200, false)
		stop()
		time.Sleep(3 * time.Hour)
		second, stop := onDisk(t, d)
		assert.Equal(t, int64(0), second.value("rejected_series", ""))
		time.Sleep(50 * time.Minute)
		assert.Positive(t, second.value("held_series", ""), "nobody could be heard while nobody listened")
		var scores []score
		for n := 500; n < 510; n++ {
			scores = append(scores, second.feed(everything(n, lately(n, step).Add(-4*time.Hour), false))...)
		}
		assert.Empty(t, scores)
		stop()
	})
}

// A series that was missing is found after a restart; one that came only while nobody listened is not missed.
func TestRestartAndMissingSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		two := func(n int, names ...string) pmetric.Metrics {
			md, first := metrics(names[0], "1")
			for i, name := range names {
				m := first
				if i > 0 {
					m = md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
					m.SetName(name)
				}
				p := m.SetEmptyGauge().DataPoints().AppendEmpty()
				p.SetTimestamp(pcommon.NewTimestampFromTime(lately(n, step)))
				p.SetDoubleValue(float64(n % 3))
			}
			return md
		}
		first, stop := onDisk(t, d)
		for n := range 100 {
			first.feed(two(n, "a", "b", "c"))
		}
		var scores []score
		for n := 100; n < 200; n++ {
			scores = append(scores, first.feed(two(n, "a", "c"))...)
		}
		require.NotEmpty(t, scores)
		assert.Equal(t, "b", scores[0].metric)
		stop()

		second, stop := onDisk(t, d)
		scores = nil
		for n := 300; n < 340; n++ {
			scores = append(scores, second.feed(two(n, "a"))...)
		}
		for _, s := range scores {
			assert.Equal(t, "b", s.metric, "c was not heard of since the restart")
		}
		require.NotEmpty(t, scores)
		assert.Positive(t, scores[len(scores)-1].value)
		scores = second.feed(two(341, "a", "b", "c"))
		require.Len(t, scores, 1)
		assert.Equal(t, "b", scores[0].metric)
		assert.Zero(t, scores[0].value, "it has been found")
		assert.Zero(t, second.value("missing_series", ""), "and was not reported anew")
		scores = nil
		for n := 342; n < 1000 && len(scores) == 0; n++ {
			scores = second.feed(two(n, "a", "b"))
		}
		require.NotEmpty(t, scores)
		assert.Equal(t, "c", scores[0].metric, "now it is missing")
		stop()
	})
}

// counters are the n-th points of some counters of one resource, of which the first began at a time of its own.
func counters(n, many int, first pcommon.Timestamp) pmetric.Metrics {
	md, m := metrics("c0", "1")
	all := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for i := range many {
		if i > 0 {
			m = all.AppendEmpty()
			m.SetName(fmt.Sprint("c", i))
		}
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(lately(n, step)))
		p.SetStartTimestamp(pcommon.NewTimestampFromTime(lately(0, step).Add(-time.Hour)))
		if i == 0 && first != 0 {
			p.SetStartTimestamp(first)
		}
		p.SetIntValue(int64(1000 * n))
	}
	return md
}

// A counter that says that it begins in the future does not make its whole resource one that began anew.
func TestStartInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		for n := range 100 {
			h.feed(counters(n, 3, 0))
		}
		h.feed(counters(100, 3, math.MaxInt64-5))
		stop()
		h, stop = onDisk(t, d)
		assert.Zero(t, h.value("rejected_series", ""))
		assert.Equal(t, int64(3), h.value("restored_series", ""))
		for n := 101; n < 140; n++ {
			h.feed(counters(n, 3, 0))
		}
		var scores []score
		for n := 140; n < 300; n++ {
			scores = append(scores, h.feed(counters(n, 2, 0))...)
		}
		require.NotEmpty(t, scores)
		assert.Equal(t, "c2", scores[0].metric, "it is still missed")
		stop()
	})
}

// So it is with what was stored by one that believed it.
func TestStoredRestartInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		for n := range 100 {
			h.feed(counters(n, 3, 0))
		}
		stop()
		rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Resource.Restarted = math.MaxInt64 - 5 })(d)
		h, stop = onDisk(t, d)
		assert.Zero(t, h.value("rejected_series", ""))
		for n := 100; n < 140; n++ {
			h.feed(counters(n, 3, 0))
		}
		var scores []score
		for n := 140; n < 300; n++ {
			scores = append(scores, h.feed(counters(n, 2, 0))...)
		}
		assert.NotEmpty(t, scores)
		stop()
	})
}
