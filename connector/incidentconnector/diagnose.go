package incidentconnector

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/rootcause"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxTimeline and maxEvidence bound what an event tells.
const (
	maxTimeline = 20
	maxEvidence = 6
)

const (
	// minUnexplained is how many failures of a service must be unexplained, and minMissed and missedShare how many calls
	// that it usually makes must be missing, as a number and as a share of those failures, to wait for an explanation.
	minUnexplained = 3
	minMissed      = 2
	missedShare    = 0.4
	// unflagged is how many times its noise is taken from the excess duration of an edge that is not known to be slow.
	unflagged = 5
	// hopeless is the share of failed calls in the newest bucket from which on the callee is taken to answer none, and
	// minHopeless the least number of them.
	hopeless    = 0.9
	minHopeless = 2
)

// A surge is at least so many times the usual requests to a service, and so many more.
const (
	surgeRatio    = 1.4
	surgeRequests = 8
	// surgeSpread is how many standard deviations of the usual number, as calls come by chance, it is above it.
	surgeSpread = 4
	// surgeBuckets is from how many buckets it must be known what is usual.
	surgeBuckets = 12
)

// maxDeviation bounds what a single series can say: how far a flat one jumps is chance.
const maxDeviation = 30

// diagnose ranks the causes of an incident and describes it.
func (e *engine) diagnose(i *incident, now time.Time) {
	state := &i.state
	state.Changes = e.changesNear(state.StartedAt, now)
	e.preceding = e.precedingChanges(i)
	buckets := min(max(2, int(math.Ceil(float64(now.Sub(i.since))/float64(e.cfg.Bucket)))), excess.MaxWindow)
	candidates := slices.DeleteFunc(e.rank(i, buckets), func(c rootcause.Candidate) bool {
		return e.elsewhere(i, entityOf(edgehealth.Node(c.Name)))
	})
	candidates = calibrate(candidates)
	i.flow.candidates = candidates[:min(len(candidates), e.cfg.Limits.Causes)]
	state.Causes = nil
	for _, c := range i.flow.candidates {
		state.Causes = append(state.Causes, e.describeCause(i, c, buckets))
	}
	e.describeImpact(i)
	e.describeGraph(i, buckets)
	state.Title = title(state)
	state.Fingerprint = fingerprint(state.Cause())
	if i.named.IsZero() && state.Cause().Confidence >= sureEnough {
		i.named = now
	}
	state.Timeline = timeline(i)
}

