package labelled

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// Level is a demand, as a factor on what the shop is sized for. At 1 its services are busy for a third of their capacity.
type Level struct {
	Name   string
	Factor float64
}

// Levels are the demands at which the shop runs for hours, from idle to peak.
var Levels = []Level{{"idle", 0.03}, {"night", 0.3}, {"quiet", 0.6}, {"normal", 1}, {"busy", 1.5}, {"peak", 2.2}}

// Overload is beyond the capacity of all services at once.
var Overload = Level{"overload", 4}

// overloadKind labels windows in which the whole shop is overloaded, which is no fault of a service.
const overloadKind = shop.FaultKind("overload")

// Intensity is how hard a fault hits.
type Intensity string

// The intensities. What each does to users is measured and reported.
const (
	Low    Intensity = "low"
	Medium Intensity = "medium"
	High   Intensity = "high"
)

// Intensities are all intensities.
var Intensities = []Intensity{Low, Medium, High}

// severities are those of each kind at low, medium and high intensity. A crash and a silent failure are all or nothing: their intensity
// is how much of the shop goes through the service.
var severities = map[shop.FaultKind][3]float64{
	shop.MemoryLeak:     {0.15, 0.5, 1.5},
	shop.CPUHog:         {0.6, 1, 2},
	shop.SlowDependency: {0.3, 1, 2},
	shop.ErrorBurst:     {0.12, 0.5, 1.5},
	shop.BadDeploy:      {0.2, 1, 2},
	shop.DatabaseLocks:  {0.2, 1, 2},
	shop.TrafficSurge:   {0.75, 1, 1.5},
	shop.NetworkDelay:   {0.2, 1, 2},
	shop.MicroBurst:     {0.6, 1, 1.5},
	shop.GreyFailure:    {0.3, 1, 2},
}

// reach are the services that a crash or a silent failure befalls, by intensity.
var reach = map[Intensity][]string{
	Low:    {"notification", "analytics", "shipping"},
	Medium: {"cart", "user", "payment", "recommendation", "search", "inventory"},
	High:   {"frontend", "gateway", "catalogue", "checkout"},
}

// Case is one labelled window.
type Case struct {
	// ID numbers the cases of a plan from 0.
	ID    int
	Level Level
	// Fault is what is wrong; its kind is empty in windows without a fault.
	Fault     shop.Fault
	Intensity Intensity
	// Overload is set for a window in which the demand grows beyond what all of the shop can take.
	Overload bool
}

// Kind is that of the fault, "overload", or empty without either.
func (c Case) Kind() shop.FaultKind {
	if c.Overload {
		return overloadKind
	}
	return c.Fault.Kind
}

func (c Case) String() string {
	switch {
	case c.Overload:
		return fmt.Sprintf("%d overload", c.ID)
	case c.Fault.Kind == "":
		return fmt.Sprintf("%d %s", c.ID, c.Level.Name)
	}
	return fmt.Sprintf("%d %s %s at %s", c.ID, c.Fault, c.Intensity, c.Level.Name)
}

// The size of the whole plan: (10+2) kinds of faults × 3 intensities × 11 and (6+1) levels × 8 are 452.
const (
	eachFault  = 11
	eachWindow = 8
	// chainLength is how many cases one shop sees at most.
	chainLength = 20
)

// chain is a sequence of cases of one shop, all at one level.
type chain struct {
	seed  uint64
	start time.Time // somewhere on the load curve
	level Level
	cases []Case
}

// newPlan draws the cases of a seed and the shops that see them. quick takes one case of each kind and level.
func newPlan(seed uint64, quick bool) []chain {
	faults, windows := eachFault, eachWindow
	if quick {
		faults, windows = 0, 1
	}
	rng := rand.New(rand.NewPCG(seed, 452))
	byLevel := map[string][]Case{}
	id := 0
	add := func(c Case) {
		c.ID = id
		id++
		byLevel[c.Level.Name] = append(byLevel[c.Level.Name], c)
	}
	turn := rng.IntN(len(Levels))
	// Nothing is injected into an idle shop, where there is hardly anybody to be harmed.
	next := func() Level {
		turn++
		return Levels[1+turn%(len(Levels)-1)]
	}
	for n, kind := range shop.FaultKinds() {
		targets := shop.Targets(kind)
		rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		for i, intensity := range Intensities {
			least := 0
			if quick && i != n%len(Intensities) {
				continue
			}
			if quick {
				least = 1
			}
			for k := range max(faults, least) {
				f := shop.Fault{Kind: kind, Service: targets[(i*faults+k)%len(targets)], Severity: severities[kind][i]}
				if kind == shop.Crash || kind == shop.SilentFailure {
					of := reach[intensity]
					f.Service, f.Severity = of[k%len(of)], 1
				}
				add(Case{Level: next(), Fault: f, Intensity: intensity})
			}
		}
	}
	for range windows {
		for _, l := range Levels {
			add(Case{Level: l})
		}
		add(Case{Level: next(), Overload: true})
	}
	var chains []chain
	for _, l := range Levels {
		cases := byLevel[l.Name]
		rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
		for len(cases) > 0 {
			n := min(chainLength, len(cases))
			chains = append(chains, chain{
				seed: rng.Uint64(), level: l, cases: cases[:n],
				start: time.Date(2026, 3, 1+rng.IntN(28), rng.IntN(24), 0, 0, 0, time.UTC),
			})
			cases = cases[n:]
		}
	}
	return chains
}
