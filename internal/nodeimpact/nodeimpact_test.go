package nodeimpact

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/rootcause"
)

var unknown = math.NaN()

// slow returns buckets of equal traffic with these mean durations.
func slow(name string, requests float64, seconds ...float64) Service {
	s := Service{Name: name}
	for _, v := range seconds {
		s.Buckets = append(s.Buckets, Sample{Requests: requests, Values: [kinds]float64{Latency: v, Failures: unknown}})
	}
	return s
}

// failing returns buckets of equal traffic with these shares of failures.
func failing(name string, requests float64, shares ...float64) Service {
	s := Service{Name: name}
	for _, v := range shares {
		s.Buckets = append(s.Buckets, Sample{Requests: requests, Values: [kinds]float64{Latency: unknown, Failures: v}})
	}
	return s
}

// traffic replaces the requests of a service.
func traffic(s Service, requests ...float64) Service {
	for i, n := range requests {
		s.Buckets[i].Requests = n
	}
	return s
}

func calls(pairs ...string) []Call {
	var out []Call
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Call{pairs[i], pairs[i+1]})
	}
	return out
}

func names(candidates []rootcause.Candidate) []string {
	var out []string
	for _, c := range candidates {
		out = append(out, c.Name)
	}
	return out
}

func TestRank(t *testing.T) {
	for name, tc := range map[string]struct {
		kind     Kind
		services []Service
		calls    []Call
		want     []string
	}{
		"chain": {
			Latency,
			[]Service{slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .15, .15, .05), slow("db", 500, .01, .01, .11, .11, .01)},
			calls("front", "cart", "cart", "db"),
			[]string{"db"},
		},
		"the middle of a chain": {
			Latency,
			[]Service{slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .15, .15, .05), slow("db", 500, .01, .01, .01, .01, .01)},
			calls("front", "cart", "cart", "db"),
			[]string{"cart"},
		},
		"fan-out": {
			Failures,
			[]Service{
				failing("front", 500, 0, 0, .12, .12, 0), failing("cart", 500, 0, 0, .02, .02, 0), failing("ads", 500, 0, 0, .1, .1, 0),
				failing("cache", 500, 0, 0, 0, 0, 0),
			},
			calls("front", "cart", "front", "ads", "cart", "cache", "ads", "cache"),
			[]string{"ads", "cart"},
		},
		"what many calls bear weighs more than what few do": {
			Latency,
			[]Service{slow("front", 500, .1, .1, .3, .3, .1), slow("busy", 1000, .01, .01, .1, .1, .01), slow("rare", 5, .01, .01, 2, 2, .01), slow("db", 9, .1, .1, .1, .1, .1)},
			calls("front", "busy", "front", "rare", "busy", "db", "rare", "db"),
			[]string{"busy", "rare"},
		},
		"fan-in: a callee is explained to those of its callers that suffer": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .15, .15, .05), slow("batch", 500, .05, .05, .05, .05, .05),
				slow("db", 1000, .01, .01, .06, .06, .01),
			},
			calls("front", "cart", "front", "batch", "cart", "db", "batch", "db"),
			[]string{"db"},
		},
		"a database that two suffering services share": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .3, .3, .1), slow("cart", 500, .05, .05, .15, .15, .05), slow("search", 500, .05, .05, .15, .15, .05),
				slow("db", 1000, .01, .01, .11, .11, .01),
			},
			calls("front", "cart", "front", "search", "cart", "db", "search", "db"),
			[]string{"db"},
		},
		"cycle": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .3, .3, .1), slow("a", 500, .05, .05, .25, .25, .05), slow("b", 500, .05, .05, .25, .25, .05),
				slow("db", 500, .01, .01, .21, .21, .01),
			},
			calls("front", "a", "a", "b", "b", "a", "b", "db"),
			[]string{"db"},
		},
		"what happens beside does not explain the symptom": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .15, .15, .05), slow("batch", 500, .1, .1, .9, .9, .1),
				slow("store", 500, .1, .1, .1, .1, .1),
			},
			calls("front", "cart", "cart", "store", "batch", "store"),
			[]string{"cart", "batch"},
		},
		"a call that was not there before and fails is the caller's doing": {
			Failures,
			[]Service{
				failing("front", 500, 0, 0, .1, .1, 0), failing("cart", 500, 0, 0, .1, .1, 0), traffic(failing("new", 50, unknown, unknown, 1, 1, 1), 0, 0),
			},
			calls("front", "cart", "cart", "new"),
			[]string{"cart"},
		},
		"a silent service is blamed for what its caller cannot explain": {
			Failures,
			[]Service{
				failing("front", 500, 0, 0, .2, .2, 0), failing("cart", 500, 0, 0, .2, .2, 0), failing("db", 500, 0, 0, 0, 0, 0),
				traffic(failing("pay", 100, 0, 0, unknown, unknown, 0), 100, 100, 0, 0, 100), failing("bank", 100, 0, 0, 0, 0, 0),
			},
			calls("front", "cart", "cart", "db", "cart", "pay", "pay", "bank"),
			[]string{"pay"},
		},
		"whoever fails before it calls anybody silences all": {
			Failures,
			[]Service{
				failing("front", 500, 0, 0, .2, .2, 0), failing("cart", 500, 0, 0, 1, 1, 0), traffic(failing("db", 500, 0, 0, unknown, unknown, 0), 500, 500, 0, 0, 500),
				traffic(failing("pay", 100, 0, 0, unknown, unknown, 0), 100, 100, 0, 0, 100),
			},
			calls("front", "cart", "cart", "db", "cart", "pay"),
			[]string{"cart"},
		},
		"a silent service that its callers wait for": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .5, .5, .1), slow("db", 500, .01, .01, .01, .01, .01),
				traffic(slow("pay", 400, .05, .05, unknown, unknown, .05), 400, 400, 0, 0, 400), slow("bank", 40, .01, .01, .01, .01, .01),
			},
			calls("front", "db", "front", "pay", "pay", "bank"),
			[]string{"pay"},
		},
		"more traffic alone is no impact": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .15, .15, .05), traffic(slow("search", 500, .05, .05, .05, .05, .05), 500, 500, 2500, 2500, 500),
				slow("db", 500, .01, .01, .01, .01, .01),
			},
			calls("front", "cart", "front", "search", "cart", "db", "search", "db"),
			[]string{"cart"},
		},
		"a call that the graph does not know is guessed": {
			Latency,
			[]Service{
				slow("front", 500, .1, .12, .3, .2, .1), slow("cart", 500, .05, .07, .25, .15, .05), slow("db", 500, .01, .03, .21, .11, .01),
				slow("disk", 500, .01, .01, .01, .01, .01),
			},
			calls("front", "cart", "db", "disk"),
			[]string{"db"},
		},
		"without a graph what is clearest wins": {
			Latency,
			[]Service{slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .06, .06, .05), slow("db", 500, .01, .01, .11, .11, .01)},
			nil,
			[]string{"db"},
		},
		"a bucket that is missing is like the others": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .2, .2, .1), slow("cart", 500, .05, .05, .15, .15, .05), slow("db", 500, .01, .01, .11, unknown, .01),
				slow("disk", 500, .01, .01, .01, .01, .01),
			},
			calls("front", "cart", "cart", "db", "db", "disk"),
			[]string{"db"},
		},
		"where nothing is known from before the best bucket is normal": {
			Latency,
			[]Service{
				slow("front", 500, unknown, .1, .2, .2, .1), slow("cart", 500, unknown, .05, .15, .15, .05), slow("db", 500, unknown, .01, .11, .11, .01),
				slow("disk", 500, .01, .01, .01, .01, .01),
			},
			calls("front", "cart", "cart", "db", "db", "disk"),
			[]string{"db"},
		},
		"the symptom itself": {
			Failures,
			[]Service{failing("front", 500, 0, 0, .2, .2, 0), failing("cart", 500, 0, 0, 0, 0, 0)},
			calls("front", "cart"),
			[]string{"front"},
		},
		"equals come in the order of their names": {
			Latency,
			[]Service{
				slow("front", 500, .1, .1, .3, .3, .1), slow("b", 500, .05, .05, .15, .15, .05), slow("a", 500, .05, .05, .15, .15, .05),
				slow("db", 500, .01, .01, .01, .01, .01),
			},
			calls("front", "a", "front", "b", "a", "db", "b", "db"),
			[]string{"a", "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Defaults().Rank(tc.services, tc.calls, Symptom{Service: "front", Kind: tc.kind, Onset: 2})
			require.GreaterOrEqual(t, len(got.Named), len(tc.want), "%+v", got)
			assert.Equal(t, tc.want, names(got.Named)[:len(tc.want)], "%+v", got)
		})
	}
}

