package anomalyprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Series rarely come like clockwork. Calm ones must stay calm, and a fault must be found, whatever their times are like.
func TestTimesOfAllKinds(t *testing.T) {
	r := seeded(5)
	for name, step := range map[string]func(n int) time.Duration{
		"regular":            func(int) time.Duration { return minute },
		"jitter":             func(int) time.Duration { return minute + time.Duration(r.Int64N(int64(minute/2))) },
		"at random":          func(int) time.Duration { return time.Duration(float64(minute) * (0.01 + r.ExpFloat64())) },
		"every tenth lost":   func(n int) time.Duration { return minute * time.Duration(1+n%10/9) },
		"an hour's gap":      func(n int) time.Duration { return minute + time.Hour*time.Duration(n%100/99) },
		"slower later":       func(n int) time.Duration { return minute * time.Duration(1+n/150*5) },
		"faster later":       func(n int) time.Duration { return minute / time.Duration(1+n/150*9) },
		"two at nearly once": func(n int) time.Duration { return max(time.Millisecond, minute*time.Duration(n%2)) },
	} {
		for _, counter := range []bool{false, true} {
			kind := "a gauge"
			if counter {
				kind = "a counter"
			}
			t.Run(kind+" "+name, func(t *testing.T) {
				h := newHarness(t)
				now, total := begin, 0.0
				feed := func(n int, factor float64) []score {
					d := step(n)
					now = now.Add(d)
					level := factor * (100 + r.NormFloat64())
					if !counter {
						return h.feed(gauge("g", "1", now, level))
					}
					total += level * d.Seconds()
					return h.feed(sum(1, pmetric.AggregationTemporalityCumulative, true, func(p pmetric.NumberDataPoint) {
						stamp(p, begin, now)
						p.SetDoubleValue(total)
					}))
				}
				for n := range 300 {
					require.Empty(t, feed(n, 1), n)
				}
				for n := 300; n < 306; n++ {
					feed(n, 3)
				}
				assert.NotEmpty(t, h.scores)
			})
		}
	}
}

// Points that come late or twice change nothing, however many they are and whatever they say.
func TestLateAndDuplicatePointsChangeNothing(t *testing.T) {
	clean, disturbed := newHarness(t), newHarness(t)
	r := seeded(1)
	for n := range 150 {
		v := 10 + r.NormFloat64()
		if n >= 140 {
			v = 60
		}
		clean.feed(gauge("g", "1", at(n, minute), v))
		disturbed.feed(gauge("g", "1", at(n, minute), v))
		disturbed.feed(gauge("g", "1", at(n, minute), -1000))
		disturbed.feed(gauge("g", "1", at(n, minute).Add(-minute/2), 1000))
	}
	assert.NotEmpty(t, clean.scores)
	assert.Equal(t, clean.scores, disturbed.scores)
	assert.Equal(t, int64(150), disturbed.refused("duplicate"))
	assert.Equal(t, int64(150), disturbed.refused("out_of_order"))
}

// A metric whose unit changes is another one: milliseconds that become seconds are no anomaly.
func TestNewUnitBeginsAnew(t *testing.T) {
	h := newHarness(t)
	r := seeded(1)
	for n := range 200 {
		v, unit := 500+10*r.NormFloat64(), "ms"
		if n >= 100 {
			v, unit = v/1000, "s"
		}
		h.feed(gauge("latency", unit, at(n, minute), v))
	}
	for _, s := range h.scores {
		assert.Equal(t, semconv.SignalMissing, s.signal, "only what came in the old unit is missing")
	}
}

// A sum that may fall is a value: when its process begins anew, it is judged like any other change.
func TestNonMonotonicSumThatBeginsAnew(t *testing.T) {
	h := newHarness(t)
	for n := range 200 {
		h.feed(sum(n, pmetric.AggregationTemporalityCumulative, false, func(p pmetric.NumberDataPoint) {
			if n >= 100 {
				stamp(p, at(100, minute), at(n, minute))
			}
			p.SetIntValue(int64(1000 + n%3))
		}))
	}
	assert.Empty(t, h.scores, "the start time alone says nothing")
	assert.Zero(t, h.refused("reset"))
}
