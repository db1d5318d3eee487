package stlesd

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rosner's example (Technometrics 25, 1983, also NIST/SEMATECH e-Handbook 1.3.5.17.3), sorted as printed there.
var rosner = []float64{
	-0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56, 1.58, 1.65, 1.69, 1.70,
	1.76, 1.77, 1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40,
	2.47, 2.54, 2.62, 2.64, 2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59, 3.68, 4.30, 4.64, 5.34, 5.42, 6.01,
}

func TestRosnersExample(t *testing.T) {
	steps, outliers := Outliers(rosner, 10, 0.05, false)
	require.Len(t, steps, 10)
	assert.Equal(t, 3, outliers)
	statistics := []float64{3.118, 2.942, 3.179, 2.810, 2.815, 2.848, 2.279, 2.310, 2.101, 2.067}
	critical := []float64{3.158, 3.151, 3.143, 3.136, 3.128, 3.120, 3.111, 3.103, 3.094, 3.085}
	for i, s := range steps {
		assert.InDelta(t, statistics[i], s.Statistic, 0.001, "R%d", i+1)
		assert.InDelta(t, critical[i], s.Critical, 0.0015, "lambda %d", i+1)
	}
	assert.Equal(t, []int{53, 52, 51}, []int{steps[0].Index, steps[1].Index, steps[2].Index})
}

// Many outliers blind mean and standard deviation, not median and median absolute deviation.
func TestRobustVariant(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float64, 100)
	for i := range x {
		x[i] = r.NormFloat64()
		if i%4 == 0 {
			x[i] = 8 + r.NormFloat64()
		}
	}
	plain, _ := Outliers(x, 40, 0.05, false)
	robust, outliers := Outliers(x, 40, 0.05, true)
	assert.Less(t, plain[0].Statistic, plain[0].Critical)
	assert.Greater(t, robust[0].Statistic, robust[0].Critical)
	assert.InDelta(t, 25, outliers, 3)
	// 0, 1, 2, 3, 10: median 2, deviations 0, 1, 1, 2, 8; without the 10: 1.5, and 0.5, 0.5, 1.5, 1.5.
	steps, _ := Outliers([]float64{10, 0, 1, 3, 2}, 2, 0.05, true)
	assert.InDelta(t, 8/1.4826, steps[0].Statistic, 1e-9)
	assert.InDelta(t, 1.5/1.4826, steps[1].Statistic, 1e-9)
	assert.Zero(t, steps[0].Index)
	_, none := Outliers([]float64{1, 1, 1, 1}, 2, 0.05, true)
	assert.Zero(t, none)
	steps, _ = Outliers([]float64{1, 2}, 2, 0.05, true)
	assert.Empty(t, steps)
	assert.True(t, math.IsInf(Critical(2, 0.05), 1))
}

func seasonal(i, period int) float64 { return 3 * math.Sin(2*math.Pi*float64(i)/float64(period)) }

// A line and a cycle of mean 0 are their own decomposition: loess of degree 1 keeps lines, and the filters keep both apart.
func TestKnownDecomposition(t *testing.T) {
	for _, period := range []int{4, 7, 12, 24} {
		const n = 240
		y := make([]float64, n)
		for i := range y {
			y[i] = 5 + 0.1*float64(i) + seasonal(i, period)
		}
		for _, outer := range []int{0, 3} {
			p := DefaultSmoothing(period)
			p.Outer = outer
			var d Decomposition
			Decompose(y, p, &d)
			for i := range y {
				require.InDelta(t, 5+0.1*float64(i), d.Trend[i], 1e-9)
				require.InDelta(t, seasonal(i, period), d.Season[i], 1e-9)
				require.InDelta(t, 0, d.Remainder[i], 1e-9)
			}
		}
	}
}

func TestRobustPassesIgnoreOutliers(t *testing.T) {
	const n, period = 240, 12
	clean := make([]float64, n)
	r := rand.New(rand.NewPCG(2, 2))
	for i := range clean {
		clean[i] = 0.02*float64(i) + seasonal(i, period) + 0.1*r.NormFloat64()
	}
	dirty := slices.Clone(clean)
	for i := 20; i < n; i += 37 {
		dirty[i] += 50
	}
	off := func(outer int) float64 {
		p := DefaultSmoothing(period)
		p.Outer = outer
		var d Decomposition
		Decompose(dirty, p, &d)
		worst := 0.0
		for i := range clean {
			assert.InDelta(t, dirty[i], d.Trend[i]+d.Season[i]+d.Remainder[i], 1e-9)
			worst = math.Max(worst, math.Abs(d.Trend[i]+d.Season[i]-0.02*float64(i)-seasonal(i, period)))
		}
		if outer > 0 {
			assert.Zero(t, d.Weights[20])
		}
		return worst
	}
	assert.Greater(t, off(0), 2.0)
	assert.Less(t, off(5), 0.5)
}

