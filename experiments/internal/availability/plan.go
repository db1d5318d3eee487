package availability

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/thresholds"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// Trouble is the sort of an episode.
type Trouble string

// The sorts of episodes.
const (
	// Plain is a fault that the right action cures.
	Plain Trouble = "fault"
	// Pair are two faults of services of which neither depends on the other, seconds apart.
	Pair Trouble = "two faults at once"
	// Runaway is a fault that no action cures: its reason lies outside of the shop.
	Runaway Trouble = "runaway fault"
	// Flapping is a fault that no action cures and that comes and goes every minute.
	Flapping Trouble = "flapping fault"
	// Blind is a loss of all telemetry for some minutes while nothing is wrong.
	Blind Trouble = "telemetry outage"
	// BlindFault is such a loss in which a fault begins.
	BlindFault Trouble = "fault in a telemetry outage"
	// Mute is a fault while the way from the exporter to the shop is broken.
	Mute Trouble = "fault in an outage of the action channel"
)

// troubles are all sorts with how many of a hundred episodes are of them.
var troubles = []struct {
	trouble Trouble
	share   int
}{{Plain, 64}, {Pair, 8}, {Runaway, 7}, {Flapping, 5}, {Blind, 5}, {BlindFault, 5}, {Mute, 6}}

// episode is one trouble of the month.
type episode struct {
	Trouble Trouble
	// At is when in the month it comes, Calm how much of the time before it is simulated.
	At, Calm time.Duration
	Faults   []shop.Fault
	// Apart is how much later the second fault comes.
	Apart time.Duration
	// Outage is how long telemetry or the action channel is out; it begins Ahead of the fault.
	Outage, Ahead time.Duration
	// People is how long people will take if they have to.
	People thresholds.Times
}

const (
	month = 30 * 24 * time.Hour
	// meanApart is the mean time between two episodes, which come as a Poisson process.
	meanApart = 12 * time.Hour
	// Of the time between two episodes at least leastCalm is simulated, and at most mostCalm: as much as guards remember, so that they
	// stand in the way of the next trouble only if it comes as soon as that. The breakers of a target are the longest, with an hour.
	leastCalm, mostCalm = 6 * time.Minute, 65 * time.Minute
	// The severities of faults are drawn from this range, evenly in the logarithm.
	leastSeverity, mostSeverity = 0.5, 2
)

// newPlan draws the month of a seed. quick keeps one episode of each sort.
func newPlan(seed uint64, quick bool) []episode {
	rng := rand.New(rand.NewPCG(seed, 99))
	people := thresholds.DefaultPeople()
	var plan []episode
	var at time.Duration
	draw := func(t Trouble) {
		apart := time.Duration(rng.ExpFloat64() * float64(meanApart))
		at += apart
		e := episode{Trouble: t, At: at, Calm: min(max(apart, leastCalm), mostCalm).Round(shop.TickLength), People: people.Draw(rng)}
		if quick {
			e.Calm = leastCalm
		}
		if t != Blind {
			e.Faults = append(e.Faults, drawFault(rng))
		}
		switch t {
		case Pair:
			for len(e.Faults) < 2 {
				e.Faults[0] = drawFault(rng) // again, since everything may depend on it
				f := drawFault(rng)
				if !depends(f.Service, e.Faults[0].Service) && !depends(e.Faults[0].Service, f.Service) {
					e.Faults = append(e.Faults, f)
				}
			}
			e.Apart = time.Duration(rng.IntN(31)) * time.Second
		case Runaway, Flapping:
			e.Faults[0].Lasting = true
		case Blind, BlindFault, Mute:
			e.Outage = 3*time.Minute + time.Duration(rng.IntN(420))*time.Second
			e.Ahead = time.Duration(rng.IntN(60)) * time.Second
		case Plain:
		}
		plan = append(plan, e)
	}
	if quick {
		for _, t := range troubles {
			draw(t.trouble)
		}
		return plan
	}
	for at < month {
		n := rng.IntN(100)
		for _, t := range troubles {
			if n -= t.share; n < 0 {
				draw(t.trouble)
				break
			}
		}
	}
	return plan[:len(plan)-1] // the last one is beyond the month
}

// kinds are the faults that befall the shop, and targets the services that they can befall.
var (
	kinds   = shop.FaultKinds()
	targets = sync.OnceValue(func() map[shop.FaultKind][]string {
		out := map[shop.FaultKind][]string{}
		for _, k := range kinds {
			out[k] = shop.Targets(k)
		}
		return out
	})
)

func drawFault(rng *rand.Rand) shop.Fault {
	kind := kinds[rng.IntN(len(kinds))]
	services := targets()[kind]
	severity := leastSeverity * math.Pow(mostSeverity/leastSeverity, rng.Float64())
	return shop.Fault{Kind: kind, Service: services[rng.IntN(len(services))], Severity: math.Round(severity*100) / 100}
}

var calls = shop.Calls()

// depends reports whether a service is, or directly or indirectly calls, another.
func depends(service, on string) bool {
	if service == on {
		return true
	}
	for _, callee := range calls[service] {
		if depends(callee, on) {
			return true
		}
	}
	return false
}
