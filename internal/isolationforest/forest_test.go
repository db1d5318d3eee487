package isolationforest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newForest(t testing.TB, d int, change ...func(*Params)) *Forest {
	t.Helper()
	p := DefaultParams(d)
	for _, c := range change {
		c(&p)
	}
	f, err := New(p)
	require.NoError(t, err)
	return f
}

// service draws a vector of signals that follow one load, as those of a service do, each with its own unit and noise.
func service(r *rand.Rand, d int) []float64 {
	return follow(r, d, draw(r), 0)
}

func draw(r *rand.Rand) float64 { return 1 + 0.5*math.Sin(r.Float64()*2*math.Pi) }

// follow returns signals of a load, the first few of which are off by what is given.
func follow(r *rand.Rand, d int, load, off float64) []float64 {
	x := make([]float64, d)
	for i := range x {
		at := load
		if i < max(1, d/4) {
			at += off
		}
		x[i] = math.Pow(10, float64(i%4)) * (at + 0.1*r.NormFloat64())
	}
	return x
}

// breaks returns a vector in which the first quarter of the signals does not follow the load of the others: each value is
// usual, and so is each pair of signals of one part.
func breaks(r *rand.Rand, d int) []float64 {
	for {
		load, other := draw(r), draw(r)
		if math.Abs(load-other) > 0.3 {
			return follow(r, d, load, other-load)
		}
	}
}

// area is the probability that a score of the one is above one of the other.
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
	r := rand.New(rand.NewPCG(1, 1))
	f := newForest(t, d, change...)
	for range 600 {
		f.Learn(service(r, d))
	}
	var normal, abnormal []float64
	for range 500 {
		x := service(r, d)
		normal = append(normal, f.Score(x, nil))
		f.Learn(x)
		abnormal = append(abnormal, f.Score(breaks(r, d), nil))
	}
	return area(abnormal, normal)
}

// Points that break the correlation of the coordinates, none of which is unusual by itself.
func TestFindsWhatNoCoordinateShows(t *testing.T) {
	for _, d := range []int{2, 4, 8, 16, 32} {
		oblique := quality(t, d)
		parallel := quality(t, d, func(p *Params) { p.Oblique = false })
		t.Logf("%d coordinates: area under the curve %.3f, with axis-parallel cuts %.3f", d, oblique, parallel)
		assert.Greater(t, oblique, 0.96)
		assert.Greater(t, oblique, parallel-0.001)
	}
}

// One coordinate far away, by how much it contributes.
func TestContributions(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	f := newForest(t, 6)
	for range 600 {
		f.Learn(service(r, 6))
	}
	for i := range 6 {
		x := service(r, 6)
		usual := f.Score(x, nil)
		x[i] *= 5
		shares := make([]float64, 6)
		score := f.Score(x, shares)
		assert.Greater(t, score, usual+0.1)
		assert.Equal(t, i, slices.Index(shares, slices.Max(shares)), "coordinate %d: %v", i, shares)
		sum := 0.0
		for _, s := range shares {
			assert.GreaterOrEqual(t, s, 0.0)
			sum += s
		}
		assert.InDelta(t, 1, sum, 1e-9)
	}
}

func TestForgets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	f := newForest(t, 2, func(p *Params) { p.Window = 128 })
	draw := func(center float64) []float64 {
		return []float64{center + r.NormFloat64(), -center + r.NormFloat64()}
	}
	for range 300 {
		f.Learn(draw(0))
	}
	first := f.Score(draw(30), nil)
	assert.Greater(t, first, 0.7)
	for range 200 {
		f.Learn(draw(30))
	}
	assert.Less(t, f.Score(draw(30), nil), 0.6, "the new place is normal")
	assert.Greater(t, f.Score(draw(0), nil), 0.7, "the old one is forgotten")
}

// The trees agree with the window whatever was learnt and forgotten.
func TestTreesHoldTheWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	f := newForest(t, 3, func(p *Params) { p.Window, p.Trees, p.LeafVectors = 64, 5, 4 })
	for n := range 1000 {
		x := []float64{r.NormFloat64(), float64(r.IntN(3)), 7}
		if n%100 < 20 {
			x = []float64{1, 1, 1}
		}
		f.Learn(x)
		for i := range f.trees {
			seen := map[int16]bool{}
			count := f.trees[i].visit(t, f, 0, seen)
			require.Equal(t, f.Held(), count)
			require.Len(t, seen, f.Held())
		}
	}
}

func (t *tree) visit(tt *testing.T, f *Forest, at int16, seen map[int16]bool) int {
	n := &t.nodes[at]
	if n.left != none {
		count := t.visit(tt, f, n.left, seen) + t.visit(tt, f, n.right, seen)
		require.Equal(tt, count, int(n.count))
		return count
	}
	count := 0
	for s := n.first; s != none; s = t.after[s] {
		require.False(tt, seen[s])
		seen[s] = true
		p := n.project(f.vector(int(s)))
		require.True(tt, p >= n.lowest && p <= n.highest)
		count++
	}
	require.Equal(tt, count, int(n.count))
	return count
}

func TestSeedDecides(t *testing.T) {
	scores := func(seed uint64) []float64 {
		r := rand.New(rand.NewPCG(5, 5))
		f := newForest(t, 4, func(p *Params) { p.Seed = seed; p.Window = 100 })
		var out []float64
		for range 300 {
			x := service(r, 4)
			out = append(out, f.Score(x, nil))
			f.Learn(x)
		}
		return out
	}
	assert.Equal(t, scores(7), scores(7))
	assert.NotEqual(t, scores(7), scores(8))
}

