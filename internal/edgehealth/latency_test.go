package edgehealth

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBin(t *testing.T) {
	for _, c := range []struct {
		seconds float64
		want    int
	}{
		{-1, 0},
		{0, 0},
		{0.001, 0},
		{math.NaN(), 0},
		{math.Inf(-1), 0},
		{0.0011, 1},
		{0.0014, 1},
		{0.00142, 2},
		{0.0021, 3},
		{0.1, 14},
		{1.1, 21},
		{1000, bins - 1},
		{1e300, bins - 1},
		{math.MaxFloat64, bins - 1},
		{math.Inf(1), bins - 1},
	} {
		assert.Equal(t, c.want, Bin(c.seconds), c.seconds)
	}
	last := 0
	for s := 1e-4; s < 1e3; s *= 1.01 {
		require.GreaterOrEqual(t, Bin(s), last, "longer is never less")
		last = Bin(s)
	}
}

func TestAddBucket(t *testing.T) {
	for name, c := range map[string]struct {
		lower, upper float64
		want         int
	}{
		"geometric middle":        {0.1, 0.4, Bin(0.2)},
		"half of the first":       {0, 0.05, Bin(0.025)},
		"negative lower":          {-1, 0.05, Bin(0.025)},
		"open end":                {10, math.Inf(1), Bin(10 * math.Sqrt2)},
		"both infinite":           {math.Inf(1), math.Inf(1), bins - 1},
		"product overflows":       {1e300, 1e301, bins - 1},
		"no bounds at all":        {0, math.Inf(1), 0},
		"bounds are not a number": {math.NaN(), math.NaN(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			var l, want Latency
			l.AddBucket(c.lower, c.upper, 3)
			want[c.want] = 3
			assert.Equal(t, want, l)
		})
	}
}

func TestThreshold(t *testing.T) {
	var d distribution
	assert.Zero(t, d.threshold(0.01))
	d[3], d[5], d[9] = 90, 9, 1
	assert.Equal(t, 6, d.threshold(0.01), "one of a hundred lies above bin 5")
	assert.Equal(t, 4, d.threshold(0.1), "ten of a hundred lie above bin 3")
	assert.Equal(t, 10, d.threshold(0))

	rng := rand.New(rand.NewSource(5))
	for range 200 {
		var d distribution
		total := 0.0
		for b := range d {
			d[b] = float64(rng.Intn(20))
			total += d[b]
		}
		part := rng.Float64() / 2
		at := d.threshold(part)
		tail := 0.0
		for b := at; b < bins; b++ {
			tail += d[b]
		}
		require.LessOrEqual(t, tail, part*total)
		if at > 0 {
			require.Greater(t, tail+d[at-1], part*total, "and no lower bin will do")
		}
	}
}
