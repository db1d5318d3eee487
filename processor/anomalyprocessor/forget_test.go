package anomalyprocessor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/semconv"
)

// between returns what was sent between batches, in the time given.
func between(t *testing.T, h *harness, pause time.Duration) (all []score) {
	t.Helper()
	h.sink.Reset()
	time.Sleep(pause)
	synctest.Wait()
	for _, md := range h.sink.AllMetrics() {
		all = append(all, split(t, md, 0)...)
	}
	return all
}

// ofDetector returns the scores of one detector.
func ofDetector(all []score, detector string) (out []score) {
	for _, s := range all {
		if s.detector == detector {
			out = append(out, s)
		}
	}
	return out
}

// The episode of an entity ends with the entity.
func TestForgottenEntityCloses(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(at(1600, 10*time.Second)))
			e := entitySettings(entitydetector.Autoencoder)
			e.Detectors[0].Shadow = shadow
			f := newFleet(t, e, func(c *Config) { c.SeriesTTL = time.Minute })
			f.send(1500)
			f.off = -0.5
			f.send(30)
			last := f.h.added[len(f.h.added)-1].at
			got := ofDetector(between(t, f.h, 3*time.Minute), string(entitydetector.Autoencoder))
			require.Len(t, got, 1)
			assert.Equal(t, map[string]any{semconv.AttrServiceName: "cart"}, got[0].resource)
			assert.Equal(t, semconv.SignalEntity, got[0].metric)
			assert.Equal(t, semconv.SignalEntity, got[0].signal)
			assert.Zero(t, got[0].value)
			assert.Equal(t, !shadow, got[0].scored)
			assert.True(t, got[0].at.After(last))
			assert.Zero(t, f.sum("held_entities"))
		})
	}
}

// It ends, too, with the signals that it was seen in.
func TestEntityFormedAnewCloses(t *testing.T) {
	f := newFleet(t, entitySettings(entitydetector.Fusion))
	f.send(800)
	f.signals = 1
	require.Empty(t, ofEntities(f.send(25)))
	f.off = 40
	got := ofEntities(f.send(20))
	require.Greater(t, len(got), 1)
	last := got[len(got)-1]
	assert.Zero(t, last.value)
	assert.GreaterOrEqual(t, got[len(got)-2].value, 0.9)
	assert.Equal(t, got[len(got)-2].onset, last.onset)
}

// The episode that the seasonal detector sees ends with the series.
func TestForgottenSeasonalSeriesCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at(600, time.Minute)))
		h := newSeasonalHarness(t, func(c *Config, _ *Seasonal) { c.SeriesTTL = time.Minute })
		cycle(h, "load", 520, trough)
		open := of(h, detectorSeasonal)
		require.NotEmpty(t, open)
		got := ofDetector(between(t, h, 3*time.Minute), detectorSeasonal)
		require.Len(t, got, 1)
		assert.Equal(t, "load", got[0].metric)
		assert.Equal(t, semconv.SignalValue, got[0].signal)
		assert.Equal(t, open[0].attributes, got[0].attributes)
		assert.Equal(t, open[0].resource, got[0].resource)
		assert.Equal(t, open[0].onset, got[0].onset)
		assert.Zero(t, got[0].value)
		assert.Empty(t, between(t, h, 3*time.Minute))
	})
}
