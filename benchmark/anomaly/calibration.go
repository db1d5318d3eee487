package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor"
	"github.com/paramedic-otel/paramedic/semconv"
)

// noise is a kind of calm series. None has a trend or a change that stays.
type noise struct {
	name string
	// counter says that next returns what a cumulative counter grows by.
	counter bool
	next    func(*source) float64
}

// source is the randomness and the memory of one series.
type source struct {
	rng  *rand.Rand
	last float64
	at   time.Time
}

// noises are centred on 0 where they can be, so that no minimum deviation relative to the level hides an alarm.
var noises = []noise{
	{"normal", false, func(s *source) float64 { return s.rng.NormFloat64() }},
	{"uniform", false, func(s *source) float64 { return s.rng.Float64() - 0.5 }},
	{"AR(1), 0.9 a point", false, func(s *source) float64 {
		s.last = 0.9*s.last + math.Sqrt(1-0.81)*s.rng.NormFloat64()
		return s.last
	}},
	{"AR(1), 0.99 a point", false, func(s *source) float64 {
		s.last = 0.99*s.last + math.Sqrt(1-0.9801)*s.rng.NormFloat64()
		return s.last
	}},
	{"log-normal, 0.3", false, func(s *source) float64 { return math.Exp(0.3 * s.rng.NormFloat64()) }},
	{"log-normal, 0.5", false, func(s *source) float64 { return math.Exp(0.5 * s.rng.NormFloat64()) }},
	{"log-normal, 1", false, func(s *source) float64 { return math.Exp(s.rng.NormFloat64()) }},
	{"Student t, 3 degrees", false, func(s *source) float64 {
		a, b, c := s.rng.NormFloat64(), s.rng.NormFloat64(), s.rng.NormFloat64()
		return s.rng.NormFloat64() / math.Sqrt((a*a+b*b+c*c)/3)
	}},
	{"Poisson gauge, mean 3", false, func(s *source) float64 { return poisson(s.rng, 3) }},
	{"Poisson counter, mean 0.05", true, func(s *source) float64 { return poisson(s.rng, 0.05) }},
	{"Poisson counter, mean 3", true, func(s *source) float64 { return poisson(s.rng, 3) }},
	{"Poisson counter, mean 100", true, func(s *source) float64 { return poisson(s.rng, 100) }},
	{"daily sine of 20 spreads, normal", false, func(s *source) float64 { return 10*daily(s.at) + s.rng.NormFloat64() }},
	{"daily load with weekends, Poisson counter", true, func(s *source) float64 {
		mean := 60 * (1.2 + daily(s.at))
		if d := s.at.Weekday(); d == time.Saturday || d == time.Sunday {
			mean /= 2
		}
		return poisson(s.rng, mean)
	}},
}

func daily(at time.Time) float64 {
	return math.Sin(2 * math.Pi * float64(at.Unix()%86400) / 86400)
}

// poisson draws by products of uniform numbers: exact, and fast enough for means up to a few hundred.
func poisson(rng *rand.Rand, mean float64) float64 {
	limit, product, n := math.Exp(-mean), rng.Float64(), 0
	for product > limit {
		product *= rng.Float64()
		n++
	}
	return float64(n)
}

// calm is a set of calm series, a number of each kind, as metrics that are filled anew for every point in time.
type calm struct {
	md      pmetric.Metrics
	points  []pmetric.NumberDataPoint
	kinds   []int
	sources []source
	totals  []float64
}

func newCalm(each int) *calm {
	c := &calm{md: pmetric.NewMetrics()}
	rm := c.md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "calm")
	sm := rm.ScopeMetrics().AppendEmpty()
	for k, n := range noises {
		m := sm.Metrics().AppendEmpty()
		m.SetName(n.name)
		var points pmetric.NumberDataPointSlice
		if n.counter {
			s := m.SetEmptySum()
			s.SetIsMonotonic(true)
			s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			points = s.DataPoints()
		} else {
			points = m.SetEmptyGauge().DataPoints()
		}
		points.EnsureCapacity(each) // the points are kept: they must not move
		for i := range each {
			p := points.AppendEmpty()
			p.Attributes().PutInt("series", int64(i))
			c.points = append(c.points, p)
			c.kinds = append(c.kinds, k)
			c.sources = append(c.sources, source{rng: rand.New(rand.NewPCG(uint64(k), uint64(i)))})
		}
	}
	c.totals = make([]float64, len(c.points))
	return c
}

