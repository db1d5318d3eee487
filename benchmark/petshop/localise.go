package main

import (
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
	"github.com/paramedic-otel/paramedic/internal/rootcause"
)

// The modes.
const (
	modeWindow      = "window"
	modeBaseline    = "baseline"
	modeSpecificity = "specificity"
)

// run is how the issues are looked at.
type run struct {
	mode       string
	parameters nodeimpact.Parameters
	// late is by how much later than in the data the symptom is noticed.
	late time.Duration
	// calls, where it is not nil, replaces the graph.
	calls func([]nodeimpact.Call) []nodeimpact.Call
	// change, where it is not nil, makes the rows of a service worse.
	change func([]nodeimpact.Sample)
	// load, where it is not nil, returns by what the requests of all services in a row are multiplied.
	load func() float64
	// slows is the power of the load that durations grow with.
	slows float64
	// withoutTraffic takes every service for as busy as any.
	withoutTraffic bool
	// untimed does not care how long it takes.
	untimed bool
}

// result is a line of the output.
type result struct {
	Scenario string   `json:"scenario"`
	Split    string   `json:"split"`
	Issue    string   `json:"issue"`
	Metric   string   `json:"metric"`
	Mode     string   `json:"mode"`
	Ranking  []ranked `json:"ranking"`
	Millis   float64  `json:"millis"`

	cause   string
	loudest []ranked
}

type ranked struct {
	Entity string  `json:"entity"`
	Score  float64 `json:"score"`
}

// localise ranks the causes of each issue of a scenario.
func (r *run) localise(s *scenario) []result {
	var normal map[string]nodeimpact.Normal
	if r.mode == modeBaseline && s.normal != nil {
		normal = r.learn(s.normal.names(), func(service string) []nodeimpact.Sample { return s.normal.services[service] })
	}
	calls := s.calls
	if r.calls != nil {
		calls = r.calls(calls)
	}
	var out []result
	for i := range s.issues {
		issue := &s.issues[i]
		services := r.services(issue.table, 0, len(issue.table.times), normal)
		symptom := nodeimpact.Symptom{Service: issue.symptom, Kind: kindOf(issue.metric), Onset: onset(issue.table.times, issue.onset+r.late.Seconds())}
		causes, millis := r.timed(services, calls, symptom)
		out = append(out, result{
			Scenario: s.name, Split: issue.split, Issue: issue.name, Metric: issue.metric, Mode: r.mode, Ranking: ranking(causes),
			Millis: millis, cause: issue.cause, loudest: loudest(services, symptom),
		})
	}
	return out
}

// repetitions is how often each ranking is done to know how long it takes.
const repetitions = 5

// timed returns the causes and the median of how many milliseconds it took to find them.
func (r *run) timed(services []nodeimpact.Service, calls []nodeimpact.Call, symptom nodeimpact.Symptom) (causes nodeimpact.Causes, millis float64) {
	n := repetitions
	if r.untimed {
		n = 1
	}
	took := make([]float64, n)
	for i := range took {
		start := time.Now()
		causes = r.parameters.Rank(services, calls, symptom)
		took[i] = time.Since(start).Seconds() * 1000
	}
	slices.Sort(took)
	return causes, took[n/2]
}

// learn learns what is normal of each service.
func (r *run) learn(names []string, samples func(string) []nodeimpact.Sample) map[string]nodeimpact.Normal {
	out := make(map[string]nodeimpact.Normal, len(names))
	for _, name := range names {
		out[name] = r.parameters.Learn(samples(name))
	}
	return out
}

// services returns the rows of a table from one to before another.
func (r *run) services(t *table, from, to int, normal map[string]nodeimpact.Normal) []nodeimpact.Service {
	var out []nodeimpact.Service
	load := slices.Repeat([]float64{1}, to-from)
	if r.load != nil {
		for i := range load {
			load[i] = r.load()
		}
	}
	for _, name := range t.names() {
		buckets := slices.Clone(t.services[name][from:to])
		for i := range buckets {
			buckets[i].Requests = math.Round(buckets[i].Requests * load[i])
			buckets[i].Values[nodeimpact.Latency] *= math.Pow(load[i], r.slows)
			if r.withoutTraffic && buckets[i].Requests > 0 {
				buckets[i].Requests = evenRequests
			}
		}
		if r.change != nil {
			r.change(buckets)
		}
		out = append(out, nodeimpact.Service{Name: name, Buckets: buckets, Normal: normal[name]})
	}
	return out
}

// evenRequests is what each service gets where traffic is not regarded.
const evenRequests = 100

// onset returns the first row that begins when a symptom was noticed, or later.
func onset(times []float64, noticed float64) int {
	for i, t := range times {
		if t >= noticed {
			return i
		}
	}
	return len(times)
}

// doubtfulScore is the score of the first doubtful candidate as a part of that of the last named one.
const doubtfulScore = 0.5

// ranking lists the candidates, the doubtful ones after the others.
func ranking(causes nodeimpact.Causes) []ranked {
	out := []ranked{}
	scale := 1.0
	add := func(candidates []rootcause.Candidate) {
		for _, c := range candidates {
			out = append(out, ranked{c.Name, c.Evidence * scale})
		}
	}
	add(causes.Named)
	if len(out) > 0 && len(causes.Doubtful) > 0 {
		scale = doubtfulScore * out[len(out)-1].Score / causes.Doubtful[0].Evidence
	}
	add(causes.Doubtful)
	return out
}
