package anomalyprocessor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

const step = 10 * time.Second

// everything is what the n-th points of several kinds of metrics are, of a service that is well or ill.
func everything(n int, at time.Time, ill bool) pmetric.Metrics {
	r := seeded(uint64(n))
	noise := func(level float64) float64 { return level * (1 + 0.02*r.NormFloat64()) }
	factor := 1.0
	if ill {
		factor = 5
	}
	md, m := metrics("queue.size", "1")
	stamp := pcommon.NewTimestampFromTime(at)
	begun := pcommon.NewTimestampFromTime(lately(0, step).Add(-time.Hour))
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(stamp)
	p.SetDoubleValue(noise(100) * factor)

	all := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	add := func(name, unit string) pmetric.Metric {
		m := all.AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		return m
	}
	sum := add("jobs", "{job}").SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	c := sum.DataPoints().AppendEmpty()
	c.SetTimestamp(stamp)
	c.SetStartTimestamp(begun)
	c.SetIntValue(int64(1_000_000 + 5000*n))

	failed := add("jobs.failed", "{job}").SetEmptySum()
	sum.CopyTo(failed)
	failed.DataPoints().At(0).SetIntValue(int64(100 + 50*n))
	if ill {
		failed.DataPoints().At(0).SetIntValue(int64(100 + 50*n + 3000*(n-199)))
	}

	h := add("http.server.request.duration", "s").SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	hp := h.DataPoints().AppendEmpty()
	hp.SetTimestamp(stamp)
	hp.SetStartTimestamp(begun)
	hp.ExplicitBounds().FromRaw([]float64{0.1, 0.2, 0.4, 0.8})
	k := uint64(n + 1)
	hp.BucketCounts().FromRaw([]uint64{1000 * k, 500 * k, 200 * k, 50 * k, 5 * k})
	hp.SetCount(1755 * k)
	hp.SetSum(180 * float64(k))

	e := add("rpc.server.duration", "ms").SetEmptyExponentialHistogram()
	e.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	ep := e.DataPoints().AppendEmpty()
	ep.SetTimestamp(stamp)
	ep.SetStartTimestamp(begun)
	ep.SetScale(2)
	ep.SetZeroCount(k)
	ep.Positive().SetOffset(-3)
	ep.Positive().BucketCounts().FromRaw([]uint64{100 * k, 300 * k, 100 * k})
	ep.SetCount(501 * k)
	ep.SetSum(600 * float64(k))

	s := add("gc", "s").SetEmptySummary().DataPoints().AppendEmpty()
	s.SetTimestamp(stamp)
	s.SetStartTimestamp(begun)
	s.SetCount(40 * k)
	s.SetSum(0.4 * float64(k))
	for _, q := range []float64{0.5, 0.999} {
		v := s.QuantileValues().AppendEmpty()
		v.SetQuantile(q)
		v.SetValue(noise(0.01))
	}
	return md
}

// follow feeds points from one number to another, and returns the scores.
func follow(h *harness, from, to int, ill bool) []score {
	var all []score
	for n := from; n < to; n++ {
		all = append(all, h.feed(everything(n, lately(n, step), ill))...)
	}
	return all
}

// value returns the sum of a metric's points that have an attribute, and the count of a histogram.
func (h *harness) value(name, cause string) int64 {
	h.t.Helper()
	m, err := h.telemetry.GetMetric("otelcol_processor_anomaly_" + name)
	if err != nil {
		return 0
	}
	total := int64(0)
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			if v, ok := p.Attributes.Value("cause"); cause == "" || (ok && v.AsString() == cause) {
				total += p.Value
			}
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			total += p.Value
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			total += int64(p.Count)
		}
	}
	return total
}

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

// What a crash leaves behind is at most an interval old.
func TestSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		assert.Empty(t, follow(h, 0, 200, false))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, int64(1), h.value("snapshot_duration", ""))
		written := h.value("written_shards", "")
		assert.Positive(t, h.value("written_bytes", ""))
		crashed := d.copied()

		sets := d.sets
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Equal(t, sets, d.sets, "what has not changed is not written")
		h.feed(gauge("queue.size", "1", lately(300, step), 1))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, sets+1, d.sets, "only the shard that has changed is")
		assert.Equal(t, written+1, h.value("written_shards", ""))
		stop()

		after, stop := onDisk(t, crashed)
		assert.Positive(t, after.value("restored_series", ""))
		assert.NotEmpty(t, follow(after, 200, 210, true), "there is no warm-up")
		stop()
	})
}

func TestStateInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.Interval = 10 * time.Minute })
		follow(h, 0, 3, false)
		time.Sleep(9 * time.Minute)
		assert.Zero(t, h.value("snapshot_duration", ""))
		time.Sleep(2 * time.Minute)
		assert.Equal(t, int64(1), h.value("snapshot_duration", ""))
		stop()
	})
}