func TestEveryParameterCounts(t *testing.T) {
	usual := quality(t, 8)
	for name, change := range map[string]func(*Params){
		"trees":        func(p *Params) { p.Trees = 2 },
		"window":       func(p *Params) { p.Window = 64 },
		"leaf vectors": func(p *Params) { p.LeafVectors = 64 },
		"oblique":      func(p *Params) { p.Oblique = false },
	} {
		assert.NotEqual(t, usual, quality(t, 8, change), name) //nolint:testifylint // any difference counts
	}
}

// The scale of a coordinate is no reason to look at it. Until the first vectors are there, it takes other luck only.
func TestUnitsDoNotMatter(t *testing.T) {
	run := func(scale float64) []float64 {
		r := rand.New(rand.NewPCG(6, 6))
		f := newForest(t, 4)
		var out []float64
		for range 300 {
			x := service(r, 4)
			x[2] *= scale
			out = append(out, f.Score(x, nil))
			f.Learn(x)
		}
		return out
	}
	assert.InDeltaSlice(t, run(1), run(1024), 0.06)
}

func TestHostileNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	f := newForest(t, 3)
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 0, math.SmallestNonzeroFloat64}
	for range 3000 {
		x := []float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()}
		if r.IntN(3) == 0 {
			x[r.IntN(3)] = odd[r.IntN(len(odd))]
		}
		shares := make([]float64, 3)
		score := f.Score(x, shares)
		require.True(t, score >= 0 && score <= 1, "%v", score)
		for _, s := range shares {
			require.False(t, math.IsNaN(s))
		}
		f.Learn(x)
	}
	missing := []float64{math.NaN(), math.NaN(), math.NaN()}
	assert.Less(t, f.Score(missing, nil), 0.7, "what is missing is not odd")
}

func TestConstantVectors(t *testing.T) {
	f := newForest(t, 2)
	for range 1000 {
		f.Learn([]float64{3, 0})
	}
	same := f.Score([]float64{3, 0}, nil)
	assert.Less(t, same, 0.55)
	assert.Greater(t, f.Score([]float64{3, 1}, nil), same)
}

func TestDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	f := newForest(t, 8)
	vectors := make([][]float64, 700)
	for i := range vectors {
		vectors[i] = service(r, 8)
		f.Learn(vectors[i])
	}
	i := 0
	shares := make([]float64, 8)
	assert.Zero(t, testing.AllocsPerRun(600, func() {
		x := vectors[i%len(vectors)]
		i++
		_ = f.Score(x, shares)
		f.Learn(x)
	}))
}

func TestState(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, n := range []int{0, 20, 512, 700} {
		f := newForest(t, 4)
		for range n {
			f.Learn(service(r, 4))
		}
		state, err := f.AppendBinary(nil)
		require.NoError(t, err)
		g := newForest(t, 4)
		require.NoError(t, g.UnmarshalBinary(state))
		again, err := g.AppendBinary(nil)
		require.NoError(t, err)
		assert.Equal(t, state, again)
		for range 20 {
			x := service(r, 4)
			assert.InDelta(t, f.Score(x, nil), g.Score(x, nil), 0.12, "after %d", n)
		}
		for cut := range min(len(state), 200) {
			require.Error(t, g.UnmarshalBinary(state[:cut]))
		}
		require.Error(t, g.UnmarshalBinary(append(slices.Clone(state), 0)))
	}
	state, err := newForest(t, 5).AppendBinary(nil)
	require.NoError(t, err)
	require.ErrorContains(t, newForest(t, 4).UnmarshalBinary(state), "is of")
	state[0] = 99
	require.ErrorContains(t, newForest(t, 5).UnmarshalBinary(state), "version 99")
}

func TestValidate(t *testing.T) {
	p := Params{}
	require.EqualError(t, p.Validate(), "dimensions must be between 1 and 256, got 0\ntrees must be between 1 and 1024, got 0\n"+
		"window must be between 8 and 32768, got 0\nleaf vectors must be between 2 and 2, got 0")
	_, err := New(p)
	require.Error(t, err)
}

func FuzzUnmarshalBinary(f *testing.F) {
	p := Params{Dimensions: 2, Trees: 3, Window: 16, LeafVectors: 2, Oblique: true, Seed: 1}
	forest, err := New(p)
	require.NoError(f, err)
	for n := range 40 {
		if n%8 == 0 {
			state, _ := forest.AppendBinary(nil)
			f.Add(state)
		}
		forest.Learn([]float64{float64(n % 7), float64(n % 5)})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := New(p)
		require.NoError(t, err)
		if g.UnmarshalBinary(data) != nil {
			require.Zero(t, g.Held())
			return
		}
		for range 40 {
			s := g.Score([]float64{1, 2}, nil)
			require.True(t, s >= 0 && s <= 1)
			g.Learn([]float64{3, 4})
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	for _, d := range []int{4, 16, 32} {
		b.Run(map[int]string{4: "coordinates=4", 16: "coordinates=16", 32: "coordinates=32"}[d], func(b *testing.B) {
			r := rand.New(rand.NewPCG(10, 10))
			f := newForest(b, d)
			vectors := make([][]float64, 1024)
			for i := range vectors {
				vectors[i] = service(r, d)
				f.Learn(vectors[i])
			}
			shares := make([]float64, d)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				x := vectors[i%len(vectors)]
				i++
				_ = f.Score(x, shares)
				f.Learn(x)
			}
		})
	}
}
