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

// thresholds are the values of min_score that are tried, sensitivities those of sensitivity.
var (
	thresholds    = []float64{0.5, 0.8, 0.9, 0.95, 0.99, 0.999}
	sensitivities = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10}
)

// calibration counts the alarms on calm series: at several settings of sensitivity, which says how many to expect, and
// how many of those of the default sensitivity have a score beyond several thresholds.
func calibration(ctx context.Context, o *options, out io.Writer) error {
	fmt.Fprintf(out, "calm series: %d of each kind, %s, a point every %s\n", o.series, calmDays(o), orDefault(o.interval, time.Minute))
	seriesDays := float64(o.series) * calmDays(o).Hours() / 24

	var columns []map[string]int
	for _, sensitivity := range sensitivities {
		cfg := scoring.DefaultConfig()
		cfg.Sensitivity = sensitivity
		counts, err := alarmsOn(ctx, cfg, o)
		if err != nil {
			return err
		}
		columns = append(columns, counts)
	}
	calmTable(out, "alarms per series and week, at sensitivity", sensitivities, columns, seriesDays/7)

	columns = nil
	for _, threshold := range thresholds {
		cfg := scoring.DefaultConfig()
		// The prior that makes the score what it is stays as it is by default; only the threshold moves.
		cfg.Sensitivity *= odds(cfg.MinScore) / odds(threshold)
		cfg.MinScore = threshold
		counts, err := alarmsOn(ctx, cfg, o)
		if err != nil {
			return err
		}
		columns = append(columns, counts)
	}
	calmTable(out, "alarms per series and day, at a score of", thresholds, columns, seriesDays)
	return nil
}

// odds is what sensitivity and the prior of the score are joined by: the prior is proportional to sensitivity times it.
func odds(score float64) float64 { return score / (1 - score) }

// calmTable prints alarms divided by exposure, the number of series times the time that the unit of the table names.
func calmTable(out io.Writer, title string, settings []float64, columns []map[string]int, exposure float64) {
	t := table(out)
	fmt.Fprint(t, title)
	for _, v := range settings {
		fmt.Fprintf(t, "\t%v", v)
	}
	fmt.Fprintln(t, "\t")
	totals := make([]int, len(columns))
	for _, n := range noises {
		fmt.Fprint(t, n.name)
		for i, c := range columns {
			fmt.Fprintf(t, "\t%.4f", float64(c[n.name])/exposure)
			totals[i] += c[n.name]
		}
		fmt.Fprintln(t, "\t")
	}
	fmt.Fprint(t, "mean")
	for _, n := range totals {
		fmt.Fprintf(t, "\t%.4f", float64(n)/exposure/float64(len(noises)))
	}
	fmt.Fprintln(t, "\t")
	t.Flush()
}
