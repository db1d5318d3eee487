package anomalyprocessor

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

// disk is a storage extension in memory that outlives the processors of a test, and can fail.
type disk struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	values map[string][]byte
	// failed is what every operation returns; before is called ahead of every one.
	failed error
	before func()
	closed int
	sets   int
}

func (d *disk) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return d, nil
}

func (d *disk) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := d.Batch(ctx, op)
	return op.Value, err
}

func (d *disk) Set(ctx context.Context, key string, value []byte) error {
	return d.Batch(ctx, storage.SetOperation(key, value))
}

func (d *disk) Delete(ctx context.Context, key string) error {
	return d.Batch(ctx, storage.DeleteOperation(key))
}

func (d *disk) Batch(_ context.Context, ops ...*storage.Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil {
		d.before()
	}
	if d.failed != nil {
		return d.failed
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = slices.Clone(d.values[op.Key])
		case storage.Set:
			if d.values == nil {
				d.values = map[string][]byte{}
			}
			d.values[op.Key] = slices.Clone(op.Value)
			d.sets++
		case storage.Delete:
			delete(d.values, op.Key)
		}
	}
	return nil
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = err
}

func (d *disk) Close(context.Context) error {
	d.closed++
	return nil
}

// change calls f with all stored shards.
func (d *disk) change(f func(key string, value []byte) []byte) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		if strings.HasPrefix(key, "shard/") {
			d.values[key] = f(key, d.values[key])
			n++
		}
	}
	return n
}

// copied is the disk as a crash would leave it.
func (d *disk) copied() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{values: maps.Clone(d.values)}
}

type host struct {
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

var diskID = component.MustNewID("disk")

func (d *disk) host() host {
	return host{extensions: map[component.ID]component.Component{diskID: d}}
}

// onDisk makes a processor that keeps its state on a disk. Its state is written when stop is called, and else by and by.
func onDisk(t *testing.T, d *disk, change ...func(*Config)) (h *harness, stop func()) {
	t.Helper()
	h, stop, err := tryOnDisk(t, d, change...)
	require.NoError(t, err)
	return h, stop
}

func tryOnDisk(t *testing.T, d *disk, change ...func(*Config)) (h *harness, stop func(), err error) {
	t.Helper()
	h = &harness{t: t, cfg: createDefaultConfig().(*Config), sink: new(consumertest.MetricsSink), telemetry: componenttest.NewTelemetry()}
	h.cfg.Storage = &diskID
	for _, f := range change {
		f(h.cfg)
	}
	require.NoError(t, h.cfg.Validate())
	h.processor, err = NewFactory().CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			require.NoError(t, h.processor.Shutdown(context.WithoutCancel(t.Context())))
			require.NoError(t, h.telemetry.Shutdown(context.WithoutCancel(t.Context())))
		}
	}
	t.Cleanup(stop)
	return h, stop, h.processor.Start(t.Context(), d.host())
}

var errDisk = errors.New("disk is full")

// lately are times shortly before now, where restarts of the tests begin.
func lately(n int, interval time.Duration) time.Time {
	return time.Now().Add(-24 * time.Hour).Truncate(time.Hour).Add(time.Duration(n) * interval)
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
