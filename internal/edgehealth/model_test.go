package edgehealth

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

const user = Node("user")

var (
	learning = excess.Learning{HalfLife: 720, NormalAfter: 720}
	limits   = Limits{MaxEdges: 100, IdleBuckets: 1440}
	entry    = Key{user, "front"}
	front    = Key{"front", "back"}
)

// calls is a sample of n calls of equal duration.
func calls(n, failed, server, client float64) *Sample {
	s := &Sample{Requests: n, Failed: failed, ServerSeconds: n * server, ClientSeconds: n * client}
	if server > 0 {
		s.ServerLatency.Add(server, n)
	}
	if client > 0 {
		s.ClientLatency.Add(client, n)
	}
	return s
}

// play closes n buckets of the same samples and returns all findings.
func play(m *Model, from, n int64, samples map[Key]*Sample) (findings []Finding) {
	for b := from; b < from+n; b++ {
		for key, s := range samples {
			m.Observe(key, b, s)
		}
		findings = append(findings, m.Close(b, 4)...)
	}
	return findings
}

// learnt returns a model that has seen n calm buckets from bucket 0.
func learnt(t testing.TB, n int64) *Model {
	m := New(user, limits, learning)
	require.Empty(t, play(m, 0, n, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 0, 0.02, 0.022)}))
	return m
}

func kinds(findings []Finding) map[string]bool {
	out := map[string]bool{}
	for _, f := range findings {
		out[fmt.Sprintf("%s>%s %d", f.Key.Client, f.Key.Server, f.Kind)] = true
	}
	return out
}

func TestFindings(t *testing.T) {
	for name, c := range map[string]struct {
		entry, front *Sample
		want, not    []string
	}{
		"calm":                        {calls(20, 0, 0.05, 0), calls(20, 0, 0.02, 0.022), nil, []string{"front>back 0", "front>back 1", "front>back 2", "front>back 3", "front>back 4"}},
		"failing":                     {calls(20, 0, 0.05, 0), calls(20, 10, 0.02, 0.022), []string{"front>back 0"}, []string{"user>front 0", "front>back 1"}},
		"slow":                        {calls(20, 0, 0.05, 0), calls(20, 0, 0.5, 0.502), []string{"front>back 1"}, []string{"front>back 2", "front>back 0"}},
		"slow on the way":             {calls(20, 0, 0.05, 0), calls(20, 0, 0.02, 0.5), []string{"front>back 2"}, []string{"front>back 1"}},
		"surge":                       {calls(200, 0, 0.05, 0), calls(200, 0, 0.02, 0.022), []string{"user>front 3"}, []string{"front>back 3"}},
		"more calls for each request": {calls(20, 0, 0.05, 0), calls(200, 0, 0.02, 0.022), []string{"front>back 3"}, []string{"user>front 3"}},
		"no calls any more":           {calls(20, 0, 0.05, 0), calls(0, 0, 0, 0), []string{"front>back 4"}, []string{"front>back 0"}},
		"silence says nothing":        {calls(0, 0, 0, 0), calls(0, 0, 0, 0), nil, []string{"front>back 4", "user>front 4"}},
		"a little slower":             {calls(20, 0, 0.05, 0), calls(20, 0, 0.021, 0.023), nil, []string{"front>back 1", "front>back 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := learnt(t, 200)
			got := kinds(play(m, 200, 6, map[Key]*Sample{entry: c.entry, front: c.front}))
			for _, w := range c.want {
				assert.Contains(t, got, w)
			}
			for _, n := range c.not {
				assert.NotContains(t, got, n)
			}
		})
	}
}

func TestSlowWhereNobodyButTheCallerMeasures(t *testing.T) {
	m := New(user, limits, learning)
	key := Key{"app", "database"}
	require.Empty(t, play(m, 0, 100, map[Key]*Sample{key: calls(20, 0, 0, 0.01)}))
	got := kinds(play(m, 100, 5, map[Key]*Sample{key: calls(20, 0, 0, 0.4)}))
	assert.Contains(t, got, "app>database 1")
	assert.NotContains(t, got, "app>database 2")
	impact := m.Impact(key, 5)
	assert.True(t, impact.ClientOnly)
	assert.InDelta(t, 100*0.39, impact.Seconds, 1)
}

