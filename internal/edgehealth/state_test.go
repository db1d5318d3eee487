package edgehealth

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate/statetest"
	"github.com/paramedic-otel/paramedic/internal/excess"
)

// records returns the states of all edges.
func records(m *Model) (all [][]byte) {
	m.Edges(func(k Key) { all = append(all, m.AppendEdge(nil, k)) })
	return all
}

func restored(t testing.TB, whole bool, all ...[]byte) *Model {
	m := New(user, limits, learning)
	for _, data := range all {
		require.NoError(t, m.RestoreEdge(data))
	}
	m.Restored(whole)
	return m
}

// The codec knows every field. When this fails for a new one, add it to a code method in state.go, and raise ModelVersion.
func TestCodeKnowsEveryField(t *testing.T) {
	var want, got edge
	statetest.Fill(&want, func(field string) bool { return field == "Track.Clustered" || field == "edge.key" })
	w := binarystate.NewWriter(nil)
	want.code(w)
	r := binarystate.NewCodecReader(w.Written())
	got.code(r)
	require.NoError(t, r.Close())
	assert.Empty(t, statetest.Lost(want, got), "fields that the codec of an edge does not know")
}

// A model that was restored finds what the one that went on finds, whenever that was.
func TestStateSurvives(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	bucket := func(b int64) map[Key]*Sample {
		failed, server := 0.0, 0.02
		if b%90 > 75 {
			failed, server = 6, 0.02+float64(b%3)*0.2
		}
		n := float64(10 + b*7%13)
		return map[Key]*Sample{entry: calls(n, failed/2, 0.05, 0), front: calls(n+0.5, failed, server, server+0.002)}
	}
	for range 20 {
		a := New(user, limits, learning)
		at := 20 + rng.Int63n(300)
		play2(a, 0, at, bucket)
		// Some counts lie in buckets that are not closed yet.
		a.Observe(front, at+1, calls(5, 1, 0.02, 0.03))
		b := restored(t, true, records(a)...)
		assert.Equal(t, a.Next(), b.Next())
		assert.Equal(t, a.Knows("front"), b.Knows("front"))
		want, got := play2(a, at, 200, bucket), play2(b, at, 200, bucket)
		require.NotEmpty(t, want)
		assert.Equal(t, want, got, "restored before bucket %d", at)
		assert.Equal(t, a.Impact(front, 5), b.Impact(front, 5))
	}
}

func play2(m *Model, from, n int64, samples func(int64) map[Key]*Sample) (findings []Finding) {
	for b := from; b < from+n; b++ {
		findings = append(findings, play(m, b, 1, samples(b))...)
	}
	return findings
}

// Edges that were written at different times come to lie in one time, in whatever order they are restored.
func TestStatesOfDifferentTimesMeet(t *testing.T) {
	m := learnt(t, 200)
	early := m.AppendEdge(nil, front)
	play(m, 200, 3, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 0, 0.02, 0.022)})
	late := m.AppendEdge(nil, entry)
	for _, order := range [][][]byte{{early, late}, {late, early}} {
		b := restored(t, true, order...)
		assert.Equal(t, int64(203), b.Next())
		assert.InDelta(t, 0, b.RequestsIn("front", 3), 0, "not all is known of these buckets")
		assert.InDelta(t, 20, b.RequestsIn("front", 4), 0)
		assert.InDelta(t, 20, b.RequestsIn("back", 4), 0)
		assert.Empty(t, play(b, 203, 50, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 0, 0.02, 0.022)}))
		assert.NotEmpty(t, play(b, 253, 3, map[Key]*Sample{entry: calls(20, 0, 0.05, 0), front: calls(20, 20, 0.02, 0.022)}))
	}
	m.Observe(front, 203, calls(7, 0, 0.02, 0.022))
	part := restored(t, false, m.AppendEdge(nil, front), m.AppendEdge(nil, entry))
	assert.Empty(t, part.Close(203, 4))
	assert.InDelta(t, 0, part.Requests("back"), 0, "a bucket that not all have been counted into yet")

	long := restored(t, false, early)
	play(m, 203, 500, map[Key]*Sample{entry: calls(20, 0, 0.05, 0)})
	require.NoError(t, long.RestoreEdge(m.AppendEdge(nil, entry)))
	assert.Zero(t, long.RequestsIn("back", 30))
	assert.NotZero(t, long.edges[front].failures.Past().Exposure, "what was learnt stays")
}