// fill writes every series' next point and takes away what a processor added to the last ones.
func (c *calm) fill(at time.Time) pmetric.Metrics {
	scopes := c.md.ResourceMetrics().At(0).ScopeMetrics()
	if scopes.Len() > 1 {
		first := true
		scopes.RemoveIf(func(pmetric.ScopeMetrics) bool {
			drop := !first
			first = false
			return drop
		})
	}
	for i, p := range c.points {
		s, n := &c.sources[i], &noises[c.kinds[i]]
		s.at = at
		v := n.next(s)
		if n.counter {
			c.totals[i] += v
			v = c.totals[i]
		}
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(v)
	}
	return c.md
}

// alarmsOn counts the episodes that open on calm series, by kind of noise.
func alarmsOn(ctx context.Context, cfg *anomalyprocessor.Config, o *options) (counts map[string]int, err error) {
	counts = map[string]int{}
	type key struct {
		kind, signal string
		series       int64
	}
	episodes := map[key]*scoring.Episode{}
	p, err := scoring.New(ctx, cfg, func(s scoring.Score) {
		i, _ := s.Point.Attributes().Get("series")
		k := key{s.Metric(), s.Signal(), i.Int()}
		e := episodes[k]
		if e == nil {
			e = &scoring.Episode{}
			episodes[k] = e
		}
		if e.Opens(s.Value(), s.Onset(), cfg.MinScore) {
			counts[k.kind]++
		}
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	c := newCalm(o.series)
	interval := orDefault(o.interval, time.Minute)
	for t, end := monday, monday.Add(calmDays(o)); t.Before(end); t = t.Add(interval) {
		if err := p.Consume(ctx, c.fill(t)); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

func calmDays(o *options) time.Duration {
	return time.Duration(orDefault(o.days, 28) * 24 * float64(time.Hour))
}

// thresholds are the values of min_score that are tried.
var thresholds = []float64{0.5, 0.8, 0.9, 0.95, 0.99, 0.999}

// calibration counts the alarms on calm series at several thresholds.
func calibration(ctx context.Context, o *options, out io.Writer) error {
	fmt.Fprintf(out, "alarms on calm series, per series and day: %d series of each kind, %s, a point every %s\n",
		o.series, calmDays(o), orDefault(o.interval, time.Minute))
	t := table(out)
	fmt.Fprint(t, "noise \\ min_score")
	var columns []map[string]int
	for _, threshold := range thresholds {
		cfg := scoring.DefaultConfig()
		cfg.MinScore = threshold
		cfg.EmitDeviation = false
		counts, err := alarmsOn(ctx, cfg, o)
		if err != nil {
			return err
		}
		columns = append(columns, counts)
		fmt.Fprintf(t, "\t%v", threshold)
	}
	fmt.Fprintln(t, "\t")
	seriesDays := float64(o.series) * calmDays(o).Hours() / 24
	totals := make([]int, len(columns))
	for _, n := range noises {
		fmt.Fprint(t, n.name)
		for i, c := range columns {
			fmt.Fprintf(t, "\t%.4f", float64(c[n.name])/seriesDays)
			totals[i] += c[n.name]
		}
		fmt.Fprintln(t, "\t")
	}
	fmt.Fprint(t, "all")
	for _, n := range totals {
		fmt.Fprintf(t, "\t%.4f", float64(n)/seriesDays/float64(len(noises)))
	}
	fmt.Fprintln(t, "\t")
	return t.Flush()
}