func TestRankNamesNobody(t *testing.T) {
	calm := []Service{slow("front", 500, .1, .1, .1, .1, .1), slow("cart", 500, .05, .05, .05, .05, .05)}
	for name, tc := range map[string]struct {
		services []Service
		symptom  Symptom
	}{
		"calm":            {calm, Symptom{"front", Latency, 2}},
		"unknown symptom": {calm, Symptom{"nobody", Latency, 2}},
		"nothing before":  {calm, Symptom{"front", Latency, 0}},
		"too late":        {calm, Symptom{"front", Latency, 5}},
		"nothing known":   {calm, Symptom{"front", Failures, 2}},
		"no services":     {nil, Symptom{"front", Latency, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, Defaults().Rank(tc.services, calls("front", "cart"), tc.symptom).Named)
		})
	}
}

// learnt gives services a past in which their values vary by 5 %.
func learnt(services []Service, kind Kind) []Service {
	rng := rand.New(rand.NewSource(1))
	for i := range services {
		past := make([]Sample, 200)
		for j := range past {
			past[j] = services[i].Buckets[0]
			past[j].Values[kind] *= 1 + 0.05*rng.NormFloat64()
		}
		services[i].Normal = Defaults().Learn(past)
	}
	return services
}

func TestWhatMayBeChance(t *testing.T) {
	services := func() []Service {
		return []Service{slow("front", 500, .1, .1, .12, .12, .1), slow("cart", 500, .05, .05, .062, .062, .05), slow("db", 500, .01, .01, .01, .01, .01)}
	}
	symptom := Symptom{"front", Latency, 2}
	got := Defaults().Rank(services(), calls("front", "cart", "cart", "db"), symptom)
	assert.Empty(t, got.Named)
	assert.Equal(t, []string{"cart"}, names(got.Doubtful), "little is known of what is noise")

	got = Defaults().Rank(learnt(services(), Latency), calls("front", "cart", "cart", "db"), symptom)
	assert.Equal(t, Causes{Named: []rootcause.Candidate{}}, got, "it is known, and this is not more")

	passing := []Service{slow("front", 500, .1, .1, .3, .1, .1), slow("cart", 500, .05, .05, .25, .05, .05), slow("db", 500, .01, .01, .01, .01, .01)}
	got = Defaults().Rank(learnt(passing, Latency), calls("front", "cart", "cart", "db"), symptom)
	assert.Empty(t, got.Named, "what is over at once is not held")
}

