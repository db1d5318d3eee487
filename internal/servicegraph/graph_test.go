package servicegraph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func testConfig() Config {
	return Config{
		FlushInterval: 5 * time.Second, Lateness: 2 * time.Second, PairTimeout: 10 * time.Second, FailedPairTimeout: 3 * time.Second,
		IdleTimeout: 10 * time.Second, MaxClockSkew: 10 * time.Second, EdgeTTL: 15 * time.Minute,
		MaxPending: 100_000, MaxEdges: 1_000, MaxNameLength: 64, User: "user", Bounds: []float64{0.1, 1},
	}
}

func nodeOf(g *Graph, name string) NodeID { return g.own.Service("", name) }

func add(g *Graph, b *Batch, arrived int64) {
	g.own.Take(arrived, func() { g.own.appendSpans(b.Spans, b.Links) })
}

// refSpan is a span for the reference: parent is an index into all spans of its trace, or -1.
type refSpan struct {
	Span
	service string
	parent  int
}

// randomTrace returns the spans of one trace as a tree.
func randomTrace(rng *rand.Rand, trace uint64) []refSpan {
	kinds := []Kind{KindInternal, KindServer, KindClient, KindClient, KindServer, KindInternal}
	spans := make([]refSpan, 1+rng.IntN(12))
	for i := range spans {
		s := &spans[i]
		s.parent = -1
		s.Trace, s.ID = TraceID{Lo: trace + 1}, uint64(i+1)
		if i > 0 {
			s.parent = rng.IntN(i)
			s.Parent = uint64(s.parent + 1)
		}
		s.service = string(rune('a' + rng.IntN(3)))
		s.Kind = kinds[rng.IntN(len(kinds))]
		s.End = int64(time.Hour) + int64(trace)*int64(10*time.Millisecond)
		s.Start = s.End - int64(time.Millisecond)
		s.Weight = 1
	}
	return spans
}

// reference finds the caller of each called span with the whole trace at hand.
func reference(spans []refSpan, edges map[string]int) {
	for i := range spans {
		s := &spans[i]
		if s.Kind != KindServer {
			continue
		}
		caller := ""
		for p := s.parent; ; p = spans[p].parent {
			if p < 0 {
				if caller == "" {
					caller = "user"
				}
				break
			}
			a := &spans[p]
			if caller != "" {
				// On the way up to the caller's own span for the call, which decides nothing here.
				break
			}
			if a.Kind == KindClient || a.service != s.service {
				caller = a.service
			} else if a.Kind == KindServer {
				break // within a server's span of its own service
			}
		}
		if caller != "" {
			edges[caller+">"+s.service]++
		}
	}
}

// TestAgainstReference has spans of random trees come in random order and batches.
func TestAgainstReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		want, got := map[string]int{}, map[string]int{}
		var all []refSpan
		for trace := range 40 {
			spans := randomTrace(rng, uint64(trace))
			reference(spans, want)
			all = append(all, spans...)
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cfg := testConfig()
		cfg.Seed = rng.Uint64()
		g := New(cfg, func(_ int64, edges []Edge) {
			for _, e := range edges {
				got[e.Client.Name+">"+e.Server.Name] = int(e.Totals.Requests)
			}
		})
		for len(all) > 0 {
			n := min(len(all), 1+rng.IntN(30))
			var b Batch
			for _, s := range all[:n] {
				s.Service = nodeOf(g, s.service)
				b.Spans = append(b.Spans, s.Span)
			}
			add(g, &b, 0)
			all = all[n:]
		}
		g.Flush()
		assert.Equal(t, want, got)
		s := g.Stats()
		assert.Zero(t, s.Held)
	}
}

// TestCircularParents arranges parents in a circle, through which no way leads up.
func TestCircularParents(t *testing.T) {
	var got []string
	g := New(testConfig(), func(_ int64, edges []Edge) {
		for _, e := range edges {
			got = append(got, fmt.Sprint(e.Client.Name, ">", e.Server.Name, " ", e.Totals.Requests))
		}
	})
	a := nodeOf(g, "a")
	span := func(id, parent uint64, k Kind) Span {
		return Span{Trace: TraceID{Lo: 1}, ID: id, Parent: parent, Service: a, Kind: k, Weight: 1, End: int64(time.Hour)}
	}
	b := Batch{Spans: []Span{
		span(1, 2, KindInternal), span(2, 1, KindInternal), span(3, 1, KindServer), span(4, 4, KindServer), span(5, 5, KindClient),
	}}
	add(g, &b, 0)
	g.Flush()
	assert.Equal(t, []string{"user>a 1"}, got)
}

