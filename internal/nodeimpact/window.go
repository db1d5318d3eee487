package nodeimpact

import (
	"math"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/rootcause"
)

// faultBuckets is how many buckets around the symptom's worst one are judged.
const faultBuckets = 2

// window is an incident as its services saw it.
type window struct {
	Parameters
	services []Service
	symptom  Symptom
	index    map[string]int
	// callees and callers are places in services.
	callees, callers [][]int
	impacts          []impact
	sufferer         int
	first            int
}

// impact is what a service had to bear in the faulty buckets.
type impact struct {
	known bool
	total float64
	noise float64
	// significant is whether it is more than chance, and in each bucket.
	significant bool
	// profile is the impact in each bucket.
	profile []float64
}

func newWindow(p Parameters, services []Service, calls []Call, symptom Symptom) *window {
	w := &window{Parameters: p, services: services, symptom: symptom, index: make(map[string]int, len(services)), sufferer: -1}
	for i := range services {
		w.index[services[i].Name] = i
	}
	sufferer, ok := w.index[symptom.Service]
	if !ok || symptom.Onset < 1 || symptom.Onset >= len(services[sufferer].Buckets) {
		return nil
	}
	w.sufferer = sufferer
	w.link(calls)
	w.impacts = make([]impact, len(services))
	w.measure(sufferer)
	w.first = w.worst()
	for i := range services {
		w.measure(i)
		w.judge(i)
	}
	if len(calls) > 0 {
		w.guessCalls()
	}
	w.blameSilent()
	return w
}

func (w *window) link(calls []Call) {
	w.callees, w.callers = make([][]int, len(w.services)), make([][]int, len(w.services))
	known := make(map[[2]int]bool, len(calls))
	for _, c := range calls {
		client, haveClient := w.index[c.Client]
		server, haveServer := w.index[c.Server]
		if haveClient && haveServer && client != server && !known[[2]int{client, server}] {
			known[[2]int{client, server}] = true
			w.addCall(client, server)
		}
	}
}

func (w *window) addCall(client, server int) {
	w.callees[client] = append(w.callees[client], server)
	w.callers[server] = append(w.callers[server], client)
}

// before returns how many buckets at the beginning are taken for normal: those before the onset, but for the last one, for
// a symptom is noticed after it began.
func (w *window) before() int { return max(1, w.symptom.Onset-1) }

// level returns what is normal for a service: the worse of what was just before and what was long before. From before it
// is the better half of the buckets, in case the fault began in them, and where nothing is known of them the best of all,
// for a fault only makes worse. ok is false where nothing is known at all, and for a service that nobody called before: what
// it does to its callers is their doing.
func (w *window) level(i int) (level float64, ok bool) {
	s, k := &w.services[i], w.symptom.Kind
	var recent []float64
	best := math.Inf(1)
	for b := range s.Buckets {
		v, _, known := s.Buckets[b].value(k)
		if !known {
			continue
		}
		best = min(best, v)
		if b < w.before() {
			recent = append(recent, v)
		}
	}
	if len(recent) == 0 && !math.IsInf(best, 1) && !w.idle(i) {
		recent = append(recent, best)
	}
	if len(recent) > 0 {
		slices.Sort(recent)
		level, ok = quantile(recent, half), true
	}
	if r := s.Normal.Kinds[k]; r.Buckets > 0 {
		level, ok = max(level, r.Level), true
	}
	if k == Failures {
		level = max(level, w.Failing)
	}
	return level, ok
}

// idle reports whether it is known that nobody called a service before.
func (w *window) idle(i int) bool {
	for _, b := range w.services[i].Buckets[:w.before()] {
		if b.Requests != 0 {
			return false
		}
	}
	return true
}

// measure fills in the profile of a service's impact.
func (w *window) measure(i int) {
	s, k := &w.services[i], w.symptom.Kind
	level, ok := w.level(i)
	if !ok {
		return
	}
	m := &w.impacts[i]
	m.known = true
	m.profile = make([]float64, len(s.Buckets))
	for b := range s.Buckets {
		if v, n, known := s.Buckets[b].value(k); known {
			m.profile[b] = (v - level) * n
		}
	}
}

// worst returns the first of the buckets in which the symptom is at its worst.
func (w *window) worst() int {
	profile := w.impacts[w.sufferer].profile
	best, at := math.Inf(-1), w.symptom.Onset
	for b := w.before(); b+faultBuckets <= len(profile); b++ {
		sum := 0.0
		for _, v := range profile[b : b+faultBuckets] {
			sum += v
		}
		if sum > best {
			best, at = sum, b
		}
	}
	return at
}