func TestDecomposeOddInput(t *testing.T) {
	var d Decomposition
	for _, y := range [][]float64{nil, {1}, {1, 2}, {3, 3, 3, 3, 3, 3}} {
		Decompose(y, DefaultSmoothing(3), &d)
		assert.Len(t, d.Trend, len(y))
		for i := range y {
			assert.InDelta(t, y[i], d.Trend[i]+d.Season[i]+d.Remainder[i], 1e-9)
		}
	}
	y := []float64{1, 5, 2, 6, 1, 5, 2, 6}
	Decompose(y, Smoothing{Period: 4, Seasonal: 7, Trend: 5, Inner: 2}, &d)
	assert.InDelta(t, 1, d.Weights[3], 0.9)
}

func TestFindPeriod(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, period := range []int{5, 12, 24, 60, 144} {
		y := make([]float64, 512)
		for i := range y {
			y[i] = 100 + 0.05*float64(i) + seasonal(i, period) + r.NormFloat64()
		}
		assert.InDelta(t, period, FindPeriod(y), float64(period)/20)
	}
	noise, line := make([]float64, 512), make([]float64, 512)
	for i := range noise {
		noise[i], line[i] = r.NormFloat64(), float64(i)
	}
	assert.Zero(t, FindPeriod(noise))
	assert.Zero(t, FindPeriod(line))
	assert.Zero(t, FindPeriod(make([]float64, 512)))
	assert.Zero(t, FindPeriod(nil))
}

func newDetector(t testing.TB, change ...func(*Params)) *Detector {
	t.Helper()
	p := DefaultParams()
	for _, c := range change {
		c(&p)
	}
	d, err := New(p)
	require.NoError(t, err)
	return d
}

// What is usual at another time of the cycle is an outlier at this one.
func TestDetector(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	d := newDetector(t)
	value := func(i int) float64 { return 50 + 5*seasonal(i, 48) + r.NormFloat64() }
	alarms, outliers, n := 0, 0, 0
	for i := range 6000 {
		v := d.Observe(value(i))
		if i < 1000 {
			continue
		}
		require.True(t, v.Ready)
		n++
		if v.Chance < 1e-4 {
			alarms++
		}
		if v.Outlier {
			outliers++
		}
	}
	assert.Equal(t, 48, d.Period())
	assert.LessOrEqual(t, alarms, 5)
	assert.Less(t, float64(outliers)/float64(n), 0.01)
	v := d.Observe(50 - 5*seasonal(6012, 48)) // the trough's value at the peak
	assert.True(t, v.Outlier)
	assert.Less(t, v.Chance, 1e-4)
	assert.Less(t, v.Deviation, -6.0)
	v = d.Observe(value(6001))
	assert.InDelta(t, 50+5*seasonal(6001, 48), v.Expected, 2)
	v = d.Observe(math.NaN())
	assert.InDelta(t, 0, v.Deviation, 1, "what is missing is as foretold")
}

func TestDetectorParameters(t *testing.T) {
	run := func(change ...func(*Params)) (sum float64, outliers int) {
		r := rand.New(rand.NewPCG(5, 5))
		d := newDetector(t, change...)
		for i := range 700 {
			x := seasonal(i, 20) + r.NormFloat64()
			if i%50 == 7 {
				x += 6
			}
			v := d.Observe(x)
			sum += v.Expected
			if v.Outlier {
				outliers++
			}
		}
		return sum, outliers
	}
	usual, found := run()
	for name, change := range map[string]func(*Params){
		"window": func(p *Params) { p.Window = 100 },
		"period": func(p *Params) { p.Period = 19 },
		"every":  func(p *Params) { p.Every = 1 },
	} {
		sum, _ := run(change)
		assert.Greater(t, math.Abs(sum-usual), 1e-6, name)
	}
	_, more := run(func(p *Params) { p.Alpha = 0.9 })
	assert.Greater(t, more, found)
	_, _ = run(func(p *Params) { p.Outliers = 0 })
	d, e := newDetector(t), newDetector(t, func(p *Params) { p.Outliers = 0 })
	r := rand.New(rand.NewPCG(5, 5))
	for range 512 {
		x := r.NormFloat64()
		if r.IntN(20) == 0 {
			x = 9
		}
		d.Observe(x)
		e.Observe(x)
	}
	assert.Less(t, d.clean, e.clean)
}

