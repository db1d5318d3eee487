package entitydetector

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/evidence"
)

// model answers, when it is told to, with the distance of a vector from 0.
type model struct {
	waiting []func()
	failed  error
	refused error
}

func (m *model) Submit(vector []float64, done func(float64, error)) error {
	if m.refused != nil {
		return m.refused
	}
	err := m.failed
	m.waiting = append(m.waiting, func() {
		total := 0.0
		for _, x := range vector {
			total += x * x
		}
		done(math.Sqrt(total), err)
	})
	return nil
}

func (m *model) answer() {
	for _, f := range m.waiting {
		f()
	}
	m.waiting = nil
}

type rig struct {
	*model
	Detector
	counts map[string]int
	r      *rand.Rand
	n      int64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	g := &rig{model: &model{}, counts: map[string]int{}, r: rand.New(rand.NewPCG(1, 2))}
	shared := &RemoteModel{Count: func(result string) { g.counts[result]++ }}
	shared.Use(g.model)
	d, err := New(Remote, Params{Signals: 3, Interval: time.Minute, EpisodesPerDay: 0.3, WarmUp: 100, AdoptAfter: time.Hour, Remote: shared}, 0)
	require.NoError(t, err)
	g.Detector = d
	return g
}

// look shows the next vector; local is the chance that another detector names, if any.
func (g *rig) look(level float64, local ...float64) Verdict {
	g.n++
	v := Vector{At: g.n * int64(time.Minute), Values: []float64{level + g.r.NormFloat64(), level + g.r.NormFloat64(), math.NaN()}, Sources: make([]evidence.Source, 3)}
	for _, chance := range local {
		v.Sources = append(v.Sources, evidence.Source{Chance: chance, Size: 5})
	}
	return g.Observe(&v, make([]float64, 3))
}

func TestRemoteJudgesOneLookLater(t *testing.T) {
	g := newRig(t)
	for range 300 {
		v := g.look(0)
		assert.Less(t, v.Score, 0.9)
		g.answer()
	}
	assert.True(t, g.look(50).Ready)
	g.answer()
	g.look(50)
	g.answer()
	v := g.look(50)
	assert.Greater(t, v.Score, 0.9)
	assert.Less(t, v.Source.Chance, 1e-3)
	assert.Equal(t, 302, g.counts[RemoteAnswered])
}

func TestRemoteFallsBack(t *testing.T) {
	for name, tc := range map[string]struct {
		fail  func(g *rig)
		count string
	}{
		"no answer": {func(*rig) {}, RemotePending},
		"failure":   {func(g *rig) { g.failed = errors.New("broken"); g.answer() }, "transport"},
		"refusal":   {func(g *rig) { g.answer(); g.refused = errors.New("full") }, "transport"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			for range 300 {
				g.look(0, 0.5)
				g.answer()
			}
			g.look(0, 0.5)
			tc.fail(g)
			g.look(0, 0.5)
			for range 3 {
				tc.fail(g)
				v := g.look(0, 0.5)
				assert.True(t, math.IsNaN(v.Source.Chance), "no evidence of its own")
				assert.Less(t, v.Score, 0.5)
			}
			var v Verdict
			for range 3 {
				tc.fail(g)
				v = g.look(0, 1e-9, 0.5)
			}
			assert.Greater(t, v.Score, 0.9, "what the others say counts")
			assert.GreaterOrEqual(t, g.counts[tc.count], 5)
		})
	}
}

func TestRemoteLateAnswers(t *testing.T) {
	g := newRig(t)
	g.look(0)
	for range 3 {
		g.look(0)
	}
	g.answer()
	g.look(0)
	assert.Equal(t, map[string]int{RemotePending: 3, RemoteAnswered: 1, RemoteLate: 1}, g.counts)
}

func TestRemoteWithNobodyToAsk(t *testing.T) {
	counts := map[string]int{}
	p := Params{Signals: 2, Interval: time.Minute, EpisodesPerDay: 0.3, WarmUp: 1, AdoptAfter: time.Hour}
	_, err := New(Remote, p, 0)
	require.Error(t, err)
	p.Remote = &RemoteModel{Count: func(r string) { counts[r]++ }}
	d, err := New(Remote, p, 0)
	require.NoError(t, err)
	assert.False(t, d.Observe(&Vector{Values: []float64{1, 2}}, make([]float64, 2)).Ready)
	assert.Equal(t, map[string]int{"transport": 1}, counts)
}

func TestRemoteState(t *testing.T) {
	g := newRig(t)
	for range 300 {
		g.look(0)
		g.answer()
	}
	state, err := g.AppendBinary(nil)
	require.NoError(t, err)
	fresh := newRig(t)
	require.NoError(t, fresh.UnmarshalBinary(state))
	again, err := fresh.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, state, again)
	for range 3 {
		fresh.look(50)
		fresh.answer()
	}
	assert.Greater(t, fresh.look(50).Score, 0.9, "it needs no warm-up")
	for i := range state {
		assert.Error(t, fresh.UnmarshalBinary(state[:i]))
	}
}
