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
	// mergingBuckets is for how many buckets without a break two incidents must look like one to be merged.
	mergingBuckets = 4
	// partingBuckets is for how many buckets without a break an incident must look like two to be split.
	partingBuckets = 2
)

// split parts the incidents that have been found to be about two independent causes for a while.
func (e *engine) split(now time.Time) (events []semconv.IncidentEvent) {
	for at := range len(e.incidents) {
		i := e.incidents[at]
		first, other := e.independentCauses(i)
		if other != i.parting {
			if i.parting == (semconv.Entity{}) || i.parting != first {
				// They are other two than before, and not the same the other way round.
				i.partingSince = now
			}
			i.parting = other
		}
		if other == (semconv.Entity{}) || now.Sub(i.partingSince) < partingBuckets*e.cfg.Bucket {
			continue
		}
		if len(e.incidents) >= e.cfg.Limits.Incidents {
			e.refusals.limit++
			continue
		}
		// What was told last may be a while ago.
		e.diagnose(i, now)
		if _, still := e.independentCauses(i); still != other {
			i.parting, i.partingSince = still, now
			continue
		}
		events = append(events, e.part(i, other, now)...)
	}
	return events
}

// independentCauses returns the first cause of an incident and the likeliest one that has nothing to do with it, or no other.
// Each would be an incident of its own if the other were not there: its symptoms would open one, and it would be named. And
// trouble flows neither from one to the other nor from anything else in trouble to both. Where both are felt by the same
// entities, or one calls the other, they must not have begun together, for two faults seldom begin at one moment and two
// effects of one do, unless what is wrong inside one of them is not what is wrong inside the other. More requests than usual are one trouble for all that get them, and for all that these call.
func (e *engine) independentCauses(i *incident) (first, other semconv.Entity) {
	none := semconv.Entity{}
	if len(i.flow.candidates) < 2 || i.whole {
		return none, none
	}
	of, surges := map[semconv.Entity][]*symptom{}, map[semconv.Entity]bool{}
	for _, s := range i.symptoms {
		if s.active() {
			of[s.entity] = append(of[s.entity], s)
			surges[s.entity] = surges[s.entity] || s.class == classEdge && s.edgeKind == edgehealth.Surge
		}
	}
	stands := func(c *rootcause.Candidate, entity semconv.Entity) bool {
		return namedAlone(c) && e.evidenceOf(of[entity]) >= e.cfg.OpenSurprise
	}
	first = entityOf(edgehealth.Node(i.flow.candidates[0].Name))
	if !stands(&i.flow.candidates[0], first) {
		return first, none
	}
	explains, feels := reach(i.flow.callees, first), reach(i.flow.callers, first)
	var calls map[semconv.Entity][]semconv.Entity
	for at := range i.flow.candidates[1:] {
		c := &i.flow.candidates[at+1]
		entity := entityOf(edgehealth.Node(c.Name))
		if !stands(c, entity) {
			continue
		}
		others := reach(i.flow.callees, entity)
		common := explains[entity] || others[first]
		for shared := range others {
			common = common || explains[shared] && len(of[shared]) > 0
		}
		together := onsetAmong(of[first]).Sub(onsetAmong(of[entity])).Abs() <= trendBuckets*e.cfg.Bucket
		alike := together && !differInside(of[first], of[entity])
		if common || alike && meets(feels, reach(i.flow.callers, entity)) || e.shareMachine(first, entity, of, together) {
			continue
		}
		if calls == nil {
			calls = e.calls()
		}
		calling, called := reach(calls, first)[entity], reach(calls, entity)[first]
		if together && (calling || called) || surges[first] && (surges[entity] || calling) || surges[entity] && called {
			continue
		}
		return first, entity
	}
	return first, none
}

// namedAlone reports whether a candidate would be sure enough as a cause if nothing spoke against any other.
func namedAlone(c *rootcause.Candidate) bool {
	return rootcause.Calibration().Of(rootcause.Confidence(c.Evidence, c.Evidence)) >= sureEnough
}

// calls maps each entity to those that it calls, whether anything is wrong with that or not.
func (e *engine) calls() map[semconv.Entity][]semconv.Entity {
	calls := map[semconv.Entity][]semconv.Entity{}
	e.edges.Edges(func(k edgehealth.Key) {
		if k.Client != entryNode {
			client := entityOf(k.Client)
			calls[client] = append(calls[client], entityOf(k.Server))
		}
	})
	return calls
}

// onsetAmong returns the first onset of any of the symptoms.
func onsetAmong(symptoms []*symptom) time.Time {
	return slices.MinFunc(symptoms, func(a, b *symptom) int { return a.onset.Compare(b.onset) }).onset
}

// shareMachine reports whether one of two entities runs on the other, both run on a pod, node or host that is in trouble
// itself, or both began together to have symptoms of one kind on the same node that would open an incident.
func (e *engine) shareMachine(a, b semconv.Entity, of map[semconv.Entity][]*symptom, together bool) bool {
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
	if !together {
		return false
	}
	machines := map[machine]bool{}
	for _, s := range of[a] {
		if m, ok := s.machine(); ok && s.opens {
			machines[m] = true
		}
	}
	return slices.ContainsFunc(of[b], func(s *symptom) bool {
		m, ok := s.machine()
		return ok && s.opens && machines[m]
	})
}

