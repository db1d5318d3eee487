package incidentconnector

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/semconv"
)

// endedIncident is what is remembered of an incident for the time in which it may come back.
type endedIncident struct {
	state semconv.Incident
	// opened are the symptoms that opened it or were there to the end, and at is when it was resolved.
	opened []symptomKey
	at     time.Time
	// changeable is that of the incident.
	changeable time.Time
	// flaps is that of the incident, and after how long its symptoms had to be gone.
	flaps int
	after time.Duration
}

// end remembers an incident that was resolved. As many are remembered as may be open, the oldest are forgotten first.
func (e *engine) end(i *incident, now time.Time) {
	ended := &endedIncident{state: i.state, at: now, changeable: i.changeable, flaps: i.flaps, after: e.resolveAfter(i)}
	for _, s := range i.symptoms {
		if s.opens && (s.early || s.active()) {
			ended.opened = append(ended.opened, s.key)
		}
	}
	if len(e.ended) >= e.cfg.Limits.Incidents {
		e.ended = slices.Delete(e.ended, 0, 1)
	}
	e.ended = append(e.ended, ended)
}

func (e *engine) forgetEnded(now time.Time) {
	e.ended = slices.DeleteFunc(e.ended, func(ended *endedIncident) bool { return now.Sub(ended.at) > e.cfg.ReopenWindow })
}

// reopen lets a new incident go on with the identity of one that was resolved a moment ago, if it is the same trouble.
func (e *engine) reopen(i *incident, lead *symptom, now time.Time) bool {
	// The newest is the likeliest.
	for at := len(e.ended) - 1; at >= 0; at-- {
		ended := e.ended[at]
		if now.Sub(ended.at) > e.cfg.ReopenWindow {
			continue
		}
		why := ended.comesBackAs(i)
		if why == "" {
			continue
		}
		e.ended = slices.Delete(e.ended, at, at+1)
		fresh := i.state
		i.changeable = ended.changeable
		i.state = ended.state
		i.state.Status, i.state.Resolution, i.state.ResolvedAt = semconv.StatusOpen, "", time.Time{}
		i.state.UnknownSince = time.Time{}
		if i.state.Revision > 0 {
			// It was told of before: what kept it back then does not now.
			i.state.SilencedBy = ""
		}
		i.state.DetectedAt = now
		i.state.Reopened++
		i.flaps = ended.flaps
		if i.since.Sub(ended.state.ResolvedAt) < 2*ended.after {
			i.flaps++
		}
		if graver(fresh.Severity, i.state.Severity) {
			i.state.Severity = fresh.Severity
		}
		e.diagnose(i, now)
		e.decide(now, i, lead, verdictReopened, why, "it was resolved %s ago", now.Sub(ended.at))
		e.logger.Info("incident reopened", zap.String("incident_id", i.state.ID), zap.Int64("times", i.state.Reopened))
		return true
	}
	return false
}

// comesBackAs says why a new incident is one that has ended, or nothing: both have the same first cause, or one of them was
// not sure of it, and most of the symptoms that open the new one were there before.
func (ended *endedIncident) comesBackAs(i *incident) reason {
	was, is := ended.state.Cause(), i.state.Cause()
	if was.Entity == is.Entity && was.Entity != (semconv.Entity{}) {
		return reasonCause
	}
	if was.Confidence >= sureEnough && is.Confidence >= sureEnough {
		return ""
	}
	before, opening := 0, 0
	for _, s := range i.symptoms {
		if !s.opens {
			continue
		}
		opening++
		if slices.Contains(ended.opened, s.key) {
			before++
		}
	}
	if before > 0 && 2*before >= opening {
		return reasonSymptoms
	}
	return ""
}
