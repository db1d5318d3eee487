package incidentconnector

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// whole is a life: calm, trouble, calm, with records.
func whole(i int) []any {
	play := calm
	if i >= 240 && i < 270 {
		play = stockFails
	}
	return append(play(i), logs(at(i).Add(-time.Second), chatter(i)...))
}

func TestDeterminism(t *testing.T) {
	t.Parallel()
	run := func() []plog.Logs {
		w := newWorld(t, nil)
		w.play(0, 320, whole)
		w.stop()
		return w.sink.AllLogs()
	}
	marshal := plog.JSONMarshaler{}
	text := func(all []plog.Logs) (out []string) {
		for _, ld := range all {
			b, err := marshal.MarshalLogs(ld)
			require.NoError(t, err)
			out = append(out, string(b))
		}
		return out
	}
	first := text(run())
	require.NotEmpty(t, first)
	for range 5 {
		require.Equal(t, first, text(run()), "the same input gives the same events, to the byte")
	}
}

// TestBatchSizes cuts the same input differently, within a bucket.
func TestBatchSizes(t *testing.T) {
	run := func(split func(pmetric.Metrics) []any) []string {
		w := newWorld(t, nil)
		w.play(0, 320, func(i int) []any {
			data := whole(i)
			return append(split(data[0].(pmetric.Metrics)), data[1:]...)
		})
		w.stop()
		checkLives(t, w.events())
		return describe(w.events())
	}
	want := run(func(md pmetric.Metrics) []any { return []any{md} })
	require.NotEmpty(t, want)
	assert.Equal(t, want, run(func(md pmetric.Metrics) []any {
		var out []any
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			one := pmetric.NewMetrics()
			m.CopyTo(one.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
			out = append(out, one)
		}
		return out
	}), "one metric a batch")
	rng := rand.New(rand.NewSource(4))
	assert.Equal(t, want, run(func(md pmetric.Metrics) []any {
		var out []any
		for _, i := range rng.Perm(4) {
			one := pmetric.NewMetrics()
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(i).CopyTo(one.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
			out = append(out, one)
		}
		return out
	}), "in any order")
}

// TestRefusedEventsWait has the next component refuse for a while.
func TestRefusedEventsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &refusing{}
		w := newWorldTo(t, nil, next)
		w.play(0, 230, whole)
		next.refuse(errors.New("busy"))
		w.play(230, 320, whole)
		assert.Zero(t, next.LogRecordCount())
		assert.Positive(t, next.refused)
		assert.Zero(t, w.count("dropped_events", ""))
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		assert.Positive(t, w.count("held_items", "outbox"))
		next.refuse(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		events := decode(t, next.AllLogs())
		require.GreaterOrEqual(t, len(events), 2, "opened and resolved came through without new data")
		checkLives(t, events)
		w.stop()
		assert.Equal(t, int64(len(events)), w.count("emitted_events", ""))
	})
}

func TestEventsRefusedForGood(t *testing.T) {
	next := &refusing{}
	w := newWorldTo(t, nil, next)
	next.refuse(consumererror.NewPermanent(errors.New("malformed")))
	w.play(0, 320, whole)
	w.stop()
	assert.Zero(t, next.LogRecordCount())
	assert.Equal(t, int64(next.refused), w.count("dropped_events", ""))
	assert.GreaterOrEqual(t, next.refused, 2)
	assert.Zero(t, w.count("emitted_events", ""))
}

func TestOutboxLimit(t *testing.T) {
	next := &refusing{}
	w := newWorldTo(t, func(c *Config) { c.Limits.Outbox = 1 }, next)
	next.refuse(errors.New("busy"))
	w.play(0, 320, whole)
	next.refuse(nil)
	dropped := w.count("dropped_events", "")
	assert.Positive(t, dropped)
	w.stop()
	events := decode(t, next.AllLogs())
	require.Len(t, events, 1)
	assert.Equal(t, semconv.EventIncidentResolved, events[0].Name, "the oldest go")
}

// TestViewsEndOneByOne shuts the metrics' view down while the logs' still runs.
func TestViewsEndOneByOne(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, whole)
	w.play(240, 260, whole)
	require.Len(t, w.last(), 1)
	require.NoError(t, w.metrics.Shutdown(t.Context()))
	for i := 260; i < 320; i++ {
		require.NoError(t, w.logs.ConsumeLogs(t.Context(), logs(at(i), chatter(i)...)))
	}
	assert.Equal(t, semconv.StatusResolved, w.one().Status, "the other view sends")
	require.NoError(t, w.logs.Shutdown(t.Context()))
	require.NoError(t, w.logs.Shutdown(t.Context()))
	checkLives(t, w.events())
	assert.Equal(t, int64(len(w.events())), w.count("emitted_events", ""))
}

func TestShutdownSendsWhatWaits(t *testing.T) {
	next := &refusing{}
	w := newWorldTo(t, nil, next)
	next.refuse(errors.New("busy"))
	w.play(0, 260, whole)
	next.refuse(nil)
	require.Zero(t, next.LogRecordCount())
	w.stop()
	assert.Positive(t, next.LogRecordCount())
}