// part makes an incident of its own of the symptoms that one of two independent causes explains and the other does not. What
// began first stays with the incident, unless it was opened by the other. It does nothing where the two would not name the
// two causes.
func (e *engine) part(i *incident, other semconv.Entity, now time.Time) []semconv.IncidentEvent {
	first := i.state.Cause().Entity
	if i.onsetOf(other).Before(i.onsetOf(first)) {
		first, other = other, first
	}
	stay, leave := e.parted(i, first, other)
	opening := func(s *symptom) bool { return s.opens && s.early }
	if !slices.ContainsFunc(stay, opening) {
		stay, leave, first, other = leave, stay, other, first
	}
	if known := e.causedBy(other, i); known != nil {
		return e.handOver(i, known, stay, leave, now)
	}
	n := &incident{symptoms: leave, found: now, changeable: i.changeable, seen: now, since: onsetAmong(leave)}
	n.state = semconv.Incident{Status: semconv.StatusOpen, StartedAt: n.since, DetectedAt: now, SplitFrom: i.state.ID}
	n.state.ID = e.newID(leading(leave), now)
	n.siblings = append(slices.Clone(i.siblings), i.state.ID)
	whole := *i
	i.symptoms, i.siblings = stay, append(slices.Clone(i.siblings), n.state.ID)
	e.incidents = append(e.incidents, n)
	e.diagnose(n, now)
	e.diagnose(i, now)
	if i.state.Cause().Entity != first || n.state.Cause().Entity != other {
		e.incidents = e.incidents[:len(e.incidents)-1]
		*i = whole
		i.partingSince = now
		return nil
	}
	for _, s := range leave {
		s.incident, s.early = n, true
		e.tell("symptom joined an open incident", s)
	}
	i.parting = semconv.Entity{}
	e.hush(n, now)
	e.hush(i, now)
	e.decide(now, i, leading(leave), verdictSplit, reasonIndependent, "%s and %s explain different symptoms", first, other)
	e.decide(now, n, leading(leave), verdictOpened, reasonParted, "it was a part of %s", i.state.ID)
	e.logger.Info("incident split", zap.String("incident_id", i.state.ID), zap.String("new_incident_id", n.state.ID))
	return e.reportAll(now, i, n)
}

// causedBy returns another open incident that is put down to a cause, or nil.
func (e *engine) causedBy(cause semconv.Entity, but *incident) *incident {
	for _, i := range e.incidents {
		if i != but && i.state.Cause().Entity == cause && i.state.Cause().Confidence >= sureEnough {
			return i
		}
	}
	return nil
}

// handOver gives symptoms of an incident to another one, whose cause explains them.
func (e *engine) handOver(from, to *incident, stay, leave []*symptom, now time.Time) []semconv.IncidentEvent {
	from.symptoms, from.parting = stay, semconv.Entity{}
	from.siblings, to.siblings = append(slices.Clone(from.siblings), to.state.ID), append(slices.Clone(to.siblings), from.state.ID)
	for _, s := range leave {
		to.join(s)
		e.tell("symptom joined an open incident", s)
		e.decide(now, to, s, verdictJoined, reasonCause, "it was a part of %s", from.state.ID)
	}
	e.diagnose(to, now)
	e.diagnose(from, now)
	return e.reportAll(now, from, to)
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

// parted parts the symptoms of an incident into those of another cause and the rest: each goes with the cause that explains
// it better, and what both explain alike with that which began last before it.
func (e *engine) parted(i *incident, first, other semconv.Entity) (stay, leave []*symptom) {
	calls := e.calls()
	here, there := e.scopeOf(i, first, calls), e.scopeOf(i, other, calls)
	begin, then := i.onsetOf(first), i.onsetOf(other)
	later, latest := other, then
	if begin.After(then) {
		later, latest = first, begin
	}
	for _, s := range i.symptoms {
		by := cmp.Compare(there.explains(s.entity), here.explains(s.entity))
		if by == 0 {
			by = -1
			if (later == other) == !s.onset.Before(latest) {
				by = 1
			}
		}
		if by > 0 {
			leave = append(leave, s)
		} else {
			stay = append(stay, s)
		}
	}
	return stay, leave
}

// scope is what a cause can have done.
type scope struct {
	cause semconv.Entity
	// felt are those that trouble flows to, within those that depend on the cause, or that it loads.
	felt, within map[semconv.Entity]bool
}

func (e *engine) scopeOf(i *incident, cause semconv.Entity, calls map[semconv.Entity][]semconv.Entity) scope {
	callers := make(map[semconv.Entity][]semconv.Entity, len(calls))
	for client, servers := range calls {
		for _, server := range servers {
			callers[server] = append(callers[server], client)
		}
	}
	s := scope{cause: cause, felt: reach(i.flow.callers, cause), within: reach(callers, cause)}
	if slices.ContainsFunc(i.symptoms, func(s *symptom) bool {
		return s.entity == cause && s.class == classEdge && s.edgeKind == edgehealth.Surge
	}) {
		for entity := range reach(calls, cause) {
			s.felt[entity], s.within[entity] = true, true
		}
	}
	return s
}

// explains says how well the cause explains that something is wrong with an entity.
func (s *scope) explains(entity semconv.Entity) int {
	switch {
	case entity == s.cause:
		return 3
	case s.felt[entity]:
		return 2
	case s.within[entity]:
		return 1
	default:
		return 0
	}
}

// differInside reports whether something that is saturated, broken or changed inside one of two entities is not what is so
// inside the other.
func differInside(a, b []*symptom) bool {
	x, y := inside(a), inside(b)
	return x != y
}

// inside returns what the clearest evidence from inside an entity says is wrong with it.
func inside(symptoms []*symptom) semconv.CauseKind {
	best, kind := 0.0, semconv.CauseUnknown
	for _, s := range symptoms {
		if s.opens && (s.class == classSignal || s.class == classEvent) && s.spreads > best {
			best, kind = s.spreads, s.kind
		}
	}
	return kind
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
		if now.Sub(i.convergingSince) < mergingBuckets*e.cfg.Bucket {
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