// Whatever is found in storage, the processor starts and learns; what can be used is.
func TestUnusableState(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(d *disk)
		cause  string
		all    bool
		series bool
	}{
		"damaged": {spoil: func(d *disk) {
			d.change(func(_ string, v []byte) []byte { v[len(v)/2] ^= 1; return v })
		}, cause: "corrupt", all: true},
		"truncated": {spoil: func(d *disk) {
			d.change(func(_ string, v []byte) []byte { return v[:len(v)/2] })
		}, cause: "corrupt", all: true},
		"one damaged": {spoil: func(d *disk) {
			first := true
			d.change(func(_ string, v []byte) []byte {
				if first {
					first, v = false, v[:10]
				}
				return v
			})
		}, cause: "corrupt"},
		"foreign": {spoil: func(d *disk) {
			d.change(func(string, []byte) []byte { return make([]byte, 1000) })
		}, cause: "foreign", all: true},
		"other model":    {spoil: rewrite(func(h *anomalystate.Header, _ *anomalystate.Stream) { h.Model++ }), cause: "model", all: true},
		"other identity": {spoil: rewrite(func(h *anomalystate.Header, _ *anomalystate.Stream) { h.Identity++ }), cause: "identity", all: true},
		"too old": {spoil: rewrite(func(h *anomalystate.Header, _ *anomalystate.Stream) {
			h.Written -= int64(30 * 24 * time.Hour)
		}), cause: "stale", all: true},
		"kind":   {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Kind = 99 }), cause: "corrupt", all: true, series: true},
		"future": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Last += int64(100 * time.Hour) }), cause: "corrupt", all: true, series: true},
		"resource": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) {
			s.Resource.Last = time.Now().Add(100 * time.Hour).UnixNano()
		}), cause: "corrupt", all: true, series: true},
		"rest": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Rest = []byte{1, 1, 1} }), cause: "corrupt", all: true, series: true},
		"series": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) {
			for i := range s.Signals {
				s.Signals[i].State = s.Signals[i].State[:1]
			}
		}), cause: "corrupt", all: true, series: true},
		"store": {spoil: func(d *disk) { d.values["meta"] = []byte("something else") }, cause: "foreign", all: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				first, stop := onDisk(t, d)
				follow(first, 0, 100, false)
				stop()
				tc.spoil(d)
				second, stop := onDisk(t, d)
				if tc.series {
					assert.Positive(t, second.value("rejected_series", tc.cause))
				} else {
					assert.Positive(t, second.value("rejected_shards", tc.cause))
				}
				if tc.all {
					assert.Zero(t, second.value("restored_series", ""))
				} else {
					assert.Equal(t, int64(1), second.value("rejected_shards", ""))
					assert.Positive(t, second.value("restored_series", ""))
				}
				follow(second, 100, 300, false)
				assert.NotEmpty(t, follow(second, 300, 310, true), "it has learnt anew")
				stop()
				third, stop := onDisk(t, d)
				assert.Zero(t, third.value("rejected_shards", "")+third.value("rejected_series", ""), "what was broken is whole again")
				assert.Positive(t, third.value("restored_series", ""))
				stop()
			})
		})
	}
}

// rewrite changes every stored record.
func rewrite(f func(h *anomalystate.Header, s *anomalystate.Stream)) func(d *disk) {
	return func(d *disk) {
		d.change(func(_ string, data []byte) []byte {
			var w anomalystate.ShardWriter
			begun := false
			_, err := anomalystate.DecodeShard(data, func(h *anomalystate.Header, s *anomalystate.Stream) error {
				header := *h
				f(&header, s)
				if !begun {
					begun = true
					w.Begin(header)
				}
				w.Add(s)
				return nil
			})
			if err != nil {
				panic(err)
			}
			return w.End()
		})
	}
}

func TestFailingStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		follow(h, 0, 100, false)
		d.fail(errDisk)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, int64(1), h.value("failed_snapshots", ""))
		assert.Positive(t, h.value("unwritten_shards", "storage"))
		assert.Empty(t, follow(h, 100, 110, false), "scoring goes on")
		d.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, int64(1), h.value("failed_snapshots", ""))
		crashed, held := d.copied(), h.value("held_series", "")
		stop()
		after, stop := onDisk(t, crashed)
		assert.Equal(t, held, after.value("restored_series", ""))
		stop()

		// What cannot be read must not be written over.
		d.fail(errDisk)
		_, _, err := tryOnDisk(t, d)
		require.EqualError(t, err, "read from storage disk: read what is stored: disk is full")
	})
}

func TestMaxBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.MaxBytes = 1 << 20 })
		for n := range 3 {
			h.feed(gauge("many", "1", lately(n, step), make([]float64, 4000)...))
		}
		stop()
		total := 0
		for key, v := range d.values {
			if key != "meta" && key != "reset" {
				total += len(v)
			}
		}
		assert.LessOrEqual(t, total, 1<<20)
		assert.Greater(t, total, 1<<19)
		after, stop := onDisk(t, d)
		restored := after.value("restored_series", "")
		assert.Positive(t, restored)
		assert.Less(t, restored, int64(4000))
		assert.Equal(t, int64(total), after.value("stored_bytes", ""))
		stop()
	})
}

func TestShutdownDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.ShutdownTimeout = 5 * time.Second })
		h.feed(gauge("many", "1", lately(0, step), make([]float64, 2000)...))
		d.before = func() { time.Sleep(time.Second) }
		before := time.Now()
		stop()
		assert.Less(t, time.Since(before), 10*time.Second)
		assert.Equal(t, 1, d.closed)
	})
}

// With fewer series allowed than stored, those that fit go on.
func TestRestoreBelowTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		h.feed(gauge("many", "1", lately(0, step), make([]float64, 500)...))
		stop()
		after, stop := onDisk(t, d, func(c *Config) { c.MaxSeries = 100 })
		assert.Equal(t, int64(100), after.value("restored_series", ""))
		assert.Equal(t, int64(400), after.value("rejected_series", "limit"))
		stop()
	})
}

// More series than a shard of the index is stored in one piece for: the pieces are others, and nothing is lost.
func TestAnotherNumberOfShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		h.feed(gauge("many", "1", lately(0, step), make([]float64, 3000)...))
		stop()
		for _, most := range []int{10_000_000, 1000_000, 60_000_000} {
			after, stop := onDisk(t, d, func(c *Config) { c.MaxSeries = most })
			assert.Equal(t, int64(3000), after.value("restored_series", ""))
			crashed := d.copied()
			stop()
			again, stop := onDisk(t, crashed)
			assert.Equal(t, int64(3000), again.value("restored_series", ""))
			stop()
		}
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		follow(h, 0, 10, false)
		stop()
		time.Sleep(2 * time.Hour)
		after, stop := onDisk(t, d.copied(), func(c *Config) { c.State.MaxAge = time.Hour })
		assert.Zero(t, after.value("restored_series", ""))
		assert.Positive(t, after.value("rejected_shards", "stale"))
		stop()
		after, stop = onDisk(t, d, func(c *Config) { c.State.MaxAge = 3 * time.Hour })
		assert.Positive(t, after.value("restored_series", ""))
		stop()
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		word := func(w string) func(*Config) { return func(c *Config) { c.State.Reset = w } }
		h, stop := onDisk(t, d, word("spring"))
		follow(h, 0, 10, false)
		stop()
		for _, tc := range []struct {
			word string
			kept bool
		}{{"spring", true}, {"autumn", false}, {"autumn", true}, {"", true}, {"autumn", false}} {
			h, stop := onDisk(t, d, word(tc.word))
			assert.Equal(t, tc.kept, h.value("restored_series", "") > 0, tc.word)
			follow(h, 10, 12, false)
			stop()
		}
	})
}

// export writes what a disk holds to a portable file.
func export(t *testing.T, d *disk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "learnt.paranom")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	w, err := anomalystate.NewFileWriter(f, anomalystate.Header{Model: anomalystate.ModelVersion, Identity: identityFingerprint(), Written: time.Now().UnixNano()})
	require.NoError(t, err)
	store, err := anomalystate.OpenStore(t.Context(), d, 1)
	require.NoError(t, err)
	require.NoError(t, store.Load(t.Context(), func(_ int, data []byte) error {
		_, err := anomalystate.DecodeShard(data, func(_ *anomalystate.Header, s *anomalystate.Stream) error { return w.Add(s) })
		return err
	}))
	require.NoError(t, w.Close())
	return path
}

func TestImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		follow(h, 0, 200, false)
		held := h.value("held_series", "")
		stop()
		path := export(t, d)

		memory := func(c *Config) { c.Storage, c.State.Import = nil, path }
		elsewhere, stop := onDisk(t, &disk{}, memory)
		assert.Equal(t, held, elsewhere.value("restored_series", ""))
		assert.NotEmpty(t, follow(elsewhere, 200, 210, true), "it needs no warm-up")
		stop()

		// What was learnt here counts more than what was imported.
		again, stop := onDisk(t, d, func(c *Config) { c.State.Import = path })
		assert.Equal(t, held, again.value("rejected_series", "known"))
		stop()

		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, data[:len(data)-1], 0o600))
		cut, stop := onDisk(t, &disk{}, memory)
		assert.Equal(t, held, cut.value("restored_series", ""))
		assert.Equal(t, int64(1), cut.value("rejected_shards", "corrupt"))
		stop()
		require.NoError(t, os.Remove(path))
		_, stop = onDisk(t, &disk{}, memory)
		stop()
	})
}

