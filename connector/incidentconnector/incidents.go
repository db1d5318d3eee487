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
	// emitted is when the last event was made.
	emitted time.Time
}

// lastActive is when any of the symptoms that matter was last seen to be there: those that can open an incident and
// began with it, and those of its cause. Others come and go.
func (i *incident) lastActive() time.Time {
	last := i.state.DetectedAt
	cause := i.state.Cause().Entity
	for _, s := range i.symptoms {
		if (s.early || s.entity == cause) && s.opens && s.lastActive.After(last) {
			last = s.lastActive
		}
	}
	return last
}

// updateIncidents lets the open incidents grow, change or end, and opens new ones.
func (e *engine) updateIncidents(now time.Time) []semconv.IncidentEvent {
	var events []semconv.IncidentEvent
	free := e.sortedSymptoms(func(s *symptom) bool { return s.incident == nil && s.active() })
	var near neighbourhoods
	if len(free) > 0 {
		near = e.neighbourhoods()
	}

	free = slices.DeleteFunc(free, func(s *symptom) bool {
		for _, i := range e.incidents {
			if e.joins(s, i, near) {
				i.join(s)
				e.tell("symptom joined an open incident", s)
				return true
			}
		}
		return false
	})
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

	for _, group := range e.group(free, near) {
		if e.evidenceOf(group) < e.cfg.OpenSurprise {
			continue
		}
		if len(e.incidents) >= e.cfg.Limits.Incidents {
			e.refusals.limit++
			continue
		}
		if i := e.open(group, now); i != nil {
			events = append(events, i.emit(semconv.EventIncidentOpened, now))
		}
	}
	return events
}

func (i *incident) join(s *symptom) {
	s.incident = i
	i.symptoms = append(i.symptoms, s)
}

// sureEnough is the confidence in the top cause below which an incident waits for one more bucket before it is opened: who
// acts on an event acts on its first cause.
const sureEnough = 0.5

// open makes an incident of a group of symptoms, or returns nil to wait for more evidence.
func (e *engine) open(group []*symptom, now time.Time) *incident {
	i := &incident{symptoms: group}
	i.state = semconv.Incident{Status: semconv.StatusOpen, StartedAt: group[0].onset, DetectedAt: now}
	waited := false
	for _, s := range group {
		waited = waited || s.waited
		if s.onset.Before(i.state.StartedAt) {
			i.state.StartedAt = s.onset
		}
	}
	e.diagnose(i, now)
	if !waited && (i.state.Cause().Confidence < sureEnough || e.unclear(group, 2) || e.hearsay(group, i.state.Cause().Entity)) {
		for _, s := range group {
			s.waited = true
		}
		return nil
	}
	for _, s := range group {
		s.incident, s.early = i, true
	}
	e.incidents = append(e.incidents, i)
	// The identity follows from the data, so that a replay gives the same one.
	i.state.ID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.id.String()+"\x00"+now.Format(time.RFC3339Nano)+"\x00"+group[0].entity.String()+"\x00"+group[0].key.what+"\x00"+strconv.Itoa(e.rewinds))).String()
	e.logger.Info("incident opened", zap.String("incident_id", i.state.ID),
		zap.String("cause", i.state.Cause().Entity.String()), zap.Time("detected_at", now))
	for _, s := range group {
		e.tell("symptom opened an incident", s)
	}
	return i
}

// subsidedBuckets is for how many buckets the symptoms of an incident must be gone to say that it subsides.
const subsidedBuckets = 2

// advance brings an open incident up to date and returns its next event, if there is one.
func (e *engine) advance(i *incident, now time.Time) (event *semconv.IncidentEvent, ended bool) {
	if resolution := e.resolution(i, now); resolution != "" {
		ev := e.resolve(i, resolution, now)
		return &ev, true
	}
	subsiding := e.gaps.elapsed(i.lastActive(), now) > subsidedBuckets*e.cfg.Bucket
	if subsiding || now.Sub(i.emitted) < e.cfg.UpdateInterval {
		return nil, false
	}
	before := i.state
	e.diagnose(i, now)
	if !changed(before, i.state) && now.Sub(i.emitted) < e.cfg.RepeatInterval {
		return nil, false
	}
	ev := i.emit(semconv.EventIncidentUpdated, now)
	return &ev, false
}

// resolution says how an incident has ended, or nothing while it has not.
func (e *engine) resolution(i *incident, now time.Time) semconv.Resolution {
	still := e.gaps.elapsed(i.lastActive(), now)
	if still < e.cfg.ResolveAfter {
		return ""
	}
	// What opened the incident must be seen to be gone; mere evidence may fall silent.
	seen, unseen := 0, 0
	for _, s := range i.symptoms {
		switch {
		case !s.opens || !s.early:
		case !s.active():
			seen++
		default:
			unseen++
		}
	}
	switch {
	case unseen == 0:
		return semconv.ResolutionRecovered
	case still < e.cfg.StaleAfter:
		return ""
	case seen > unseen:
		return semconv.ResolutionRecovered
	default:
		return semconv.ResolutionNoData
	}
}

func (e *engine) resolve(i *incident, resolution semconv.Resolution, now time.Time) semconv.IncidentEvent {
	i.state.Status = semconv.StatusResolved
	i.state.Resolution = resolution
	i.state.ResolvedAt = i.lastActive()
	text := "no symptom is left"
	if resolution == semconv.ResolutionNoData {
		text = "the telemetry that showed the symptoms has stopped"
	}
	i.state.Timeline = append(slices.Clone(i.state.Timeline), semconv.TimelineEntry{Time: i.state.ResolvedAt, Text: text})
	for _, s := range i.symptoms {
		delete(e.symptoms, s.key)
		e.settle(s)
	}
	e.logger.Info("incident resolved", zap.String("incident_id", i.state.ID), zap.String("resolution", string(resolution)))
	return i.emit(semconv.EventIncidentResolved, now)
}

// settle keeps what a symptom was found by from being found again once its incident is over.
func (e *engine) settle(s *symptom) {
	switch s.class {
	case classEdge:
		e.edges.Settle(s.edge.Server)
	case classLog:
		e.flow.Settle(s.entity.Name)
	}
}

// closeAll ends all incidents at once.
func (e *engine) closeAll(resolution semconv.Resolution) []semconv.IncidentEvent {
	var events []semconv.IncidentEvent
	for _, i := range e.incidents {
		events = append(events, e.resolve(i, resolution, e.endOf(e.next-1)))
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