func TestHearsay(t *testing.T) {
	graph, symptom := calls("front", "cart", "cart", "db"), Symptom{"front", Latency, 2}
	at := func(times float64) []Service {
		v := .05 * times
		return []Service{slow("front", 500, .1, .1, .05+v, .05+v, .1), slow("cart", 500, .05, .05, v, v, .05), slow("db", 500, .05, .05, v, v, .05)}
	}
	assert.Empty(t, Defaults().Rank(learnt(at(2), Latency), graph, symptom).Named, "nobody but cart says so of db, and cart owns nothing")
	assert.Equal(t, []string{"db"}, names(Defaults().Rank(learnt(at(3), Latency), graph, symptom).Named))
	assert.Equal(t, []string{"db"}, names(Defaults().Rank(at(2), graph, symptom).Doubtful))
	heard := append(at(2), slow("disk", 500, .01, .01, .01, .01, .01))
	assert.Equal(t, []string{"db"}, names(Defaults().Rank(learnt(heard, Latency), append(graph, Call{"db", "disk"}), symptom).Named), "no hearsay")
}

// TestLateDetection notices the symptom up to two buckets after it began.
func TestLateDetection(t *testing.T) {
	services := []Service{slow("front", 500, .1, .2, .3, .3, .1), slow("cart", 500, .05, .15, .25, .25, .05), slow("db", 500, .01, .01, .01, .01, .01)}
	for onset := 1; onset <= 3; onset++ {
		got := Defaults().Rank(services, calls("front", "cart", "cart", "db"), Symptom{"front", Latency, onset})
		assert.Equal(t, []string{"cart"}, names(got.Named), onset)
	}
}

