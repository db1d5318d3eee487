package loop_test

import (
	"context"
	"maps"
	"math/rand"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/connector/incidentconnector"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// recording is what reaches the incident connector, by seconds.
type recording [][]any

// record simulates a shop with a fault that begins after two minutes, is cured after 100 s and watched for as long again.
func record(t *testing.T, kind shop.FaultKind, seed uint64) (all recording) {
	cfg := shop.DefaultConfig()
	cfg.Seed = seed
	cfg.Start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	sim, err := shop.New(cfg)
	require.NoError(t, err)
	var now []any
	keep := func(md pmetric.Metrics) {
		own := pmetric.NewMetrics()
		md.CopyTo(own)
		now = append(now, own)
	}
	configs := loop.Default()
	configs.Graph, configs.Scores = keep, keep
	l, err := loop.New(t.Context(), configs)
	require.NoError(t, err)
	var fault string
	for second := range 400 {
		switch second {
		case 120:
			status, err := sim.Inject(shop.Fault{Kind: kind})
			require.NoError(t, err)
			fault = status.ID
		case 220:
			sim.Clear(fault)
		}
		td, md, ld := sim.Tick()
		require.NoError(t, l.Feed(t.Context(), td, md, ld))
		if ld.LogRecordCount() > 0 {
			own := plog.NewLogs()
			ld.CopyTo(own)
			now = append(now, own)
		}
		all = append(all, now)
		now = nil
	}
	require.NoError(t, l.Close(t.Context()))
	return all
}

// disk is a storage extension in memory.
type disk struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	values map[string][]byte
}

func (d *disk) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return d, nil
}

func (d *disk) Get(_ context.Context, key string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.values[key], nil
}

func (d *disk) Set(_ context.Context, key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values[key] = slices.Clone(value)
	return nil
}

func (d *disk) Delete(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.values, key)
	return nil
}

func (d *disk) Batch(ctx context.Context, ops ...*storage.Operation) error {
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value, _ = d.Get(ctx, op.Key)
		case storage.Set:
			_ = d.Set(ctx, op.Key, op.Value)
		case storage.Delete:
			_ = d.Delete(ctx, op.Key)
		}
	}
	return nil
}

func (d *disk) Close(context.Context) error { return nil }

func (d *disk) copied() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{values: maps.Clone(d.values)}
}

type host struct{ d *disk }

var diskID = component.MustNewID("disk")

func (h host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{diskID: h.d}
}

// play feeds a recording to connectors that end before the seconds of cuts, in order or as by a crash, and start again.
func play(t *testing.T, all recording, crash bool, cuts ...int) (events []semconv.IncidentEvent) {
	factory := incidentconnector.NewFactory()
	d := &disk{values: map[string][]byte{}}
	from := 0
	for _, to := range append(cuts, len(all)) {
		cfg := factory.CreateDefaultConfig().(*incidentconnector.Config)
		cfg.Storage = &diskID
		set := connector.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
		sink := new(consumertest.LogsSink)
		metrics, err := factory.CreateMetricsToLogs(t.Context(), set, cfg, sink)
		require.NoError(t, err)
		logs, err := factory.CreateLogsToLogs(t.Context(), set, cfg, sink)
		require.NoError(t, err)
		require.NoError(t, metrics.Start(t.Context(), host{d}))
		require.NoError(t, logs.Start(t.Context(), host{d}))
		for _, data := range all[from:to] {
			for _, one := range data {
				switch one := one.(type) {
				case pmetric.Metrics:
					require.NoError(t, metrics.ConsumeMetrics(t.Context(), one))
				case plog.Logs:
					require.NoError(t, logs.ConsumeLogs(t.Context(), one))
				}
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if crash {
			// What the connector still does to its disk nobody will see.
			d = d.copied()
		}
		for _, ld := range sink.AllLogs() {
			event, err := semconv.DecodeIncidentEvent(ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0))
			require.NoError(t, err)
			for _, c := range event.Incident.Causes {
				// Which of a service's pods was read last is chance.
				for _, key := range []string{semconv.AttrK8sPodName, semconv.AttrK8sPodUID, semconv.AttrK8sNodeName, semconv.AttrServiceInstanceID} {
					delete(c.Resource, key)
				}
			}
			events = append(events, event)
		}
		require.NoError(t, metrics.Shutdown(t.Context()))
		require.NoError(t, logs.Shutdown(t.Context()))
		from = to
	}
	return events
}

// life is what became of an incident. Its identity depends on the bucket in which it is found, which may be another one when
// what was learnt last is lost.
type life struct {
	opened, ended     int
	cause             semconv.Entity
	kind              semconv.CauseKind
	resolution        semconv.Resolution
	twice, outOfOrder int
}

func lives(events []semconv.IncidentEvent) (all []life) {
	at := map[string]int{}
	revisions := map[string]int64{}
	for _, e := range events {
		id := e.Incident.ID
		n, known := at[id]
		if !known {
			n = len(all)
			at[id] = n
			all = append(all, life{})
		}
		l := &all[n]
		l.cause, l.kind, l.resolution = e.Incident.Cause().Entity, e.Incident.Cause().Kind, e.Incident.Resolution
		switch e.Name {
		case semconv.EventIncidentOpened:
			l.opened++
		case semconv.EventIncidentResolved:
			l.ended++
		}
		switch {
		case e.Incident.Revision <= revisions[id]:
			l.twice++
		case e.Incident.Revision > revisions[id]+1:
			l.outOfOrder++
		}
		revisions[id] = e.Incident.Revision
	}
	return all
}

// TestRestartsOfAShop plays a shop with one fault to a connector that runs through, and to connectors that are stopped, or
// killed, at three points, one of them while the incident is open.
func TestRestartsOfAShop(t *testing.T) {
	for _, kind := range []shop.FaultKind{shop.ErrorBurst, shop.SlowDependency, shop.MemoryLeak, shop.BadDeploy} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			all := record(t, kind, 1)
			synctest.Test(t, func(t *testing.T) {
				want := play(t, all, false)
				require.NotEmpty(t, want)
				rng := rand.New(rand.NewSource(7))
				for range 2 {
					cuts := []int{30 + rng.Intn(80), 145 + rng.Intn(70), 225 + rng.Intn(40)}
					assert.Equal(t, want, play(t, all, false, cuts...), "stopped before %v", cuts)
					killed := play(t, all, true, cuts...)
					assert.Equal(t, lives(want), lives(killed), "killed before %v", cuts)
				}
			})
		})
	}
}
