package incidentconnector

import (
	"cmp"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/rootcause"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// partingBuckets is for how many buckets without a break two incidents must look like one to be merged, or one like two
	// to be split.
	partingBuckets = 4
	// leastShare is the share of all own impact in an incident, or of all evidence, that a cause must have to be an incident of
	// its own.
	leastShare = 0.2
)

// split parts the incidents that have been found to be about two independent causes for a while.
func (e *engine) split(now time.Time) (events []semconv.IncidentEvent) {
	for at := range len(e.incidents) {
		i := e.incidents[at]
		other := e.secondCause(i)
		if other != i.parting {
			i.parting, i.partingSince = other, now
		}
		if other == (semconv.Entity{}) || now.Sub(i.partingSince) < partingBuckets*e.cfg.Bucket {
			continue
		}
		if len(e.incidents) >= e.cfg.Limits.Incidents {
			e.refusals.limit++
			continue
		}
		events = append(events, e.part(i, other, now)...)
	}
	return events
}

// secondCause returns the likeliest cause that has nothing to do with the first one: both have a share of the impact and
// active symptoms of their own that would open an incident, and trouble flows neither from one to the other nor from
// anything else to both. Where both are felt by the same entities they must not have begun together, for two faults seldom
// begin at one moment and two effects of one do. More requests than usual are one trouble for all that get them.
func (e *engine) secondCause(i *incident) (none semconv.Entity) {
	if len(i.flow.candidates) < 2 || i.whole || !weighty(&i.flow.candidates[0]) {
		return none
	}
	of, surges := map[semconv.Entity][]*symptom{}, map[semconv.Entity]bool{}
	for _, s := range i.symptoms {
		if s.active() {
			of[s.entity] = append(of[s.entity], s)
			surges[s.entity] = surges[s.entity] || s.class == classEdge && s.edgeKind == edgehealth.Surge
		}
	}
	first := entityOf(edgehealth.Node(i.flow.candidates[0].Name))
	if e.evidenceOf(of[first]) < e.cfg.OpenSurprise {
		return none
	}
	explains, feels := reach(i.flow.callees, first), reach(i.flow.callers, first)
	for _, c := range i.flow.candidates[1:] {
		entity := entityOf(edgehealth.Node(c.Name))
		if !weighty(&c) || surges[first] && surges[entity] || e.evidenceOf(of[entity]) < e.cfg.OpenSurprise || meets(explains, reach(i.flow.callees, entity)) {
			continue
		}
		together := onsetAmong(of[first]).Sub(onsetAmong(of[entity])).Abs() <= trendBuckets*e.cfg.Bucket
		if together && meets(feels, reach(i.flow.callers, entity)) || e.shareMachine(first, entity, of) {
			continue
		}
		return entity
	}
	return none
}

// weighty reports whether a candidate can be an incident of its own, by its impact or by what speaks against it.
func weighty(c *rootcause.Candidate) bool { return c.Share >= leastShare || c.Confidence >= leastShare }

// onsetAmong returns the first onset of any of the symptoms.
func onsetAmong(symptoms []*symptom) time.Time {
	return slices.MinFunc(symptoms, func(a, b *symptom) int { return a.onset.Compare(b.onset) }).onset
}

// shareMachine reports whether one of two entities runs on the other, both run on a pod, node or host that is in trouble
// itself, or both have symptoms of one kind on the same node.
func (e *engine) shareMachine(a, b semconv.Entity, of map[semconv.Entity][]*symptom) bool {
	if e.relations.related(a, b) || e.runsOn(a, b) || e.runsOn(b, a) {
		return true
	}
	on := func(entity, under semconv.Entity) bool {
		return e.relations.related(entity, under) || e.runsOn(entity, under)
	}
	for under, symptoms := range of {
		if on(a, under) && on(b, under) && slices.ContainsFunc(symptoms, func(s *symptom) bool { return s.opens }) {
			return true
		}
	}
	machines := map[machine]bool{}
	for _, s := range of[a] {
		if m, ok := s.machine(); ok {
			machines[m] = true
		}
	}
	return slices.ContainsFunc(of[b], func(s *symptom) bool {
		m, ok := s.machine()
		return ok && machines[m]
	})
}

