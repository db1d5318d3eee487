package main

import (
	"fmt"
	"io"
	"math"
	"math/rand"
	"time"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

// seeds is over how many random changes of the data a row of a sweep is the mean.
const seeds = 20

// missingEdges is the share of the graph that is left out.
const missingEdges = 0.2

// factors are what each parameter is multiplied by.
var factors = []float64{0.5, 0.7, 1.4, 2}

// sweep prints what becomes of the accuracy without parts of the method, with worse data, and with other parameters.
func sweep(w io.Writer, r run, scenarios []scenario) {
	r.untimed = true
	header := func(name string) { fmt.Fprintf(w, "\n%-42s %6s %6s\n", name, "top-1", "top-3") }
	row := func(name string, top1, top3 float64) { fmt.Fprintf(w, "%-42s %6.3f %6.3f\n", name, top1, top3) }
	once := func(name string, turn func(*run)) {
		v := r
		turn(&v)
		c := total(v.all(scenarios))
		row(name, share(c.top1, c.issues), share(c.top3, c.issues))
	}
	mean := func(name string, turn func(*run, *rand.Rand)) {
		top1, top3 := 0.0, 0.0
		for seed := range int64(seeds) {
			v := r
			turn(&v, rand.New(rand.NewSource(seed)))
			c := total(v.all(scenarios))
			top1 += share(c.top1, c.issues) / seeds
			top3 += share(c.top3, c.issues) / seeds
		}
		row(name, top1, top3)
	}

	header("without")
	once("nothing", func(*run) {})
	once("traffic weights", func(v *run) { v.withoutTraffic = true })
	once("explain-away", func(v *run) { v.parameters.Explained, v.parameters.Ranking.Explained = 0, 0 })
	once("graph", func(v *run) { v.calls = func([]nodeimpact.Call) []nodeimpact.Call { return nil } })

	header("with")
	once("detection 60 s late", func(v *run) { v.late += time.Minute })
	once("detection 5 minutes late", func(v *run) { v.late += 5 * time.Minute })
	mean("20 % of the edges missing", func(v *run, rng *rand.Rand) { v.calls = dropCalls(rng) })
	mean("the same, no call guessed", func(v *run, rng *rand.Rand) {
		v.calls, v.parameters.Alike = dropCalls(rng), 0
	})
	for _, worse := range []struct {
		name   string
		change func(*rand.Rand, *nodeimpact.Sample)
	}{
		{"20 % more of the values missing", dropValue},
		{"durations that vary by 20 % more", varyDuration},
		{"half of the requests", thin},
	} {
		mean(worse.name, func(v *run, rng *rand.Rand) {
			v.change = func(rows []nodeimpact.Sample) {
				for i := range rows {
					worse.change(rng, &rows[i])
				}
			}
		})
	}
	for _, load := range []struct {
		name  string
		slows float64
	}{{"load up to twice or half from row to row", 0}, {"and all durations as the root of the load", 0.5}} {
		mean(load.name, func(v *run, rng *rand.Rand) {
			v.load, v.slows = func() float64 { return math.Exp2(2*rng.Float64() - 1) }, load.slows
		})
	}

	header("parameter times 0.5, 0.7, 1.4, 2")
	for _, p := range knobs {
		for _, factor := range factors {
			once(fmt.Sprintf("%s × %v", p.name, factor), func(v *run) { p.scale(&v.parameters, factor) })
		}
	}
}

func dropCalls(rng *rand.Rand) func([]nodeimpact.Call) []nodeimpact.Call {
	return func(calls []nodeimpact.Call) (out []nodeimpact.Call) {
		for _, c := range calls {
			if rng.Float64() >= missingEdges {
				out = append(out, c)
			}
		}
		return out
	}
}

func dropValue(rng *rand.Rand, s *nodeimpact.Sample) {
	for k := range s.Values {
		if rng.Float64() < 0.2 {
			s.Values[k] = math.NaN()
		}
	}
}

func varyDuration(rng *rand.Rand, s *nodeimpact.Sample) {
	s.Values[nodeimpact.Latency] *= math.Exp(0.2 * rng.NormFloat64())
}

// thin leaves every other request out by chance.
func thin(rng *rand.Rand, s *nodeimpact.Sample) {
	kept, failed := 0.0, 0.0
	wasFailed := math.Round(s.Requests * s.Values[nodeimpact.Failures])
	for i := range int(s.Requests) {
		if rng.Intn(2) == 0 {
			kept++
			if float64(i) < wasFailed {
				failed++
			}
		}
	}
	s.Requests = kept
	if kept > 0 {
		s.Values[nodeimpact.Failures] = failed / kept
	}
}

// knobs are the parameters.
var knobs = []struct {
	name  string
	scale func(*nodeimpact.Parameters, float64)
}{
	{"significant", func(p *nodeimpact.Parameters, f float64) { p.Ranking.Significant *= f }},
	{"held", func(p *nodeimpact.Parameters, f float64) { p.Held *= f }},
	{"least noise of latency", func(p *nodeimpact.Parameters, f float64) { p.LatencyNoise *= f }},
	{"least noise in seconds", func(p *nodeimpact.Parameters, f float64) { p.SecondsNoise *= f }},
	{"normal share of failures", func(p *nodeimpact.Parameters, f float64) { p.Failing *= f }},
	{"tail", func(p *nodeimpact.Parameters, f float64) { p.Tail = 1 - f*(1-p.Tail) }},
	{"explained by calls", func(p *nodeimpact.Parameters, f float64) { p.Explained = min(1, p.Explained*f) }},
	{"alike", func(p *nodeimpact.Parameters, f float64) { p.Alike *= f }},
	{"least confidence", func(p *nodeimpact.Parameters, f float64) { p.LeastConfidence *= f }},
	{"explained evidence", func(p *nodeimpact.Parameters, f float64) { p.Ranking.Explained *= f }},
	{"least kept", func(p *nodeimpact.Parameters, f float64) { p.Ranking.LeastKept *= f }},
	{"uninstrumented", func(p *nodeimpact.Parameters, f float64) { p.Ranking.Uninstrumented *= f }},
	{"unfelt", func(p *nodeimpact.Parameters, f float64) { p.Ranking.Unfelt *= f }},
	{"symptom share", func(p *nodeimpact.Parameters, f float64) { p.Ranking.SymptomShare *= f }},
}