func TestSeveralPipelines(t *testing.T) {
	d := &disk{}
	f := NewFactory()
	h, stop := onDisk(t, d)
	stop()
	one, err := f.CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	two, err := f.CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	require.NoError(t, one.Start(t.Context(), d.host()))
	require.EqualError(t, two.Start(t.Context(), d.host()),
		"storage: anomaly is used in several pipelines, which cannot keep one state; give each a processor with a name of its own")
	require.NoError(t, two.Shutdown(t.Context()))
	require.NoError(t, one.Shutdown(t.Context()))
	require.NoError(t, one.Shutdown(t.Context()))
}

func TestStorageThatIsNone(t *testing.T) {
	for want, d := range map[string]host{
		"storage: extension disk is not configured": {},
		"storage: extension disk is a component.StartFunc": {extensions: map[component.ID]component.Component{diskID: struct {
			component.StartFunc
			component.ShutdownFunc
		}{}}},
	} {
		h, _ := onDisk(t, &disk{})
		p, err := NewFactory().CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
		require.NoError(t, err)
		err = p.Start(t.Context(), d)
		require.Error(t, err)
		if len(d.extensions) == 0 {
			require.EqualError(t, err, want)
		} else {
			require.ErrorContains(t, err, "and not a storage extension")
		}
		require.NoError(t, p.Shutdown(context.Background()))
	}
}

// The numbers of the kinds are part of the stored format.
func TestKindsAreStable(t *testing.T) {
	for k, want := range map[kind]string{
		kindValue: "value", kindDeltaSum: "delta_sum", kindCumulativeSum: "cumulative_sum", kindDeltaHistogram: "delta_histogram",
		kindCumulativeHistogram: "cumulative_histogram", kindDeltaExponential: "delta_exponential_histogram",
		kindCumulativeExponential: "cumulative_exponential_histogram", kindSummary: "summary", kindRatio: "ratio",
	} {
		assert.Equal(t, want, anomalystate.Kind(k).String())
	}
}

func FuzzDecodeRest(f *testing.F) {
	f.Add([]byte{restVersion, 0, 0})
	f.Add(append([]byte{restVersion, restTotals | restCounts, 1}, make([]byte, 120)...))
	f.Add(append([]byte{restVersion, restJoin, 2}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodeRest(data, 100)
		if err != nil {
			return
		}
		assert.LessOrEqual(t, len(p.totals.buckets.positive), 101)
		assert.True(t, finite(p.sum) && finite(p.totals.sum))
		tab := table{limit: 100}
		for k := range kindRatio + 2 {
			rec := anomalystate.Stream{Key: anomalystate.Key{Hi: uint64(k) << 60, Lo: 7}, Kind: uint8(k), Rest: data, Signals: []anomalystate.Signal{{Name: "value", State: data}}}
			tab.restore(&rec, 1, 2, 100, true)
		}
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

// Batches come while snapshots are written, and series come and go meanwhile.
func TestScoringWhileSnapshotsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.Interval, c.SeriesTTL = time.Second, time.Minute })
		for n := range 60 {
			h.feed(gauge(fmt.Sprint("m", n/20), "1", lately(n, step), make([]float64, 100)...))
			time.Sleep(time.Second + time.Duration(n)*time.Millisecond)
		}
		assert.Greater(t, h.value("snapshot_duration", ""), int64(50))
		assert.Zero(t, h.value("failed_snapshots", ""))
		held := h.value("held_series", "")
		stop()
		after, stop := onDisk(t, d)
		assert.Equal(t, held, after.value("restored_series", ""))
		stop()
	})
}

// A batch waits for the encoding of a few streams only: the lock is given back after each few.
func TestEncodingTakesTurns(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	p, err := newAnomalyProcessor((&harness{telemetry: componenttest.NewTelemetry()}).settings(), cfg)
	require.NoError(t, err)
	for n := range uint64(1000) {
		p.table.add(keyOf(n), kindValue, 0)
	}
	k := &keeper{p: p}
	k.list(0)
	require.Len(t, k.slots, 1000)
	longest, turn, seen := 0, 0, 0
	var last uint64
	k.each(0, encodeStreams, func(*stream) (bool, bool) {
		assert.False(t, p.mu.TryLock())
		seen++
		turn++
		longest = max(longest, turn)
		if last++; last%encodeStreams == 0 {
			turn = 0
		}
		return true, false
	})
	assert.Equal(t, 1000, seen)
	assert.LessOrEqual(t, longest, encodeStreams)
	turns := 0
	k.each(0, 10, func(*stream) (bool, bool) {
		turns++
		return false, turns == 5
	})
	assert.Equal(t, 5, turns, "it can end early")
	assert.True(t, p.mu.TryLock())
	p.mu.Unlock()
}