// part makes an incident of its own of the symptoms that one of two independent causes explains and the other does not. What
// began first stays with the incident, unless it was opened by the other.
func (e *engine) part(i *incident, other semconv.Entity, now time.Time) []semconv.IncidentEvent {
	first := i.state.Cause().Entity
	if i.onsetOf(other).Before(i.onsetOf(first)) {
		first, other = other, first
	}
	stay, leave := parted(i, first, other)
	if !slices.ContainsFunc(stay, func(s *symptom) bool { return s.opens && s.early }) {
		stay, leave = parted(i, other, first)
	}
	n := &incident{symptoms: leave, found: now, changeable: i.changeable, seen: now, since: onsetAmong(leave)}
	n.state = semconv.Incident{Status: semconv.StatusOpen, StartedAt: n.since, DetectedAt: now, SplitFrom: i.state.ID}
	n.state.ID = e.newID(leading(leave), now)
	n.siblings = append(slices.Clone(i.siblings), i.state.ID)
	i.siblings = append(slices.Clone(i.siblings), n.state.ID)
	for _, s := range leave {
		s.incident, s.early = n, true
		e.tell("symptom joined an open incident", s)
	}
	i.symptoms = stay
	i.parting = semconv.Entity{}
	e.incidents = append(e.incidents, n)
	e.diagnose(n, now)
	e.diagnose(i, now)
	e.hush(n, now)
	e.hush(i, now)
	e.decide(now, i, leading(leave), verdictSplit, reasonIndependent, "%s and %s explain different symptoms", first, other)
	e.decide(now, n, leading(leave), verdictOpened, reasonParted, "it was a part of %s", i.state.ID)
	e.logger.Info("incident split", zap.String("incident_id", i.state.ID), zap.String("new_incident_id", n.state.ID))
	return e.reportAll(now, i, n)
}

// onsetOf returns the first onset of the symptoms of an entity that can open an incident.
func (i *incident) onsetOf(entity semconv.Entity) time.Time {
	var own []*symptom
	for _, s := range i.symptoms {
		if s.entity == entity && s.opens {
			own = append(own, s)
		}
	}
	if len(own) == 0 {
		return i.found
	}
	return onsetAmong(own)
}

// parted parts the symptoms of an incident into those that another cause explains and the first does not, and the rest.
func parted(i *incident, first, other semconv.Entity) (stay, leave []*symptom) {
	explained, elsewhere := reach(i.flow.callers, first), reach(i.flow.callers, other)
	for _, s := range i.symptoms {
		if s.entity == other || elsewhere[s.entity] && !explained[s.entity] {
			leave = append(leave, s)
		} else {
			stay = append(stay, s)
		}
	}
	return stay, leave
}

// elsewhere reports whether a candidate is the cause of another open incident that was once one with this one, which holds
// no symptom of it any more.
func (e *engine) elsewhere(i *incident, candidate semconv.Entity) bool {
	if len(i.siblings) == 0 || slices.ContainsFunc(i.symptoms, func(s *symptom) bool { return s.entity == candidate }) {
		return false
	}
	return slices.ContainsFunc(e.incidents, func(other *incident) bool {
		return slices.Contains(i.siblings, other.state.ID) &&
			slices.ContainsFunc(other.symptoms, func(s *symptom) bool { return s.entity == candidate && s.opens })
	})
}