// TestTwoComponents have nothing in common.
func TestTwoComponents(t *testing.T) {
	a, b := newWorld(t, nil), newWorld(t, nil)
	a.play(0, 260, whole)
	assert.Len(t, a.last(), 1)
	b.play(0, 10, whole)
	assert.Empty(t, b.events())
	a.stop()
	b.stop()
}

func TestConcurrency(t *testing.T) {
	w := newWorld(t, nil)
	var wait sync.WaitGroup
	var next atomic.Int64
	for g := range 4 {
		wait.Go(func() {
			for range 60 {
				// All are about as far in event time.
				i := int(next.Add(1)) / 4
				front, orders, stock := shop()
				front.client = fmt.Sprint("user", g)
				stock.failed = float64(30 * (i / 40))
				assert.NoError(t, w.metrics.ConsumeMetrics(t.Context(), graph(at(i), front, orders, stock)))
				assert.NoError(t, w.logs.ConsumeLogs(t.Context(), logs(at(i), chatter(i)...)))
			}
		})
	}
	wait.Go(func() {
		for range 50 {
			w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
		}
	})
	wait.Wait()
	w.stop()
	checkLives(t, w.events())
	assert.Equal(t, int64(4*60*2), w.count("received_items", "logs"))
}

func TestCapabilities(t *testing.T) {
	w := newWorld(t, nil)
	assert.False(t, w.metrics.Capabilities().MutatesData)
	assert.False(t, w.logs.Capabilities().MutatesData)
	w.stop()
}

// TestIngestOfKnownSeriesAllocates says how much: nothing for each point, a constant few for each batch.
func TestIngestOfKnownSeriesAllocates(t *testing.T) {
	w := newWorld(t, nil)
	w.feed(calm(0)...)
	allocations := func(calls int) float64 {
		var edges []call
		for i := range calls {
			edges = append(edges, call{client: "front", server: fmt.Sprint("s", i), n: 5, took: 0.01, waited: 0.01})
		}
		md := graph(at(0), edges...)
		w.feed(md)
		return testing.AllocsPerRun(50, func() { w.feed(md) })
	}
	few, many := allocations(10), allocations(110)
	t.Logf("%.1f allocations a point, %.0f a batch of 10 edges", (many-few)/400, few)
	assert.Less(t, (many-few)/400, 0.1)
	assert.LessOrEqual(t, few, maxAllocationsPerBatch)
	w.stop()
}

// maxAllocationsPerBatch is for the four metrics of a batch and for telemetry, by what is measured.
const maxAllocationsPerBatch = 30.0

func FuzzConsume(f *testing.F) {
	metrics, records := pmetric.JSONMarshaler{}, plog.JSONMarshaler{}
	for _, data := range []any{
		stockFails(3)[0], cpu(3, 1, "orders", 0.999, 20, 0.95), logs(at(3), chatter(3)...),
		logs(at(3), record{service: "stock", event: string(semconv.EventDeploymentChanged), body: "release"}),
	} {
		switch d := data.(type) {
		case pmetric.Metrics:
			b, err := metrics.MarshalMetrics(d)
			require.NoError(f, err)
			f.Add(b, []byte("{}"))
		case plog.Logs:
			b, err := records.MarshalLogs(d)
			require.NoError(f, err)
			f.Add([]byte("{}"), b)
		}
	}
	f.Fuzz(func(t *testing.T, metricsJSON, logsJSON []byte) {
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(metricsJSON)
		if err != nil {
			t.Skip()
		}
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(logsJSON)
		if err != nil {
			t.Skip()
		}
		w := newWorld(t, nil)
		w.play(0, 3, calm)
		for range 10 {
			w.feed(md, ld)
		}
		w.play(3, 6, calm)
		w.stop()
		// A calm bucket has eleven points.
		assert.Equal(t, int64(10*md.DataPointCount()+6*11), w.count("received_items", "metrics"))
		assert.Equal(t, int64(10*ld.LogRecordCount()), w.count("received_items", "logs"))
		checkLives(t, w.events())
	})
}

func BenchmarkConsumeMetrics(b *testing.B) {
	for _, edges := range []int{10, 1000} {
		b.Run(fmt.Sprint(edges), func(b *testing.B) {
			factory := NewFactory()
			c, err := factory.CreateMetricsToLogs(b.Context(), connectortest.NewNopSettings(metadata.Type), createDefaultConfig(), consumertest.NewNop())
			require.NoError(b, err)
			require.NoError(b, c.Start(b.Context(), componenttest.NewNopHost()))
			var calls []call
			for i := range edges {
				calls = append(calls, call{client: fmt.Sprint("c", i%30), server: fmt.Sprint("s", i), n: 5, took: 0.01, waited: 0.01})
			}
			md := graph(at(0), calls...)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, c.ConsumeMetrics(b.Context(), md))
			}
			b.ReportMetric(float64(b.N*md.DataPointCount())/b.Elapsed().Seconds(), "points/s")
			require.NoError(b, c.Shutdown(b.Context()))
		})
	}
}
