package incidentconnector

import (
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// maxToldChanges is how many changes an incident tells of: the newest.
const maxToldChanges = 20

// change is a change of an entity.
type change struct {
	semconv.Change
	// treatment is set for what changes nothing that could be a cause.
	treatment bool
	// weak is set where it is only supposed that the entity is concerned.
	weak bool
}

// isTreatment reports whether a kind of change changes nothing that could be a cause.
func isTreatment(kind string) bool {
	return kind == semconv.ChangeRestart || kind == semconv.ChangeScaling
}

// changes are the newest changes of entities.
type changes struct {
	limit int
	list  []change
}

// add remembers a change. What is told twice at the same time counts once.
func (c *changes) add(added change) {
	if slices.ContainsFunc(c.list, func(old change) bool {
		return old.Time.Equal(added.Time) && old.Entity == added.Entity && old.Summary == added.Summary
	}) {
		return
	}
	if len(c.list) >= c.limit {
		c.list = slices.Delete(c.list, 0, len(c.list)-c.limit+1)
	}
	c.list = append(c.list, added)
}

func (c *changes) forget(before time.Time) {
	c.list = slices.DeleteFunc(c.list, func(old change) bool { return old.Time.Before(before) })
}

// noteChange remembers a change of an entity.
func (e *engine) noteChange(at time.Time, entity semconv.Entity, kind, summary string, weak bool) {
	e.changes.add(change{
		Change:    semconv.Change{Time: at, Entity: entity, Summary: bounded(summary), Kind: kind},
		treatment: isTreatment(kind), weak: weak,
	})
}

// subjectsOf returns the entities that a change concerns: its own, and the services that run as it.
func (e *engine) subjectsOf(c *change) []semconv.Entity {
	if c.Entity.Type == semconv.EntityService {
		return []semconv.Entity{c.Entity}
	}
	subjects := []semconv.Entity{c.Entity}
	if runsAs(c.Entity) {
		if services := e.servicesOn(c.Entity); len(services) > 0 {
			return append(subjects, services...)
		}
	}
	if subject := e.subject(c.Entity); subject != c.Entity {
		subjects = append(subjects, subject)
	}
	return subjects
}

// precedingChanges returns for each entity the newest change before an incident was found that could have caused it; one of
// which it is only supposed that it concerns the entity, when there is no other. What is changed later is a treatment.
func (e *engine) precedingChanges(i *incident) map[semconv.Entity]*change {
	found := map[semconv.Entity]*change{}
	for n := range e.changes.list {
		c := &e.changes.list[n]
		if c.treatment || c.Time.After(i.changeable) || c.Time.Before(i.state.StartedAt.Add(-e.cfg.ChangeWindow)) {
			continue
		}
		for _, subject := range e.subjectsOf(c) {
			if old := found[subject]; old == nil || old.weak && !c.weak || old.weak == c.weak && !c.Time.Before(old.Time) {
				found[subject] = c
			}
		}
	}
	return found
}

// changedBefore reports whether an entity is known to have been changed before the incident that is diagnosed was found.
func (e *engine) changedBefore(entity semconv.Entity) bool {
	c := e.preceding[entity]
	return c != nil && !c.weak
}

// changesNear returns the newest changes before and during an incident, in the order in which they were told.
func (e *engine) changesNear(start, now time.Time) []semconv.Change {
	var out []semconv.Change
	for _, c := range e.changes.list {
		if !c.Time.Before(start.Add(-e.cfg.ChangeWindow)) && !c.Time.After(now) {
			out = append(out, c.Change)
		}
	}
	return out[max(0, len(out)-maxToldChanges):]
}
