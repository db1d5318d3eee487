package outcomes

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Candidate is a playbook that could act.
type Candidate struct {
	Playbook    string
	Destructive bool
}

// Choice is the order in which playbooks are to be tried, and why.
type Choice struct {
	// Learned is false when the given order stayed.
	Learned bool `json:"learned"`
	// Verified outcomes are known of the cause kind.
	Verified float64 `json:"verified"`
	Detail   string  `json:"detail"`
	// Order has every candidate: first those that are eligible.
	Order []Ranked `json:"order"`
}

// Ranked is a candidate in its place.
type Ranked struct {
	Statistics
	Destructive bool `json:"destructive,omitempty"`
	// Eligible is false when the playbook must not act by itself, because it seldom helps.
	Eligible bool `json:"eligible"`
	// Sampled is the share that it drew, and Odds how likely it was to come first with any other draw; both are 0 when the given
	// order stayed, or it is not eligible.
	Sampled float64 `json:"sampled,omitempty"`
	Odds    float64 `json:"odds,omitempty"`
	// Detail says in words what its place is due to.
	Detail string `json:"detail"`
}

// inconclusiveFailures is how many failures an inconclusive outcome counts as.
const inconclusiveFailures = 0.5

func (s Statistics) posterior() distuv.Beta {
	return distuv.Beta{Alpha: 1 + s.Recovered, Beta: 1 + s.Ineffective + s.Reverted + inconclusiveFailures*s.Inconclusive}
}

// Order returns in which order to try the candidates, given in the order in which they would be tried otherwise. The same
// incident is decided alike as long as no outcome comes in and nothing fades. Playbooks must differ.
func (t *Tracker) Order(kind string, candidates []Candidate, incident string, now time.Time) Choice {
	var c Choice
	for _, k := range t.keys() {
		if k.kind == kind {
			c.Verified += t.counts(t.pairs[k], now).Verified()
		}
	}
	var eligible, barred []Ranked
	for _, candidate := range candidates {
		if r := t.Judge(kind, candidate, now); r.Eligible {
			eligible = append(eligible, r)
		} else {
			barred = append(barred, r)
		}
	}
	// What has faded a little since still counts as the outcome that it was.
	c.Learned = t.settings.MinOutcomes > 0 && c.Verified >= float64(t.settings.MinOutcomes)-almost
	if c.Learned {
		c.Detail = fmt.Sprintf("ordered by %.1f verified outcomes", c.Verified)
		eligible = arrange(eligible, incident)
	} else {
		c.Detail = fmt.Sprintf("the given order stays: %.1f verified outcomes are known, %d are needed", c.Verified, t.settings.MinOutcomes)
		if t.settings.MinOutcomes == 0 {
			c.Detail = "the given order stays: learning is off"
		}
	}
	c.Order = slices.Concat(eligible, barred)
	return c
}

// Judge returns what is known of one candidate, and whether it may act by itself.
func (t *Tracker) Judge(kind string, candidate Candidate, now time.Time) Ranked {
	r := Ranked{Statistics: t.Statistics(kind, candidate.Playbook, now), Destructive: candidate.Destructive}
	r.Eligible = t.settings.Floor == 0 || r.Mean >= t.settings.Floor || r.Verified() < float64(t.settings.FloorOutcomes)-almost
	r.Detail = fmt.Sprintf("%.1f of %.1f verified actions helped, %.1f were inconclusive: %.0f %% expected, %.0f to %.0f %%",
		r.Recovered, r.Verified(), r.Inconclusive, 100*r.Mean, 100*r.Low, 100*r.High)
	if !r.Eligible {
		r.Detail += fmt.Sprintf("; below the floor of %.0f %%, it does not act by itself", 100*t.settings.Floor)
	}
	return r
}

// almost is by how much faded outcomes may fall short of a number of outcomes.
const almost = 0.5

// arrange draws for each and puts the highest first, but destructive ones only as they may.
func arrange(ranked []Ranked, incident string) []Ranked {
	odds := oddsOfFirst(ranked)
	for i := range ranked {
		r := &ranked[i]
		r.Odds, r.Sampled = odds[i], r.posterior().Quantile(uniform(incident, r.Kind, r.Playbook))
		r.Detail += fmt.Sprintf("; drew %.0f %%, and comes first with %.0f %%", 100*r.Sampled, 100*r.Odds)
	}
	rest, out := slices.Clone(ranked), make([]Ranked, 0, len(ranked))
	for len(rest) > 0 {
		best := -1
		for i, r := range rest {
			if r.mayLead(rest) && (best < 0 || r.Sampled > rest[best].Sampled) {
				best = i
			}
		}
		out = append(out, rest[best])
		rest = slices.Delete(rest, best, best+1)
	}
	return out
}

// mayLead reports whether it may come before all of the others: a milder one may always, a destructive one when it is better
// than every milder one beyond doubt.
func (r Ranked) mayLead(others []Ranked) bool {
	if !r.Destructive {
		return true
	}
	return !slices.ContainsFunc(others, func(o Ranked) bool { return !o.Destructive && r.Low <= o.High })
}

// cells is into how many parts the shares from 0 to 1 are cut to integrate over them.
const cells = 128

// oddsOfFirst returns how likely each is to draw the highest share among those that may come first: the integral of the
// density of its share times the probability that all others are below it, by the trapezoidal rule on distribution functions,
// scaled to add up to 1.
func oddsOfFirst(ranked []Ranked) []float64 {
	odds := make([]float64, len(ranked))
	var may []int
	for i, r := range ranked {
		if r.mayLead(ranked) {
			may = append(may, i)
		}
	}
	below := make([][]float64, len(may))
	for k, i := range may {
		below[k] = make([]float64, cells+1)
		for c := range below[k] {
			below[k][c] = ranked[i].posterior().CDF(float64(c) / cells)
		}
	}
	sum := 0.0
	for k, i := range may {
		others := func(c int) float64 {
			p := 1.0
			for j := range may {
				if j != k {
					p *= below[j][c]
				}
			}
			return p
		}
		left := others(0)
		for c := range cells {
			right := others(c + 1)
			odds[i] += (below[k][c+1] - below[k][c]) * (left + right) / 2
			left = right
		}
		sum += odds[i]
	}
	for i := range odds {
		odds[i] /= sum
	}
	return odds
}

// uniform hashes its parts to a number above 0 and below 1.
func uniform(parts ...string) float64 {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		_, _ = h.Write(n[:])
		_, _ = h.Write([]byte(p))
	}
	return (float64(binary.BigEndian.Uint64(h.Sum(nil))>>12) + 0.5) / (1 << 52)
}
