package logpatternconnector

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/storagetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// disk is a storage extension that keeps one value over restarts.
type disk struct {
	component.StartFunc
	component.ShutdownFunc
	values map[string][]byte
	writes int
	fail   error
}

func (d *disk) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return d, nil
}

func (d *disk) Get(_ context.Context, key string) ([]byte, error) { return d.values[key], nil }

func (d *disk) Set(_ context.Context, key string, value []byte) error {
	if d.fail != nil {
		return d.fail
	}
	d.writes++
	d.values[key] = value
	return nil
}
func (d *disk) Delete(context.Context, string) error               { return nil }
func (d *disk) Batch(context.Context, ...*storage.Operation) error { return nil }
func (d *disk) Close(context.Context) error                        { return nil }
func (d *disk) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{diskID: d}
}

var diskID = component.MustNewID("disk")

func newDisk() *disk { return &disk{values: map[string][]byte{}} }

func stored(c *Config) { c.Storage = &diskID }

// TestRestart stops the connector and starts it again: what is known stays known, and rates are judged by their past.
func TestRestart(t *testing.T) {
	play := func(restart bool) (told []string) {
		d := newDisk()
		w := newWorldOn(t, d, stored)
		for i := range 1500 {
			at := time.Duration(i) * second
			w.consume(
				rec{at: at, severity: info, text: fmt.Sprintf("request %d", i)}, rec{at: at, severity: info, text: fmt.Sprintf("answer %d", i)},
				rec{at: at, severity: info, text: fmt.Sprintf("stored %d rows", i)},
				rec{at: at, severity: fault, text: "user " + string('a'+rune(i%20)) + "x is unknown"},
			)
			if i%700 == 699 && restart {
				w.stop()
				told = append(told, w.told()...)
				w = newWorldOn(t, d, stored)
			}
		}
		for i := range 120 {
			at := 1500*second + time.Duration(i)*second
			w.consume(
				rec{at: at, severity: info, text: fmt.Sprintf("request %d", i)}, rec{at: at, severity: info, text: fmt.Sprintf("answer %d", i)},
				rec{at: at, severity: fault, text: "user " + string('a'+rune(i%20)) + "x is unknown"}, rec{at: at, severity: fault, text: "cannot store"},
			)
		}
		w.stop()
		return append(told, w.told()...)
	}
	want := play(false)
	assert.Equal(t, []string{"shop log.pattern.new ERROR: cannot store", "shop log.pattern.vanished INFO: stored <*> rows"}, want)
	assert.Equal(t, want, play(true))
}

func TestStoredAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		w := newWorldOn(t, d, stored, func(c *Config) { c.State.Interval = 20 * second })
		w.consume(rec{text: "a"})
		time.Sleep(61 * second)
		synctest.Wait()
		assert.Equal(t, 3, d.writes)
		w.stop()
		assert.Equal(t, 4, d.writes)
	})
}

func TestUnusableState(t *testing.T) {
	good := func() *disk {
		d := newDisk()
		w := newWorldOn(t, d, stored, quick)
		w.consume(rec{text: "a", severity: fault}, rec{text: "a", severity: fault, at: 3 * second})
		w.stop()
		return d
	}
	for name, tc := range map[string]struct {
		spoil  func(d *disk)
		change func(*Config)
		reason string
	}{
		"good":           {func(*disk) {}, func(*Config) {}, ""},
		"cut":            {func(d *disk) { d.values[stateKey] = d.values[stateKey][:40] }, func(*Config) {}, "corrupt"},
		"short":          {func(d *disk) { d.values[stateKey] = []byte("x") }, func(*Config) {}, "corrupt"},
		"other version":  {func(d *disk) { d.values[stateKey][0]++ }, func(*Config) {}, "version"},
		"other interval": {func(*disk) {}, func(c *Config) { c.FlushInterval = 5 * second }, "version"},
		"old":            {func(d *disk) { copy(d.values[stateKey][16:], make([]byte, 8)) }, func(*Config) {}, "stale"},
	} {
		t.Run(name, func(t *testing.T) {
			d := good()
			tc.spoil(d)
			w := newWorldOn(t, d, stored, quick, tc.change)
			e := w.logs.(*logsView).lease.Engine()
			assert.Equal(t, tc.reason == "", len(e.services) == 1)
			got, err := w.tel.GetMetric("otelcol_connector_logpattern_state_failures")
			if tc.reason == "" {
				assert.Error(t, err, "none")
				return
			}
			require.NoError(t, err)
			assert.Contains(t, fmt.Sprintf("%v", got.Data), tc.reason)
		})
	}
}

func TestFailingStorage(t *testing.T) {
	d := newDisk()
	d.fail = errors.New("full")
	w := newWorldOn(t, d, stored)
	w.consume(rec{text: "a"})
	w.stop()
	assert.Empty(t, d.values)

	d = newDisk()
	w = newWorldOn(t, d, stored, func(c *Config) { c.State.MaxBytes = 65536 })
	for i := range 2000 {
		w.consume(rec{text: fmt.Sprintf("%c%c%c%c is a %c of its %c own", 'a'+i%26, 'a'+i/26%26, 'a'+i/7%26, 'a'+i/3%26, 'b'+i%23, 'a'+i/26%26)})
	}
	w.stop()
	assert.Empty(t, d.values, "too large")
}

func TestStorageErrors(t *testing.T) {
	for want, host := range map[string]component.Host{
		"storage: extension disk is not configured": componenttest.NewNopHost(),
		"storage: extension disk is a":              hostOf{storagetest.NewNonStorageExtension("x")},
	} {
		cfg := createDefaultConfig().(*Config)
		stored(cfg)
		c, err := NewFactory().CreateLogsToLogs(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		assert.ErrorContains(t, c.Start(t.Context(), host), want)
		require.NoError(t, c.Shutdown(t.Context()))
	}
}

type hostOf struct{ component.Component }

func (h hostOf) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{diskID: h.Component}
}

// TestRestoredLimits has less room than what was stored.
func TestRestoredLimits(t *testing.T) {
	d := newDisk()
	w := newWorldOn(t, d, stored)
	for i := range 20 {
		w.consume(rec{svc: fmt.Sprint("s", i), text: "a"}, rec{svc: "busy", text: string('a' + rune(i))})
	}
	w.stop()
	w = newWorldOn(t, d, stored, func(c *Config) { c.Limits.Services, c.Limits.PatternsPerService = 5, 7 })
	e := w.logs.(*logsView).lease.Engine()
	assert.Len(t, e.services, 5)
	for _, s := range e.services {
		assert.LessOrEqual(t, len(s.order), 7)
	}
	w.stop()
	w = newWorldOn(t, d, stored, func(c *Config) { c.ServiceAttributes = []string{"app"} })
	assert.Empty(t, w.logs.(*logsView).lease.Engine().services, "told apart by something else")
	assert.Zero(t, w.total(semconv.MetricLogPatternCount))
}
