package incidentconnector

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
	"github.com/paramedic-otel/paramedic/semconv"
)

var template = sync.OnceValue(func() *engine {
	e, err := newEngine(createDefaultConfig().(*Config), connectortest.NewNopSettings(metadata.Type))
	if err != nil {
		panic(err)
	}
	return e
})

// bareEngine returns an engine that has seen nothing, and is quick to make.
func bareEngine() *engine {
	e := template()
	return &engine{
		cfg: e.cfg, id: e.id, logger: e.logger, telemetry: e.telemetry, selection: e.selection, clock: clock{maxSkew: time.Minute},
		outbox: &outbox{wanted: true, limit: 10, telemetry: e.telemetry, logger: e.logger},
		edges:  edgehealth.New(entryNode, edgehealth.Limits{MaxEdges: 10}, excess.Learning{HalfLife: 10, NormalAfter: 10}),
		flow: logflow.New(logflow.Limits{
			MaxServices: 10, MaxContexts: 10, MaxTemplates: 100, Templates: logtemplate.DefaultLimits(),
		}, excess.Learning{HalfLife: 10, NormalAfter: 10}),
		deltas: newDeltas(10), signals: newSignals(e.cfg), directory: newDirectory(10), resources: newResources(10),
		relations: newRelations(10), happenings: newHappenings(10), objects: newObjects(10), details: newDetails(10), symptoms: map[symptomKey]*symptom{},
		objectives: newObjectives(e.cfg), decisions: newDecisions(e.cfg), measures: &measures{telemetry: e.telemetry},
	}
}

func TestStorageThatIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		host component.Host
		want string
	}{
		"missing":      {componenttest.NewNopHost(), "storage: extension disk is not configured"},
		"another sort": {host{map[component.ID]component.Component{diskID: other{}}}, "storage: extension disk is a incidentconnector.other and not a storage extension"},
		"unreadable":   {(&disk{failed: errDisk}).host(), "read from storage disk: read what is stored: disk is full"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			cfg.Storage = &diskID
			c2, err := NewFactory().CreateMetricsToLogs(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
			require.NoError(t, err)
			require.EqualError(t, c2.Start(t.Context(), c.host), c.want)
			require.NoError(t, c2.Shutdown(t.Context()))
		})
	}
}

type other struct {
	component.StartFunc
	component.ShutdownFunc
}

// TestDamage changes what is stored of an open incident and of what was learnt.
func TestDamage(t *testing.T) {
	t.Parallel()
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	}
	foreign := func([]byte) []byte { return []byte("something else altogether") }
	for name, c := range map[string]struct {
		prefix string
		change func([]byte) []byte
		cfg    func(*Config)
		cause  string
		// goes is whether the incident goes on; ends whether it ends at once.
		goes, ends bool
	}{
		"nothing":                       {goes: true},
		"a bit of what went on":         {prefix: lifeKey, change: flip, cause: "corrupt"},
		"another thing for it":          {prefix: lifeKey, change: foreign, cause: "foreign"},
		"a bit of every shard":          {prefix: "shard/", change: flip, cause: "corrupt", ends: true},
		"another thing for every shard": {prefix: "shard/", change: foreign, cause: "foreign", ends: true},
		"the number of shards":          {prefix: "meta", change: flip, cause: "corrupt", ends: true},
		"another bucket":                {cfg: func(cfg *Config) { cfg.Bucket = 10 * time.Second }, cause: "settings", ends: true},
		"another half-life":             {cfg: func(cfg *Config) { cfg.BaselineHalfLife = 2 * time.Hour }, goes: true},
		"no room for the edges":         {cfg: func(cfg *Config) { cfg.Limits.Edges = 2 }, cause: "limit", goes: true},
		"reset":                         {cfg: func(cfg *Config) { cfg.State.Reset = "now" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				before := open(t, d)
				if c.change != nil {
					require.Positive(t, d.change(c.prefix, c.change))
				}
				if c.cfg == nil {
					c.cfg = func(*Config) {}
				}
				w := onDisk(t, d, c.cfg)
				if c.cause != "" {
					assert.Positive(t, w.count("rejected_shards", c.cause)+w.count("rejected_items", c.cause))
				}
				w.live(0, 6, later(250, stockFails))
				w.live(6, 60, later(250, calm))
				w.stop()
				var mine []semconv.IncidentEvent
				for _, e := range w.events() {
					if e.Incident.ID == before.ID {
						mine = append(mine, e)
					}
				}
				switch {
				case c.goes:
					require.NotEmpty(t, mine)
					assert.Equal(t, semconv.ResolutionRecovered, mine[len(mine)-1].Incident.Resolution)
					assert.Len(t, w.last(), 1)
				case c.ends:
					require.Len(t, mine, 1)
					assert.Equal(t, semconv.ResolutionNoData, mine[0].Incident.Resolution)
				default:
					assert.Empty(t, mine)
				}
				if name == "reset" {
					assert.Zero(t, w.count("restored_items", ""))
					again := onDisk(t, d, c.cfg)
					assert.Positive(t, again.count("restored_items", "edges"), "once")
					again.stop()
				}
			})
		})
	}
}