func TestLearn(t *testing.T) {
	p := Defaults()
	assert.Zero(t, p.Learn(nil))
	var buckets []Sample
	for i := range 101 {
		buckets = append(buckets, Sample{Requests: 10, Values: [kinds]float64{Latency: 1 + float64(i-50)/1000, Failures: unknown}})
	}
	buckets = append(buckets, Sample{Requests: 0, Values: [kinds]float64{Latency: 99, Failures: 1}}, Sample{Requests: unknown, Values: [kinds]float64{99, 1}})
	got := p.Learn(buckets)
	assert.Zero(t, got.Kinds[Failures], "nothing is known of it")
	assert.Equal(t, 101, got.Kinds[Latency].Buckets)
	assert.InDelta(t, 1, got.Kinds[Latency].Level, 1e-9)
	assert.InDelta(t, 0.025*madOfNormal, got.Kinds[Latency].Spread, 1e-3, "median absolute deviation")
	for i := range 8 {
		buckets[i].Values[Latency] = 2
	}
	assert.InDelta(t, 1/1.6449, p.Learn(buckets).Kinds[Latency].Spread, 0.05, "bursts that come again are noise")
	for i := range 4 {
		buckets[i].Values[Latency] = 1
	}
	assert.Less(t, p.Learn(buckets).Kinds[Latency].Spread, 0.05, "rare ones are not")
	assert.Zero(t, p.Learn(buckets[:11]).Kinds[Latency], "too few")
}

// TestRankInvariants checks on random graphs that the unit of time, the order of the services and a healthy bystander do
// not matter.
func TestRankInvariants(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	for round := range 200 {
		n := 2 + rng.Intn(10)
		var services []Service
		for i := range n {
			s := slow(fmt.Sprint("s", i), float64(50+rng.Intn(500)), .1, .1, .1, .1, .1)
			for b := 1; b < 5; b++ {
				s.Buckets[b].Values[Latency] = .05 + .3*rng.Float64()
				if rng.Intn(8) == 0 {
					s.Buckets[b].Values[Latency] = unknown
				}
			}
			services = append(services, s)
		}
		var graph []Call
		for range rng.Intn(3 * n) {
			graph = append(graph, Call{services[rng.Intn(n)].Name, services[rng.Intn(n)].Name})
		}
		if round%2 == 0 {
			services = learnt(services, Latency)
		}
		symptom := Symptom{"s0", Latency, 2}
		p := Defaults()
		want := p.Rank(services, graph, symptom)
		same := func(p Parameters, services []Service, why string) {
			t.Helper()
			got := p.Rank(services, graph, symptom)
			require.Equal(t, names(want.Named), names(got.Named), why)
			require.Equal(t, names(want.Doubtful), names(got.Doubtful), why)
			for i := range got.Named {
				require.InDelta(t, want.Named[i].Evidence, got.Named[i].Evidence, 1e-6, why)
			}
		}
		same(p, append(services[:n:n], slow("healthy", 100, .1, .1, .1, .1, .1)), "a healthy bystander")
		shuffled := append([]Service{}, services...)
		rng.Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		same(p, shuffled, "another order")
		millis := make([]Service, n)
		for i, s := range services {
			millis[i] = Service{Name: s.Name, Buckets: append([]Sample{}, s.Buckets...), Normal: s.Normal}
			for b := range s.Buckets {
				millis[i].Buckets[b].Values[Latency] *= 1000
			}
			millis[i].Normal.Kinds[Latency].Level *= 1000
			millis[i].Normal.Kinds[Latency].Spread *= 1000
		}
		p.SecondsNoise *= 1000
		same(p, millis, "milliseconds")
	}
}

