package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// injection is one fault of a scenario.
type injection struct {
	shop.Fault
	// at is when it is injected, from the start of the simulation.
	at time.Duration
}

// scenario is a simulated shop with one fault, or with two that overlap in time.
type scenario struct {
	name string
	// seed is that of the shop, drawn the number of the draw that made the scenario.
	seed   uint64
	drawn  int
	faults []injection
}

// Bounds of what is drawn.
const (
	leastSeverity, mostSeverity = 0.7, 1.5
	// phases is over how many seconds the moment of an injection is spread, so that it meets all phases of buckets and
	// metric exports.
	phases = 20
	// mostApart is how many seconds the onsets of a pair are apart at most.
	mostApart = 60
)

// newPlan draws the scenarios: each kind of fault alone at changing services, and pairs of which neither service depends on
// the other, so that there are two causes to find.
func newPlan(o options) ([]scenario, error) {
	kinds := o.kinds
	if len(kinds) == 0 {
		kinds = shop.SteadyFaultKinds()
	}
	var plan []scenario
	for draw := o.first; draw < o.first+o.seeds; draw++ {
		rng := rand.New(rand.NewPCG(uint64(draw), 0))
		targets := make(map[shop.FaultKind][]string, len(kinds))
		draws := map[shop.FaultKind]int{}
		for _, k := range kinds {
			targets[k] = shop.Targets(k)
			if len(targets[k]) == 0 {
				return nil, fmt.Errorf("kind must be one of %v, got %q", shop.FaultKinds(), k)
			}
			rng.Shuffle(len(targets[k]), func(i, j int) { targets[k][i], targets[k][j] = targets[k][j], targets[k][i] })
		}
		fault := func(k shop.FaultKind, at time.Duration) injection {
			service := targets[k][draws[k]%len(targets[k])]
			draws[k]++
			severity := leastSeverity * math.Pow(mostSeverity/leastSeverity, rng.Float64())
			return injection{shop.Fault{Kind: k, Service: service, Severity: math.Round(severity*100) / 100}, at}
		}
		onset := func() time.Duration { return o.learn + time.Duration(rng.IntN(phases))*time.Second }
		add := func(faults ...injection) {
			name := fmt.Sprintf("%d", draw)
			for _, f := range faults {
				name += fmt.Sprintf("/%s", f.Fault)
			}
			plan = append(plan, scenario{
				name: fmt.Sprintf("%s#%d", name, len(plan)), seed: rng.Uint64(), drawn: draw, faults: faults,
			})
		}
		for i := range o.each * len(kinds) {
			add(fault(kinds[i%len(kinds)], onset()))
		}
		for i := range o.pairs {
			for {
				at := onset()
				a := fault(kinds[i%len(kinds)], at)
				b := fault(kinds[rng.IntN(len(kinds))], at+time.Duration(rng.IntN(mostApart+1))*time.Second)
				if !depends(a.Service, b.Service) && !depends(b.Service, a.Service) {
					add(a, b)
					break
				}
			}
		}
	}
	if o.only != "" {
		plan = slices.DeleteFunc(plan, func(s scenario) bool { return s.name != o.only })
	}
	return plan, nil
}

// calls is who calls whom in the shop.
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

// distance is the number of calls between two services, taken either way.
func distance(from, to string) int {
	near := map[string][]string{}
	for client, servers := range calls {
		for _, server := range servers {
			near[client] = append(near[client], server)
			near[server] = append(near[server], client)
		}
	}
	seen, ring := map[string]bool{from: true}, []string{from}
	for d := 0; len(ring) > 0; d++ {
		if slices.Contains(ring, to) {
			return d
		}
		var next []string
		for _, s := range ring {
			for _, n := range near[s] {
				if !seen[n] {
					seen[n] = true
					next = append(next, n)
				}
			}
		}
		ring = next
	}
	return math.MaxInt
}
