package anomalyprocessor

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/semconv"
)

func withEntities(change ...func(*Entities)) func(*Config) {
	return func(c *Config) {
		e := c.Entities.GetOrInsertDefault()
		e.WarmUp = 64
		e.Detectors = []EntityDetector{{Type: entitydetector.Autoencoder}, {Type: entitydetector.Fusion}}
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

// onsets returns the latest onset that each detector of entities speaks of.
func onsets(scores []score) map[string]time.Time {
	all := map[string]time.Time{}
	for _, s := range scores {
		if s.metric == semconv.SignalEntity {
			all[s.detector] = s.onset
		}
	}
	return all
}

func TestEntitiesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		first, stop := onDisk(t, d, withEntities())
		followPair(first, 0, 300, false)
		stop()
		fresh, done := onDisk(t, &disk{}, withEntities())
		assert.Empty(t, onsets(followPair(fresh, 300, 340, true)))
		done()
		second, stop := onDisk(t, d, withEntities())
		assert.Equal(t, int64(1), second.value("restored_entities", ""))
		assert.Equal(t, int64(1), second.value("held_entities", ""))
		before := onsets(followPair(second, 300, 340, true))
		require.NotEmpty(t, before, "there is no warm-up")
		stop()
		third, stop := onDisk(t, d, withEntities())
		after := onsets(followPair(third, 340, 343, true))
		require.NotEmpty(t, after)
		for detector, onset := range after {
			assert.Equal(t, before[detector], onset, "an open episode goes on")
		}

		// What has not changed is not written; what is gone is removed.
		time.Sleep(61 * time.Second)
		synctest.Wait()
		sets := d.sets
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, sets, d.sets)
		crashed := d.copied()
		stop()

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

// What could not be written is written as soon as it can be, though nothing has changed since.
func TestEntityIsWrittenAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, withEntities())
		followPair(h, 0, 100, false)
		d.fail(errDisk)
		time.Sleep(time.Minute)
		synctest.Wait()
		d.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		crashed := d.copied()
		stop()
		after, stop := onDisk(t, crashed, withEntities())
		assert.Equal(t, int64(1), after.value("restored_entities", ""))
		stop()
	})
}

// Entities that are judged no longer do not stay in storage, where nothing counts them.
func TestEntitiesSwitchedOffLeaveStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blobs := func(d *disk) (n int) {
			for key := range d.values {
				if strings.HasPrefix(key, "blob/") {
					n++
				}
			}
			return n
		}
		d := &disk{}
		h, stop := onDisk(t, d, withEntities())
		followPair(h, 0, 100, false)
		stop()
		assert.Equal(t, 1, blobs(d))
		h, stop = onDisk(t, d)
		assert.Positive(t, h.value("restored_series", ""))
		stop()
		assert.Zero(t, blobs(d))
		h, stop = onDisk(t, d, withEntities())
		assert.Zero(t, h.value("restored_entities", "")+h.value("rejected_shards", ""))
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

// Two instances whose values add up to more than a number can hold leave the entity's state one that can be restored.
func TestEntityOfHugeValues(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.Entities = configoptional.Some(entitySettings(entitydetector.Autoencoder, entitydetector.IsolationForest, entitydetector.Fusion))
	p, err := newAnomalyProcessor((&harness{telemetry: componenttest.NewTelemetry()}).settings(), cfg)
	require.NoError(t, err)
	for n := range 400 {
		md := pmetric.NewMetrics()
		for pod := range 2 {
			rm := md.ResourceMetrics().AppendEmpty()
			rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "cart")
			rm.Resource().Attributes().PutStr(semconv.AttrK8sPodName, fmt.Sprint(pod))
			metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
			for i := range 4 {
				m := metrics.AppendEmpty()
				m.SetName(fmt.Sprint("m", i))
				point := m.SetEmptyGauge().DataPoints().AppendEmpty()
				point.SetTimestamp(pcommon.NewTimestampFromTime(at(n, step)))
				point.SetDoubleValue(1.7e308 * math.Pow(-1, float64(n/(7*(i+1)))))
			}
		}
		_, err := p.processMetrics(t.Context(), md)
		require.NoError(t, err)
	}
	require.Len(t, p.entities.byKey, 1)
	for _, e := range p.entities.byKey {
		data, err := e.append(p.entities, nil)
		require.NoError(t, err)
		for _, v := range e.vector.Values {
			assert.True(t, finite(v))
		}
		clear(p.entities.byKey)
		require.NoError(t, p.entities.restore(data))
		for i := range e.detectors {
			state, err := e.detectors[i].AppendBinary(nil)
			require.NoError(t, err)
			for _, back := range p.entities.byKey {
				again, err := back.detectors[i].AppendBinary(nil)
				require.NoError(t, err)
				assert.True(t, bytes.Equal(state, again), "its state was not thrown away")
			}
		}
	}
}
