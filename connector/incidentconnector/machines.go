package incidentconnector

import (
	"math"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/rootcause"
	"github.com/paramedic-otel/paramedic/semconv"
)

// minSharers is how many services in trouble must share a machine to suspect it, and sharedPart which part of all.
const (
	minSharers = 2
	sharedPart = 0.5
	// sharerNoise is how many times its noise the own trouble of a service must be to count.
	sharerNoise = 2.5
)

// trouble is what a service has to bear that its callees do not explain.
type trouble struct {
	failures, seconds             float64
	failureVariance, timeVariance float64
}

// own returns the trouble that remains, none where it is chance.
func (t *trouble) own() (failures, seconds float64) {
	if t.failures >= sharerNoise*math.Sqrt(t.failureVariance) {
		failures = max(0, t.failures)
	}
	if t.seconds >= sharerNoise*math.Sqrt(t.timeVariance) {
		seconds = max(0, t.seconds)
	}
	return failures, seconds
}

// machineEdges lets the services on a machine that is saturated, or not ready, call it: what they have to bear by themselves is then explained by it.
// A machine is suspected when most of the services with trouble of their own share it, at least two, and none of them is
// itself known to saturate it.
func (e *engine) machineEdges(i *incident, edges []rootcause.Edge) (out []rootcause.Edge) {
	machines := map[semconv.Entity]semconv.CauseKind{}
	for _, s := range i.symptoms {
		if s.condemns() && s.active() {
			machines[s.entity] = s.kind
		}
	}
	if len(machines) == 0 {
		return nil
	}
	troubles := map[string]*trouble{}
	at := func(name string) *trouble {
		if troubles[name] == nil {
			troubles[name] = &trouble{}
		}
		return troubles[name]
	}
	for _, edge := range edges {
		t := at(edge.Server)
		t.failures += edge.Failures
		t.seconds += edge.Seconds
		t.failureVariance += edge.FailureNoise * edge.FailureNoise
		t.timeVariance += edge.SecondsNoise * edge.SecondsNoise
		t = at(edge.Client)
		t.failures -= edge.Failures
		t.seconds -= edge.ClientSeconds
	}
	for _, machine := range sortedEntities(machines) {
		troubled := 0
		var sharers []rootcause.Edge
		for _, name := range sortedKeysOf(troubles) {
			failures, seconds := troubles[name].own()
			service := entityNamed(name)
			if failures+seconds == 0 || isPeer(service) {
				continue
			}
			troubled++
			if e.runsOn(service, machine) {
				sharers = append(sharers, rootcause.Edge{
					Client: name, Server: machine.String(), Failures: failures, Seconds: seconds, ClientSeconds: seconds,
					FailureNoise: math.Sqrt(troubles[name].failureVariance), SecondsNoise: math.Sqrt(troubles[name].timeVariance),
					ClientNoise: math.Sqrt(troubles[name].timeVariance),
				})
			}
		}
		if len(sharers) >= minSharers && float64(len(sharers)) > sharedPart*float64(troubled) && !e.hogged(i, machine, machines[machine]) {
			out = append(out, sharers...)
		}
	}
	return out
}

// standAside makes little of the machines that those in trouble do not share, where anything else is in trouble.
func standAside(nodes map[semconv.Entity]*rootcause.Node, shared []rootcause.Edge) {
	others := false
	for entity := range nodes {
		others = others || !isMachine(entity)
	}
	for entity, n := range nodes {
		if others && isMachine(entity) && !slices.ContainsFunc(shared, func(edge rootcause.Edge) bool { return edge.Server == n.Name }) {
			n.Uninstrumented = true
		}
	}
}

// condemns reports whether a symptom shows a machine in a state in which what runs there must suffer.
func (s *symptom) condemns() bool {
	if !isMachine(s.entity) {
		return false
	}
	return s.class == classSignal && s.opens || s.class == classEvent && s.spreads >= strongEvent
}

// hogged reports whether a service on a machine is known to use up what the machine runs out of.
func (e *engine) hogged(i *incident, machine semconv.Entity, kind semconv.CauseKind) bool {
	for _, s := range i.symptoms {
		if s.class == classSignal && s.opens && s.kind == kind && s.entity != machine && e.runsOn(s.entity, machine) {
			return true
		}
	}
	return false
}
