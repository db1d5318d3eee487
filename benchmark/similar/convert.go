package main

import (
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// dataOf is an incident as the remediation exporter hands it to the store.
func dataOf(i *semconv.Incident) eventdata.Incident {
	out := eventdata.Incident{
		ID: i.ID, Revision: i.Revision, Fingerprint: i.Fingerprint, Status: i.Status, Severity: i.Severity, Resolution: i.Resolution,
		StartedAt: moment(i.StartedAt), DetectedAt: moment(i.DetectedAt), ResolvedAt: moment(i.ResolvedAt), Title: i.Title,
		EntryPoints: i.EntryPoints, Reopened: i.Reopened, MergedInto: i.MergedInto, SplitFrom: i.SplitFrom,
		Impact: eventdata.Impact{
			Services: i.Impact.Services, Ratio: i.Impact.Ratio, Entities: i.Impact.Entities, FailureRatio: i.Impact.FailureRatio,
			Upstream: i.Impact.Upstream, Downstream: i.Impact.Downstream,
		},
	}
	for _, c := range i.Causes {
		cause := eventdata.Cause{Entity: eventdata.Entity(c.Entity), Kind: c.Kind, Confidence: c.Confidence, Share: c.Share, Resource: c.Resource}
		for _, e := range c.Evidence {
			ev := eventdata.Evidence{
				Signal: e.Signal, Onset: moment(e.Onset), Deviation: e.Deviation, Score: e.Score, Summary: e.Summary, Kind: e.Kind,
				TraceIDs: e.TraceIDs,
			}
			if e.Entity != (semconv.Entity{}) {
				entity := eventdata.Entity(e.Entity)
				ev.Entity = &entity
			}
			cause.Evidence = append(cause.Evidence, ev)
		}
		if c.Change != nil {
			change := changeOf(*c.Change)
			cause.Change = &change
		}
		out.Causes = append(out.Causes, cause)
	}
	for _, t := range i.Timeline {
		out.Timeline = append(out.Timeline, eventdata.TimelineEntry{Time: moment(t.Time), Text: t.Text})
	}
	for _, c := range i.Changes {
		out.Changes = append(out.Changes, changeOf(c))
	}
	return out
}

func changeOf(c semconv.Change) eventdata.Change {
	return eventdata.Change{Time: moment(c.Time), Entity: eventdata.Entity(c.Entity), Summary: c.Summary, Kind: c.Kind}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
