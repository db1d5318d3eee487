package shop

import (
	"slices"
	"time"
)

// Targets returns the services, front to back, that a kind of fault can befall so that there is one right answer to
// which of them it was. A crowd overloads everything on its way; only where the named service alone is overloaded is it
// the cause. A slow network is felt by nobody where no packet of the service is waited for.
func Targets(kind FaultKind) []string {
	var out []string
	for i := range specs {
		f := Fault{Kind: kind, Service: specs[i].name}
		if _, err := f.normalise(); err != nil {
			continue
		}
		if kind == TrafficSurge && !overloadedAlone(i, surgeUse) || kind == MicroBurst && !overloadedAlone(i, burstUse) || kind == NetworkDelay && !awaited(i) {
			continue
		}
		out = append(out, specs[i].name)
	}
	return out
}

// overloadedAlone reports whether a surge to use times a service's capacity, at the load that the shop is sized for, leaves all
// others with room to spare.
func overloadedAlone(service int, use float64) bool {
	cfg := DefaultConfig()
	cfg.Start = time.Unix(0, 0)
	s, err := New(cfg)
	if err != nil {
		panic("shop: " + err.Error())
	}
	rates := s.kindRates(s.cfg.Rate)
	f := &activeFault{Fault: Fault{Kind: TrafficSurge, Severity: 1}, service: service}
	extra, _ := s.surge(f, rates, use)
	for i := range extra {
		rates[i] += extra[i]
	}
	for i, demand := range s.demand(rates) {
		svc := s.services[i]
		overloaded := demand > float64(len(svc.pods))*svc.perPod
		if overloaded != (i == service) {
			return false
		}
	}
	return true
}

// awaited reports whether anybody waits for what a service sends: who called it, or itself for the answer to a call.
func awaited(service int) bool {
	if specs[service].protocol != protoKafka {
		return true
	}
	return slices.ContainsFunc(newTopology().ops, func(o *operation) bool { return o.service == service && len(o.steps) > 0 })
}

// Calls returns which services each service calls, asks or sends messages to, by name and sorted.
func Calls() map[string][]string {
	calls := map[string][]string{}
	var visit func(from int, steps []step)
	visit = func(from int, steps []step) {
		for i := range steps {
			st := &steps[i]
			to := []int{st.to}
			if st.kind == stepPublish {
				to = to[:0]
				for _, c := range st.consumers {
					to = append(to, c.service)
				}
			}
			for _, t := range to {
				if name := specs[t].name; !slices.Contains(calls[specs[from].name], name) {
					calls[specs[from].name] = append(calls[specs[from].name], name)
				}
			}
			visit(from, st.onMiss)
		}
	}
	for _, o := range newTopology().ops {
		visit(o.service, o.steps)
	}
	for _, callees := range calls {
		slices.Sort(callees)
	}
	return calls
}
