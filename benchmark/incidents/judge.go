package main

import (
	"context"
	"math/bits"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// labels are the injections of a scenario that a symptom is of, a bit for each; none for one that nothing was injected for.
type labels uint8

// judged is a scenario with what came of it.
type judged struct {
	scenario scenario
	trace    trace
	labels   []labels
	results  []result
	guesses  []guess
	counts   counts
}

// counts are what the scores over all scenarios are made of.
type counts struct {
	// alerts is what a plain alert manager would have fired, firing the same for one that repeats them at every evaluation.
	alerts, firing, incidents, false int
	// together are the pairs of symptoms of one injection in one incident, mixed those in one incident that are not of one
	// injection, apart those of one injection that are not in one incident.
	together, mixed, apart int
	// held are the symptoms in incidents that are of one injection or of none, pure those of the injection that most of
	// their incident are of.
	held, pure int
}

// guess is a first cause as it was named, and whether it was right.
type guess struct {
	// kind is that of the scenario's first fault.
	kind       shop.FaultKind
	opening    bool
	confidence float64
	right      bool
}

// result is what became of one injection, as it is written to the output.
type result struct {
	Scenario string  `json:"scenario"`
	Seed     int     `json:"seed"`
	Kind     string  `json:"kind"`
	Service  string  `json:"service"`
	Severity float64 `json:"severity"`
	Onset    string  `json:"onset"`
	Paired   bool    `json:"paired"`
	// Symptoms are those of this injection alone, Incidents the number of incidents that were opened for it.
	Symptoms  int    `json:"symptoms"`
	Incidents int    `json:"incidents"`
	Incident  string `json:"incident,omitempty"`
	// Merged is set when its incident is also that of the other injection.
	Merged   bool `json:"merged"`
	Detected bool `json:"detected"`
	// RootKept is set when its incident holds a symptom of the service itself.
	RootKept bool `json:"root_cause_kept"`
	// Opening and Last are about the ranking of the first and the last event while the fault was there.
	Opening ranking `json:"opening"`
	Last    ranking `json:"last"`
	// Detect and Cause are the seconds from the injection to the opening, and to the first event from which on the first
	// cause is right; -1 for never.
	Detect float64 `json:"seconds_to_detect"`
	Cause  float64 `json:"seconds_to_cause"`
}

// ranking is how one event ranks the causes.
type ranking struct {
	First      string  `json:"first"`
	Kind       string  `json:"kind"`
	Confidence float64 `json:"confidence"`
	Top1       bool    `json:"top1"`
	Top3       bool    `json:"top3"`
}

func rankingOf(i semconv.Incident, service string) ranking {
	cause := i.Cause()
	r := ranking{First: cause.Entity.String(), Kind: string(cause.Kind), Confidence: cause.Confidence}
	for n, c := range i.Causes[:min(3, len(i.Causes))] {
		if names(c, service) {
			r.Top1, r.Top3 = r.Top1 || n == 0, true
		}
	}
	return r
}

// try runs a scenario and judges what came of it.
func try(ctx context.Context, o options, s scenario) (judged, error) {
	d := o.after + o.watch
	for _, f := range s.faults {
		d = max(d, f.at+o.watch+o.after)
	}
	j := judged{scenario: s}
	var err error
	if j.trace, err = simulate(ctx, o, s, d); err != nil {
		return j, err
	}
	alone := make([]trace, len(s.faults))
	if len(s.faults) > 1 {
		for n, f := range s.faults {
			one := s
			one.faults = []injection{f}
			if alone[n], err = simulate(ctx, o, one, d); err != nil {
				return j, err
			}
		}
	}
	j.label(alone)
	j.score(o)
	return j, nil
}

// label says of which injections each symptom is.
func (j *judged) label(alone []trace) {
	appears := make([]map[string]bool, len(alone))
	for n, t := range alone {
		appears[n] = map[string]bool{}
		for _, s := range t.symptoms {
			if !s.found.Before(j.onset(n)) {
				appears[n][s.key()] = true
			}
		}
	}
	for _, s := range j.trace.symptoms {
		var l, possible labels
		nearest := 0
		for n, f := range j.scenario.faults {
			if s.found.Before(j.onset(n)) || !depends(s.service(), f.Service) && !depends(f.Service, s.service()) {
				continue
			}
			if appears[n][s.key()] {
				l |= 1 << n
			}
			switch d := distance(s.service(), f.Service); {
			case possible == 0 || d < nearest:
				possible, nearest = 1<<n, d
			case d == nearest:
				possible |= 1 << n
			}
		}
		if l == 0 {
			l = possible
		}
		j.labels = append(j.labels, l)
	}
}

func (j *judged) onset(n int) time.Time { return j.trace.start.Add(j.scenario.faults[n].at) }

// score compares incidents with injections.
func (j *judged) score(o options) {
	c := &j.counts
	c.incidents, c.firing = len(j.trace.incidents), j.trace.firing
	c.alerts = j.trace.episodes
	for _, s := range j.trace.symptoms {
		if s.class != "signal" {
			c.alerts += len(s.begun)
			c.firing += s.firing(j.trace.end, o.evaluate)
		}
	}
	j.countPairs()

	// of says for each incident how many symptoms it has of each injection alone, and last those shared.
	of := map[string][]int{}
	for n, s := range j.trace.symptoms {
		if s.incident == "" {
			continue
		}
		if of[s.incident] == nil {
			of[s.incident] = make([]int, len(j.scenario.faults)+1)
		}
		switch l := j.labels[n]; {
		case bits.OnesCount8(uint8(l)) == 1:
			of[s.incident][bits.TrailingZeros8(uint8(l))]++
		case l != 0:
			of[s.incident][len(j.scenario.faults)]++
		}
	}
	// main is the injection that most of an incident's symptoms are of, and holders the incident that holds most of an
	// injection's symptoms, of two the one that is mainly of it.
	main := map[string]int{}
	opened := make([]int, len(j.scenario.faults))
	for _, i := range j.trace.incidents {
		n, ok := j.main(i, of[i.id])
		if ok {
			main[i.id] = n
			opened[n]++
		} else {
			c.false++
		}
		j.guess(i, of[i.id])
	}
	holders := make([]string, len(j.scenario.faults))
	for n := range holders {
		most := 0.0
		for _, i := range j.trace.incidents {
			if of[i.id] == nil {
				continue
			}
			count := float64(of[i.id][n])
			if m, ok := main[i.id]; ok && m == n {
				count += 0.5
			}
			if count > most {
				holders[n], most = i.id, count
			}
		}
	}
	for n, f := range j.scenario.faults {
		r := result{
			Scenario: j.scenario.name, Seed: j.scenario.drawn, Kind: string(f.Kind), Service: f.Service, Severity: f.Severity,
			Onset: j.onset(n).Format(time.RFC3339), Paired: len(j.scenario.faults) > 1, Incidents: opened[n], Detect: -1, Cause: -1,
		}
		for k := range j.trace.symptoms {
			if j.labels[k] == 1<<n {
				r.Symptoms++
			}
		}
		if i := j.trace.incident(holders[n]); i != nil {
			j.follow(&r, i, n, o)
			for m, other := range holders {
				r.Merged = r.Merged || m != n && other == holders[n]
			}
		}
		j.results = append(j.results, r)
	}
}

// main returns the injection that most of an incident's symptoms are of, given how many are of each; false when it has none
// of any. Where it has only shared ones that is the injection nearest to its cause.
func (j *judged) main(i *incident, of []int) (int, bool) {
	if of == nil {
		return 0, false
	}
	best, most := 0, 0
	for n, count := range of[:len(of)-1] {
		if count > most {
			best, most = n, count
		}
	}
	if most == 0 && of[len(of)-1] > 0 {
		return j.nearest(i), true
	}
	return best, most > 0
}

// nearest is the injection whose service is nearest to the first cause of an incident.
func (j *judged) nearest(i *incident) int {
	best, least := 0, int(^uint(0)>>1)
	for n, f := range j.scenario.faults {
		if d := distance(bare(i.events[0].Incident.Cause().Entity.Name), f.Service); d < least {
			best, least = n, d
		}
	}
	return best
}

// follow fills in what was told of the incident of an injection.
func (j *judged) follow(r *result, i *incident, n int, o options) {
	r.Detected, r.Incident = true, i.id
	onset, end := j.onset(n), j.onset(n).Add(o.watch)
	for k, s := range j.trace.symptoms {
		if s.incident == i.id && s.service() == r.Service && (j.labels[k]>>n)&1 == 1 {
			r.RootKept = true
		}
	}
	since := -1.0
	for k, e := range i.events {
		if k > 0 && e.Time.After(end) {
			break
		}
		ranked := rankingOf(e.Incident, r.Service)
		if k == 0 {
			r.Opening = ranked
			r.Detect = max(0, e.Time.Sub(onset).Seconds())
		}
		r.Last = ranked
		switch {
		case !ranked.Top1:
			since = -1
		case since < 0:
			since = max(0, e.Time.Sub(onset).Seconds())
		}
	}
	r.Cause = since
}

// guess notes the first causes of an incident. Any injection that it holds symptoms of is a right answer.
func (j *judged) guess(i *incident, of []int) {
	right := func(e semconv.IncidentEvent) bool {
		for n, f := range j.scenario.faults {
			if of != nil && of[n]+of[len(j.scenario.faults)] > 0 && names(e.Incident.Cause(), f.Service) {
				return true
			}
		}
		return false
	}
	for k, e := range []semconv.IncidentEvent{i.events[0], i.events[len(i.events)-1]} {
		j.guesses = append(j.guesses, guess{kind: j.kind(), opening: k == 0, confidence: e.Incident.Cause().Confidence, right: right(e)})
	}
}

func (j *judged) kind() shop.FaultKind {
	if len(j.scenario.faults) == 0 {
		return ""
	}
	return j.scenario.faults[0].Kind
}

// countPairs counts pairs of symptoms. Those that several injections share are left out, for either incident is theirs.
func (j *judged) countPairs() {
	c := &j.counts
	sizes := map[string]map[labels]int{}
	for n, s := range j.trace.symptoms {
		if bits.OnesCount8(uint8(j.labels[n])) > 1 {
			continue
		}
		if s.incident != "" {
			if sizes[s.incident] == nil {
				sizes[s.incident] = map[labels]int{}
			}
			sizes[s.incident][j.labels[n]]++
			c.held++
		}
		for m := range n {
			t := j.trace.symptoms[m]
			if bits.OnesCount8(uint8(j.labels[m])) > 1 {
				continue
			}
			same := j.labels[n] == j.labels[m] && j.labels[n] != 0
			joint := s.incident != "" && s.incident == t.incident
			switch {
			case same && joint:
				c.together++
			case same:
				c.apart++
			case joint:
				c.mixed++
			}
		}
	}
	for _, by := range sizes {
		most := 0
		for l, n := range by {
			if l != 0 {
				most = max(most, n)
			}
		}
		c.pure += most
	}
}