// merge puts together the open incidents that have looked like one for a while.
func (e *engine) merge(now time.Time) (events []semconv.IncidentEvent) {
	if len(e.incidents) < 2 {
		return nil
	}
	slices.SortStableFunc(e.incidents, func(a, b *incident) int {
		return cmp.Or(a.state.DetectedAt.Compare(b.state.DetectedAt), cmp.Compare(a.state.ID, b.state.ID))
	})
	byCause := map[semconv.Entity][]*incident{}
	for _, i := range e.incidents {
		if cause := i.state.Cause(); cause.Entity != (semconv.Entity{}) && cause.Confidence >= sureEnough {
			byCause[cause.Entity] = append(byCause[cause.Entity], i)
		}
	}
	gone := map[*incident]bool{}
	for _, i := range e.incidents {
		older, why := e.olderSelf(i, byCause, gone)
		if older == nil {
			i.converging = ""
			continue
		}
		if older.state.ID != i.converging {
			i.converging, i.convergingSince = older.state.ID, now
		}
		if now.Sub(i.convergingSince) < partingBuckets*e.cfg.Bucket {
			continue
		}
		gone[i] = true
		events = append(events, e.mergeInto(i, older, why, now)...)
	}
	e.incidents = slices.DeleteFunc(e.incidents, func(i *incident) bool { return gone[i] })
	return events
}

// olderSelf returns the oldest open incident of which another one is a part: one with the same first cause, or one whose
// cause explains that of the other, while they are close in time.
func (e *engine) olderSelf(i *incident, byCause map[semconv.Entity][]*incident, gone map[*incident]bool) (*incident, reason) {
	cause := i.state.Cause()
	if cause.Entity == (semconv.Entity{}) || cause.Confidence < sureEnough {
		return nil, ""
	}
	older := func(other *incident) bool {
		return other != i && !gone[other] && cmp.Or(other.state.DetectedAt.Compare(i.state.DetectedAt), cmp.Compare(other.state.ID, i.state.ID)) < 0
	}
	for _, other := range byCause[cause.Entity] {
		if older(other) {
			return other, reasonCause
		}
	}
	var best *incident
	consider := func(entity semconv.Entity) {
		for _, other := range byCause[entity] {
			if older(other) && i.since.Sub(other.since).Abs() <= e.cfg.GroupWindow &&
				(best == nil || other.state.DetectedAt.Before(best.state.DetectedAt)) {
				best = other
			}
		}
	}
	// Either side may explain the other: the younger one's cause calls that of the older one, or is called by it. Both
	// diagnoses must see trouble on the way, each as far as it looks.
	for entity := range reach(i.flow.callees, cause.Entity) {
		consider(entity)
	}
	for entity := range reach(i.flow.callers, cause.Entity) {
		consider(entity)
	}
	return best, reasonExplained
}

// mergeInto ends an incident as a part of an older one, which takes its symptoms.
func (e *engine) mergeInto(i, older *incident, why reason, now time.Time) []semconv.IncidentEvent {
	for _, s := range i.symptoms {
		older.join(s)
		e.tell("symptom joined an open incident", s)
	}
	older.whole = true
	if i.since.Before(older.since) {
		older.since = i.since
	}
	if i.state.StartedAt.Before(older.state.StartedAt) {
		older.state.StartedAt = i.state.StartedAt
	}
	if graver(i.state.Severity, older.state.Severity) {
		older.state.Severity = i.state.Severity
	}
	e.diagnose(older, now)
	i.state.Status, i.state.Resolution = semconv.StatusResolved, semconv.ResolutionMerged
	i.state.MergedInto, i.state.ResolvedAt = older.state.ID, now
	i.state.Timeline = append(slices.Clone(i.state.Timeline), semconv.TimelineEntry{Time: now, Text: "goes on as a part of incident " + older.state.ID})
	e.decide(now, older, leading(i.symptoms), verdictMerged, why, "%s is a part of it", i.state.ID)
	e.logger.Info("incidents merged", zap.String("incident_id", i.state.ID), zap.String("merged_into", older.state.ID))
	var events []semconv.IncidentEvent
	if i.told {
		events = append(events, i.emit(semconv.EventIncidentResolved, now))
		// Who knows of the one that ends has to know of the one that goes on.
		return append(events, older.show(now))
	}
	return append(events, e.reportAll(now, older)...)
}

// reportAll tells of several incidents at once.
func (e *engine) reportAll(now time.Time, incidents ...*incident) (events []semconv.IncidentEvent) {
	for _, i := range incidents {
		if event := e.report(i, now); event != nil {
			events = append(events, *event)
		}
	}
	return events
}
