package tracegraphconnector

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

const total = semconv.MetricGraphRequestTotal

// call returns both sides of a call from a to b that ends at the given time.
func call(trace uint64, at time.Duration) []sp {
	return []sp{
		{svc: "b", trace: trace, id: 2, parent: 1, kind: kindServer, at: at},
		{svc: "a", trace: trace, id: 1, kind: kindClient, at: at},
	}
}

// every returns a batch with a call for each of the given times.
func every(ats ...time.Duration) []ptrace.Traces {
	var out []ptrace.Traces
	for _, at := range ats {
		out = append(out, batch(call(uint64(at), at)...))
	}
	return out
}

func TestIntervalsOfEventTime(t *testing.T) {
	in := every(second, 4*second, 4999*time.Millisecond, 5*second, 6*second, 11*second, 13*second)

	sink := run(t, nil, in...)
	assert.Equal(t, []string{"5s=3", "10s=5", "13s=7"}, history(sink, total, "a > b"), "cumulative")

	sink = run(t, func(c *Config) { c.Temporality = TemporalityDelta }, in...)
	assert.Equal(t, []string{"5s=3", "10s=2", "13s=2"}, history(sink, total, "a > b"), "delta")
	points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) {
		assert.Less(t, dp.StartTimestamp(), dp.Timestamp())
	})

	sink = run(t, func(c *Config) { c.FlushInterval = 2 * second; c.Lateness = second }, in...)
	assert.Equal(t, []string{"2s=1", "4s=1", "6s=4", "8s=5", "10s=5", "12s=6", "13s=7"}, history(sink, total, "a > b"))
}

func TestIntervalClosesAfterLateness(t *testing.T) {
	for _, tc := range []struct {
		lateness time.Duration
		want     []string
	}{
		{lateness: 0, want: []string{"5s=1", "7s=3"}},
		{lateness: 2 * second, want: []string{"5s=2", "7s=3"}},
	} {
		// The second batch ends an interval in which the third would still have its place.
		c, sink := start(t, func(c *Config) { c.Lateness = tc.lateness })
		for _, td := range every(second, 6*second, 4*second, 7*second) {
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
		}
		if tc.lateness > 0 {
			assert.Equal(t, []string{"5s=2"}, history(sink, total, "a > b"), "sent as soon as it closes")
		}
		require.NoError(t, c.Shutdown(t.Context()))
		got := history(sink, total, "a > b")
		assert.Equal(t, tc.want[0], got[0])
		assert.Equal(t, "7s=4", got[len(got)-1], "nothing is lost")
	}
}

// TestSameOutputHoweverCut replays one stream whole, call by call and in any other way.
func TestSameOutputHoweverCut(t *testing.T) {
	var spans []sp
	for i := range 600 {
		at := time.Duration(i) * 137 * time.Millisecond
		if i >= 300 {
			at += 3 * time.Minute
		}
		spans = append(spans, call(uint64(i), at)...)
		spans = append(spans,
			sp{svc: "a", trace: uint64(i), id: 3, kind: kindClient, at: at, attrs: map[string]any{"server.address": "x"}},
			sp{svc: "c", trace: uint64(i), id: 4, kind: kindInternal, at: at})
	}
	render := func(size int) []string {
		var batches []ptrace.Traces
		for i := 0; i < len(spans); i += size {
			batches = append(batches, batch(spans[i:min(i+size, len(spans))]...))
		}
		sink := run(t, nil, batches...)
		var out []string
		points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) {
			out = append(out, fmt.Sprint(dp.StartTimestamp(), dp.Timestamp(), edgeName(dp.Attributes()), dp.IntValue()))
		})
		return out
	}
	want := render(4)
	assert.Len(t, want, 32)
	for _, size := range []int{1, 7, 40, 200, len(spans)} {
		assert.Equal(t, want, render(size), "batches of %d spans", size)
	}
}

