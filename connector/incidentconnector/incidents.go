package incidentconnector

import (
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/semconv"
)

// incident is a group of symptoms that belong together.
type incident struct {
	state    semconv.Incident
	symptoms []*symptom
	// since is the onset of the first symptom and found the time of the evidence that opened it, both since it was last
	// resolved.
	since, found time.Time
	// changeable is when it was found for the first time: what was changed until then may be the cause, what is changed later
	// is treatment.
	changeable time.Time
	// emitted is when the last event was made.
	emitted time.Time
	// told is false until somebody was told that it is open.
	told bool
	// silence names the silence that keeps it from being told of now.
	silence string
	// seen is when telemetry last said whether its symptoms are there, and unseen for how long none did since they last were.
	seen   time.Time
	unseen time.Duration
	// flaps counts how often its symptoms came back soon after it was resolved.
	flaps int
	// named is when its first cause was first sure enough; zero until then.
	named time.Time
	// parting is the other cause that explains a part of it, and partingSince since when that is so without a break.
	parting      semconv.Entity
	partingSince time.Time
	// converging is the ID of the older incident that it seems to be a part of, and convergingSince since when.
	converging      string
	convergingSince time.Time
	// timed and diagnosed say that the times of its detection and of its diagnosis were recorded.
	timed, diagnosed bool
	// siblings are the IDs of the incidents that were parted from it, and of those that it was parted from.
	siblings []string
	// whole incidents have taken in another one, and are not split any more.
	whole bool

	// flow is what the last diagnosis found: it is made anew by the next one.
	flow flow
}

// lastActive is when any of the symptoms that matter was last seen to be there: those that can open an incident and
// began with it, and those of its cause. Others come and go. An objective is only asked where nothing else is left to ask:
// the windows that it is measured over remember what is long gone.
func (i *incident) lastActive() time.Time {
	last, lastBurn, others := i.found, i.found, false
	cause := i.state.Cause().Entity
	for _, s := range i.symptoms {
		switch {
		case !s.opens || !s.early && s.entity != cause:
		case s.class == classObjective:
			if s.lastActive.After(lastBurn) {
				lastBurn = s.lastActive
			}
		default:
			others = true
			if s.lastActive.After(last) {
				last = s.lastActive
			}
		}
	}
	if !others {
		return lastBurn
	}
	return last
}

// key returns the symptoms whose end is the incident's end: those that opened it, its objectives only where it has no
// others.
func (i *incident) key() []*symptom {
	var key, burns []*symptom
	for _, s := range i.symptoms {
		switch {
		case !s.opens || !s.early:
		case s.class == classObjective:
			burns = append(burns, s)
		default:
			key = append(key, s)
		}
	}
	if len(key) == 0 {
		return burns
	}
	return key
}

// updateIncidents lets the open incidents grow, change or end, and opens new ones.
func (e *engine) updateIncidents(now time.Time) []semconv.IncidentEvent {
	var events []semconv.IncidentEvent
	free := e.sortedSymptoms(func(s *symptom) bool { return s.incident == nil && s.active() })
	var near neighbourhoods
	if len(free) > 0 {
		near = e.neighbourhoods()
	}
	free = e.adoptAll(free, near, now)

	open := e.incidents[:0]
	for _, i := range e.incidents {
		event, ended := e.advance(i, now)
		if event != nil {
			events = append(events, *event)
		}
		if !ended {
			open = append(open, i)
		}
	}
	clear(e.incidents[len(open):])
	e.incidents = open
	events = append(events, e.split(now)...)
	events = append(events, e.merge(now)...)

	for _, group := range e.group(free, near) {
		if i := e.consider(group, now); i != nil {
			e.hush(i, now)
			events = append(events, e.reportAll(now, i)...)
		}
	}
	e.forgetEnded(now)
	return events
}

// adoptAll hands free symptoms to the open incidents that they belong to, and returns the others.
func (e *engine) adoptAll(free []*symptom, near neighbourhoods, now time.Time) []*symptom {
	if len(free) == 0 || len(e.incidents) == 0 {
		return free
	}
	around := make([]surroundings, len(e.incidents))
	calls := e.calls()
	for at, i := range e.incidents {
		around[at] = e.surroundings(i.symptoms, near)
		if len(e.incidents) > 1 {
			around[at].scope = e.scopeOf(i, i.state.Cause().Entity, calls)
		}
	}
	return slices.DeleteFunc(free, func(s *symptom) bool {
		i, why := e.adopt(s, around, near)
		if i == nil {
			e.decideOnce(now, s, verdictNotJoined, why, "it began at %s", s.onset.Format(time.TimeOnly))
			return false
		}
		i.join(s)
		e.tell("symptom joined an open incident", s)
		e.decide(now, i, s, verdictJoined, why, "it began %s after the incident", s.onset.Sub(i.since))
		return true
	})
}

