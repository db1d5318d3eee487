package excess

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// negativeBinomialTail sums the probability mass term by term: slow and obvious.
func negativeBinomialTail(k int, r, q float64, above bool) float64 {
	mass := math.Pow(1-q, r)
	sum := 0.0
	for i := 0; i < 20000; i++ {
		if above == (i >= k) || (!above && i == k) {
			sum += mass
		}
		mass *= (float64(i) + r) / float64(i+1) * q
	}
	return sum
}

func TestTailsAgainstSum(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	for range 300 {
		past := Cell{Events: float64(rng.Intn(150)), Exposure: 1 + rng.Float64()*500}
		now := Cell{Events: float64(rng.Intn(30)), Exposure: 1 + rng.Float64()*60}
		r, q := past.Events+0.5, now.Exposure/(now.Exposure+past.Exposure)
		if now.Events > 0 {
			require.InDelta(t, -math.Log10(negativeBinomialTail(int(now.Events), r, q, true)), Above(now, past, 1), 1e-6)
		}
		require.InDelta(t, -math.Log10(negativeBinomialTail(int(now.Events), r, q, false)), Below(now, past, 1), 1e-6)
	}
}

// betaBinomialTail sums the mass from the definition.
func betaBinomialTail(k, n int, a, b float64) float64 {
	sum := 0.0
	for x := k; x <= n; x++ {
		choose, _ := math.Lgamma(float64(n) + 1)
		lx, _ := math.Lgamma(float64(x) + 1)
		lr, _ := math.Lgamma(float64(n-x) + 1)
		sum += math.Exp(choose - lx - lr + logBeta(float64(x)+a, float64(n-x)+b) - logBeta(a, b))
	}
	return sum
}

func TestShareTailAgainstSum(t *testing.T) {
	rng := rand.New(rand.NewSource(8))
	for range 300 {
		n, trials := 1+rng.Intn(60), 1+rng.Intn(300)
		k, events := 1+rng.Intn(n), rng.Intn(min(trials, 200)+1)
		want := -math.Log10(betaBinomialTail(k, n, float64(events)+0.5, float64(trials-events)+0.5))
		got := AboveShare(Cell{float64(k), float64(n)}, Cell{float64(events), float64(trials)}, 1)
		require.InDelta(t, max(0, want), got, 1e-6)
	}
	assert.InDelta(t, MaxSurprise, AboveShare(Cell{1e5, 1e5}, Cell{0, 1e9}, 1), 0)
	assert.Greater(t, AboveShare(Cell{12, 12}, Cell{40, 200}, 1), Above(Cell{12, 12}, Cell{40, 200}, 1)+2, "sharper than a rate")
	assert.Zero(t, AboveShare(Cell{0, 5}, Cell{1, 5}, 1))
	assert.Zero(t, AboveShare(Cell{5, 5}, Cell{}, 1))
}

func TestSurpriseIsHonestWithoutPast(t *testing.T) {
	assert.Zero(t, Above(Cell{100, 10}, Cell{}, 1))
	assert.Zero(t, Below(Cell{0, 10}, Cell{}, 1))
	assert.Less(t, Above(Cell{5, 10}, Cell{0, 5}, 1), 3.0, "a short past proves nothing")
	assert.Greater(t, Above(Cell{5, 10}, Cell{0, 5000}, 1), 10.0)
	assert.Greater(t, Below(Cell{0, 20}, Cell{500, 500}, 1), 7.0)
	assert.Zero(t, Above(Cell{0, 0}, Cell{1, 1}, 1))
}

func TestSurpriseBoundsAndUnderflow(t *testing.T) {
	s := Above(Cell{1e6, 1e6}, Cell{0, 1e9}, 1)
	assert.InDelta(t, MaxSurprise, s, 0)
	last := 0.0
	for k := 10.0; k < 400; k += 10 {
		s := Above(Cell{k, 400}, Cell{1, 1e6}, 1)
		assert.GreaterOrEqual(t, s, last, "more events are never less surprising")
		last = s
	}
}

func TestDispersionSoftens(t *testing.T) {
	now, past := Cell{60, 100}, Cell{200, 1000}
	assert.Greater(t, Above(now, past, 1), Above(now, past, 4))
}

