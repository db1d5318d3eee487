// Package nodeimpact finds the root cause of an incident from what services report of themselves, bucket by bucket, and
// from who calls whom. It serves where nobody measures the single calls, as with the metrics of a cloud provider.
//
// Each service's impact is what its requests had to bear beyond the normal: seconds, or failures. The normal is known from
// the buckets just before, and where there are any from fault-free times long before. An impact that is held and is no
// chance is divided among the callers of the service by what they suffered, which makes the edges that package rootcause
// ranks.
package nodeimpact

import (
	"math"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/rootcause"
)

// Parameters are what the method can be tuned by.
type Parameters struct {
	// Ranking are those of the ranking. Its Significant is also what a service's impact must reach.
	Ranking rootcause.Parameters
	// LatencyNoise is the least noise of a mean duration as a part of it, and SecondsNoise in seconds.
	LatencyNoise, SecondsNoise float64
	// Failing is the share of failed requests that is normal anywhere.
	Failing float64
	// Tail is the quantile in fault-free times up to which a value is taken to be noise, as if it were of a normal
	// distribution.
	Tail float64
	// Held is the part of Significant that must be reached in each faulty bucket.
	Held float64
	// Explained is the part of a callee's impact that is taken from its callers.
	Explained float64
	// Alike is the part by which the impacts of two services may differ from bucket to bucket to take one of them for an
	// unknown callee of the other. 0 looks for none.
	Alike float64
	// LeastConfidence is how much confidence in the first candidate it takes to name any.
	LeastConfidence float64
	// LearntBuckets is how many fault-free buckets make known what is noise.
	LearntBuckets int
}

// Defaults returns the usual parameters.
func Defaults() Parameters {
	ranking := rootcause.Defaults()
	// How the impact of a callee is divided among its callers is a guess, and so is what is left to the symptom.
	ranking.SymptomShare = 0.05
	return Parameters{
		Ranking: ranking, LatencyNoise: 0.15, SecondsNoise: 0.0005, Failing: 0.002, Tail: 0.95, Held: 0.5, Explained: 1,
		Alike: 0.5, LeastConfidence: 0.05, LearntBuckets: 12,
	}
}

// Kind is what a symptom is about.
type Kind int

// The kinds of symptoms.
const (
	Latency Kind = iota
	Failures
	kinds
)

// Sample is what a service reports for a bucket. What it does not report is NaN.
type Sample struct {
	Requests float64
	// Values are the mean duration of a request in seconds and the share of failed requests, by Kind.
	Values [kinds]float64
}

// value returns a value and the requests it is of, or false where one is not known, is not finite, or there are
// none.
func (s *Sample) value(k Kind) (value, requests float64, ok bool) {
	value, requests = s.Values[k], s.Requests
	return value, requests, math.Abs(value) <= math.MaxFloat64 && requests > 0 && requests <= math.MaxFloat64
}

// Service is what is known of a service.
type Service struct {
	Name string
	// Buckets are the newest samples, those of all services at the same times.
	Buckets []Sample
	// Normal is what was learnt long before, if anything.
	Normal Normal
}

// Call says that a service calls another.
type Call struct{ Client, Server string }

// Symptom is what is to be explained.
type Symptom struct {
	Service string
	Kind    Kind
	// Onset is the first bucket that surely is abnormal.
	Onset int
}

// Causes is an answer.
type Causes struct {
	// Named are the candidates, the likeliest first.
	Named []rootcause.Candidate
	// Doubtful are those which may as well be chance, as long as little is known of what is noise; else there are none.
	Doubtful []rootcause.Candidate
}

// Rank looks for the cause of a symptom.
func (p Parameters) Rank(services []Service, calls []Call, symptom Symptom) Causes {
	w := newWindow(p, services, calls, symptom)
	if w == nil || w.learnt() && w.impacts[w.sufferer].total <= 0 {
		return Causes{}
	}
	out := Causes{Named: slices.DeleteFunc(p.Ranking.Rank(w.nodes(), w.edges(true)), w.mayBeChance)}
	if len(out.Named) > 0 && out.Named[0].Confidence < p.LeastConfidence {
		out.Named = nil
	}
	if w.learnt() {
		return out
	}
	any := p.Ranking
	any.Significant = 0
	for _, c := range any.Rank(w.nodes(), w.edges(false)) {
		if !slices.ContainsFunc(out.Named, func(n rootcause.Candidate) bool { return n.Name == c.Name }) {
			out.Doubtful = append(out.Doubtful, c)
		}
	}
	return out
}
