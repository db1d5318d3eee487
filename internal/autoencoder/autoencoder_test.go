package autoencoder

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newAutoencoder(t testing.TB, inputs int, change ...func(*Params)) *Autoencoder {
	t.Helper()
	p := DefaultParams(inputs)
	for _, c := range change {
		c(&p)
	}
	a, err := New(p)
	require.NoError(t, err)
	return a
}

func draw(r *rand.Rand) float64 { return 1 + 0.5*math.Sin(r.Float64()*2*math.Pi) }

// follow returns signals of a load, each with its own unit; the first few of them are off by what is given.
func follow(r *rand.Rand, d int, load, off float64) []float64 {
	x := make([]float64, d)
	for i := range x {
		at := load
		if i < max(1, d/4) {
			at += off
		}
		if i%3 == 2 {
			at *= at // not every signal is linear in the load
		}
		x[i] = math.Pow(10, float64(i%4)) * (at + 0.05*r.NormFloat64())
	}
	return x
}

func service(r *rand.Rand, d int) []float64 { return follow(r, d, draw(r), 0) }

// breaks returns signals some of which follow another load than the rest; each value is usual.
func breaks(r *rand.Rand, d int) []float64 {
	for {
		load, other := draw(r), draw(r)
		if math.Abs(load-other) > 0.4 {
			return follow(r, d, load, other-load)
		}
	}
}

// The gradient agrees with differences of the loss, weight by weight.
func TestGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	n := newNetwork(5, 4, 2, r)
	x := []float64{0.3, -1.2, 0, 2, 0.7}
	known := []bool{true, true, false, true, true}
	variance := []float64{1, 0.5, 1, 2, 0.1}
	for i := range n.draw {
		n.draw[i] = r.NormFloat64()
	}
	for _, divergence := range []float64{0, 0.7} {
		n.gradient(x, known, variance, divergence)
		want := slices.Clone(n.slopes)
		moved := 0
		for i := range n.weights {
			const h = 1e-5
			w := n.weights[i]
			n.weights[i] = w + h
			above := n.gradient(x, known, variance, divergence)
			n.weights[i] = w - h
			below := n.gradient(x, known, variance, divergence)
			n.weights[i] = w
			require.InDelta(t, (above-below)/(2*h), want[i], 1e-5*math.Max(1, math.Abs(want[i])), "weight %d", i)
			if want[i] != 0 {
				moved++
			}
		}
		assert.Greater(t, moved, len(n.weights)/2)
	}
}

func TestAdamStep(t *testing.T) {
	n := newNetwork(1, 1, 1, rand.New(rand.NewPCG(1, 1)))
	before := slices.Clone(n.weights)
	for i := range n.slopes {
		n.slopes[i] = -3
	}
	n.step(0.01, 1e9)
	for i := range n.weights {
		assert.InDelta(t, before[i]+0.01, n.weights[i], 1e-6, "the first step is as long as the rate, whatever the slope")
	}
	n.slopes[0] = math.NaN()
	after := slices.Clone(n.weights)
	n.step(0.01, 1)
	assert.Equal(t, after, n.weights)
}

func TestClip(t *testing.T) {
	n := newNetwork(1, 1, 1, rand.New(rand.NewPCG(1, 1)))
	n.slopes[0] = 100
	n.step(0.01, 1)
	assert.InDelta(t, 0.1, n.first[0], 1e-12)
}

// area is the probability that the one's chance is below the other's.
func area(abnormal, normal []float64) float64 {
	slices.Sort(normal)
	n := 0.0
	for _, a := range abnormal {
		i, _ := slices.BinarySearch(normal, a)
		n += float64(i)
	}
	return n / float64(len(abnormal)*len(normal))
}

func quality(t *testing.T, d int, change ...func(*Params)) float64 {
	t.Helper()
	r := rand.New(rand.NewPCG(2, 2))
	a := newAutoencoder(t, d, change...)
	for range 1000 {
		a.Observe(service(r, d), nil)
	}
	var normal, abnormal []float64
	for range 300 {
		normal = append(normal, a.Observe(service(r, d), nil).Error)
		abnormal = append(abnormal, a.judge(breaks(r, d), nil).Error)
	}
	return area(abnormal, normal)
}

