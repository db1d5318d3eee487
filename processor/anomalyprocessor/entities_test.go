package anomalyprocessor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/semconv"
)

// fleet sends the gauges of some services, each of two pods, that follow one load.
type fleet struct {
	h        *harness
	r        *rand.Rand
	n        int
	interval time.Duration
	services []string
	signals  int
	// off is what the first third of the signals of the first service is off by.
	off float64
	// resource, if any, is called with the attributes of each resource.
	resource func(pcommon.Map)
}

func newFleet(t *testing.T, entities Entities, change ...func(*Config)) *fleet {
	t.Helper()
	change = append(change, func(c *Config) {
		c.Entities = configoptional.Some(entities)
		c.MinScore = 0.9
		c.Missing.After = 0
	})
	return &fleet{h: newHarness(t, change...), r: seeded(1), interval: 10 * time.Second, services: []string{"cart"}, signals: 6}
}

func entitySettings(detectors ...entitydetector.Type) Entities {
	e := defaultEntities()
	e.Detectors = nil
	for _, d := range detectors {
		e.Detectors = append(e.Detectors, EntityDetector{Type: d})
	}
	return e
}

// send sends so many rounds.
func (f *fleet) send(rounds int) []score {
	first := len(f.h.scores)
	for range rounds {
		now := at(f.n, f.interval)
		load := 1 + 0.5*math.Sin(float64(f.n)/40) + 0.02*f.r.NormFloat64()
		f.n++
		md := pmetric.NewMetrics()
		for s, service := range f.services {
			for pod := range 2 {
				rm := md.ResourceMetrics().AppendEmpty()
				rm.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
				rm.Resource().Attributes().PutStr(semconv.AttrK8sPodName, fmt.Sprint(service, "-", pod))
				if f.resource != nil {
					f.resource(rm.Resource().Attributes())
				}
				metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
				for i := range f.signals {
					m := metrics.AppendEmpty()
					m.SetName(fmt.Sprint("signal.", i))
					p := m.SetEmptyGauge().DataPoints().AppendEmpty()
					p.SetTimestamp(pcommon.NewTimestampFromTime(now))
					p.Attributes().PutStr("kind", "a")
					v := load
					if s == 0 && i < (f.signals+2)/3 {
						v += f.off
					}
					p.SetDoubleValue(100 * (v + 0.01*f.r.NormFloat64()))
				}
			}
		}
		f.h.feed(md)
	}
	return f.h.scores[first:]
}

func ofEntities(scores []score) []score {
	var out []score
	for _, s := range scores {
		if s.signal == semconv.SignalEntity {
			out = append(out, s)
		}
	}
	return out
}

// sum adds up a counter's points that have these attributes.
func (f *fleet) sum(name string, attributes ...string) int64 {
	f.h.t.Helper()
	m, err := f.h.telemetry.GetMetric("otelcol_processor_anomaly_" + name)
	if err != nil {
		return 0
	}
	var points []metricdata.DataPoint[int64]
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	}
	n := int64(0)
	for _, p := range points {
		all := true
		for i := 0; i < len(attributes); i += 2 {
			v, ok := p.Attributes.Value(attribute.Key(attributes[i]))
			all = all && ok && v.AsString() == attributes[i+1]
		}
		if all {
			n += p.Value
		}
	}
	return n
}

// A break that no series shows: some signals stand where they usually stand at another load.
func TestEntityFindsABrokenCorrelation(t *testing.T) {
	for _, kind := range []entitydetector.Type{entitydetector.Autoencoder, entitydetector.IsolationForest} {
		t.Run(string(kind), func(t *testing.T) {
			f := newFleet(t, entitySettings(kind))
			f.services = []string{"cart", "orders"}
			assert.Empty(t, ofEntities(f.send(1500)), "calm")
			f.off = -0.3
			broken := begin.Add(time.Duration(f.n) * f.interval)
			got := ofEntities(f.send(30))
			require.NotEmpty(t, got)
			for _, s := range got {
				assert.Equal(t, map[string]any{semconv.AttrServiceName: "cart"}, s.resource)
				assert.Equal(t, semconv.SignalEntity, s.metric)
				assert.Equal(t, string(kind), s.detector)
				assert.Empty(t, s.attributes)
				assert.False(t, s.onset.Before(broken))
			}
			assert.GreaterOrEqual(t, got[0].value, 0.9)
			assert.Less(t, got[0].at.Sub(broken), 3*time.Minute)
			f.off = 0
			last := ofEntities(f.send(300))
			require.NotEmpty(t, last)
			assert.Less(t, last[len(last)-1].value, 0.9, "the episode is closed")

			named := 0
			for _, a := range f.h.added {
				part, ok := a.beside[semconv.MetricAnomalyContribution]
				if !ok {
					continue
				}
				named++
				assert.Equal(t, string(kind), a.detector)
				assert.Equal(t, map[string]any{"kind": "a"}, a.attributes)
				assert.Contains(t, a.metric, "signal.")
				assert.True(t, part > 0 && part <= 1)
			}
			assert.Positive(t, named)
			assert.Positive(t, f.sum("entity_verdicts", "detector", string(kind), "agreement", "neither"))
			assert.Positive(t, f.sum("entity_verdicts", "detector", string(kind), "agreement", "entity_only")+
				f.sum("entity_verdicts", "detector", string(kind), "agreement", "both"))
			assert.Equal(t, int64(2), f.sum("held_entities"))
			assert.Equal(t, int64(256), f.sum("limit_entities"))
			assert.Equal(t, int64(2), f.sum("formed_entities"))
		})
	}
}