// TestStorageFails lets the storage fail for a while: nobody who gets the events can tell.
func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calmly := newWorld(t, nil)
		calmly.live(0, 320, whole)
		calmly.stop()

		core, seen := observer.New(zapcore.WarnLevel)
		d := &disk{}
		w := onDisk(t, d)
		w.engine().logger = zap.New(core)
		w.live(0, 200, whole)
		d.fail(errDisk)
		w.live(200, 290, whole)
		assert.Equal(t, 1, seen.Len(), "logged once: %v", seen.All())
		assert.Positive(t, w.count("unwritten_shards", "storage"))
		assert.Positive(t, w.count("failed_snapshots", ""))
		d.fail(nil)
		w.live(290, 320, whole)
		w.stop()
		assert.Equal(t, calmly.events(), w.events())
		again := onDisk(t, d)
		assert.Positive(t, again.count("restored_items", "edges"))
		again.stop()
	})
}

// TestStorageHangs has the first write that belongs to an incident take a minute: events wait for it for a few seconds only.
func TestStorageHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		w := onDisk(t, d)
		w.live(0, 241, whole)
		d.before = func() { time.Sleep(time.Minute) }
		w.live(241, 246, whole)
		require.NotEmpty(t, w.events(), "handed over all the same")
		late := w.events()[0].Time
		assert.LessOrEqual(t, time.Duration(len(w.events())), time.Duration(3))
		assert.Less(t, late.Sub(at(241)), 20*time.Second)
		d.mu.Lock()
		d.before = nil
		d.mu.Unlock()
		time.Sleep(2 * time.Minute)
		w.stop()
	})
}

func TestMaxBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		w := onDisk(t, d, func(cfg *Config) { cfg.State.MaxBytes = 1 << 20 })
		long := make([]byte, 250)
		for i := range long {
			long[i] = 'x'
		}
		w.live(0, 3, func(i int) []any {
			var calls []call
			for n := range 4000 {
				calls = append(calls, call{client: string(long) + string(rune('a'+n%26)) + string(rune('a'+n/26%26)), server: string(rune('a' + n/676)), n: 1})
			}
			return []any{graph(at(i), calls...)}
		})
		w.stop()
		assert.Positive(t, w.count("unwritten_shards", "limit"))
		total := 0
		for _, v := range d.values {
			total += len(v)
		}
		assert.Less(t, total, 1<<20+100)
		assert.Greater(t, total, 1<<19)
	})
}

func TestSnapshotsAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		w := onDisk(t, d, func(cfg *Config) { cfg.State.Interval = 10 * time.Second })
		w.live(0, 20, whole)
		m, err := w.tel.GetMetric("otelcol_connector_incident_snapshot_duration")
		require.NoError(t, err)
		assert.GreaterOrEqual(t, m.Data.(metricdata.Histogram[float64]).DataPoints[0].Count, uint64(9))
		assert.Positive(t, w.count("written_shards", ""))
		assert.Positive(t, w.count("written_bytes", ""))
		stored := int64(0)
		for key, v := range d.copied().values {
			if key != "meta" && key != resetKey {
				stored += int64(len(v))
			}
		}
		assert.Equal(t, stored, w.count("stored_bytes", ""))
		w.stop()
	})
}

// TestCumulativeSeriesGoOn counts a series before and after a restart.
func TestCumulativeSeriesGoOn(t *testing.T) {
	cumulative := func(start, at time.Time, n float64) pmetric.Metrics {
		md := graph(at, call{client: "a", server: "b", n: n})
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if m.Type() == pmetric.MetricTypeSum {
				m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				m.Sum().DataPoints().At(0).SetStartTimestamp(pcommon.NewTimestampFromTime(start))
			}
		}
		return md
	}
	for name, c := range map[string]struct {
		after time.Duration
		start time.Time
		n     float64
		want  float64
	}{
		"at the usual time":           {15 * time.Second, epoch, 70, 10},
		"after a while":               {5 * time.Minute, epoch, 700, 0},
		"restarted just now":          {15 * time.Second, at(41), 7, 7},
		"restarted during the gap":    {10 * time.Minute, at(100), 900, 0},
		"restarted and counted again": {5 * time.Minute, at(97), 90, 90},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				w := onDisk(t, d)
				w.feed(cumulative(epoch, epoch.Add(3*time.Minute), 50), cumulative(epoch, epoch.Add(3*time.Minute+15*time.Second), 60))
				w.stop()
				time.Sleep(c.after)
				w = onDisk(t, d)
				last := epoch.Add(3*time.Minute + 15*time.Second + c.after)
				w.feed(cumulative(c.start, last, c.n))
				w.feed(graph(last.Add(30 * time.Second)))
				w.live(0, 1, func(int) []any { return []any{graph(last.Add(time.Minute), call{client: "x", server: "y", n: 1})} })
				e := w.engine()
				ago := int(e.next - e.bucketOf(last.Add(-1)))
				assert.InDelta(t, c.want, e.edges.RequestsIn(serviceNode("b"), ago)-e.edges.RequestsIn(serviceNode("b"), ago-1), 0)
				w.stop()
			})
		})
	}
}

func TestElapsed(t *testing.T) {
	var g gaps
	g.add(at(10), at(10))
	assert.Empty(t, g)
	g.add(at(10), at(20))
	g.add(at(30), at(31))
	for _, c := range []struct{ from, to, want int }{{0, 5, 5}, {0, 10, 10}, {0, 15, 10}, {0, 20, 10}, {0, 40, 29}, {12, 18, 0}, {15, 25, 5}, {25, 40, 14}} {
		assert.Equal(t, time.Duration(c.want)*step, g.elapsed(at(c.from), at(c.to)), "%v", c)
	}
	for i := range 40 {
		g.add(at(100+2*i), at(101+2*i))
	}
	assert.Len(t, g, maxGaps)
	assert.Equal(t, at(179), g[maxGaps-1].to)
}