// TestManyWaitForOne would take quadratic time if a record left a list of waiting ones by searching it.
func TestManyWaitForOne(t *testing.T) {
	g := New(testConfig(), func(int64, []Edge) {})
	a := nodeOf(g, "a")
	var b Batch
	for i := range 100_000 {
		b.Spans = append(b.Spans, Span{
			Trace: TraceID{Lo: 1}, ID: uint64(i + 10), Parent: 1, Service: a, Kind: KindServer, Weight: 1, End: int64(time.Hour),
		})
	}
	slices.Reverse(b.Spans)
	add(g, &b, 0)
	assert.EqualValues(t, 100_000, g.Stats().Pending)
	g.Flush()
	assert.Zero(t, g.Stats().Held)
}

// TestMissingEnd has a span without an end among the first, and nothing at all before them.
func TestMissingEnd(t *testing.T) {
	var at []int64
	g := New(testConfig(), func(t int64, _ []Edge) { at = append(at, t) })
	g.Flush()
	add(g, &Batch{}, 0)
	a := nodeOf(g, "a")
	add(g, &Batch{Spans: []Span{
		{Trace: TraceID{Lo: 1}, ID: 1, Service: a, Kind: KindServer, End: int64(time.Hour), Weight: 1},
		{Trace: TraceID{Lo: 1}, ID: 2, Service: a, Kind: KindServer, End: 0, Weight: 1},
	}}, 0)
	g.Flush()
	assert.Equal(t, []int64{int64(time.Hour)}, at, "it does not set the watermark back")
}

// spansOf returns n server spans of a service that end at the given time.
func spansOf(g *Graph, service string, n int, end time.Duration, trace *uint64) []Span {
	out := make([]Span, n)
	for i := range out {
		*trace++
		out[i] = Span{Trace: TraceID{Lo: *trace}, ID: 1, Service: nodeOf(g, service), Kind: KindServer, End: int64(end), Weight: 1}
	}
	return out
}

// TestOneServiceAgainstOthers has one service send far more spans than any threshold, all of a day ahead.
func TestOneServiceAgainstOthers(t *testing.T) {
	const healthy = 1000 * time.Second
	var last time.Duration
	g := New(testConfig(), func(at int64, _ []Edge) { last = time.Duration(at) })
	var trace uint64
	for i := range 60 {
		now := healthy + time.Duration(i)*time.Second
		add(g, &Batch{Spans: spansOf(g, "a", 1, now, &trace)}, int64(now))
		add(g, &Batch{Spans: spansOf(g, "b", 1, now, &trace)}, int64(now))
		if i >= 2 {
			add(g, &Batch{Spans: spansOf(g, "broken", 5000, now+24*time.Hour, &trace)}, int64(now))
		}
	}
	g.Flush()
	assert.Equal(t, healthy+59*time.Second, last)
	assert.Zero(t, g.Stats().Leaps)
	assert.EqualValues(t, 58*5000, g.Stats().Skewed)
}

// TestGapIsFollowed replays, in no time, a recording with a gap.
func TestGapIsFollowed(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after []string
		spans         int // of each service, a batch
		batches       int // after the gap, until it is followed
	}{
		"both services return":       {before: []string{"a", "b"}, after: []string{"a", "b"}, spans: 10, batches: 2},
		"another two come":           {before: []string{"a", "b"}, after: []string{"c", "d"}, spans: 10, batches: 2},
		"the second returns late":    {before: []string{"a", "b"}, after: []string{"a", "a", "a", "b"}, spans: 300, batches: 4},
		"the only one returns":       {before: []string{"a"}, after: []string{"a"}, spans: 200, batches: 1},
		"one of two returns":         {before: []string{"a", "b"}, after: []string{"a"}, spans: 200, batches: quietBatches},
		"one that never was returns": {before: []string{"a"}, after: []string{"b"}, spans: 200, batches: quietBatches},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(testConfig(), func(int64, []Edge) {})
			var trace uint64
			for i := range 10 {
				for _, s := range tc.before {
					add(g, &Batch{Spans: spansOf(g, s, 5, 1000*time.Second+time.Duration(i)*time.Second, &trace)}, 0)
				}
			}
			n := 0
			for ; g.Stats().Leaps == 0 && n < 1000; n++ {
				add(g, &Batch{Spans: spansOf(g, tc.after[n%len(tc.after)], tc.spans, 2000*time.Second, &trace)}, 0)
			}
			assert.Equal(t, tc.batches, n)
			assert.Zero(t, g.Stats().Skewed, "all keep their time")
		})
	}
}

// TestDoubtIsBounded has spans that are neither confirmed nor contradicted.
func TestDoubtIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.MaxPending = 1000
	g := New(cfg, func(int64, []Edge) {})
	var trace uint64
	add(g, &Batch{Spans: spansOf(g, "a", 1, 1000*time.Second, &trace)}, 0)
	for range quietBatches - 2 {
		add(g, &Batch{Spans: spansOf(g, "b", 300, 2000*time.Second, &trace)}, 0)
		assert.LessOrEqual(t, g.Stats().Pending, int64(cfg.MaxPending))
	}
	assert.Zero(t, g.Stats().Leaps)
	assert.Positive(t, g.Stats().Skewed)
}
