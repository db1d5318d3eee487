package closedloop

import (
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// window is how many seconds are judged as one.
	window = 5
	// badShare is by how much the share of failures of a service or of users must rise to count, leastFailures how many
	// there must be.
	badShare, leastFailures = 0.05, 3
	// slowBy is the factor on the geometric mean of durations, and spread the standard deviation of their logarithms that is
	// allowed for twice.
	slowBy, spread = 1.5, 0.6
	leastCalls     = 4
)

// users is the name under which those of the shop are judged like a service.
const users = "users"

// operation is something of which durations can be compared.
type operation struct{ of, name string }

// tally is what one second brought of a service, or of users.
type tally struct {
	calls, failed int
	logs          float64 // sum of the logarithms of duration by usual duration
}

// usual is how something is when all is well.
type usual struct {
	calls, failed int
	logs          float64
}

// vitals tells from what happened how services and users fare. Until [vitals.learnt] is called everything counts as usual.
type vitals struct {
	settled    bool
	operations map[operation]*usual
	services   map[string]*usual
	seconds    []map[string]tally // the last of them, [window] at most
	current    map[string]tally
}

func newVitals() *vitals {
	return &vitals{operations: map[operation]*usual{}, services: map[string]*usual{}, current: map[string]tally{}}
}

// learnt ends the time in which everything is usual.
func (v *vitals) learnt() { v.settled = true }

// experienced counts how a user fared; messages are nobody's experience.
func (v *vitals) experienced(e shop.Experience) {
	if !e.Message && !e.Asked {
		v.add(users, e.Kind, e.Took.Seconds(), e.Failed || e.Hollow)
	}
}

// saw counts the calls of services in what a tick sent.
func (v *vitals) saw(traces ptrace.Traces) {
	for _, rs := range traces.ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get(semconv.AttrServiceName)
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				of := service.Str()
				switch span.Kind() {
				case ptrace.SpanKindServer, ptrace.SpanKindConsumer:
				case ptrace.SpanKindClient:
					if _, ok := span.Attributes().Get("db.system.name"); !ok {
						continue
					}
					store, _ := span.Attributes().Get("server.address")
					of = store.Str()
				default:
					continue
				}
				took := float64(span.EndTimestamp()-span.StartTimestamp()) / 1e9
				v.add(of, span.Name(), took, span.Status().Code() == ptrace.StatusCodeError)
			}
		}
	}
}

func (v *vitals) add(of, name string, took float64, failed bool) {
	took = math.Log(max(took, 1e-6))
	o := v.operations[operation{of, name}]
	if !v.settled {
		if o == nil {
			o = &usual{}
			v.operations[operation{of, name}] = o
		}
		s := v.services[of]
		if s == nil {
			s = &usual{}
			v.services[of] = s
		}
		o.calls++
		o.logs += took
		s.calls++
		if failed {
			s.failed++
		}
		return
	}
	t := v.current[of]
	t.calls++
	if failed {
		t.failed++
	}
	if o != nil && !failed {
		t.logs += took - o.logs/float64(o.calls)
	}
	v.current[of] = t
}

// second ends a second.
func (v *vitals) second() {
	v.seconds = append(v.seconds, v.current)
	v.current = map[string]tally{}
	if len(v.seconds) > window {
		v.seconds = v.seconds[1:]
	}
}

func (v *vitals) total(of string) (t tally) {
	for _, s := range v.seconds {
		x := s[of]
		t.calls, t.failed, t.logs = t.calls+x.calls, t.failed+x.failed, t.logs+x.logs
	}
	return t
}

// failing is the share of calls that failed in the window.
func (v *vitals) failing(of string) float64 {
	t := v.total(of)
	if t.calls == 0 {
		return 0
	}
	return float64(t.failed) / float64(t.calls)
}

// degraded reports whether failures or durations are far from usual in the window.
func (v *vitals) degraded(of string) bool {
	t := v.total(of)
	u := v.services[of]
	if u == nil || t.calls == 0 {
		return false
	}
	share := float64(u.failed) / float64(u.calls)
	if t.failed >= leastFailures && float64(t.failed)/float64(t.calls) > share+badShare {
		return true
	}
	well := t.calls - t.failed
	return well >= leastCalls && t.logs/float64(well) > math.Log(slowBy)+2*spread/math.Sqrt(float64(well))
}

// impact returns the services that are degraded or do not serve, sorted.
func (v *vitals) impact(state *shop.State) []string {
	var out []string
	for i := range state.Services {
		s := &state.Services[i]
		if s.Available == 0 && s.Replicas > 0 || v.degraded(s.Name) {
			out = append(out, s.Name)
		}
	}
	slices.Sort(out)
	return out
}