// TestParameters turns each parameter and sees the answer change.
func TestParameters(t *testing.T) {
	services := func() []Service {
		return learnt([]Service{
			slow("front", 900, .1, .1, .4, .26, .1), slow("cart", 500, .05, .05, .17, .17, .05), slow("ads", 500, .001, .001, .0023, .0023, .001),
			slow("db", 400, .01, .01, .15, .1, .01), slow("disk", 40, .01, .01, .01, .01, .01), slow("user", 100, .05, .05, .06, .0599, .05),
		}, Latency)
	}
	graph := calls("front", "cart", "front", "ads", "front", "user", "user", "disk", "ads", "disk", "db", "disk")
	usual := Defaults().Rank(services(), graph, Symptom{"front", Latency, 2})
	failed := []Service{failing("front", 500, 0, 0, .04, .04, 0), failing("cart", 500, 0, 0, .008, .008, 0), failing("db", 400, 0, 0, 0, 0, 0)}
	usualFailed := Defaults().Rank(failed, calls("front", "cart", "cart", "db"), Symptom{"front", Failures, 2})
	for name, turn := range map[string]func(*Parameters){
		"ranking":       func(p *Parameters) { p.Ranking.Significant = 1 },
		"latency noise": func(p *Parameters) { p.LatencyNoise = 0.05 },
		"seconds noise": func(p *Parameters) { p.SecondsNoise = 0.01 },
		"failing":       func(p *Parameters) { p.Failing = 0.007 },
		"tail":          func(p *Parameters) { p.Tail = 0.999 },
		"held":          func(p *Parameters) { p.Held = 4 },
		"explained":     func(p *Parameters) { p.Explained = 0.2 },
		"alike":         func(p *Parameters) { p.Alike = 0.01 },
		"confidence":    func(p *Parameters) { p.LeastConfidence = 0.99 },
		"learnt":        func(p *Parameters) { p.LearntBuckets = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			p := Defaults()
			turn(&p)
			s := services()
			if name == "tail" || name == "learnt" {
				for i := range s {
					past := make([]Sample, 200)
					rng := rand.New(rand.NewSource(1))
					for j := range past {
						past[j] = s[i].Buckets[0]
						past[j].Values[Latency] *= math.Exp(math.Abs(rng.NormFloat64()))
					}
					s[i].Normal = Defaults().Learn(past)
					require.NotEqual(t, s[i].Normal, p.Learn(past))
				}
				return
			}
			assert.False(t, assert.ObjectsAreEqual(usual, p.Rank(s, graph, Symptom{"front", Latency, 2})) &&
				assert.ObjectsAreEqual(usualFailed, p.Rank(failed, calls("front", "cart", "cart", "db"), Symptom{"front", Failures, 2})))
		})
	}
}

// large returns services that call each other as a random tree, most of them slow.
func large(n int) ([]Service, []Call) {
	rng := rand.New(rand.NewSource(2))
	var services []Service
	for i := range n {
		v := .1 + .2*rng.Float64()
		services = append(services, slow(fmt.Sprint("s", i), 100, .1, .1, v, v, .1))
	}
	var graph []Call
	for i := 1; i < n; i++ {
		graph = append(graph, Call{services[rng.Intn(i)].Name, services[i].Name})
	}
	return learnt(services, Latency), graph
}

func TestAllocations(t *testing.T) {
	for _, n := range []int{40, 400} {
		services, graph := large(n)
		p := Defaults()
		got := testing.AllocsPerRun(5, func() { p.Rank(services, graph, Symptom{"s0", Latency, 2}) })
		assert.Less(t, got, 20*float64(n), "a few for each service")
	}
}

func BenchmarkRank(b *testing.B) {
	for _, n := range []int{40, 400, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			services, graph := large(n)
			p := Defaults()
			b.ReportAllocs()
			for b.Loop() {
				p.Rank(services, graph, Symptom{"s0", Latency, 2})
			}
		})
	}
}
