package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// facts is what was seen of one run. It is all that the verdict rests on.
type facts struct {
	fault fault
	// injected is the wall time of the injection.
	injected   time.Time
	events     []seenEvent // since the collector started, in order
	deliveries []delivery
	// active and ended are the faults of the shop when last asked.
	active, ended []fault
	// series and early tell how the run went before the injection: what was learnt, and incidents that nothing caused.
	series, early int
}

// verdict is what became of the loop.
type verdict struct {
	// opened is the first event of the incident that the verdict is about; action is the first that was asked for
	// because of it; acting is the last event before that action, or of all when there was none.
	opened, acting, resolved *seenEvent
	named                    *seenEvent // the first that names the right service first
	action, succeeded        *delivery
	// rankAtOpening and rankAtAction are the place of the right service among the causes from 1 on, 0 if it is not there.
	rankAtOpening, rankAtAction int
	others                      int // further incidents after the injection
	missing                     []string
}

func (v *verdict) closed() bool { return len(v.missing) == 0 }

// judge says how far the loop has closed. The incident in question is the first that was opened after the injection,
// unless another was acted upon first: then it is that one. The right service must be the target of the first action,
// which is the first cause of the incident at that moment: a later correction does not undo a wrong action.
func judge(f *facts, detectWithin time.Duration) verdict {
	var v verdict
	v.action = first(f.deliveries, func(d delivery) bool {
		return d.Action != "" && d.Type == string(semconv.EventTypeRemediationStarted) && d.Time.After(f.injected)
	})
	id := ""
	if v.action != nil {
		id = v.action.Incident
	}
	opened := map[string]bool{}
	for i := range f.events {
		e := &f.events[i]
		if e.Name != semconv.EventIncidentOpened || e.seen.Before(f.injected) {
			continue
		}
		opened[e.Incident.ID] = true
		if id == "" {
			id = e.Incident.ID
		}
	}
	v.others = len(opened)
	for i := range f.events {
		if e := &f.events[i]; e.Incident.ID == id && id != "" {
			v.take(e, f.fault.Service)
		}
	}
	if opened[id] {
		v.others--
	}
	v.succeeded = first(f.deliveries, func(d delivery) bool {
		return d.Type == string(semconv.EventTypeRemediationSucceeded) && d.Incident == id && id != "" && d.Verified
	})
	v.missing = v.whatIsMissing(f, detectWithin, opened[id])
	return v
}

func (v *verdict) take(e *seenEvent, service string) {
	rank := rankOf(e.Incident.Causes, service)
	switch e.Name {
	case semconv.EventIncidentOpened:
		v.opened, v.rankAtOpening = e, rank
	case semconv.EventIncidentResolved:
		v.resolved = e
	}
	// The event's own time counts: we see it in the file a little later.
	if e.Name != semconv.EventIncidentResolved && (v.action == nil || !e.Time.After(v.action.Time)) {
		v.acting, v.rankAtAction = e, rank
	}
	if rank == 1 && v.named == nil {
		v.named = e
	}
}

func (v *verdict) whatIsMissing(f *facts, detectWithin time.Duration, afterInjection bool) []string {
	var missing []string
	lack := func(format string, args ...any) { missing = append(missing, fmt.Sprintf(format, args...)) }
	switch {
	case v.opened == nil:
		lack("detection: no incident was opened")
	case !afterInjection:
		lack("detection: the incident that was acted upon had been opened before the fault")
	case v.opened.seen.Sub(f.injected) > detectWithin:
		lack("detection: took %s, more than %s", seconds(v.opened.seen.Sub(f.injected)), seconds(detectWithin))
	}
	switch {
	case v.action != nil && workload(v.action.Service) != f.fault.Service:
		lack("cause: %q was treated, but %q is broken", v.action.Service, f.fault.Service)
	case v.opened != nil && v.named == nil:
		lack("cause: %q was never named first", f.fault.Service)
	}
	switch {
	case v.action == nil:
		lack("webhook: no action was asked for")
	case !v.action.Verified:
		lack("webhook: its signature was not verified")
	case v.action.Status != 200:
		lack("webhook: the shop answered %d: %s", v.action.Status, v.action.Result)
	}
	if ended := first(f.ended, func(e fault) bool { return e.ID == f.fault.ID }); ended == nil || len(f.active) > 0 {
		lack("cure: the fault is still in force")
	} else if !strings.HasPrefix(ended.Ended, "cured by "+ended.Cure) {
		lack("cure: the fault ended otherwise: %s", ended.Ended)
	}
	switch {
	case v.resolved == nil:
		lack("recovery: the incident was not resolved")
	case v.resolved.Incident.Resolution != semconv.ResolutionRecovered:
		lack("recovery: the incident ended as %q", v.resolved.Incident.Resolution)
	}
	if v.succeeded == nil {
		lack("recovery: the remediation was not reported as succeeded")
	}
	return missing
}

// detection returns how long detection took, on the wall clock and in event time.
func (v *verdict) detection(f *facts) (wall, event time.Duration) {
	return v.opened.seen.Sub(f.injected), v.opened.Incident.DetectedAt.Sub(f.fault.Since)
}

// rankOf returns the place of a service among the causes, from 1 on, and 0 if it is not among them.
func rankOf(causes []semconv.Cause, service string) int {
	for i := range causes {
		c := &causes[i]
		if workload(c.Entity.Name) == service || c.Entity.Type != semconv.EntityService && c.Resource["service.name"] == service {
			return i + 1
		}
	}
	return 0
}

// workload returns the workload of an entity's name: the shop's namespace before it and a database behind it say
// nothing more.
func workload(name string) string {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "shop/"), "/")
	return name
}

func first[T any](list []T, matches func(T) bool) *T {
	for i := range list {
		if matches(list[i]) {
			return &list[i]
		}
	}
	return nil
}