func TestPairTimeout(t *testing.T) {
	external := map[string]any{"server.address": "x"}
	in := func() []ptrace.Traces {
		return []ptrace.Traces{
			batch(sp{svc: "a", id: 1, kind: kindClient, attrs: external}),
			batch(sp{svc: "z", id: 7, kind: kindInternal, at: 6 * second}),
			batch(sp{svc: "z", id: 8, kind: kindInternal, at: 12 * second}),
			batch(sp{svc: "b", id: 2, parent: 1, kind: kindServer, at: 12 * second}),
		}
	}
	assert.Equal(t, map[string]int64{"a > x virtual_node no server": 1, "user > b virtual_node no client": 1},
		last(run(t, nil, in()...), total))
	assert.Equal(t, map[string]int64{"a > b": 1}, last(run(t, func(c *Config) {
		c.PairTimeout, c.IdleTimeout = 15*second, 15*second
	}, in()...), total))
}

// TestFailedPairTimeout asserts that a failed call is not waited for as long as others, and that its callee's span, should
// it come after all, is not an orphan.
func TestFailedPairTimeout(t *testing.T) {
	external := map[string]any{"server.address": "x"}
	in := func(status ptrace.StatusCode) []ptrace.Traces {
		return []ptrace.Traces{
			batch(sp{svc: "a", id: 1, kind: kindClient, status: status, attrs: external}),
			batch(sp{svc: "z", id: 7, kind: kindInternal, at: 6 * second}),
			batch(sp{svc: "b", id: 2, parent: 1, kind: kindServer, at: 6 * second}),
		}
	}
	early := map[string]int64{"a > x virtual_node no server": 1, "a > b": 1}
	for name, tc := range map[string]struct {
		status  ptrace.StatusCode
		timeout time.Duration
		want    map[string]int64
	}{
		"failed":                       {ptrace.StatusCodeError, 3 * second, early},
		"failed, patient":              {ptrace.StatusCodeError, 10 * second, map[string]int64{"a > b": 1}},
		"not longer than pair_timeout": {ptrace.StatusCodeError, time.Minute, map[string]int64{"a > b": 1}},
		"not failed":                   {ptrace.StatusCodeUnset, 3 * second, map[string]int64{"a > b": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			sink := run(t, func(c *Config) { c.FailedPairTimeout = tc.timeout }, in(tc.status)...)
			assert.Equal(t, tc.want, last(sink, total))
		})
	}
}

func TestIdleFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, nil)
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(append(call(1, second),
			sp{svc: "a", id: 1, kind: kindClient, at: second, attrs: map[string]any{"server.address": "x"}})...)))
		time.Sleep(9 * second)
		synctest.Wait()
		assert.Empty(t, sink.AllMetrics())
		time.Sleep(4 * second)
		synctest.Wait()
		assert.Len(t, sink.AllMetrics(), 1, "settled and sent")
		assert.Equal(t, []string{"1s=1"}, history(sink, total, "a > b"), "at the watermark")
		assert.Equal(t, []string{"1s=1"}, history(sink, total, "a > x virtual_node no server"))
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, sink.AllMetrics(), 1, "once")

		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(2, time.Hour)...)))
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, []string{"1s=1", "1h0m0s=1"}, history(sink, total, "a > b"), "after its time to live it starts anew")
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, func(c *Config) { c.IdleTimeout = 60 * second })
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, second)...)))
		time.Sleep(50 * second)
		synctest.Wait()
		assert.Empty(t, sink.AllMetrics())
		time.Sleep(30 * second)
		synctest.Wait()
		assert.Len(t, sink.AllMetrics(), 1)
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Len(t, sink.AllMetrics(), 1, "nothing new to send")
	})
}

func TestLateCallsAreNotLost(t *testing.T) {
	in := every(second, 8*second, 2*second)
	sink := run(t, nil, in...)
	assert.Equal(t, []string{"5s=1", "8s=3"}, history(sink, total, "a > b"))

	// After everything was sent, an even later call still goes out, at a later time.
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, nil)
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, second)...)))
		time.Sleep(20 * second)
		synctest.Wait()
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(2, 0)...)))
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, []string{"1s=1", "1.001s=2"}, history(sink, total, "a > b"))
	})
}

func TestBrokenClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, nil)
		consume := func(spans ...sp) { require.NoError(t, c.ConsumeTraces(t.Context(), batch(spans...))) }
		consume(call(1, second)...)
		consume(call(2, 24*365*time.Hour)...) // counted, and not believed
		consume(call(3, 3*second)...)
		consume(call(4, 8*second)...)
		assert.Equal(t, []string{"5s=3"}, history(sink, total, "a > b"))
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, []string{"5s=3", "8s=4"}, history(sink, total, "a > b"))
	})
}