func (i *incident) join(s *symptom) {
	s.incident = i
	i.symptoms = append(i.symptoms, s)
}

// consider opens an incident of a group of free symptoms, or returns nil and notes why it does not.
func (e *engine) consider(group []*symptom, now time.Time) *incident {
	lead := leading(group)
	evidence := e.evidenceOf(group)
	switch {
	case evidence < e.cfg.OpenSurprise:
		e.decideOnce(now, lead, verdictWaits, reasonWeak, "the evidence is %.1f of %.1f", evidence, e.cfg.OpenSurprise)
		return nil
	case e.warmingUp(now):
		e.decideOnce(now, lead, verdictMuted, reasonWarmUp, "until %s", e.warmFrom.Add(e.cfg.WarmUp).Format(time.RFC3339))
		return nil
	case len(e.incidents) >= e.cfg.Limits.Incidents:
		e.refusals.limit++
		e.decideOnce(now, lead, verdictRefused, reasonLimit, "%d incidents are open", len(e.incidents))
		return nil
	}
	return e.open(group, lead, evidence, now)
}

// sureEnough is the confidence in the top cause below which an incident waits for one more bucket before it is opened: who
// acts on an event acts on its first cause.
const sureEnough = 0.8

// open makes an incident of a group of symptoms, goes on with one that was resolved a moment ago, or returns nil to wait
// for more evidence.
func (e *engine) open(group []*symptom, lead *symptom, evidence float64, now time.Time) *incident {
	i := &incident{symptoms: group, since: group[0].onset, found: now, changeable: now, seen: now}
	waited := false
	for _, s := range group {
		waited = waited || s.waited
		if s.onset.Before(i.since) {
			i.since = s.onset
		}
	}
	i.state = semconv.Incident{Status: semconv.StatusOpen, StartedAt: i.since, DetectedAt: now}
	e.diagnose(i, now)
	if why := e.waitsFor(i); why != "" && !waited {
		for _, s := range group {
			s.waited = true
		}
		cause := i.state.Cause()
		e.decideOnce(now, lead, verdictWaits, why, waitDetails[why], cause.Entity, cause.Confidence)
		return nil
	}
	e.incidents = append(e.incidents, i)
	again := e.reopen(i, lead, now)
	if !again {
		i.state.ID = e.newID(lead, now)
	}
	for _, s := range group {
		s.incident, s.early = i, true
		e.tell("symptom opened an incident", s)
	}
	if again {
		return i
	}
	why := reasonEvidence
	if !slices.ContainsFunc(group, func(s *symptom) bool { return s.opens && s.class != classObjective }) {
		why = reasonBurn
	}
	e.decide(now, i, lead, verdictOpened, why, "the evidence is %.1f of %.1f, %d symptoms belong together", evidence, e.cfg.OpenSurprise, len(group))
	e.logger.Info("incident opened", zap.String("incident_id", i.state.ID),
		zap.String("cause", i.state.Cause().Entity.String()), zap.Time("detected_at", now))
	return i
}

// newID returns the identity of an incident. It follows from the data, so that a replay gives the same one.
func (e *engine) newID(lead *symptom, now time.Time) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.id.String()+"\x00"+now.Format(time.RFC3339Nano)+"\x00"+lead.entity.String()+"\x00"+lead.key.what+"\x00"+strconv.Itoa(e.rewinds))).String()
}

// waitDetails say of each reason to wait what it means, given the first cause and its confidence.
var waitDetails = map[reason]string{
	reasonUnsure:  "the first cause, %s, has a confidence of %.2f",
	reasonAwaits:  "it may be %s, with a confidence of %.2f, but calls that would explain it are missing",
	reasonHearsay: "it may be %s, with a confidence of %.2f, but only one of its callers complains",
}