// judge sums up a service's impact in the faulty buckets and tells it from chance. A value that is missing is taken to be
// like the others, on the requests that there were.
func (w *window) judge(i int) {
	m, s := &w.impacts[i], &w.services[i]
	if !m.known {
		return
	}
	level, _ := w.level(i)
	requests, all := 0.0, 0.0
	m.significant = true
	for b := w.first; b < min(w.first+faultBuckets, len(s.Buckets)); b++ {
		if s.Buckets[b].Requests > 0 {
			all += s.Buckets[b].Requests
		}
		_, n, known := s.Buckets[b].value(w.symptom.Kind)
		if !known {
			continue
		}
		requests += n
		m.total += m.profile[b]
		m.significant = m.significant && m.profile[b] >= w.Held*w.Ranking.Significant*w.noise(i, level, n)
	}
	m.noise = w.noise(i, level, requests)
	m.significant = m.significant && requests > 0 && m.total >= w.Ranking.Significant*m.noise
	m.total = max(0, m.total)
	if requests > 0 {
		m.total *= all / requests
		m.noise *= all / requests
	}
}

// noise returns what the impact on n requests varies by.
func (w *window) noise(i int, level, n float64) float64 {
	spread := w.services[i].Normal.Kinds[w.symptom.Kind].Spread
	if w.symptom.Kind == Latency {
		// Durations are about exponentially distributed: the mean of n of them varies by 1/sqrt(n) of it.
		return n * max(w.LatencyNoise*level, w.SecondsNoise, spread, level/math.Sqrt(max(1, n)))
	}
	level = min(level, 1-w.Failing)
	return math.Sqrt(level*(1-level)*n + n*n*spread*spread)
}

// mayBeChance reports whether a candidate should not be named for sure: the symptom, which is given, where its own impact
// is not significant, and a service that is known by hearsay where what of its impact the symptom can have felt is not as
// much clearer as hearsay weighs less.
func (w *window) mayBeChance(c rootcause.Candidate) bool {
	i := w.index[c.Name]
	if i == w.sufferer {
		return !w.impacts[i].significant
	}
	felt := min(c.OwnSeconds+c.OwnFailures, w.impacts[w.sufferer].total)
	return w.hearsay(i) && w.Ranking.Uninstrumented*felt < w.Ranking.Significant*w.impacts[i].noise
}

// hearsay reports whether a service is known from its callers only, as one that never calls anybody is.
func (w *window) hearsay(i int) bool { return len(w.callees[i]) == 0 }

// learnt reports whether it is known what is noise.
func (w *window) learnt() bool {
	return w.services[w.sufferer].Normal.Kinds[w.symptom.Kind].Buckets > 0
}

func (w *window) nodes() []rootcause.Node {
	out := make([]rootcause.Node, len(w.services))
	for i := range w.services {
		out[i] = rootcause.Node{Name: w.services[i].Name, Symptom: i == w.sufferer, Uninstrumented: w.hearsay(i)}
	}
	return out
}

// counted returns the impact of a service that is divided among its callers.
func (w *window) counted(i int, significant bool) float64 {
	m := &w.impacts[i]
	if !m.known || significant && !m.significant && i != w.sufferer {
		return 0
	}
	return m.total
}

// suffered returns for each service what its callers bear together.
func (w *window) suffered(significant bool) []float64 {
	out := make([]float64, len(w.services))
	for i := range w.services {
		if total := w.counted(i, significant); total > 0 {
			for _, c := range w.callees[i] {
				out[c] += total
			}
		}
	}
	return out
}

// part returns the part of a callee's impact that one of its callers suffered.
func (w *window) part(client, server int, significant bool, suffered []float64) float64 {
	if suffered[server] <= 0 {
		return 0
	}
	return w.counted(client, significant) / suffered[server]
}

// edges divides the impact of each service among its callers in proportion to what they suffered. What no caller suffered
// comes from outside.
func (w *window) edges(significant bool) []rootcause.Edge {
	suffered := w.suffered(significant)
	var out []rootcause.Edge
	for i := range w.services {
		total, noise := w.counted(i, significant), w.impacts[i].noise
		rest := 1.0
		for _, c := range w.callers[i] {
			part := w.Explained * w.part(c, i, significant, suffered)
			rest -= part
			out = append(out, w.edge(w.services[c].Name, i, total*part, noise*math.Sqrt(part)))
		}
		if total > 0 && rest > 0 {
			out = append(out, w.edge("", i, total*rest, noise*math.Sqrt(rest)))
		}
	}
	return out
}

func (w *window) edge(client string, server int, amount, noise float64) rootcause.Edge {
	e := rootcause.Edge{Client: client, Server: w.services[server].Name}
	if w.symptom.Kind == Latency {
		e.Seconds, e.ClientSeconds, e.SecondsNoise, e.ClientNoise = amount, amount, noise, noise
	} else {
		e.Failures, e.FailureNoise = amount, noise
	}
	return e
}
