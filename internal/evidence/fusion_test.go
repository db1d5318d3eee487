package evidence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const second = int64(time.Second)

func newFusion(t testing.TB, sources int, change ...func(*Params)) *Fusion {
	t.Helper()
	p := DefaultParams(sources)
	for _, c := range change {
		c(&p)
	}
	f, err := New(p)
	require.NoError(t, err)
	return f
}

// calm lets all sources say nothing special for a while; mix makes their deviations from independent noise.
func calm(f *Fusion, r *rand.Rand, n int, mix func(own, common float64) float64) int64 {
	sources := make([]Source, f.params.Sources)
	var t int64
	for range n {
		t += 10 * second
		common := r.NormFloat64()
		for i := range sources {
			z := mix(r.NormFloat64(), common)
			sources[i] = Source{Chance: math.Erfc(math.Abs(z) / math.Sqrt2), Size: z}
		}
		f.Observe(t, sources, nil)
	}
	return t
}

func alike(n int, chance float64) []Source {
	sources := make([]Source, n)
	for i := range sources {
		sources[i] = Source{Chance: chance}
	}
	return sources
}

// The posterior of one observation, worked out by hand.
func TestOneSource(t *testing.T) {
	f := newFusion(t, 1, func(p *Params) { p.EpisodesPerDay, p.EpisodeLength, p.Share = 1.44, 10*time.Minute, 0.5 })
	// 1.44 episodes of 10 minutes a day are odds of 0.01; the ratio of p = 1e-5 is 0.5 + 0.5 * 0.1 * 1e-5^-0.9 = 1581.64.
	v := f.Observe(second, alike(1, 1e-5), nil)
	assert.InDelta(t, math.Log(0.5+0.05*math.Pow(10, 4.5)), v.Evidence, 1e-9)
	assert.InDelta(t, 15.8164/(1+15.8164), v.Probability, 1e-4)
	assert.InDelta(t, 1, v.Effective, 1e-12)
}

func TestQuietSourcesSpeakAgainst(t *testing.T) {
	f := newFusion(t, 1)
	v := f.Observe(second, alike(1, 1), nil)
	assert.InDelta(t, math.Log(0.9+0.1*0.1), v.Evidence, 1e-12)
	missing := newFusion(t, 1).Observe(second, []Source{{Chance: math.NaN(), Size: 3}}, nil)
	assert.Zero(t, missing.Evidence)
	assert.Zero(t, missing.Effective)
	assert.Equal(t, missing, newFusion(t, 1).Observe(second, nil, nil))
}

// Ten copies of a source say as much as one; ten independent sources ten times as much; what is between lies between.
func TestCorrelationDiscount(t *testing.T) {
	one := newFusion(t, 1)
	want := one.Observe(second, alike(1, 1e-3), nil).Evidence
	for name, tc := range map[string]struct {
		mix       func(own, common float64) float64
		effective float64
		tolerance float64
	}{
		"copies":          {func(_, common float64) float64 { return common }, 1, 0.02},
		"mirrored copies": {func(_, common float64) float64 { return -common }, 1, 0.02},
		"correlation 0.5": {func(own, common float64) float64 { return (own + common) / math.Sqrt2 }, 10 / 5.5, 0.25},
		"independent":     {func(own, _ float64) float64 { return own }, 10, 1.2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFusion(t, 10)
			now := calm(f, rand.New(rand.NewPCG(1, 1)), 3000, tc.mix)
			contributions := make([]float64, 10)
			v := f.Observe(now+10*second, alike(10, 1e-3), contributions)
			assert.InDelta(t, tc.effective, v.Effective, tc.tolerance)
			assert.InDelta(t, tc.effective*want, v.Evidence, tc.tolerance*want)
			sum := 0.0
			for _, c := range contributions {
				sum += c
			}
			assert.InDelta(t, v.Evidence, sum, 1e-9)
		})
	}
	t.Run("unknown", func(t *testing.T) {
		v := newFusion(t, 10).Observe(second, alike(10, 1e-3), nil)
		assert.InDelta(t, want, v.Evidence, 1e-9, "strangers are taken for copies")
	})
}

// A probability of 0.9 means that nine of ten are: the model's own world, episodes and all.
func TestCalibration(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	f := newFusion(t, 6, func(p *Params) { p.EpisodesPerDay, p.Share = 20, 0.5 })
	abnormal := false
	affected := make([]bool, 6)
	var said, was [10]float64
	var count [10]float64
	sources := make([]Source, 6)
	for n := range 200_000 {
		if abnormal {
			abnormal = r.Float64() >= 10.0/600
		} else if r.Float64() < 10*20.0/86400 {
			abnormal = true
			for i := range affected {
				affected[i] = r.Float64() < 0.5
			}
		}
		for i := range sources {
			if r.Float64() < 0.1 {
				affected[i] = r.Float64() < 0.5
			}
			p := r.Float64()
			if abnormal && affected[i] {
				p = math.Pow(p, 10)
			}
			sources[i] = Source{Chance: p, Size: r.NormFloat64()}
		}
		v := f.Observe(int64(n+1)*10*second, sources, nil)
		k := min(9, int(10*v.Probability))
		count[k]++
		said[k] += v.Probability
		if abnormal {
			was[k]++
		}
	}
	for k := range count {
		if count[k] > 300 {
			t.Logf("class %d: %v cases, said %.3f, were %.3f", k, count[k], said[k]/count[k], was[k]/count[k])
			assert.InDelta(t, said[k]/count[k], was[k]/count[k], 0.15, "class %d", k)
		}
	}
}

