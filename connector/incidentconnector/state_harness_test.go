package incidentconnector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/semconv"
)

var errDisk = errors.New("disk is full")

// disk is a storage extension in memory that outlives the connectors of a test, and can fail.
type disk struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	values map[string][]byte
	// failed is what every operation returns; before is called ahead of every write.
	failed error
	before func()
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
	if d.before != nil {
		d.before()
	}
	return d.Batch(ctx, storage.SetOperation(key, value))
}

func (d *disk) Delete(ctx context.Context, key string) error {
	return d.Batch(ctx, storage.DeleteOperation(key))
}

func (d *disk) Batch(_ context.Context, ops ...*storage.Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
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

func (d *disk) Close(context.Context) error { return nil }

// change replaces all stored values whose key begins so.
func (d *disk) change(prefix string, f func(value []byte) []byte) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		if strings.HasPrefix(key, prefix) {
			d.values[key] = f(d.values[key])
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

// onDisk makes a world that keeps its state on a disk.
func onDisk(t testing.TB, d *disk, changes ...func(*Config)) *world {
	sink := new(consumertest.LogsSink)
	w := newWorldOn(t, d.host(), stored(changes...), sink)
	w.sink = sink
	return w
}

func stored(changes ...func(*Config)) func(*Config) {
	return func(cfg *Config) {
		cfg.Storage = &diskID
		for _, change := range changes {
			change(cfg)
		}
		require.NoError(panics{}, cfg.State.Validate())
	}
}

// panics fails a test that has no other way to.
type panics struct{}

func (panics) Errorf(format string, _ ...any) { panic(format) }
func (panics) FailNow()                       { panic("wrong configuration") }

// live feeds a bucket every five seconds and lets all that comes of it happen.
func (w *world) live(from, to int, make func(i int) []any) {
	for i := from; i < to; i++ {
		w.feed(make(i)...)
		time.Sleep(step)
		synctest.Wait()
	}
}

func (w *world) engine() *engine { return w.metrics.(*metricsView).lease.Engine() }

// told is what an event says, in short.
type told struct {
	id         string
	name       semconv.EventName
	revision   int64
	cause      semconv.Entity
	kind       semconv.CauseKind
	resolution semconv.Resolution
}

func telling(events []semconv.IncidentEvent) (out []told) {
	for _, e := range events {
		c := e.Incident.Cause()
		out = append(out, told{e.Incident.ID, e.Name, e.Incident.Revision, c.Entity, c.Kind, e.Incident.Resolution})
	}
	return out
}

// without drops what was told twice: the same revision of the same incident.
func without(events []semconv.IncidentEvent) (out []semconv.IncidentEvent) {
	type key struct {
		id       string
		revision int64
	}
	seen := map[key]bool{}
	for _, e := range events {
		k := key{e.Incident.ID, e.Incident.Revision}
		if !seen[k] {
			out = append(out, e)
		}
		seen[k] = true
	}
	return out
}
