package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func quick() *options {
	return &options{seeds: 1, rate: 5, days: 0.1, learn: 10 * time.Minute, watch: 30 * time.Second, series: 1, worst: 3}
}

func output(t *testing.T, f func(context.Context, *options, *strings.Builder) error, o *options) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, f(t.Context(), o, &b))
	return b.String()
}

func TestWeekCountsSeriesAndAlarms(t *testing.T) {
	said := output(t, func(ctx context.Context, o *options, b *strings.Builder) error { return week(ctx, o, b) }, quick())
	assert.Regexp(t, `series \(signals\) +[1-9]\d+ +\d+ +\d+\.\d\d`, said)
	assert.Error(t, week(t.Context(), &options{rate: 5, days: 0.001}, new(strings.Builder)))
}

// A fault that nobody can overlook must be found, and found in its first samples; nothing must be found without one.
func TestATrialFindsACrash(t *testing.T) {
	got, err := try(t.Context(), quick(), shop.Crash, 1)
	require.NoError(t, err)
	assert.LessOrEqual(t, got.first, 2)
	assert.LessOrEqual(t, got.anywhere, got.first)
}

// Every fault has symptoms, and each of them is something that its service really sends.
func TestSymptomsNameWhatTheShopSends(t *testing.T) {
	cfg := shop.DefaultConfig()
	cfg.Start = monday
	sim, err := shop.New(cfg)
	require.NoError(t, err)
	sent := map[string]bool{}
	for range 60 {
		_, md, _ := sim.Tick()
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				sent[text(rm.Resource().Attributes(), "service.name")+" "+m.Name()] = true
			}
		}
	}
	for _, kind := range shop.SteadyFaultKinds() {
		assert.NotEmpty(t, symptoms[kind], kind)
		for _, s := range symptoms[kind] {
			assert.Contains(t, sent, s.service+" "+s.metric, kind)
		}
	}
}

func TestMediansCountMissesAsLatest(t *testing.T) {
	assert.Equal(t, "1", median([]int{missed, 0, 1}))
	assert.Equal(t, "missed", median([]int{missed, 0, missed}))
	assert.Equal(t, "1/2", detected([]int{missed, 0}))
}

func TestCalmSeriesAreOfTheirKind(t *testing.T) {
	c := newCalm(2)
	require.Len(t, c.points, 2*len(noises))
	sums := make([]float64, len(c.points))
	const n = 20_000
	for i := range n {
		c.fill(monday.Add(time.Duration(i) * time.Minute))
		for j, p := range c.points {
			if !noises[c.kinds[j]].counter {
				sums[j] += p.DoubleValue()
			} else {
				assert.GreaterOrEqual(t, p.DoubleValue(), sums[j])
				sums[j] = p.DoubleValue()
			}
		}
	}
	for j, want := range map[string]float64{"normal": 0, "uniform": 0, "Poisson gauge, mean 3": 3, "Poisson counter, mean 3": 3, "Poisson counter, mean 100": 100} {
		for i := range c.points {
			if noises[c.kinds[i]].name == j {
				assert.InDelta(t, want, sums[i]/n, 0.3, j)
			}
		}
	}
	assert.NotEqual(t, c.points[0].DoubleValue(), c.points[1].DoubleValue(), "two series of a kind differ")
}

func TestAlarmsOnCalmSeriesGrowWithSensitivity(t *testing.T) {
	o := quick()
	o.series, o.days = 4, 3
	var counts []int
	for _, sensitivity := range []float64{0.001, 300} {
		cfg := scoring.DefaultConfig()
		cfg.Sensitivity = sensitivity
		got, err := alarmsOn(t.Context(), cfg, o)
		require.NoError(t, err)
		total := 0
		for _, n := range got {
			total += n
		}
		counts = append(counts, total)
	}
	assert.Less(t, counts[0], counts[1])
}

func TestTheStreamHasTheSeriesItSays(t *testing.T) {
	batches := []pmetric.Metrics{batchOf(0), batchOf(1)}
	f := newFiller(streamInterval)
	p, err := scoring.New(t.Context(), scoring.DefaultConfig(), func(scoring.Score) {})
	require.NoError(t, err)
	use := func(md pmetric.Metrics) error { return p.Consume(t.Context(), md) }
	require.NoError(t, f.each(batches, monday, use))
	for i, md := range batches {
		require.Equal(t, batchSize, md.DataPointCount())
		f.fill(md, monday.Add(time.Duration(i+1)*streamInterval))
		require.NoError(t, use(md))
	}
	held, err := p.Held()
	require.NoError(t, err)
	assert.EqualValues(t, 2*batchSize, held, "the same series one by one and in batches")
	require.NoError(t, p.Close(t.Context()))
}

func TestTheRivalsRun(t *testing.T) {
	batches := []pmetric.Metrics{batchOf(0)}
	for _, r := range rivals {
		c, err := r.measure(batches, newFiller(streamInterval))
		require.NoError(t, err, r.name)
		mean, quietest := c.perPoint(c.points)
		assert.Positive(t, quietest, r.name)
		assert.GreaterOrEqual(t, mean, quietest, r.name)
		assert.GreaterOrEqual(t, c.at(1), c.at(0.99))
	}
}

func TestOverheadNeedsACollector(t *testing.T) {
	assert.ErrorContains(t, overhead(t.Context(), quick(), new(strings.Builder)), "-collector must name")
	o := quick()
	o.collector = t.TempDir() + "/none"
	assert.ErrorContains(t, overhead(t.Context(), o, new(strings.Builder)), "start ")
}