// TestImpact works the numbers out by hand: 5 buckets of 20 calls, 8 failed, 0.12 s instead of 0.02 s.
func TestImpact(t *testing.T) {
	m := learnt(t, 200)
	play(m, 200, 5, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 8, 0.12, 0.122)})
	got := m.Impact(front, 5)
	assert.InDelta(t, 100, got.Requests, 0)
	assert.InDelta(t, 40, got.Failures, 0.1)
	assert.InDelta(t, 100*0.1, got.Seconds, 0.05)
	assert.InDelta(t, 100*0.1, got.ClientSeconds, 0.05)
	assert.InDelta(t, 100, got.UsualRequests, 1)
	assert.InDelta(t, 100, got.ExpectedRequests, 1)
	assert.Positive(t, got.SecondsNoise)
	assert.Positive(t, got.FailureNoise)
	assert.False(t, got.ClientOnly)
	assert.Zero(t, m.Impact(Key{"no", "where"}, 5))

	calm := learnt(t, 200).Impact(front, 5)
	assert.InDelta(t, 0, calm.Failures, 1e-9)
	assert.InDelta(t, 0, calm.Seconds, 1e-5)
}

func TestCalls(t *testing.T) {
	m := learnt(t, 200)
	play(m, 200, 5, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 8, 0.12, 0.122)})
	got := m.Calls(front, 5)
	assert.InDelta(t, 100, got.Requests, 1e-9)
	assert.InDelta(t, 0.4, got.FailureRatio, 1e-6)
	assert.InDelta(t, 0.12, got.MeanSeconds, 1e-6, "as the callee saw it")
	assert.Zero(t, m.Calls(Key{"no", "where"}, 5))
}

func TestFindingTellsNormalAndNow(t *testing.T) {
	m := learnt(t, 200)
	for _, f := range play(m, 200, 4, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 10, 0.2, 0.202)}) {
		if f.Key != front {
			continue
		}
		switch f.Kind {
		case Failing:
			assert.InDelta(t, 0, f.Normal, 1e-9)
			assert.InDelta(t, 0.5, f.Now, 1e-9)
		case Slow:
			assert.InDelta(t, 0.02, f.Normal, 1e-4)
			assert.InDelta(t, 0.2, f.Now, 1e-4)
		}
		assert.Positive(t, f.Verdict.Window)
	}
}

func TestTrendOfARecovery(t *testing.T) {
	m := learnt(t, 200)
	play(m, 200, 5, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 10, 0.02, 0.022)})
	after := play(m, 205, 3, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 0, 0.02, 0.022)})
	for _, f := range after[len(after)-1:] {
		assert.Equal(t, excess.Subsided, f.Trend)
	}
}

func TestCalmTrafficIsSilent(t *testing.T) {
	found := 0
	for seed := range int64(5) {
		rng := rand.New(rand.NewSource(seed))
		m := New(user, limits, learning)
		for b := range int64(600) {
			for _, key := range []Key{entry, front} {
				n := 10 + rng.Intn(21)
				s := &Sample{}
				for range n {
					d := 0.02 + 0.01*rng.ExpFloat64()
					s.Requests++
					s.ServerSeconds += d
					s.ServerLatency.Add(d, 1)
					if rng.Intn(200) == 0 {
						s.Failed++
					}
				}
				m.Observe(key, b, s)
			}
			found += len(m.Close(b, 9))
		}
	}
	assert.Zero(t, found)
}

func TestLimitRefusesNewEdgesAlone(t *testing.T) {
	m := New(user, Limits{MaxEdges: 2, IdleBuckets: 5}, learning)
	require.True(t, m.Observe(entry, 0, calls(1, 0, 0.1, 0)))
	require.True(t, m.Observe(front, 0, calls(1, 0, 0.1, 0)))
	require.False(t, m.Observe(Key{"a", "b"}, 0, calls(1, 0, 0.1, 0)))
	require.True(t, m.Observe(front, 0, calls(1, 0, 0.1, 0)))
	assert.Equal(t, 2, m.Len())
	for b := range int64(10) {
		m.Observe(front, b, calls(1, 0, 0.1, 0))
		m.Close(b, 4)
	}
	assert.Equal(t, 1, m.Len(), "an idle edge makes room")
	assert.True(t, m.Observe(Key{"a", "b"}, 10, calls(1, 0, 0.1, 0)))
}

func TestNodesAreForgottenWithTheirEdges(t *testing.T) {
	m := New(user, Limits{MaxEdges: 50, IdleBuckets: 2}, learning)
	for b := range int64(2000) {
		m.Observe(Key{Node(fmt.Sprint("c", b)), Node(fmt.Sprint("s", b))}, b, calls(1, 0, 0.1, 0))
		m.Close(b, 4)
		require.LessOrEqual(t, len(m.incoming), 2*m.limits.MaxEdges+1)
		require.Equal(t, m.Len(), len(m.sorted))
	}
	assert.Less(t, m.Len(), 6)
}