// rank hands what is known of the graph to the ranking.
func (e *engine) rank(i *incident, buckets int) []rootcause.Candidate {
	nodes := map[semconv.Entity]*rootcause.Node{}
	node := func(entity semconv.Entity) *rootcause.Node {
		n := nodes[entity]
		if n == nil {
			n = &rootcause.Node{
				Name: entity.String(), Changed: e.changedBefore(entity), Onset: math.MaxInt64,
				Uninstrumented: isPeer(entity),
			}
			nodes[entity] = n
		}
		return n
	}
	slow, failing := map[edgehealth.Key]bool{}, map[edgehealth.Key]bool{}
	missing := map[edgehealth.Key]float64{}
	// starved are those that somebody calls less than usual: what they do not log any more is explained by that.
	starved := map[semconv.Entity]bool{}
	for _, s := range i.symptoms {
		if s.class == classEdge && s.edgeKind == edgehealth.Drop {
			starved[entityOf(s.edge.Server)] = true
		}
	}
	for _, s := range i.symptoms {
		n := node(s.entity)
		n.Onset = min(n.Onset, s.onset.UnixNano())
		if s.class == classSignal {
			// Somebody watches it after all.
			n.Uninstrumented = false
		}
		switch s.class {
		case classSignal:
			n.Internal = max(n.Internal, e.internalEvidence(s))
		case classEvent:
			n.Internal = max(n.Internal, s.spreads)
		case classLog:
			surprise := s.surprise
			if !s.active() {
				surprise /= 2
			}
			if s.logsErrors || !starved[s.entity] {
				n.Log = max(n.Log, surprise)
			}
		case classEdge:
			slow[s.edge] = slow[s.edge] || s.edgeKind == edgehealth.Slow || s.edgeKind == edgehealth.SlowForClient
			failing[s.edge] = failing[s.edge] || s.edgeKind == edgehealth.Failing
			if s.edge.Client == entryNode && s.opens && (s.edgeKind == edgehealth.Failing || s.edgeKind == edgehealth.Slow) {
				// Who calls from outside suffers here: that is what is to be explained.
				n.Symptom = true
			}
			if s.edgeKind == edgehealth.Drop {
				missing[s.edge] = max(missing[s.edge], math.Abs(s.deviation))
			}
		}
	}
	involved := make(map[semconv.Entity]bool, len(nodes))
	for _, s := range i.symptoms {
		involved[s.entity] = true
		if s.class == classEdge && s.edge.Client != entryNode {
			involved[entityOf(s.edge.Client)] = true
			involved[entityOf(s.edge.Server)] = true
		}
	}
	var edges []rootcause.Edge
	onsetBucket := e.bucketOf(i.since)
	i.flow = flow{}
	e.around = e.around[:0]
	e.edges.Edges(func(k edgehealth.Key) {
		client, server := entityOf(k.Client), entityOf(k.Server)
		if !involved[client] && !involved[server] {
			return
		}
		if k.Client != entryNode {
			node(client)
		}
		node(server)
		impact := e.edges.Impact(k, buckets)
		first, _ := e.edges.FirstSeen(k)
		edge := rootcause.Edge{
			Client: client.String(), Server: server.String(), Requests: impact.Requests, FailureNoise: impact.FailureNoise, SecondsNoise: impact.SecondsNoise,
			ClientNoise: impact.ClientNoise, ClientOnly: impact.ClientOnly, Failures: impact.Failures, Seconds: impact.Seconds, ClientSeconds: impact.ClientSeconds,
			Missing: missing[k], New: failing[k] && first >= onsetBucket-1,
		}
		if last := e.edges.Impact(k, 1); last.Failures >= minHopeless*last.Weight && last.Failures >= hopeless*last.Requests {
			// Calls that wait for an answer in vain are counted when they are given up; all will fail.
			edge.Failures += max(0, impact.ExpectedRequests-impact.Requests)
		}
		if !slow[k] {
			// How long calls take varies by itself: where no calls were found to be slow, only the clearest excess counts,
			// and what one bad moment brings is chance.
			edge.Seconds = max(0, edge.Seconds-max(impact.WorstSeconds, unflagged*edge.SecondsNoise))
			edge.ClientSeconds = max(0, edge.ClientSeconds-max(impact.WorstClientSeconds, unflagged*edge.ClientNoise))
		}
		edges = append(edges, e.cfg.Without.weighed(edge, impact.Requests))
		troubled := slow[k] || failing[k] || abnormal(&edge)
		if troubled {
			i.flow.note(client, server, k.Client == entryNode)
		}
		e.around = append(e.around, aroundEdge{k, impact.Requests, troubled})
	})
	shared := e.machineEdges(i, edges)
	edges = append(edges, shared...)
	standAside(nodes, shared)
	list := make([]rootcause.Node, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b rootcause.Node) int { return cmp.Compare(a.Name, b.Name) })
	return e.cfg.Without.ranked(list, edges)
}

// internalEvidence returns how much a series speaks against its entity itself. What calls take and how many there are the
// edges say better, where there are any: a service without any has no part in it. And a series that could not open an
// incident, however far out it is, says no more than that there is a symptom: among thousands some always are.
func (e *engine) internalEvidence(s *symptom) float64 {
	switch {
	case s.felt && e.edges.Len() > 0:
		return 0
	case s.opens:
		return s.spreads
	default:
		return min(s.spreads, minSurprise)
	}
}

