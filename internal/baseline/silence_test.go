package baseline

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counts plays a rate of so many things an interval.
func counts(seed uint64, p *player, mean func() float64) func() float64 {
	r := rand.New(rand.NewPCG(seed, 11))
	p.quantum = 1 / p.step.Seconds()
	return func() float64 { return p.quantum * poisson(r, mean()) }
}

func TestRateThatFallsToNothingIsFound(t *testing.T) {
	for seed := range uint64(20) {
		p := newPlayer(5 * time.Second)
		p.MinRelative = 0.3
		calm := p.playN(720, counts(seed, p, always(3.5)))
		require.Zero(t, count(calm, Abnormal))
		began := int64(p.now + p.step)
		silent := p.playN(200, always(0))
		onset := 0
		for onset < len(silent) && silent[onset].State != Abnormal {
			onset++
		}
		require.Less(t, onset, 12, "seed %d", seed)
		assert.InDelta(t, began, silent[onset].Onset, float64(10*p.step), "the lull began with the silence")
		assert.Equal(t, 200-onset, count(silent, Abnormal), "it stays abnormal")
		assert.Positive(t, silent[199].Contributions[Silence])
		stays := p.playN(720, always(0))
		assert.Equal(t, 1, count(stays, Adopted), "in the end it is normal")
	}
}

// Where arrivals come in bunches it takes a first long lull to know it.
func TestLullsOfCalmAndOfBunchedArrivals(t *testing.T) {
	bunched := func(seed uint64) func() float64 {
		r := rand.New(rand.NewPCG(seed, 12))
		on := true
		return func() float64 {
			if r.Float64() < 0.1 {
				on = !on
			}
			if on {
				return 6
			}
			return 0.1
		}
	}
	for name, mean := range map[string]func(uint64) func() float64{
		"rare":    func(uint64) func() float64 { return always(0.05) },
		"few":     func(uint64) func() float64 { return always(3.5) },
		"many":    func(uint64) func() float64 { return always(40) },
		"bunched": bunched,
	} {
		t.Run(name, func(t *testing.T) {
			early, late := 0, 0
			for seed := range uint64(10) {
				p := newPlayer(5 * time.Second)
				p.MinRelative = 0.3
				value := counts(seed, p, mean(seed))
				early += opened(p.playN(2000, value))
				late += opened(p.playN(17280, value))
			}
			t.Logf("%d alarms of 10 series in their first hours, %d in a day after that", early, late)
			if name != "bunched" {
				assert.Zero(t, early)
			}
			assert.LessOrEqual(t, early, 10)
			assert.Zero(t, late)
		})
	}
}
