package incidentconnector

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/burnrate"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/semconv"
)

// objective is an objective of the configuration, ready to be asked.
type objective struct {
	cfg      ObjectiveConfig
	services globs
	client   edgehealth.Node
}

// budgetKey names the budget of an objective at a service.
type budgetKey struct{ objective, service string }

// budget is how an objective fares at a service.
type budget struct {
	tracker *burnrate.Tracker
	// verdict is that of the last bucket, and at when that was.
	verdict burnrate.Verdict
	// used is the newest time of any call.
	used time.Time
}

// objectives watches the error budgets of services.
type objectives struct {
	all   []objective
	limit int
	// matching caches which objectives count the calls of an edge.
	matching map[edgehealth.Key][]int
	budgets  map[budgetKey]*budget
}

func newObjectives(cfg *Config) *objectives {
	o := &objectives{limit: cfg.Limits.Objectives, budgets: map[budgetKey]*budget{}, matching: map[edgehealth.Key][]int{}}
	for _, c := range cfg.Objectives {
		c = c.withDefaults()
		one := objective{cfg: c, services: newGlobs(c.Services), client: serviceNode(c.Client)}
		if c.Client == semconv.GraphUser {
			one.client = entryNode
		}
		o.all = append(o.all, one)
	}
	return o
}

// match returns the objectives that count the calls of an edge.
func (o *objectives) match(key edgehealth.Key, maxEdges int) []int {
	found, ok := o.matching[key]
	if ok {
		return found
	}
	server := entityOf(key.Server)
	if server.Type == semconv.EntityService {
		for i := range o.all {
			one := &o.all[i]
			if (one.cfg.Client == anyClient || one.client == key.Client) && one.services.match(server.Name) {
				found = append(found, i)
			}
		}
	}
	if len(o.matching) >= maxEdges {
		// It is a cache: what is in use comes back.
		clear(o.matching)
	}
	o.matching[key] = found
	return found
}

// observe counts a sample of an edge at a time. It returns false when there was no room for a budget.
func (o *objectives) observe(key edgehealth.Key, at time.Time, s *edgehealth.Sample, maxEdges int) bool {
	if len(o.all) == 0 {
		return true
	}
	room := true
	for _, i := range o.match(key, maxEdges) {
		one := &o.all[i]
		total, bad := s.Requests, s.Failed
		if one.cfg.Latency > 0 {
			total, bad = slower(s, one.cfg.Latency.Seconds())
		}
		if total == 0 && bad == 0 {
			continue
		}
		k := budgetKey{one.cfg.Name, entityOf(key.Server).Name}
		b := o.budgets[k]
		if b == nil {
			if len(o.budgets) >= o.limit {
				room = false
				continue
			}
			b = &budget{tracker: burnrate.New(one.cfg.Target, one.cfg.Window, one.cfg.policies())}
			o.budgets[k] = b
		}
		b.tracker.Add(at, total, bad)
		if at.After(b.used) {
			b.used = at
		}
	}
	return room
}

// slower returns how many calls of a sample were measured and how many of them took longer than a time in seconds: by the
// callee, or where it does not say by the caller.
func slower(s *edgehealth.Sample, seconds float64) (total, over float64) {
	latency := &s.ServerLatency
	if s.ServerLatency == (edgehealth.Latency{}) {
		latency = &s.ClientLatency
	}
	return latency.Over(seconds)
}

// forget drops the budgets of services that have had no calls for the whole window of their objective.
func (o *objectives) forget(now time.Time) {
	for k, b := range o.budgets {
		if now.Sub(b.used) > b.tracker.Budget.Length {
			delete(o.budgets, k)
		}
	}
}

// clear forgets all counts.
func (o *objectives) clear() {
	clear(o.budgets)
}

// settle lets a burn whose incident is over speak only when it burns anew.
func (o *objectives) settle(s *symptom) {
	if b := o.budgets[s.budget]; b != nil {
		b.tracker.Settle(s.lastKnown)
	}
}

// noteObjectives turns budgets that burn into symptoms.
func (e *engine) noteObjectives(now time.Time) {
	for i := range e.objectives.all {
		one := &e.objectives.all[i]
		for _, k := range e.objectives.of(one.cfg.Name) {
			b := e.objectives.budgets[k]
			b.verdict = b.tracker.Judge(now)
			key := symptomKey{classObjective, semconv.Entity{Type: semconv.EntityService, Name: k.service}, k.objective}
			known := e.symptoms[key]
			if b.verdict.Policy < 0 {
				if known != nil && b.verdict.Known {
					e.quiet(known, now)
				}
				continue
			}
			o := observation{trend: excess.Persisting, symptom: symptom{
				key: key, kind: semconv.CauseErrors, signal: semconv.AttrIncidentBurnRate, opens: true, budget: k,
				surprise: e.cfg.OpenSurprise, score: 1, deviation: b.verdict.Burn, onset: b.verdict.Since,
				summary: one.describe(&b.verdict),
			}}
			if one.cfg.Latency > 0 {
				o.kind = semconv.CauseLatency
			}
			e.note(now, o)
			if known != nil {
				known.summary = o.summary
			}
		}
	}
}

// of returns the keys of an objective's budgets, sorted.
func (o *objectives) of(name string) (keys []budgetKey) {
	for k := range o.budgets {
		if k.objective == name {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b budgetKey) int { return cmp.Compare(a.service, b.service) })
	return keys
}

func (o *objective) describe(v *burnrate.Verdict) string {
	what := "fail"
	if o.cfg.Latency > 0 {
		what = "take longer than " + o.cfg.Latency.String()
	}
	return fmt.Sprintf("objective %s: %.3g %% of the calls %s, the budget burns %.1f times too fast and %.1f %% of it is gone",
		o.cfg.Name, 100*v.Share, what, v.Burn, 100*v.Consumed)
}

// burning returns the objectives of an incident's symptoms, and whether any of them burns at the gravest rate.
func (e *engine) burning(i *incident) (burns []semconv.ObjectiveBurn, fast bool) {
	for _, s := range i.symptoms {
		b := e.objectives.budgets[s.budget]
		if s.class != classObjective || b == nil {
			continue
		}
		fast = fast || b.verdict.Policy == 0
		burns = append(burns, semconv.ObjectiveBurn{
			Objective: s.budget.objective, Service: s.budget.service,
			BurnRate: finite(b.verdict.Burn), BudgetConsumed: finite(b.verdict.Consumed),
		})
	}
	slices.SortFunc(burns, func(a, b semconv.ObjectiveBurn) int {
		return cmp.Or(cmp.Compare(a.Objective, b.Objective), cmp.Compare(a.Service, b.Service))
	})
	return burns, fast
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}