// describeCause turns a candidate into a cause with its evidence.
func (e *engine) describeCause(i *incident, c rootcause.Candidate, buckets int) semconv.Cause {
	entity := entityOf(edgehealth.Node(c.Name))
	cause := semconv.Cause{
		Entity: entity, Kind: semconv.CauseUnknown, Confidence: clamp(c.Confidence), Share: clamp(c.Share),
		Resource: e.targetOf(entity),
	}
	mine := make([]*symptom, 0, len(i.symptoms))
	for _, s := range i.symptoms {
		if s.entity == entity {
			mine = append(mine, s)
		}
	}
	cause.Kind = kindOfCause(mine, c, e.changedBefore(entity), e.surges(entity, 1) || e.surges(entity, buckets))
	// What makes the cause what it is comes first.
	of := func(s *symptom) int {
		if s.kind == cause.Kind {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(mine, func(a, b *symptom) int {
		return cmp.Or(cmp.Compare(of(a), of(b)), cmp.Compare(b.weight(), a.weight()), compareSymptoms(a, b))
	})
	for _, s := range chosen(mine) {
		cause.Evidence = append(cause.Evidence, e.evidence(s))
	}
	if c.OwnFailures+c.OwnSeconds+c.NetworkSeconds > 0 {
		cause.Evidence = append(cause.Evidence, ownImpact(i, c))
	}
	if c := e.preceding[entity]; c != nil {
		change := c.Change
		cause.Change = &change
	}
	for _, s := range mine {
		if s.resource != nil && (s.kind == cause.Kind || len(cause.Resource) == 0) {
			for k, v := range s.resource {
				cause.Resource[k] = v
			}
			break
		}
	}
	return cause
}

// ownImpact says what the graph charges to a candidate.
func ownImpact(i *incident, c rootcause.Candidate) semconv.Evidence {
	return semconv.Evidence{
		Signal: "impact", Onset: i.state.StartedAt, Score: clamp(c.Share),
		Summary: fmt.Sprintf("%.0f failures, %s of processing and %s on the way that nothing it calls explains",
			c.OwnFailures, seconds(c.OwnSeconds), seconds(c.NetworkSeconds)),
	}
}

// kindOfCause says what sort of trouble an entity is in: what is saturated inside it, or else a change or a surge of
// traffic that explains it, or else what its callers feel.
func kindOfCause(symptoms []*symptom, c rootcause.Candidate, changed, surges bool) semconv.CauseKind {
	best, kind := 0.0, semconv.CauseUnknown
	for _, s := range symptoms {
		switch s.kind {
		case semconv.CauseCrash, semconv.CauseCPU, semconv.CauseMemory, semconv.CauseDisk, semconv.CauseSaturation:
			if s.class == classSignal && s.opens && s.deviation > best {
				best, kind = s.deviation, s.kind
			}
			if s.class == classEvent && s.spreads >= strongEvent && s.spreads > best {
				best, kind = s.spreads, s.kind
			}
		}
	}
	switch {
	case changed:
		return semconv.CauseChange
	case surges:
		return semconv.CauseTraffic
	case kind != semconv.CauseUnknown:
		return kind
	}
	best = 0
	for _, s := range symptoms {
		if s.kind != semconv.CauseUnknown && s.weight() > best {
			best, kind = s.weight(), s.kind
		}
	}
	switch {
	case c.NetworkSeconds > c.OwnSeconds:
		return semconv.CauseNetwork
	case kind != semconv.CauseUnknown:
		return kind
	case c.OwnFailures > 0:
		return semconv.CauseErrors
	case c.OwnSeconds > 0:
		return semconv.CauseLatency
	default:
		return semconv.CauseUnknown
	}
}

// surges reports whether an entity got far more requests than usual in the last buckets.
func (e *engine) surges(entity semconv.Entity, buckets int) bool {
	requests, usual, known, weight := 0.0, 0.0, 0.0, 1.0
	e.edges.Edges(func(k edgehealth.Key) {
		if entityOf(k.Server) == entity {
			impact := e.edges.Impact(k, buckets)
			// Who fails is asked again: that is no surge.
			requests += impact.Requests - impact.Failures
			usual += impact.UsualRequests
			known, weight = max(known, impact.UsualBuckets), max(weight, impact.Weight)
		}
	})
	// By chance vary those that were seen, of which each stands for some.
	requests, usual = requests/weight, usual/weight
	return known >= surgeBuckets && requests >= surgeRatio*usual && requests-usual >= max(surgeRequests, surgeSpread*math.Sqrt(usual))
}

// unclear reports whether a service fails for a reason that the graph may know a moment later: calls that it usually makes
// are missing, about as many as there are failures which nothing explains. Either it makes no such calls any more, or they
// are still being waited for.
func (e *engine) unclear(symptoms []*symptom, buckets int) bool {
	failures := map[edgehealth.Node]float64{}
	for _, s := range symptoms {
		switch {
		case s.class == classEdge && s.edgeKind == edgehealth.Failing:
			failures[s.edge.Server] = max(failures[s.edge.Server], s.deviation)
		case s.logsErrors:
			node := edgehealth.Node(s.entity.String())
			failures[node] = max(failures[node], s.deviation)
		}
	}
	missed := map[edgehealth.Node]float64{}
	e.edges.Edges(func(k edgehealth.Key) {
		if _, fails := failures[k.Client]; !fails {
			return
		}
		impact := e.edges.Impact(k, buckets)
		// All are in requests that were seen.
		failures[k.Client] -= impact.Failures / impact.Weight
		missed[k.Client] = max(missed[k.Client], (impact.ExpectedRequests-impact.Requests)/impact.Weight)
	})
	for node, unexplained := range failures {
		if unexplained >= minUnexplained && missed[node] >= max(minMissed, missedShare*unexplained) {
			return true
		}
	}
	return false
}

// hearsay reports whether there is no symptom of the cause itself, or only one of several callers complains about it while
// it says nothing itself: it may as well be the caller's own trouble, which then shows in its other calls a moment later.
func (e *engine) hearsay(symptoms []*symptom, cause semconv.Entity) bool {
	if !slices.ContainsFunc(symptoms, func(s *symptom) bool { return s.entity == cause }) {
		return true
	}
	complaining := map[edgehealth.Key]bool{}
	for _, s := range symptoms {
		if s.class == classEdge && s.edgeKind == edgehealth.Slow && s.entity == cause {
			complaining[s.edge] = true
		}
	}
	if len(complaining) != 1 {
		return false
	}
	callers, alone := 0, false
	e.edges.Edges(func(k edgehealth.Key) {
		if entityOf(k.Server) != cause {
			return
		}
		impact := e.edges.Impact(k, trendBuckets)
		if impact.Requests > 0 {
			callers++
		}
		alone = alone || complaining[k] && impact.ClientOnly
	})
	return alone && callers > 1
}

func sortedNames(set map[string]bool) []string {
	var out []string
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func title(state *semconv.Incident) string {
	cause := state.Cause()
	if cause.Entity == (semconv.Entity{}) {
		return "abnormal behaviour of unknown cause"
	}
	trouble := string(cause.Kind)
	if cause.Kind == semconv.CauseUnknown {
		trouble = "abnormal behaviour"
	}
	felt := ""
	if len(state.EntryPoints) > 0 {
		felt = ", felt at " + state.EntryPoints[0]
		if more := len(state.EntryPoints) - 1; more > 0 {
			felt += fmt.Sprintf(" and %d more", more)
		}
	}
	return fmt.Sprintf("%s of %s%s", trouble, cause.Entity.Name, felt)
}

// fingerprint is equal for incidents with the same cause entity and kind.
func fingerprint(cause semconv.Cause) string {
	sum := sha256.Sum256([]byte(cause.Entity.String() + "\x00" + string(cause.Kind)))
	return hex.EncodeToString(sum[:8])
}

func timeline(i *incident) []semconv.TimelineEntry {
	symptoms := slices.Clone(i.symptoms)
	slices.SortFunc(symptoms, compareSymptoms)
	var out []semconv.TimelineEntry
	for _, s := range symptoms[:min(len(symptoms), maxTimeline)] {
		out = append(out, semconv.TimelineEntry{Time: s.onset, Text: s.entity.Name + ": " + s.summary})
	}
	return out
}

func clamp(f float64) float64 { return min(max(f, 0), 1) }