func TestFindsWhatNoCoordinateShows(t *testing.T) {
	for _, d := range []int{2, 4, 8, 16, 32} {
		q := quality(t, d)
		t.Logf("%d coordinates: area under the curve %.3f", d, q)
		if d > 2 {
			assert.Greater(t, q, 0.97)
		}
	}
}

func TestCalibrationAndSize(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	a := newAutoencoder(t, 8)
	rare, rarer, n := 0, 0, 0
	for i := range 12_000 {
		v := a.Observe(service(r, 8), nil)
		if i < 2000 {
			continue
		}
		require.True(t, v.Ready)
		n++
		if v.Chance <= 0.01 {
			rare++
		}
		if v.Chance <= 1e-4 {
			rarer++
		}
	}
	assert.InDelta(t, 0.01, float64(rare)/float64(n), 0.007)
	assert.LessOrEqual(t, rarer, 5)
	x := service(r, 8)
	x[3] *= 4
	shares := make([]float64, 8)
	v := a.Observe(x, shares)
	assert.Less(t, v.Chance, 1e-4)
	assert.Greater(t, v.Size, 3.0)
	assert.Greater(t, shares[3], 0.5)
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	assert.InDelta(t, 1, sum, 1e-9)
}

func TestWarmUpMissingAndOddInput(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	a := newAutoencoder(t, 4, func(p *Params) { p.WarmUp = 50 })
	for i := range 400 {
		v := a.Observe(service(r, 4), nil)
		require.Equal(t, i >= 50, v.Ready)
	}
	none := []float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	assert.Equal(t, Verdict{Chance: 1}, a.Observe(none, make([]float64, 4)))
	x := service(r, 4)
	x[1] = math.NaN()
	shares := make([]float64, 4)
	v := a.Observe(x, shares)
	assert.Greater(t, v.Chance, 1e-4)
	assert.Zero(t, shares[1])
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 0}
	for range 3000 {
		x := service(r, 4)
		x[r.IntN(4)] = odd[r.IntN(len(odd))]
		v := a.Observe(x, shares)
		require.True(t, v.Chance >= 0 && v.Chance <= 1)
		require.False(t, math.IsNaN(v.Error) || math.IsInf(v.Error, 0))
		for _, w := range a.net.weights {
			require.False(t, math.IsNaN(w) || math.IsInf(w, 0))
		}
	}
}

// An episode teaches nothing, until it has lasted so long that it is the new normal.
func TestAdoption(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	a := newAutoencoder(t, 8, func(p *Params) { p.AdoptAfter = 100 })
	for range 1000 {
		a.Observe(service(r, 8), nil)
	}
	learnt := a.Learnt()
	found := 0
	for range 60 {
		if a.Observe(follow(r, 8, draw(r), 2), nil).Chance < abnormal {
			found++
		}
	}
	assert.Greater(t, found, 50)
	assert.Less(t, a.Learnt(), learnt+20)
	for range 1500 {
		a.Observe(follow(r, 8, draw(r), 2), nil)
	}
	assert.Greater(t, a.Observe(follow(r, 8, 1, 2), nil).Chance, abnormal)
}

func TestSeedDecides(t *testing.T) {
	run := func(seed uint64) []float64 {
		r := rand.New(rand.NewPCG(6, 6))
		a := newAutoencoder(t, 4, func(p *Params) { p.Seed = seed })
		var out []float64
		for range 300 {
			out = append(out, a.Observe(service(r, 4), nil).Error)
		}
		return out
	}
	assert.Equal(t, run(1), run(1))
	assert.NotEqual(t, run(1), run(2))
}