func TestEntityFusion(t *testing.T) {
	f := newFleet(t, entitySettings(entitydetector.Fusion))
	assert.Empty(t, ofEntities(f.send(800)))
	f.off = 4
	got := ofEntities(f.send(10))
	require.NotEmpty(t, got)
	assert.Equal(t, "fusion", got[0].detector)
	gains := 0
	for _, a := range f.h.added {
		if gain, ok := a.beside[semconv.MetricAnomalyInformationGain]; ok {
			gains++
			assert.GreaterOrEqual(t, gain, 0.0)
			assert.Contains(t, a.beside, semconv.MetricAnomalyContribution)
		}
	}
	assert.Positive(t, gains)
	assert.Positive(t, f.sum("entity_verdicts", "detector", "fusion", "agreement", "both"))
}

func TestDefaultEntityDetectors(t *testing.T) {
	f := newFleet(t, defaultEntities())
	f.send(200)
	assert.Positive(t, f.sum("entity_verdicts", "detector", "autoencoder"))
	assert.Positive(t, f.sum("entity_verdicts", "detector", "fusion"))
	f.off = 4
	for _, s := range ofEntities(f.send(20)) {
		assert.Equal(t, "fusion", s.detector, "the autoencoder is in shadow")
	}
}

func TestEntityInShadow(t *testing.T) {
	e := entitySettings(entitydetector.Fusion)
	e.Detectors[0].Shadow = true
	f := newFleet(t, e)
	f.send(800)
	f.off = 4
	assert.Empty(t, ofEntities(f.send(10)))
	shadows := 0
	for _, a := range f.h.added {
		if _, ok := a.beside[semconv.MetricAnomalyShadowScore]; ok {
			shadows++
			assert.Equal(t, semconv.SignalEntity, a.signal)
		}
	}
	assert.Positive(t, shadows)
}

func TestEntitiesAreOffUnlessWritten(t *testing.T) {
	f := &fleet{h: newHarness(t), r: seeded(1), interval: 10 * time.Second, services: []string{"cart"}, signals: 6}
	f.send(100)
	f.off = 40
	assert.Empty(t, ofEntities(f.send(30)))
	assert.Zero(t, f.sum("assembled_vectors"))
}