func TestEpisodesGoOnAndEnd(t *testing.T) {
	f := newFusion(t, 3)
	now := calm(f, rand.New(rand.NewPCG(3, 3)), 2000, func(own, _ float64) float64 { return own })
	for range 3 {
		now += 10 * second
		f.Observe(now, alike(3, 1e-6), nil)
	}
	v := f.Observe(now+second, nil, nil)
	assert.Greater(t, v.Probability, 0.98, "without news it goes on")
	v = f.Observe(now+3600*second, nil, nil)
	assert.Less(t, v.Probability, 0.01, "but not for hours")
	f = newFusion(t, 3, func(p *Params) { p.EpisodeLength = time.Second })
	f.Observe(second, alike(3, 1e-12), nil)
	assert.Less(t, f.Observe(31*second, nil, nil).Probability, 0.01, "episodes as short as configured")
}

// A source that claims p-values of 1e-4 in a tenth of all cases is not believed any more.
func TestNervousSourceIsTempered(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	f := newFusion(t, 2)
	high := 0
	for n := range 5000 {
		p := r.Float64()
		if r.IntN(10) == 0 {
			p = 1e-4
		}
		v := f.Observe(int64(n+1)*10*second, []Source{{p, r.NormFloat64()}, {r.Float64(), r.NormFloat64()}}, nil)
		if n > 1000 && v.Probability > 0.3 {
			high++
		}
	}
	assert.Zero(t, high)
	first := newFusion(t, 1).Observe(second, alike(1, 1e-4), nil).Evidence
	assert.Less(t, f.Observe(51_000*second, []Source{{1e-4, 0}, {math.NaN(), 0}}, nil).Evidence, first/4)
}

// What only repeats what was said before adds nothing, and is taken back when it is over.
func TestRepetitionIsNotNews(t *testing.T) {
	evidence := func(persistence float64) (first, again, over float64) {
		r := rand.New(rand.NewPCG(9, 9))
		f := newFusion(t, 1)
		z := 0.0
		var now int64
		for range 3000 {
			now += 10 * second
			z = persistence*z + math.Sqrt(1-persistence*persistence)*r.NormFloat64()
			f.Observe(now, []Source{{math.Erfc(math.Abs(z) / math.Sqrt2), z}}, nil)
		}
		f.Observe(now+10*second, []Source{{1, 0}}, nil)
		first = f.Observe(now+20*second, []Source{{1e-5, 4}}, nil).Evidence
		again = f.Observe(now+30*second, []Source{{1e-5, 4}}, nil).Evidence
		over = f.Observe(now+40*second, []Source{{1, 0}}, nil).Evidence
		return first, again, over
	}
	first, again, _ := evidence(0)
	assert.Greater(t, again, first-0.5)
	first, again, over := evidence(0.95)
	assert.Greater(t, first, 5.0)
	assert.Less(t, again, 0.5*first)
	assert.Less(t, over, -0.5*first)
}

func TestMemoryForgetsCorrelation(t *testing.T) {
	effective := func(memory int) float64 {
		f := newFusion(t, 4, func(p *Params) { p.Memory = memory })
		r := rand.New(rand.NewPCG(4, 4))
		now := calm(f, r, 2000, func(_, common float64) float64 { return common })
		sources := make([]Source, 4)
		var v Verdict
		for range 300 {
			now += 10 * second
			for i := range sources {
				sources[i] = Source{Chance: 0.5, Size: r.NormFloat64()}
			}
			v = f.Observe(now, sources, nil)
		}
		return v.Effective
	}
	assert.Greater(t, effective(100), 2.5)
	assert.Less(t, effective(100_000), 1.5)
}

