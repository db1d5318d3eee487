package anomalyprocessor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
)

func withEntities(change ...func(*Entities)) func(*Config) {
	return func(c *Config) {
		e := c.Entities.GetOrInsertDefault()
		e.WarmUp = 64
		e.Detectors = []EntityDetector{{Type: entitydetector.IsolationForest}, {Type: entitydetector.Autoencoder}, {Type: entitydetector.Fusion}}
		for _, f := range change {
			f(e)
		}
	}
}

func followPair(h *harness, from, to int, apart bool) (all []score) {
	for n := from; n < to; n++ {
		all = append(all, h.feed(pair(n, lately(n, step), apart))...)
	}
	return all
}

// alike says that two sequences of scores are the same, up to the precision with which weights are stored.
func alike(t *testing.T, want, got []score) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		g := got[i]
		assert.InDelta(t, w.value, g.value, 0.1)
		assert.Equal(t, []any{w.metric, w.signal, w.detector, w.at, w.onset}, []any{g.metric, g.signal, g.detector, g.at, g.onset})
	}
}

func TestEntitiesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole, done := onDisk(t, &disk{}, withEntities())
		d := &disk{}
		first, stop := onDisk(t, d, withEntities())
		followPair(whole, 0, 300, false)
		followPair(first, 0, 300, false)
		stop()
		second, stop := onDisk(t, d, withEntities())
		assert.Equal(t, int64(1), second.value("restored_entities", ""))
		assert.Equal(t, int64(1), second.value("held_entities", ""))
		want := followPair(whole, 300, 330, true)
		require.NotEmpty(t, want)
		alike(t, want, followPair(second, 300, 330, true))
		stop()
		third, stop := onDisk(t, d, withEntities())
		alike(t, followPair(whole, 330, 360, false), followPair(third, 330, 360, false))

		// What has not changed is not written; what is gone is removed.
		time.Sleep(61 * time.Second)
		synctest.Wait()
		sets := d.sets
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, sets, d.sets)
		crashed := d.copied()
		stop()
		done()

		for name, tc := range map[string]struct {
			change func(*Entities)
			cause  string
		}{
			"fewer signals": {func(e *Entities) { e.MaxSignals = 2; e.Interval = time.Minute }, "settings"},
			"by":            {func(e *Entities) { e.By = []string{"service.name", "host.name"} }, "settings"},
		} {
			h, stop := onDisk(t, crashed.copied(), withEntities(tc.change))
			assert.Equal(t, int64(1), h.value("rejected_shards", tc.cause), name)
			assert.Zero(t, h.value("restored_entities", ""))
			stop()
		}
		// One detector more learns anew, the others go on.
		h, stop := onDisk(t, crashed.copied(), withEntities(func(e *Entities) { e.Detectors = e.Detectors[1:] }))
		assert.Equal(t, int64(1), h.value("restored_entities", ""))
		stop()

		for key, v := range crashed.values {
			if len(key) > 5 && key[:5] == "blob/" {
				v[len(v)/2] ^= 1
			}
		}
		h, stop = onDisk(t, crashed.copied(), withEntities())
		assert.Equal(t, int64(1), h.value("rejected_shards", "corrupt"))
		stop()
		h, stop = onDisk(t, crashed.copied(), withEntities(), func(c *Config) { c.State.Reset = "x" })
		assert.Zero(t, h.value("rejected_shards", ""))
		stop()
	})
}

func FuzzRestoreEntity(f *testing.F) {
	cfg := createDefaultConfig().(*Config)
	withEntities()(cfg)
	set := (&harness{telemetry: componenttest.NewTelemetry()}).settings()
	make := func() (*anomalyProcessor, *entities) {
		p, err := newAnomalyProcessor(set, cfg)
		if err != nil {
			panic(err)
		}
		return p, p.entities
	}
	p, w := make()
	for n := range 40 {
		if _, err := p.processMetrics(f.Context(), pair(n, at(n, step), false)); err != nil {
			f.Fatal(err)
		}
	}
	for _, e := range w.byKey {
		data, err := e.append(w, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 400)])
		_, again := make()
		if err := again.restore(data); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, fresh := make()
		if err := fresh.restore(data); err == nil {
			assert.Len(t, fresh.byKey, 1)
		}
	})
}