func TestEntitySettings(t *testing.T) {
	t.Run("by", func(t *testing.T) {
		e := entitySettings(entitydetector.Fusion)
		e.By = []string{semconv.AttrServiceName, semconv.AttrK8sPodName}
		f := newFleet(t, e)
		f.send(30)
		assert.Equal(t, int64(2), f.sum("held_entities"))
		e.By = []string{"absent"}
		f = newFleet(t, e)
		f.send(30)
		assert.Zero(t, f.sum("held_entities"), "the last attribute must be there")
		e.By = []string{"absent", semconv.AttrServiceName}
		f = newFleet(t, e)
		f.send(30)
		assert.Equal(t, int64(1), f.sum("held_entities"))
	})
	t.Run("interval", func(t *testing.T) {
		vectors := func(interval time.Duration) int64 {
			e := entitySettings(entitydetector.Fusion)
			e.Interval = interval
			f := newFleet(t, e)
			f.send(224)
			return f.sum("assembled_vectors")
		}
		assert.InDelta(t, 200, vectors(0), 8, "as often as points come")
		assert.InDelta(t, 50, vectors(40*time.Second), 4)
	})
	t.Run("max_entities", func(t *testing.T) {
		e := entitySettings(entitydetector.Fusion)
		e.MaxEntities = 1
		f := newFleet(t, e)
		f.services = []string{"cart", "orders"}
		f.send(30)
		assert.Equal(t, int64(1), f.sum("held_entities"))
		assert.Equal(t, int64(2), f.sum("refused_entities"), "one for each pod")
	})
	t.Run("max_signals", func(t *testing.T) {
		e := entitySettings(entitydetector.Fusion)
		e.MaxSignals = 4
		f := newFleet(t, e)
		f.send(30)
		assert.Equal(t, int64(2), f.sum("refused_signals"))
		e.MaxSignals = 2
		f = newFleet(t, e)
		f.signals = 200
		f.send(3)
		assert.Greater(t, f.sum("refused_signals"), int64(200-8), "past the bound, every series counts at each point")
	})
	t.Run("warm_up", func(t *testing.T) {
		e := entitySettings(entitydetector.Fusion)
		e.WarmUp = 10_000
		f := newFleet(t, e)
		f.send(400)
		f.off = 4
		assert.Empty(t, ofEntities(f.send(10)))
	})
	t.Run("top_signals", func(t *testing.T) {
		e := entitySettings(entitydetector.Fusion)
		for _, top := range []int{0, 1} {
			e.TopSignals = top
			f := newFleet(t, e)
			f.send(800)
			f.off = 4
			got := ofEntities(f.send(10))
			named := 0
			for _, a := range f.h.added {
				if _, ok := a.beside[semconv.MetricAnomalyContribution]; ok {
					named++
				}
			}
			assert.LessOrEqual(t, named, top*len(got))
			assert.Equal(t, top > 0, named > 0)
		}
	})
	t.Run("seed and memory", func(t *testing.T) {
		run := func(change func(*Entities)) float64 {
			e := entitySettings(entitydetector.Autoencoder)
			change(&e)
			f := newFleet(t, e)
			f.send(900)
			f.off = -0.5
			f.send(12)
			sum := 0.0
			for _, s := range ofEntities(f.h.scores) {
				sum += s.value
			}
			for _, a := range f.h.added {
				sum += a.beside[semconv.MetricAnomalyContribution]
			}
			return sum
		}
		usual := run(func(*Entities) {})
		assert.Equal(t, usual, run(func(*Entities) {})) //nolint:testifylint // the same luck
		assert.NotEqual(t, usual, run(func(e *Entities) { e.Seed = 2 }))
		assert.NotEqual(t, usual, run(func(e *Entities) { e.Memory = time.Minute }))
	})
}

// An entity whose signals are replaced by others begins anew.
func TestEntityIsFormedAnew(t *testing.T) {
	f := newFleet(t, entitySettings(entitydetector.Fusion))
	f.send(100)
	require.Equal(t, int64(1), f.sum("formed_entities"))
	f.resource = func(m pcommon.Map) { m.PutStr("version", "2") }
	f.send(3)
	assert.Equal(t, int64(1), f.sum("formed_entities"), "new instances of the same signals are no new entity")
	f.signals = 2
	f.send(60)
	assert.Equal(t, int64(2), f.sum("formed_entities"), "most of the signals are gone")
}

func TestEntitiesDoNotAllocate(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	e := entitySettings(entitydetector.IsolationForest, entitydetector.Autoencoder, entitydetector.Fusion)
	e.By = []string{semconv.AttrServiceName}
	f := newFleet(t, e)
	f.send(1000)
	w := f.h.processor
	_ = cfg
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "cart")
	rm.Resource().Attributes().PutStr(semconv.AttrK8sPodName, "cart-0")
	var points []pmetric.NumberDataPoint
	for i := range f.signals {
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(fmt.Sprint("signal.", i))
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.Attributes().PutStr("kind", "a")
		points = append(points, p)
	}
	run := func() {
		f.n++
		v := 100 * (1 + 0.5*math.Sin(float64(f.n)/40))
		for _, p := range points {
			p.SetTimestamp(pcommon.NewTimestampFromTime(at(f.n, f.interval)))
			p.SetDoubleValue(v)
		}
		require.NoError(t, w.ConsumeMetrics(t.Context(), md))
		f.h.sink.Reset()
	}
	for range 50 {
		run()
	}
	plain := newHarness(t, func(c *Config) { c.Missing.After = 0 })
	w = plain.processor
	f.h.sink = plain.sink
	without := testing.AllocsPerRun(100, run)
	w = f.h.processor
	with := testing.AllocsPerRun(100, run)
	assert.LessOrEqual(t, with, without+1)
}

func TestEntityTimesOfAllKinds(t *testing.T) {
	f := newFleet(t, entitySettings(entitydetector.Autoencoder, entitydetector.Fusion))
	r := seeded(9)
	for n := range 3000 {
		when := begin.Add(time.Duration(n) * 10 * time.Second)
		switch r.IntN(20) {
		case 0:
			when = when.Add(-time.Hour)
		case 1:
			when = when.Add(time.Duration(r.IntN(100)) * time.Minute)
		case 2:
			when = begin.Add(-24 * time.Hour)
		}
		value := []float64{r.NormFloat64(), math.NaN(), math.Inf(1), 1e300, 0}[r.IntN(5)]
		f.h.feed(gauge(fmt.Sprint("m", r.IntN(5)), "1", when, value))
	}
	for _, s := range f.h.scores {
		assert.True(t, s.value >= 0 && s.value <= 1)
	}
}