func TestDetectorAdoptsANewNormal(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	d := newDetector(t, func(p *Params) { p.Window = 128; p.Every = 4 })
	for range 400 {
		d.Observe(r.NormFloat64())
	}
	assert.Less(t, d.Observe(40).Chance, 1e-4)
	var v Verdict
	for range 300 {
		v = d.Observe(40 + r.NormFloat64())
	}
	assert.Greater(t, v.Chance, 1e-4)
}

func TestHostileNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	d := newDetector(t, func(p *Params) { p.Window, p.Every = 64, 3 })
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 0, 1}
	for range 2000 {
		v := d.Observe(odd[r.IntN(len(odd))])
		require.True(t, v.Chance >= 0 && v.Chance <= 1)
		require.False(t, math.IsNaN(v.Deviation) || math.IsNaN(v.Expected))
	}
}

func TestDetectorState(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	d := newDetector(t, func(p *Params) { p.Window = 128; p.Every = 1 })
	for i := range 300 {
		d.Observe(seasonal(i, 16) + 0.1*r.NormFloat64())
	}
	state, err := d.AppendBinary(nil)
	require.NoError(t, err)
	e := newDetector(t, func(p *Params) { p.Window = 128; p.Every = 1 })
	require.NoError(t, e.UnmarshalBinary(state))
	assert.Equal(t, d.Period(), e.Period())
	want, got := d.Observe(2), e.Observe(2)
	assert.InDelta(t, want.Expected, got.Expected, 1e-9)
	short := newDetector(t, func(p *Params) { p.Window = 64 })
	require.NoError(t, short.UnmarshalBinary(state))
	assert.Equal(t, 16, short.Period())
	require.NoError(t, newDetector(t).UnmarshalBinary(state))
	for cut := range state {
		require.Error(t, e.UnmarshalBinary(state[:cut]))
	}
	require.Error(t, e.UnmarshalBinary(append(slices.Clone(state), 1)))
	state[0] = 5
	require.ErrorContains(t, e.UnmarshalBinary(state), "version 5")
}

func TestValidate(t *testing.T) {
	p := Params{Period: 1, Outliers: 0.5}
	require.EqualError(t, p.Validate(), `window must be between 32 and 16384, got 0
period must be 0 or between 2 and half the window, got 1
every must be between 1 and the window, got 0
outliers must be at least 0 and less than 0.5, got 0.5
alpha must be between 0 and 1, exclusive, got 0`)
	_, err := New(p)
	require.Error(t, err)
}

func FuzzUnmarshalBinary(f *testing.F) {
	p := DefaultParams()
	p.Window = 32
	d, err := New(p)
	require.NoError(f, err)
	for range 3 {
		state, _ := d.AppendBinary(nil)
		f.Add(state)
		for i := range 20 {
			d.Observe(float64(i % 5))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := New(p)
		require.NoError(t, err)
		_ = e.UnmarshalBinary(data)
		for range 20 {
			v := e.Observe(3)
			require.True(t, v.Chance >= 0 && v.Chance <= 1)
		}
	})
}

func BenchmarkDetector(b *testing.B) {
	for _, window := range []int{128, 512, 2048} {
		b.Run(map[int]string{128: "window=128", 512: "window=512", 2048: "window=2048"}[window], func(b *testing.B) {
			r := rand.New(rand.NewPCG(9, 9))
			d := newDetector(b, func(p *Params) { p.Window = window })
			i := 0
			for range window {
				d.Observe(seasonal(i, 24) + r.NormFloat64())
				i++
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Observe(seasonal(i, 24) + r.NormFloat64())
				i++
			}
		})
	}
}

// A gap is taken apart once, at its end, however long it is.
func TestGapIsTakenApartOnce(t *testing.T) {
	p := DefaultParams()
	p.Period, p.Every = 24, 8
	d, err := New(p)
	require.NoError(t, err)
	for i := range 4 * p.Window {
		d.Observe(wave(i))
	}
	before := d.parts.Trend[0]
	for range p.Window / 2 {
		d.Observe(math.NaN())
	}
	assert.Equal(t, before, d.parts.Trend[0], "nothing is taken apart in the gap")
	v := d.Observe(wave(4*p.Window + p.Window/2))
	assert.NotEqual(t, before, d.parts.Trend[0])
	assert.InDelta(t, wave(4*p.Window+p.Window/2), v.Expected, 0.2, "the season goes on through the gap")
}

func wave(i int) float64 {
	return 10 + 3*math.Sin(2*math.Pi*float64(i)/24) + 0.05*math.Sin(float64(i*i))
}