func TestEveryParameterCounts(t *testing.T) {
	errorsOf := func(change ...func(*Params)) float64 {
		r := rand.New(rand.NewPCG(7, 7))
		a := newAutoencoder(t, 6, change...)
		sum := 0.0
		for range 400 {
			sum += a.Observe(service(r, 6), nil).Error
		}
		return sum
	}
	usual := errorsOf()
	for name, change := range map[string]func(*Params){
		"hidden":        func(p *Params) { p.Hidden = 3 },
		"latent":        func(p *Params) { p.Latent = 3 },
		"window":        func(p *Params) { p.Window = 20 },
		"memory":        func(p *Params) { p.Window = 20; p.Memory = 1000 },
		"replay":        func(p *Params) { p.Replay = 0 },
		"learning rate": func(p *Params) { p.LearningRate = 0.01 },
		"annealing":     func(p *Params) { p.Annealing = 1 },
		"clip":          func(p *Params) { p.Clip = 0.1 },
	} {
		assert.Greater(t, math.Abs(errorsOf(change)-usual), 1e-6, name)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	a := newAutoencoder(t, 8)
	x, shares := service(r, 8), make([]float64, 8)
	assert.Zero(t, testing.AllocsPerRun(300, func() { a.Observe(x, shares) }))
}

func TestState(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	a := newAutoencoder(t, 5)
	for range 600 {
		a.Observe(service(r, 5), nil)
	}
	state, err := a.AppendBinary(nil)
	require.NoError(t, err)
	b := newAutoencoder(t, 5, func(p *Params) { p.Seed = 9 })
	require.NoError(t, b.UnmarshalBinary(state))
	again, err := b.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, state, again)
	for range 20 {
		x := breaks(r, 5)
		assert.Equal(t, a.judge(x, nil).Error, b.judge(x, nil).Error) //nolint:testifylint // the same arithmetic
	}
	for cut := 0; cut < len(state); cut += 7 {
		require.Error(t, b.UnmarshalBinary(state[:cut]))
	}
	require.Error(t, b.UnmarshalBinary(append(slices.Clone(state), 0)))
	require.ErrorContains(t, newAutoencoder(t, 4).UnmarshalBinary(state), "5 inputs")
	state[0] = 77
	require.ErrorContains(t, b.UnmarshalBinary(state), "version 77")
}

func TestValidate(t *testing.T) {
	p := Params{Replay: -1}
	require.EqualError(t, p.Validate(), `inputs must be between 1 and 256, got 0
hidden must be between 1 and 256, got 0
latent must be between 1 and 64, got 0
window must be between 1 and 65536, got 0
memory must be between 1 and 100000000, got 0
replay must be between 0 and 64, got -1
annealing must be between 1 and 1000000, got 0
warm-up must be between 8 and 1000000, got 0
adopt after must be between 1 and 1000000, got 0
learning rate must be greater than 0 and at most 0.1, got 0
clip must be greater than 0 and at most 1e6, got 0`)
	_, err := New(p)
	require.Error(t, err)
}

func FuzzUnmarshalBinary(f *testing.F) {
	p := DefaultParams(2)
	p.Hidden, p.Latent, p.WarmUp = 2, 1, 8
	a, err := New(p)
	require.NoError(f, err)
	for range 3 {
		state, _ := a.AppendBinary(nil)
		f.Add(state)
		for range 10 {
			a.Observe([]float64{1, 2}, nil)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := New(p)
		require.NoError(t, err)
		_ = b.UnmarshalBinary(data)
		for range 20 {
			v := b.Observe([]float64{1, 3}, nil)
			require.True(t, v.Chance >= 0 && v.Chance <= 1)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	for _, d := range []int{4, 16, 32} {
		b.Run(map[int]string{4: "coordinates=4", 16: "coordinates=16", 32: "coordinates=32"}[d], func(b *testing.B) {
			r := rand.New(rand.NewPCG(10, 10))
			a := newAutoencoder(b, d)
			vectors := make([][]float64, 1024)
			for i := range vectors {
				vectors[i] = service(r, d)
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				a.Observe(vectors[i%len(vectors)], nil)
				i++
			}
		})
	}
}
