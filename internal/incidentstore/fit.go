package incidentstore

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// bounds are how much of an incident is stored.
type bounds struct {
	causes, evidence, resource, names, timeline, changes, traces int
	// text is in bytes.
	text int
}

// levels go from as good as everything to what fits in any case.
var levels = []bounds{
	{causes: 50, evidence: 200, resource: 100, names: 1000, timeline: 1000, changes: 200, traces: 8, text: maxLong},
	{causes: 20, evidence: 20, resource: 64, names: 200, timeline: 100, changes: 50, traces: 8, text: 1024},
	{causes: 10, evidence: 5, resource: 32, names: 50, timeline: 20, changes: 10, traces: 3, text: 256},
	{causes: 3, evidence: 2, resource: 16, names: 10, timeline: 5, changes: 3, traces: 1, text: 128},
	{causes: 1, text: 64},
}

// fitted is an incident as it can be stored, and its documents.
type fitted struct {
	*eventdata.Incident
	doc, details string
}

// details are what lists leave out, besides evidence.
type details struct {
	Timeline []eventdata.TimelineEntry `json:"timeline,omitempty"`
	Changes  []eventdata.Change        `json:"changes,omitempty"`
}

// fit returns a copy that every database stores and that has at most limit bytes, and whether more than the usual was cut. It fails
// where nothing fits.
func fit(inc *eventdata.Incident, limit int) (f *fitted, cut, ok bool) {
	for n, b := range levels {
		c := b.incident(inc)
		size := 0
		for _, cause := range c.Causes {
			for _, e := range cause.Evidence {
				size += 128 + len(e.Signal) + len(e.Summary)
			}
		}
		brief := *c
		brief.Timeline, brief.Changes = nil, nil
		brief.Causes = slices.Clone(c.Causes)
		for i := range brief.Causes {
			brief.Causes[i].Evidence = nil
		}
		doc, err := encode(&brief)
		if err != nil {
			continue
		}
		more, err := encode(details{c.Timeline, c.Changes})
		if err != nil || size+len(doc)+len(more) > limit {
			continue
		}
		return &fitted{c, doc, more}, n > 0, true
	}
	return nil, true, false
}

func (b bounds) incident(in *eventdata.Incident) *eventdata.Incident {
	out := *in
	out.ID, out.Fingerprint = clean(in.ID, maxID), clean(in.Fingerprint, maxID)
	out.Status, out.Severity, out.Resolution = word(in.Status), word(in.Severity), word(in.Resolution)
	out.StartedAt, out.DetectedAt, out.ResolvedAt, out.UnknownSince = date(in.StartedAt), date(in.DetectedAt), date(in.ResolvedAt), date(in.UnknownSince)
	out.Title, out.SilencedBy = clean(in.Title, b.text), clean(in.SilencedBy, b.text)
	out.MergedInto, out.SplitFrom = clean(in.MergedInto, maxID), clean(in.SplitFrom, maxID)
	out.EntryPoints = b.list(in.EntryPoints)
	out.Impact = b.impact(in.Impact)
	out.Causes, out.Timeline, out.Changes = nil, nil, nil
	for _, c := range head(in.Causes, b.causes) {
		out.Causes = append(out.Causes, b.cause(c))
	}
	for _, t := range head(in.Timeline, b.timeline) {
		out.Timeline = append(out.Timeline, eventdata.TimelineEntry{Time: date(t.Time), Text: clean(t.Text, b.text)})
	}
	for _, c := range head(in.Changes, b.changes) {
		out.Changes = append(out.Changes, b.change(c))
	}
	return &out
}

func (b bounds) cause(in eventdata.Cause) eventdata.Cause {
	out := eventdata.Cause{Entity: b.entity(in.Entity), Kind: word(in.Kind), Confidence: number(in.Confidence), Share: number(in.Share)}
	for _, k := range head(slices.Sorted(maps.Keys(in.Resource)), b.resource) {
		if out.Resource == nil {
			out.Resource = map[string]string{}
		}
		out.Resource[clean(k, b.text)] = clean(in.Resource[k], b.text)
	}
	for _, e := range head(in.Evidence, b.evidence) {
		ev := eventdata.Evidence{
			Signal: clean(e.Signal, b.text), Onset: date(e.Onset), Deviation: number(e.Deviation), Score: number(e.Score),
			Summary: clean(e.Summary, b.text), Kind: word(e.Kind),
		}
		if e.Entity != nil {
			entity := b.entity(*e.Entity)
			ev.Entity = &entity
		}
		for _, id := range head(e.TraceIDs, b.traces) {
			ev.TraceIDs = append(ev.TraceIDs, clean(id, 64))
		}
		out.Evidence = append(out.Evidence, ev)
	}
	if in.Change != nil {
		change := b.change(*in.Change)
		out.Change = &change
	}
	return out
}

func (b bounds) change(in eventdata.Change) eventdata.Change {
	return eventdata.Change{Time: date(in.Time), Entity: b.entity(in.Entity), Summary: clean(in.Summary, b.text), Kind: string(word(semconv.CauseKind(in.Kind)))}
}

func (b bounds) entity(in eventdata.Entity) eventdata.Entity {
	return eventdata.Entity{Type: word(in.Type), Name: clean(in.Name, max(b.text, 253))}
}

func (b bounds) impact(in eventdata.Impact) eventdata.Impact {
	out := eventdata.Impact{
		Services: b.list(in.Services), Ratio: number(in.Ratio), Entities: in.Entities, FailureRatio: number(in.FailureRatio),
		Upstream: b.list(in.Upstream), Downstream: b.list(in.Downstream),
	}
	for _, o := range head(in.Objectives, b.names) {
		out.Objectives = append(out.Objectives, eventdata.Objective{
			Objective: clean(o.Objective, b.text), Service: clean(o.Service, b.text), BurnRate: number(o.BurnRate), BudgetConsumed: number(o.BudgetConsumed),
		})
	}
	return out
}

func (b bounds) list(in []string) []string {
	var out []string
	for _, s := range head(in, b.names) {
		out = append(out, clean(s, max(b.text, 253)))
	}
	return out
}

// word is a name of ours, which is short.
func word[T ~string](w T) T { return T(clean(string(w), 128)) }

// number is one that JSON has.
func number(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// date is a time after it was stored.
func date(t *time.Time) *time.Time { return momentOf(microsOf(t)) }

func head[T any](s []T, n int) []T { return s[:min(len(s), n)] }
