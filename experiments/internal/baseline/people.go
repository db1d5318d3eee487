package baseline

import (
	"math"
	"math/rand/v2"
	"time"
)

// People is how long a team on call takes. The issue that asks for these experiments gives no figures for people, so these are ours: a
// practised team that sits at its desks. Whatever rests on them is marked as such, with the same at half and at twice the time.
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

// Scaled returns people who take factor times as long.
func (p People) Scaled(factor float64) People {
	scale := func(d time.Duration) time.Duration { return time.Duration(float64(d) * factor) }
	return People{Notice: scale(p.Notice), Triage: scale(p.Triage), Repair: scale(p.Repair), Spread: p.Spread}
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