func TestPause(t *testing.T) {
	New(user, limits, learning).Pause(7)
	for pause, want := range map[int64]int{100: 0, 5000: 2} {
		m := learnt(t, 100)
		m.Pause(pause)
		assert.Equal(t, pause, m.Next())
		m.Observe(front, pause+1, calls(7, 0, 0.02, 0.022))
		m.Close(pause+1, 4)
		assert.InDelta(t, 7, m.Requests("back"), 0)
		m = learnt(t, 100)
		m.Pause(pause)
		m.Close(5100, 4)
		assert.Equal(t, want, m.Len())
	}
}

func TestStateThatCannotBeIsRefused(t *testing.T) {
	m := learnt(t, 100)
	good := m.AppendEdge(nil, front)
	assert.Empty(t, m.AppendEdge(nil, Key{"nobody", "nothing"}))
	require.ErrorIs(t, m.RestoreEdge(good), binarystate.ErrInvalid, "it is known already")
	b := New(user, Limits{MaxEdges: 1}, learning)
	require.ErrorIs(t, b.RestoreEdge(append(good, 0)), binarystate.ErrLong)
	for n := range good[:200] {
		require.Error(t, b.RestoreEdge(good[:n]))
	}
	require.Error(t, b.RestoreEdge(good[:len(good)-1]))
	assert.Zero(t, b.Len())
	require.NoError(t, b.RestoreEdge(good))
	require.ErrorIs(t, b.RestoreEdge(m.AppendEdge(nil, entry)), ErrNoRoom)
}

func FuzzRestoreEdge(f *testing.F) {
	m := learnt(f, 100)
	play(m, 100, 5, map[Key]*Sample{entry: calls(20, 3, 0.5, 0), front: calls(20, 20, 0.02, 0.022)})
	for _, data := range records(m) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := New(user, limits, learning)
		if m.RestoreEdge(data) != nil {
			assert.Zero(t, m.Len())
			return
		}
		var key Key
		m.Edges(func(k Key) { key = k })
		m.Impact(key, excess.MaxWindow)
		next := m.Next()
		for _, f := range m.Close(next, 4) {
			assert.LessOrEqual(t, f.Verdict.Surprise, float64(excess.MaxSurprise))
		}
		m.Observe(key, next+1, calls(3, 1, 0.1, 0.2))
		m.Close(next+1, 4)
		again := New(user, limits, learning)
		require.NoError(t, again.RestoreEdge(m.AppendEdge(nil, key)))
	})
}

func BenchmarkAppendEdge(b *testing.B) {
	m := New(user, limits, learning)
	for n := int64(0); n < 100; n++ {
		s := &Sample{Requests: 500, Failed: 3, ServerSeconds: 20, ClientSeconds: 21}
		for bin := range 12 {
			s.ServerLatency[bin+5], s.ClientLatency[bin+6] = float32(bin*7), float32(bin*7)
		}
		m.Observe(front, n, s)
		m.Close(n, 4)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = m.AppendEdge(buf[:0], front)
	}
	b.ReportMetric(float64(len(buf)), "B/edge")
}

func ExampleModel_RestoreEdge() {
	key := Key{Client: "front", Server: "back"}
	a := New("user", Limits{MaxEdges: 10, IdleBuckets: 100}, excess.Learning{HalfLife: 100, NormalAfter: 100})
	a.Observe(key, 7, &Sample{Requests: 3})
	a.Close(7, 4)

	b := New("user", Limits{MaxEdges: 10, IdleBuckets: 100}, excess.Learning{HalfLife: 100, NormalAfter: 100})
	err := b.RestoreEdge(a.AppendEdge(nil, key))
	fmt.Println(err, b.Next(), b.Requests("back"))
	// Output: <nil> 8 3
}
