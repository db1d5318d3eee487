package incidentconnector

import (
	"cmp"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// alertSurprise is the surprise from which on something is a symptom once somebody has said that something is wrong: it
// no longer has to be told from all the buckets in which nothing is.
const alertSurprise = 2

// alertBuckets is for how many buckets a symptom may be gone that an alert still is about: whoever raises it takes a while.
const alertBuckets = 12

// maxAlerts bounds the alerts that wait for their bucket to be complete.
const maxAlerts = 100

// alerts are the times of the alerts that were not answered yet.
type alerts struct {
	times []time.Time
}

func (a *alerts) add(at time.Time) bool {
	if len(a.times) >= maxAlerts {
		return false
	}
	a.times = append(a.times, at)
	return true
}

// take reports whether there was an alert before now, and forgets it.
func (a *alerts) take(now time.Time) bool {
	waiting := len(a.times)
	a.times = slices.DeleteFunc(a.times, func(at time.Time) bool { return at.Before(now) })
	return len(a.times) < waiting
}

// answer opens an incident for an alert that somebody else has raised, of the symptoms that belong together and to no
// incident yet, however weak they are, the group with the strongest evidence first. Without any symptom there is nothing to tell.
func (e *engine) answer(now time.Time) []semconv.IncidentEvent {
	free := e.sortedSymptoms(func(s *symptom) bool {
		return s.incident == nil && now.Sub(s.lastActive) <= alertBuckets*e.cfg.Bucket
	})
	if len(free) == 0 || len(e.incidents) >= e.cfg.Limits.Incidents {
		return nil
	}
	groups := e.group(free, e.neighbourhoods())
	group := slices.MaxFunc(groups, func(a, b []*symptom) int { return cmp.Compare(e.evidenceOf(a), e.evidenceOf(b)) })
	for _, s := range group {
		// Whoever has raised the alert has waited already.
		s.waited = true
	}
	i := e.open(group, leading(group), e.evidenceOf(group), now)
	if i == nil {
		return nil
	}
	e.hush(i, now)
	return e.reportAll(now, i)
}