func TestInformationGain(t *testing.T) {
	assert.InDelta(t, 1, Entropy(0.5), 0)
	assert.InDelta(t, 0.8112781244591328, Entropy(0.25), 1e-12)
	assert.Zero(t, Entropy(0))
	assert.Zero(t, Entropy(1))
	assert.Zero(t, Entropy(math.NaN()))

	// A table whose mutual information is known: the state is a fair coin, the source shows it in three of four cases.
	g := newGains(1, 0.1)
	clear(g.counts)
	for range 3 {
		g.learn(0, 1, 0)
		g.learn(0, 1e-9, 1)
	}
	g.learn(0, 1e-9, 0)
	g.learn(0, 1, 1)
	gain, entropy := g.of(0)
	assert.InDelta(t, 1, entropy, 1e-12)
	assert.InDelta(t, 1-0.8112781244591328, gain, 1e-12)

	// One source that shows the episodes, one that has nothing to do with them, one that raises false alarms.
	r := rand.New(rand.NewPCG(5, 5))
	f := newFusion(t, 4)
	for n := range 5000 {
		p := [4]float64{r.Float64(), r.Float64(), r.Float64(), r.Float64()}
		if n%100 >= 90 {
			p[0], p[1] = 1e-9, 1e-9
		}
		if r.IntN(10) == 0 {
			p[3] = 1e-4
		}
		f.Observe(int64(n+1)*10*second, []Source{{p[0], r.NormFloat64()}, {p[1], r.NormFloat64()}, {p[2], r.NormFloat64()}, {p[3], r.NormFloat64()}}, nil)
	}
	shows, entropy := f.Gain(0)
	idle, _ := f.Gain(2)
	nervous, _ := f.Gain(3)
	assert.Greater(t, shows, 0.4*entropy)
	assert.Less(t, idle, 0.05*entropy)
	assert.Less(t, nervous, 0.05*entropy)
}

func TestHostileSources(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	f := newFusion(t, 3)
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1, 2, 1e-300, 1e300}
	times := []int64{0, -5, math.MaxInt64, math.MinInt64, 7}
	for range 5000 {
		sources := make([]Source, r.IntN(4))
		for i := range sources {
			sources[i] = Source{Chance: odd[r.IntN(len(odd))], Size: odd[r.IntN(len(odd))]}
		}
		v := f.Observe(times[r.IntN(len(times))], sources, nil)
		require.True(t, v.Probability > 0 && v.Probability < 1, "%+v", v)
		require.False(t, math.IsNaN(v.Evidence) || math.IsInf(v.Evidence, 0))
	}
	for i := range 3 {
		gain, entropy := f.Gain(i)
		require.True(t, gain >= 0 && gain <= entropy+1e-9)
	}
}

func TestFusionDoesNotAllocate(t *testing.T) {
	f := newFusion(t, 16)
	sources := alike(16, 0.5)
	contributions := make([]float64, 16)
	var now int64
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		now += second
		f.Observe(now, sources, contributions)
	}))
}

func TestFusionState(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	f := newFusion(t, 5)
	fresh, err := f.AppendBinary(nil)
	require.NoError(t, err)
	require.NoError(t, newFusion(t, 5).UnmarshalBinary(fresh))
	now := calm(f, r, 500, func(own, common float64) float64 { return own + common })
	state, err := f.AppendBinary([]byte("before"))
	require.NoError(t, err)
	state = state[len("before"):]
	g := newFusion(t, 5)
	require.NoError(t, g.UnmarshalBinary(state))
	want, got := f.Observe(now+second, alike(5, 1e-4), nil), g.Observe(now+second, alike(5, 1e-4), nil)
	assert.InDelta(t, want.LogOdds, got.LogOdds, 1e-9)
	assert.InDelta(t, want.Effective, got.Effective, 1e-9)
	for cut := range state {
		require.Error(t, g.UnmarshalBinary(state[:cut]))
	}
	require.Error(t, g.UnmarshalBinary(append(state, 0)))
	require.ErrorContains(t, newFusion(t, 4).UnmarshalBinary(state), "5 sources, want 4")
	state[0] = 9
	require.ErrorContains(t, g.UnmarshalBinary(state), "version 9")
}

func TestValidate(t *testing.T) {
	p := Params{}
	require.EqualError(t, p.Validate(), `sources must be between 1 and 256, got 0
episodes per day must be greater than 0 and at most 1000, got 0
episode length must be between 1s and 24h, got 0s
share must be between 0 and 1, exclusive, got 0
memory must be between 16 and 1000000, got 0`)
	_, err := New(p)
	require.Error(t, err)
}

func FuzzFusionState(f *testing.F) {
	p := DefaultParams(2)
	fusion, err := New(p)
	require.NoError(f, err)
	for n := range 3 {
		state, _ := fusion.AppendBinary(nil)
		f.Add(state)
		fusion.Observe(int64(n+1)*second, alike(2, 0.01), nil)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := New(p)
		require.NoError(t, err)
		_ = g.UnmarshalBinary(data)
		for n := range 3 {
			v := g.Observe(int64(n)*second, alike(2, 1e-3), nil)
			require.True(t, v.Probability > 0 && v.Probability < 1)
		}
	})
}

func BenchmarkFusion(b *testing.B) {
	for _, n := range []int{4, 16, 32} {
		b.Run(map[int]string{4: "sources=4", 16: "sources=16", 32: "sources=32"}[n], func(b *testing.B) {
			f := newFusion(b, n)
			sources := alike(n, 0.5)
			var now int64
			b.ReportAllocs()
			for b.Loop() {
				now += second
				f.Observe(now, sources, nil)
			}
		})
	}
}