// TestBrokenClockFirst has nothing to hold against the very first span. The stream recovers when enough others say otherwise.
func TestBrokenClockFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, nil)
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(999, 24*365*time.Hour)...)))
		for i := range 60 {
			time.Sleep(second)
			require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(uint64(i), time.Duration(i)*second)...)))
		}
		synctest.Wait()
		got := history(sink, total, "a > b")
		assert.Equal(t, "8760h0m0s=10", got[0], "what came until then")
		assert.Equal(t, "10s=1", got[1])
		assert.Equal(t, "55s=46", got[len(got)-1], "as if nothing had been")
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

func TestMaxClockSkew(t *testing.T) {
	for skew, want := range map[time.Duration][]string{
		10 * second: {"5s=3", "7s=4"},
		time.Hour:   {"1s=1", "1m0s=3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, sink := start(t, func(c *Config) { c.MaxClockSkew = skew })
			for _, td := range every(second, time.Minute, 2*second) {
				require.NoError(t, c.ConsumeTraces(t.Context(), td))
			}
			if skew == 10*second {
				require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(9, 7*second)...)))
			}
			require.NoError(t, c.Shutdown(t.Context()))
			assert.Equal(t, want, history(sink, total, "a > b"))
		})
	}
}

// TestGap has the clock of arrival, and without it enough spans, confirm that an hour has passed.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, func(c *Config) { c.EdgeTTL = 2 * time.Hour })
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, second)...)))
		time.Sleep(time.Hour)
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(2, time.Hour)...)))
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, []string{"1s=1", "1h0m0s=2"}, history(sink, total, "a > b"))
	})
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, func(c *Config) { c.EdgeTTL = 2 * time.Hour })
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, second)...)))
		for i := range 10 {
			require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(uint64(i+2), time.Hour)...)))
		}
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, []string{"1s=1", "1h0m0s=11"}, history(sink, total, "a > b"))
	})
}

// TestRewind starts a stream again from its beginning.
func TestRewind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := start(t, nil)
		feed := func() {
			for i := range 20 {
				require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(uint64(i), time.Duration(i)*second)...)))
			}
		}
		feed()
		// A later hour, as believed by the arrival clock, and then the beginning once more.
		time.Sleep(time.Hour)
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(100, time.Hour)...)))
		time.Sleep(time.Minute)
		synctest.Wait()
		sink.Reset()
		feed()
		require.NoError(t, c.Shutdown(t.Context()))
		got := history(sink, total, "a > b")
		require.NotEmpty(t, got)
		assert.Equal(t, "19s=11", got[len(got)-1], "all from the tenth on, which made it believed")
	})
}

func TestEdgeTTL(t *testing.T) {
	in := func() []ptrace.Traces {
		out := every(second)
		for at := 4 * second; at < 40*second; at += 4 * second {
			out = append(out, batch(sp{svc: "z", id: uint64(at), kind: kindInternal, at: at}))
		}
		return append(out, batch(call(7, 40*second)...), batch(call(8, 48*second)...))
	}
	sink := run(t, func(c *Config) { c.EdgeTTL = 15 * second }, in()...)
	assert.Equal(t, []string{"5s=1", "10s=1", "15s=1", "20s=1", "45s=1", "48s=2"}, history(sink, total, "a > b"))
	starts := map[pcommon.Timestamp]bool{}
	points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) { starts[dp.StartTimestamp()] = true })
	assert.Equal(t, map[pcommon.Timestamp]bool{
		pcommon.NewTimestampFromTime(epoch.Add(second)):      true,
		pcommon.NewTimestampFromTime(epoch.Add(40 * second)): true,
	}, starts, "an edge that returns counts from its return")

	sink = run(t, nil, in()...)
	assert.Equal(t, "48s=3", history(sink, total, "a > b")[9])
}

func TestSortedOutput(t *testing.T) {
	sink := run(t, nil, batch(
		sp{svc: "c", id: 1, kind: kindServer}, sp{svc: "a", id: 2, kind: kindServer}, sp{svc: "b", ns: "n", id: 3, kind: kindServer},
	))
	var got []string
	points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) { got = append(got, edgeName(dp.Attributes())) })
	assert.Equal(t, []string{
		"user > a virtual_node no client", "user > c virtual_node no client", "user > n:b virtual_node no client",
	}, got)
}