func steady(n int, c Cell) ([]Cell, []bool) {
	cells, usable := make([]Cell, n), make([]bool, n)
	for i := range cells {
		cells[i], usable[i] = c, true
	}
	return cells, usable
}

func TestScanAbove(t *testing.T) {
	cells, usable := steady(24, Cell{0, 20})
	assert.Zero(t, ScanAbove(cells, usable, Cell{1, 5000}, Options{MinEvents: 3, MinRatio: 2}).Surprise)
	cells[22].Events, cells[23].Events = 6, 7
	v := ScanAbove(cells, usable, Cell{1, 5000}, Options{MinEvents: 3, MinRatio: 2})
	assert.Equal(t, 2, v.Window, "the window is the burst, no longer")
	assert.InDelta(t, 13, v.Now.Events, 0)
	assert.InDelta(t, 1, v.Past.Events, 1e-9, "the burst is not its own past")
	assert.Greater(t, v.Surprise, 15.0)
}

func TestScanFindsSlowBurnInLongWindow(t *testing.T) {
	cells, usable := steady(24, Cell{0, 2})
	for i := 12; i < 24; i++ {
		cells[i].Events = 1
	}
	v := ScanAbove(cells, usable, Cell{1, 2000}, Options{MinEvents: 3, MinRatio: 2})
	assert.Equal(t, 12, v.Window)
}

func TestScanBelow(t *testing.T) {
	cells, usable := steady(24, Cell{5, 5})
	for i := 20; i < 24; i++ {
		cells[i].Events = 0
	}
	v := ScanBelow(cells, usable, Cell{500, 500}, Options{MinEvents: 5, MinRatio: 2})
	assert.Equal(t, 4, v.Window)
	assert.InDelta(t, 20, v.Expected, 0.5)
	assert.Greater(t, v.Surprise, 7.0)
}

func TestScanLeavesUnusableCellsOutOfThePast(t *testing.T) {
	cells, usable := steady(24, Cell{0, 20})
	for i := 5; i < 15; i++ {
		cells[i].Events, usable[i] = 20, false
	}
	for i := 20; i < 24; i++ {
		cells[i].Events = 5
	}
	v := ScanAbove(cells, usable, Cell{1, 5000}, Options{MinEvents: 3, MinRatio: 2})
	assert.InDelta(t, 1, v.Past.Events, 1e-9)
}

func TestScanOptions(t *testing.T) {
	cells, usable := steady(24, Cell{2, 20})
	cells[23].Events = 8
	assert.Positive(t, ScanAbove(cells, usable, Cell{}, Options{MinEvents: 3, MinRatio: 2}).Surprise)
	assert.Zero(t, ScanAbove(cells, usable, Cell{}, Options{MinEvents: 40, MinRatio: 2}).Surprise)
	assert.Zero(t, ScanAbove(cells, usable, Cell{}, Options{MinEvents: 3, MinRatio: 10}).Surprise)
}

// TestScanFalseAlarms measures how often steady Poisson counts surprise by 6 or more: at most once in 10^5 scans, for
// the windows overlap and there are eight of them.
func TestScanFalseAlarms(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	alarms, scans := 0, 0
	cells, usable := steady(24, Cell{})
	base := Cell{50, 5000}
	for range 100_000 {
		copy(cells, cells[1:])
		cells[23] = Cell{poisson(rng, 0.2), 20}
		if ScanAbove(cells, usable, base, Options{MinEvents: 2, MinRatio: 1.5}).Surprise >= 6 {
			alarms++
		}
		scans++
	}
	assert.LessOrEqual(t, alarms, scans/100_000)
}

func poisson(rng *rand.Rand, mean float64) float64 {
	l, k, p := math.Exp(-mean), 0, 1.0
	for {
		p *= rng.Float64()
		if p <= l {
			return float64(k)
		}
		k++
	}
}

func BenchmarkScanAbove(b *testing.B) {
	cells, usable := steady(24, Cell{1, 20})
	b.ReportAllocs()
	for b.Loop() {
		ScanAbove(cells, usable, Cell{50, 5000}, Options{MinEvents: 1, MinRatio: 1})
	}
}
