package anomalyprocessor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// pair makes a batch of one resource with a gauge point for each name.
func together(at time.Time, value float64, names ...string) pmetric.Metrics {
	md, m := metrics("", "1")
	points := m.SetEmptyGauge().DataPoints()
	m.SetName("g")
	for _, name := range names {
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(value)
		p.Attributes().PutStr("name", name)
	}
	return md
}

func (h *harness) missing() []score {
	var all []score
	for _, s := range h.scores {
		if s.signal == semconv.SignalMissing {
			all = append(all, s)
		}
	}
	return all
}

func TestSeriesThatStopsIsMissing(t *testing.T) {
	stop, back := 60, 120
	h := newHarness(t)
	for n := range 150 {
		names := []string{"a", "b"}
		if n >= stop && n < back {
			names = names[:1]
		}
		h.feed(together(at(n, minute), 1, names...))
	}
	got := h.missing()
	require.NotEmpty(t, got)
	first, last := got[0], got[len(got)-1]
	assert.Equal(t, "g", first.metric)
	assert.Equal(t, "absence", first.detector)
	assert.Equal(t, map[string]any{"name": "b"}, first.attributes)
	assert.Equal(t, map[string]any{semconv.AttrServiceName: "cart"}, first.resource)
	assert.GreaterOrEqual(t, first.value, h.cfg.MinScore)
	assert.WithinDuration(t, at(stop-1, minute).Add(5*time.Minute), first.at, time.Minute)
	assert.Equal(t, at(stop-1, minute), first.onset, "the last point that came")
	assert.Equal(t, at(back, minute), last.at, "and once when it is back")
	assert.Zero(t, last.value)
	assert.Equal(t, first.onset, last.onset)
	assert.Len(t, h.scores, len(got))
	assert.Equal(t, int64(1), h.counter("otelcol_processor_anomaly_missing_series", ""))
}

func TestWhatIsNotMissing(t *testing.T) {
	for name, comes := range map[string]func(n int) bool{
		"all stop":                     func(n int) bool { return n < 60 },
		"it came only a few times":     func(n int) bool { return n >= 50 && n < 60 },
		"it comes and goes":            func(n int) bool { return n/15%3 == 0 },
		"it comes rarely":              func(n int) bool { return n%12 == 0 },
		"a few of its points are lost": func(n int) bool { return n < 60 || n > 80 },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			for n := range 200 {
				names := []string{"a", "b"}
				if !comes(n) {
					names = names[:1]
					if name == "all stop" {
						names = nil
					}
				}
				h.feed(together(at(n, minute), 1, names...))
			}
			assert.Empty(t, h.missing())
		})
	}
	t.Run("switched off", func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.Missing.After = 0 })
		for n := range 200 {
			h.feed(together(at(n, minute), 1, []string{"b", "a"}[min(n/100, 1):]...))
		}
		assert.Empty(t, h.missing())
	})
	t.Run("its process began anew", func(t *testing.T) {
		h := newHarness(t)
		for n := 1; n < 200; n++ {
			md := pmetric.NewMetrics()
			start := begin
			if n > 100 {
				start = at(100, minute).Add(time.Second)
			}
			for i := range 2 {
				if i == 1 && n > 100 {
					continue
				}
				one := sum(n, pmetric.AggregationTemporalityCumulative, true, func(p pmetric.NumberDataPoint) {
					p.SetIntValue(int64(n))
					p.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
					p.Attributes().PutInt("i", int64(i))
				})
				one.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
			}
			h.feed(md)
		}
		assert.Empty(t, h.missing())
	})
}

func TestMissingIsBounded(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.Missing = Missing{After: time.Minute, MaxSeries: 2}
		c.LevelShiftAfter = 10 * time.Minute
	})
	for n := range 200 {
		names := []string{"a", "b", "c", "d"}
		if n > 60 {
			names = names[:1]
		}
		h.feed(together(at(n, minute), 1, names...))
	}
	got := map[any][]score{}
	for _, s := range h.missing() {
		got[s.attributes["name"]] = append(got[s.attributes["name"]], s)
	}
	assert.Len(t, got, 2)
	assert.Equal(t, int64(1), h.counter("otelcol_processor_anomaly_unreported_series", ""))
	for _, s := range got {
		assert.Zero(t, s[len(s)-1].value, "what stays away is normal after level_shift_after")
		assert.WithinDuration(t, at(60, minute).Add(10*time.Minute), s[len(s)-1].at, time.Minute)
	}
}

// An episode of a series that vanishes is closed when the series is forgotten.
func TestVanishedEpisodesAreClosed(t *testing.T) {
	for _, by := range []string{"expiry", "eviction"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, func(c *Config) {
					c.SeriesTTL, c.MaxSeries, c.EvictAfter = 10*time.Minute, 1, 0
					if by == "eviction" {
						c.SeriesTTL, c.EvictAfter = time.Hour, 10*time.Minute
					}
				})
				r := seeded(1)
				for n := range calm + changed {
					v := 10 + r.NormFloat64()
					if n >= calm {
						v = 1000
					}
					h.feed(gauge("g", "1", time.Now(), v))
					time.Sleep(minute)
				}
				require.NotEmpty(t, h.scores)
				open := h.scores[len(h.scores)-1]
				h.sink.Reset()
				time.Sleep(12 * time.Minute)
				synctest.Wait()
				if by == "eviction" {
					md := gauge("other", "1", time.Now(), 1)
					require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
				}
				require.Len(t, h.sink.AllMetrics(), 1)
				md := h.sink.AllMetrics()[0]
				closing := split(t, md, md.ResourceMetrics().Len()-1)
				require.Len(t, closing, 1)
				assert.Zero(t, closing[0].value)
				assert.Equal(t, open.onset, closing[0].onset)
				assert.Equal(t, open.metric, closing[0].metric)
				assert.Equal(t, open.signal, closing[0].signal)
				assert.Equal(t, open.attributes, closing[0].attributes)
				assert.Equal(t, open.resource, closing[0].resource)
				assert.Greater(t, closing[0].at.Sub(open.at), 9*time.Minute)
			})
		})
	}
}

func TestTextsOfAnyLength(t *testing.T) {
	var x texts
	handles := map[int]uint32{}
	for n := range 300 {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte(n + i)
		}
		handles[n] = x.put(text)
	}
	for n, h := range handles {
		text := x.get(h)
		require.Len(t, text, n)
		for i := range text {
			require.Equal(t, byte(n+i), text[i])
		}
		x.drop(h)
	}
	assert.Len(t, x.blocks.free, int(x.blocks.size))
	assert.Zero(t, x.put(make([]byte, maxText+1)))
	assert.Len(t, x.get(x.put(make([]byte, maxText))), maxText)
}