// TestEdgeWithoutRequests has edges of which durations alone are known, while others are forgotten.
func TestEdgeWithoutRequests(t *testing.T) {
	m := New(user, Limits{MaxEdges: 50, IdleBuckets: 3}, learning)
	for i := range 6 {
		m.Observe(Key{Node(fmt.Sprint("c", i)), Node(fmt.Sprint("s", i))}, 0, calls(1, 0, 0.1, 0))
	}
	m.Close(0, 4)
	m.Observe(Key{"x", "y"}, 2, &Sample{ServerSeconds: 1})
	for b := int64(1); b < 20; b++ {
		m.Close(b, 4)
	}
	assert.Zero(t, m.Len())
	assert.False(t, m.Knows("y"))
}

func TestLateSamplesCountIntoTheOpenBucket(t *testing.T) {
	m := New(user, limits, learning)
	m.Observe(entry, 10, calls(1, 0, 0.1, 0))
	m.Close(10, 4)
	require.Nil(t, m.Close(10, 4), "a bucket is closed once")
	m.Observe(entry, 3, calls(5, 0, 0.1, 0))
	m.Close(11, 4)
	assert.InDelta(t, 5, m.Requests("front"), 0)
	assert.InDelta(t, 6, m.RequestsIn("front", 2), 0)
	assert.InDelta(t, 6, m.RequestsIn("front", 1000), 0)
	assert.InDelta(t, 6, m.RequestsIn(user, 2), 0, "the entry node counts what it makes")
	assert.Zero(t, m.Requests("nobody"))
	assert.Zero(t, m.RequestsIn("nobody", 3))
	first, ok := m.FirstSeen(entry)
	assert.True(t, ok)
	assert.Equal(t, int64(10), first)
	_, ok = m.FirstSeen(front)
	assert.False(t, ok)
}

func TestGapsAndJumps(t *testing.T) {
	for _, gap := range []int64{1, 31, 32, 33, 64, 500, 1400} {
		m := learnt(t, 100)
		assert.Empty(t, m.Close(100+gap, 4), "a gap of %d says nothing", gap)
		assert.Empty(t, kinds(play(m, 101+gap, 20, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 0, 0.02, 0.022)})), gap)
	}
}

func TestEdgesComeInOrder(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	m := New(user, limits, learning)
	for range 80 {
		m.Observe(Key{Node(fmt.Sprint(rng.Intn(10))), Node(fmt.Sprint(rng.Intn(10)))}, 0, calls(1, 0, 0.1, 0))
	}
	last, n := Key{}, 0
	m.Edges(func(k Key) {
		assert.Negative(t, compareKeys(last, k))
		last = k
		n++
	})
	assert.Equal(t, m.Len(), n)
}

func TestObserveOfAKnownEdgeDoesNotAllocate(t *testing.T) {
	m := learnt(t, 10)
	s := calls(20, 1, 0.02, 0.022)
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.Observe(front, 10, s) }))
}

func BenchmarkObserve(b *testing.B) {
	m := learnt(b, 10)
	s := calls(20, 1, 0.02, 0.022)
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(front, 10, s)
	}
}

func BenchmarkClose(b *testing.B) {
	for _, edges := range []int{10, 1000} {
		b.Run(fmt.Sprint(edges), func(b *testing.B) {
			m := New(user, Limits{MaxEdges: edges, IdleBuckets: 1 << 40}, learning)
			keys := make([]Key, edges)
			for i := range keys {
				keys[i] = Key{Node(fmt.Sprint("c", i%40)), Node(fmt.Sprint("s", i))}
			}
			s := calls(20, 0, 0.02, 0.022)
			bucket := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				for _, k := range keys {
					m.Observe(k, bucket, s)
				}
				m.Close(bucket, 4)
				bucket++
			}
			b.ReportMetric(float64(edges)*float64(b.N)/b.Elapsed().Seconds(), "edges/s")
		})
	}
}

func TestRewind(t *testing.T) {
	m := learnt(t, 200)
	m.Observe(Key{"x", "y"}, 200, calls(1, 0, 0.1, 0))
	m.Close(200, 4)
	m.Rewind(50)
	assert.Zero(t, m.RequestsIn("back", 30), "what was counted lately is forgotten")
	first, _ := m.FirstSeen(Key{"x", "y"})
	assert.LessOrEqual(t, first, int64(50), "no edge was first seen in the future")
	assert.Empty(t, play(m, 50, 40, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 0, 0.02, 0.022)}))
	got := kinds(play(m, 90, 5, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 10, 0.02, 0.022)}))
	assert.Contains(t, got, "front>back 0", "what was learnt is kept")
	for b := int64(95); b < 60+limits.IdleBuckets; b++ {
		m.Close(b, 4)
	}
	_, known := m.FirstSeen(Key{"x", "y"})
	assert.False(t, known, "an idle edge is forgotten")
}
