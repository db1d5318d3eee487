package thresholds

import (
	"math"
	"math/rand/v2"
	"time"
)

// People is how long a team on call takes. The times are an assumption of ours, of a practised team that is at its desks; nothing was
// measured on people. Whatever rests on them says so.
type People struct {
	// Notice is the median time until users have complained of a fault on which no alert fires.
	Notice time.Duration
	// Triage is the median time from the alert, or the complaint, until the cause is known, Repair from there until the right action
	// is taken.
	Triage, Repair time.Duration
	// Spread is the standard deviation of the logarithm of each.
	Spread float64
}

// DefaultPeople are those of the experiments.
func DefaultPeople() People {
	return People{Notice: 20 * time.Minute, Triage: 10 * time.Minute, Repair: 5 * time.Minute, Spread: 0.5}
}

// Times are those of one incident.
type Times struct{ Notice, Triage, Repair time.Duration }

// Draw draws the times of one incident.
func (p People) Draw(rng *rand.Rand) Times {
	draw := func(median time.Duration) time.Duration {
		return time.Duration(float64(median) * math.Exp(p.Spread*rng.NormFloat64())).Round(time.Second)
	}
	return Times{Notice: draw(p.Notice), Triage: draw(p.Triage), Repair: draw(p.Repair)}
}
