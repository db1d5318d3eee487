package shop

import (
	"fmt"
	"slices"
	"strings"
)

// criticalities are those of requests, the least important first.
var criticalities = []string{"low", "medium", "high", "critical"}

// RequestKind is something that users do.
type RequestKind struct {
	Name, Criticality string
	// Method and Route are those of the frontend's spans.
	Method, Route string
	// Share of all requests that are of this kind.
	Share float64
}

// RequestKinds returns what users do.
func RequestKinds() []RequestKind {
	t := newTopology()
	out := make([]RequestKind, 0, len(t.kinds))
	for _, k := range t.kinds {
		out = append(out, RequestKind{Name: k.name, Criticality: k.criticality, Method: k.entry.method, Route: k.entry.route, Share: k.share})
	}
	return out
}

// Admit has the frontend let in only requests of this criticality and above. Others are asked to come back later (429), which
// costs nothing and is no error. The least, low, lets in everything.
func (s *Simulation) Admit(least string) error {
	i := slices.Index(criticalities, least)
	if i < 0 {
		return fmt.Errorf("%w: criticality must be one of %s, got %q", ErrInvalid, strings.Join(criticalities, ", "), clip(least))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admission = i
	return nil
}

func (s *Simulation) admits(k requestKind) bool {
	return slices.Index(criticalities, k.criticality) >= s.admission
}

// admitted are the rates of the request kinds that get past the frontend.
func (s *Simulation) admitted(rates []float64) []float64 {
	if s.admission == 0 {
		return rates
	}
	out := slices.Clone(rates)
	for i, k := range s.topology.kinds {
		if !s.admits(k) {
			out[i] = 0
		}
	}
	return out
}

// askLater answers a user who is not let in.
func (r *request) askLater(o *operation, at int64) {
	s := r.sim.services[o.service]
	if s.effect.down {
		return
	}
	r.sim.addSpan(spanRecord{
		start: at, end: at + seconds(logNormal(r.rng, refusalTime, 0.3)), trace: r.trace, id: r.newSpanID(), pod: s.pick(), op: o,
		role: roleServer, path: r.facts.path(o), failure: failAdmission,
	})
}
