package verification

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var never time.Time

func TestCumulativeCounter(t *testing.T) {
	type point struct {
		start, at time.Time
		value     float64
		rate      float64 // -1 is none
		from      float64
	}
	for name, points := range map[string][]point{
		"steady":                      {{begun, after(10), 100, -1, 0}, {begun, after(20), 150, 5, 10}, {begun, after(40), 150, 0, 20}},
		"without a start":             {{never, after(10), 100, -1, 0}, {never, after(20), 150, 5, 10}},
		"late":                        {{begun, after(20), 100, -1, 0}, {begun, after(10), 50, -1, 0}, {begun, after(20), 100, -1, 0}, {begun, after(30), 200, 10, 20}},
		"reset with its time":         {{begun, after(10), 100, -1, 0}, {after(15), after(20), 10, 2, 15}, {after(15), after(30), 30, 2, 20}},
		"reset, higher than before":   {{begun, after(10), 100, -1, 0}, {after(15), after(20), 500, 100, 15}},
		"reset without a time":        {{never, after(10), 100, -1, 0}, {never, after(20), 10, -1, 0}, {never, after(30), 20, 1, 20}},
		"reset within the stretch":    {{begun, after(10), 100, -1, 0}, {after(5), after(20), 10, -1, 0}, {after(5), after(30), 20, 1, 20}},
		"reset to a start in the end": {{begun, after(10), 100, -1, 0}, {after(20), after(20), 10, -1, 0}},
		"not a number":                {{begun, after(10), 100, -1, 0}, {begun, after(20), math.NaN(), -1, 0}, {begun, after(30), 200, -1, 0}, {begun, after(40), 210, 1, 30}},
		"infinite":                    {{begun, after(10), math.Inf(1), -1, 0}, {begun, after(20), 1, -1, 0}},
		"negative":                    {{begun, after(10), 100, -1, 0}, {begun, after(20), -5, -1, 0}, {begun, after(30), 5, -1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var c Counter
			for i, p := range points {
				r, ok := c.Cumulative(p.start, p.at, p.value)
				require.Equal(t, p.rate >= 0, ok, i)
				if ok {
					assert.Equal(t, Rate{after(p.from), p.at, p.rate}, r, i)
				}
			}
		})
	}
	var c Counter
	c.Cumulative(begun, after(10), 1)
	c.Forget()
	_, ok := c.Cumulative(begun, after(20), 2)
	assert.False(t, ok)
}

func TestDeltaCounter(t *testing.T) {
	var c Counter
	r, ok := c.Delta(begun, after(10), 50)
	assert.True(t, ok)
	assert.Equal(t, Rate{begun, after(10), 5}, r)
	_, ok = c.Delta(begun, after(10), 50)
	assert.False(t, ok, "it was seen")
	r, ok = c.Delta(never, after(20), 10)
	assert.True(t, ok)
	assert.Equal(t, Rate{after(10), after(20), 1}, r, "without a start it is since the point before")
	_, ok = c.Delta(after(20), after(30), -1)
	assert.False(t, ok)
	c.Forget()
	_, ok = c.Delta(time.Unix(0, 0), after(40), 10)
	assert.False(t, ok, "nothing tells how long it took")
}

// TestCounterAddsUp shows that whatever the resets, what the rates come to is what was counted, in both temporalities.
func TestCounterAddsUp(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var cumulative, delta Counter
		start, last, total, counted := begun, begun, 0.0, 0.0
		var sums [2]float64
		cumulative.Cumulative(start, begun.Add(-1), 0)
		for i := range 50 {
			at := last.Add(time.Duration(1+rng.IntN(20)) * time.Second)
			if rng.IntN(6) == 0 {
				start, total = last, 0
			}
			n := float64(rng.IntN(100))
			total, counted = total+n, counted+n
			if r, ok := cumulative.Cumulative(start, at, total); ok {
				sums[0] += r.Value * r.At.Sub(r.From).Seconds()
			} else {
				require.Fail(t, "no rate", i)
			}
			r, ok := delta.Delta(last, at, n)
			require.True(t, ok)
			sums[1] += r.Value * r.At.Sub(r.From).Seconds()
			last = at
		}
		assert.InDelta(t, counted, sums[0], 1e-6)
		assert.InDelta(t, counted, sums[1], 1e-6)
	}
}
