package incidentconnector

import (
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// silence is a silence of the configuration, ready to be asked.
type silence struct {
	name     string
	cfg      *SilenceConfig
	entities globs
	resource map[string]globs
	location *time.Location
}

func newSilences(configs []SilenceConfig) []silence {
	var out []silence
	for at := range configs {
		c := &configs[at]
		s := silence{name: c.Name, cfg: c, entities: newGlobs(c.Matchers.Entities), resource: map[string]globs{}, location: time.UTC}
		for attribute, pattern := range c.Matchers.Resource {
			s.resource[attribute] = newGlobs([]string{pattern})
		}
		if location, err := time.LoadLocation(c.TimeZone); err == nil {
			s.location = location
		}
		out = append(out, s)
	}
	return out
}

// holds reports whether the silence is on at a time: within its start and its end, or after one of its recurring starts.
func (s *silence) holds(at time.Time) bool {
	c := s.cfg
	if c.At == "" {
		return !at.Before(c.start()) && at.Before(c.end())
	}
	if !c.start().IsZero() && at.Before(c.start()) || !c.end().IsZero() && !at.Before(c.end()) {
		return false
	}
	hour, minute := c.clock()
	local := at.In(s.location)
	for back := range int(c.Duration/(24*time.Hour)) + 2 {
		wanted := time.Date(local.Year(), local.Month(), local.Day()-back, hour, minute, 0, 0, time.UTC)
		begin := onClock(wanted, s.location)
		if !at.Before(begin) && at.Before(begin.Add(c.Duration)) && c.recursOn(wanted.Weekday()) {
			return true
		}
	}
	return false
}

// onClock returns when the clocks of a place show a time, for the first time where they are put back, and where they skip it
// as much later as they are put forward (RFC 5545, section 3.3.5).
func onClock(wanted time.Time, location *time.Location) time.Time {
	_, offset := wanted.Add(-24 * time.Hour).In(location).Zone()
	asBefore := wanted.Add(-time.Duration(offset) * time.Second).In(location)
	at := time.Date(wanted.Year(), wanted.Month(), wanted.Day(), wanted.Hour(), wanted.Minute(), 0, 0, location)
	shows := func(t time.Time) bool {
		return t.Day() == wanted.Day() && t.Hour() == wanted.Hour() && t.Minute() == wanted.Minute()
	}
	if shows(asBefore) || !shows(at) {
		return asBefore
	}
	return at
}

// covers reports whether something with these properties is matched. What is not known does not match.
func (s *silence) covers(entity semconv.Entity, resource map[string]string, kind semconv.CauseKind) bool {
	m := &s.cfg.Matchers
	if len(m.EntityTypes) > 0 && !slices.Contains(m.EntityTypes, string(entity.Type)) ||
		len(m.Kinds) > 0 && !slices.Contains(m.Kinds, string(kind)) ||
		len(m.Entities) > 0 && !s.entities.match(entity.Name) {
		return false
	}
	for attribute, pattern := range s.resource {
		if value, ok := resource[attribute]; !ok || !pattern.match(value) {
			return false
		}
	}
	return true
}

// silences reports whether an incident is silenced: its first cause is matched, or all of the active symptoms that can open
// an incident are.
func (s *silence) silences(e *engine, i *incident, now time.Time) bool {
	if !s.holds(now) || len(s.cfg.Matchers.Severities) > 0 && !slices.Contains(s.cfg.Matchers.Severities, string(i.state.Severity)) {
		return false
	}
	if cause := i.state.Cause(); cause.Entity != (semconv.Entity{}) && s.covers(cause.Entity, cause.Resource, cause.Kind) {
		return true
	}
	all := false
	for _, symptom := range i.symptoms {
		if !symptom.opens || !symptom.active() {
			continue
		}
		resource := symptom.resource
		if resource == nil && symptom.entity.Type == semconv.EntityService {
			resource = e.directory.resources[symptom.entity.Name]
		}
		if !s.covers(symptom.entity, resource, symptom.kind) {
			return false
		}
		all = true
	}
	return all
}

// silencedBy returns the name of the first silence that matches an incident now.
func (e *engine) silencedBy(i *incident, now time.Time) string {
	for at := range e.silences {
		if s := &e.silences[at]; s.silences(e, i, now) {
			return s.name
		}
	}
	return ""
}

// hush finds out whether an incident is silenced now, and reports whether a silence has just ended.
func (e *engine) hush(i *incident, now time.Time) (over bool) {
	by := e.silencedBy(i, now)
	if by == i.silence {
		return false
	}
	over = by == ""
	i.silence = by
	if !over {
		e.decide(now, i, nil, verdictMuted, reasonSilence, "by %s", by)
	}
	return over
}

// report tells how an incident stands, unless it is silenced. One that was silenced from its beginning is told of as opened
// when its silence is over.
func (e *engine) report(i *incident, now time.Time) *semconv.IncidentEvent {
	if i.silence != "" {
		if !i.told {
			i.state.SilencedBy = i.silence
		}
		e.muted++
		i.emitted = now
		return nil
	}
	if !i.told && i.state.SilencedBy != "" {
		e.decide(now, i, nil, verdictOpened, reasonSilenceOver, "%s kept it from being told of since %s", i.state.SilencedBy, i.found.Format(time.RFC3339))
	}
	event := i.show(now)
	return &event
}

// show tells how an incident stands, silenced or not.
func (i *incident) show(now time.Time) semconv.IncidentEvent {
	if !i.told {
		i.told = true
		return i.emit(semconv.EventIncidentOpened, now)
	}
	return i.emit(semconv.EventIncidentUpdated, now)
}

// warmingUp reports whether it is too early to open anything.
func (e *engine) warmingUp(now time.Time) bool { return now.Sub(e.warmFrom) < e.cfg.WarmUp }