// waitsFor says why an incident that could be opened should wait a bucket, or nothing.
func (e *engine) waitsFor(i *incident) reason {
	cause := i.state.Cause()
	switch {
	case cause.Confidence < sureEnough:
		return reasonUnsure
	case e.unclear(i.symptoms, 2):
		return reasonAwaits
	case e.hearsay(i.symptoms, cause.Entity):
		return reasonHearsay
	default:
		return ""
	}
}

// subsidedBuckets is for how many buckets the symptoms of an incident must be gone to say that it subsides.
const subsidedBuckets = 2

// advance brings an open incident up to date and returns its next event, if there is one.
func (e *engine) advance(i *incident, now time.Time) (event *semconv.IncidentEvent, ended bool) {
	wasUnknown := !i.state.UnknownSince.IsZero()
	e.look(i, now)
	if resolution := e.resolution(i, now); resolution != "" {
		return e.resolve(i, resolution, now), true
	}
	news := e.hush(i, now) || wasUnknown != !i.state.UnknownSince.IsZero()
	subsiding := e.gaps.elapsed(i.lastActive(), now) > subsidedBuckets*e.cfg.Bucket
	switch {
	case subsiding && news && i.told:
		return e.report(i, now), false
	case subsiding || !news && now.Sub(i.emitted) < e.cfg.UpdateInterval:
		return nil, false
	}
	before := i.state
	if !e.blind(i, now) {
		e.diagnose(i, now)
	}
	late := !i.told && i.silence == ""
	if !news && !late && !changed(before, i.state) && now.Sub(i.emitted) < e.cfg.RepeatInterval {
		return nil, false
	}
	return e.report(i, now), false
}

func (e *engine) resolve(i *incident, resolution semconv.Resolution, now time.Time) *semconv.IncidentEvent {
	i.state.Status = semconv.StatusResolved
	i.state.Resolution = resolution
	i.state.ResolvedAt = i.lastActive()
	e.times.note(i)
	text, why := "no symptom is left", reasonRecovered
	if resolution == semconv.ResolutionNoData {
		text, why = "the telemetry that showed the symptoms has stopped", reasonNoData
	} else {
		e.times.resolve.record(i.state.ResolvedAt.Sub(i.since))
	}
	i.state.Timeline = append(slices.Clone(i.state.Timeline), semconv.TimelineEntry{Time: i.state.ResolvedAt, Text: text})
	e.decide(now, i, nil, verdictResolved, why, "the last symptom was seen at %s", i.state.ResolvedAt.Format(time.TimeOnly))
	var event *semconv.IncidentEvent
	if i.told {
		told := i.emit(semconv.EventIncidentResolved, now)
		event = &told
	}
	e.end(i, now)
	for _, s := range i.symptoms {
		delete(e.symptoms, s.key)
		e.settle(s)
	}
	e.signals.settle(i.symptoms, now)
	e.logger.Info("incident resolved", zap.String("incident_id", i.state.ID), zap.String("resolution", string(resolution)))
	return event
}

// settle keeps what a symptom was found by from being found again once its incident is over.
func (e *engine) settle(s *symptom) {
	switch s.class {
	case classEdge:
		e.edges.Settle(s.edge.Server)
	case classLog:
		e.flow.Settle(s.entity.Name)
	case classObjective:
		e.objectives.settle(s)
	}
}

// closeAll ends all incidents at once.
func (e *engine) closeAll(resolution semconv.Resolution) []semconv.IncidentEvent {
	var events []semconv.IncidentEvent
	for _, i := range e.incidents {
		if event := e.resolve(i, resolution, e.endOf(e.next-1)); event != nil {
			events = append(events, *event)
		}
	}
	e.incidents = nil
	return events
}

func (i *incident) emit(name semconv.EventName, now time.Time) semconv.IncidentEvent {
	i.state.Revision++
	i.emitted = now
	return semconv.IncidentEvent{Name: name, Time: now, Incident: i.state}
}

// changed reports whether an incident differs in a way that somebody has to know of.
func changed(a, b semconv.Incident) bool {
	ca, cb := a.Cause(), b.Cause()
	return ca.Entity != cb.Entity || ca.Kind != cb.Kind || a.Severity != b.Severity ||
		cb.Confidence-ca.Confidence > 0.2 || ca.Confidence-cb.Confidence > 0.2 ||
		!slices.Equal(a.EntryPoints, b.EntryPoints) || len(b.Impact.Services) > len(a.Impact.Services)
}
