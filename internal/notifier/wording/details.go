package wording

import (
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// Size says how much of an incident is put into [Details].
type Size struct {
	// Causes is how many causes are named; Evidence how much of each; List bounds every other list.
	Causes, Evidence, List int
	// Text is the length of each text, in runes.
	Text int
}

// Sizes go from generous to what is small in any case: at most 150, 7 and 2.5 kB of JSON for text of one byte a rune.
var Sizes = []Size{{10, 5, 40, 500}, {3, 2, 5, 200}, {1, 1, 2, 80}}

// Details is what is known of an incident, bounded, for systems that take fields of any form.
type Details struct {
	IncidentID   string           `json:"incident_id,omitempty"`
	URL          string           `json:"url,omitempty"`
	Event        string           `json:"event"`
	Severity     string           `json:"severity,omitempty"`
	Status       string           `json:"status,omitempty"`
	Revision     int64            `json:"revision,omitempty"`
	Occurrence   int              `json:"occurrence,omitempty"`
	Cluster      string           `json:"cluster,omitempty"`
	Owner        string           `json:"owner,omitempty"`
	Acknowledged string           `json:"acknowledged_by,omitempty"`
	Resolution   string           `json:"resolution,omitempty"`
	StartedAt    string           `json:"started_at,omitempty"`
	DetectedAt   string           `json:"detected_at,omitempty"`
	ResolvedAt   string           `json:"resolved_at,omitempty"`
	Causes       []CauseDetails   `json:"causes,omitempty"`
	Impact       string           `json:"impact,omitempty"`
	EntryPoints  []string         `json:"entry_points,omitempty"`
	Upstream     []string         `json:"upstream,omitempty"`
	Downstream   []string         `json:"downstream,omitempty"`
	ErrorBudgets []string         `json:"error_budgets,omitempty"`
	Changes      []string         `json:"changes,omitempty"`
	SeenBefore   []string         `json:"seen_before,omitempty"`
	Timeline     []string         `json:"timeline,omitempty"`
	Action       *ActionDetails   `json:"action,omitempty"`
	Guard        *eventdata.Guard `json:"guard,omitempty"`
	News         []string         `json:"news,omitempty"`
	Truncated    bool             `json:"truncated,omitempty"`
}

// CauseDetails is a candidate for the cause.
type CauseDetails struct {
	Entity     string   `json:"entity"`
	Kind       string   `json:"kind,omitempty"`
	Confidence float64  `json:"confidence"`
	Evidence   []string `json:"evidence,omitempty"`
	Change     string   `json:"change,omitempty"`
}

// ActionDetails is what a playbook did or wants.
type ActionDetails struct {
	Playbook     string   `json:"playbook"`
	Step         int      `json:"step"`
	Action       string   `json:"action,omitempty"`
	Target       string   `json:"target,omitempty"`
	Outcome      string   `json:"outcome,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	Detail       string   `json:"detail,omitempty"`
	Plan         string   `json:"plan,omitempty"`
	Destructive  bool     `json:"destructive,omitempty"`
	Undoable     bool     `json:"undoable,omitempty"`
	Commands     []string `json:"commands,omitempty"`
	ApproveUntil string   `json:"approve_until,omitempty"`
	Escalated    bool     `json:"escalated,omitempty"`
}

// NewDetails collects as much of a message as a size allows.
func NewDetails(m *notifier.Message, size Size) Details {
	d := Details{
		Event: size.line(string(m.Type)), URL: m.Links.Incident, Cluster: size.line(m.Cluster), Owner: size.line(m.Owner),
		Acknowledged: size.line(m.Acknowledged), Truncated: m.Truncated, Action: newAction(m.Remediation, size), Guard: newGuard(m.Guard, size),
		SeenBefore: upTo(size, m.Similar, saySimilar),
	}
	inc := m.Incident
	if inc == nil {
		if m.Guard == nil {
			d.News = upTo(size, Tell(m).Lines(), itself)
		}
		return d
	}
	d.IncidentID, d.Severity, d.Status = size.line(inc.ID), size.line(string(inc.Severity)), size.line(string(inc.Status))
	d.Revision, d.Occurrence, d.Resolution = inc.Revision, m.Occurrence, size.line(string(inc.Resolution))
	d.StartedAt, d.DetectedAt, d.ResolvedAt = stamp(inc.StartedAt), stamp(inc.DetectedAt), stamp(inc.ResolvedAt)
	d.Impact, d.ErrorBudgets = size.line(impact(&inc.Impact)), upTo(size, inc.Impact.Objectives, sayObjective)
	d.EntryPoints = upTo(size, inc.EntryPoints, itself)
	d.Upstream, d.Downstream = upTo(size, inc.Impact.Upstream, itself), upTo(size, inc.Impact.Downstream, itself)
	for i := range inc.Causes[:min(size.Causes, len(inc.Causes))] {
		d.Causes = append(d.Causes, newCause(&inc.Causes[i], size))
	}
	d.Changes = upTo(size, inc.Changes, sayChange)
	d.Timeline = upTo(size, inc.Timeline, func(t *eventdata.TimelineEntry) string { return stamp(t.Time) + " " + t.Text })
	d.Truncated = d.Truncated || len(inc.Causes) > size.Causes || len(inc.Changes) > size.List || len(inc.Timeline) > size.List
	return d
}

func newCause(c *eventdata.Cause, size Size) CauseDetails {
	out := CauseDetails{Entity: size.line(c.Entity.Name), Kind: size.line(string(c.Kind)), Confidence: min(max(c.Confidence, 0), 1)}
	for _, line := range sayFirst(c.Evidence, size.Evidence, sayEvidence) {
		out.Evidence = append(out.Evidence, size.line(line))
	}
	if c.Change != nil {
		out.Change = size.line(sayChange(c.Change))
	}
	return out
}

func newAction(r *eventdata.Remediation, size Size) *ActionDetails {
	if r == nil {
		return nil
	}
	out := &ActionDetails{
		Playbook: size.line(r.Playbook), Step: r.Step, Action: size.line(r.Action), Target: size.line(r.Target), Outcome: size.line(r.Outcome),
		Reason: size.line(string(r.Reason)), Detail: size.line(r.Detail), ApproveUntil: stamp(r.ApproveUntil), Escalated: r.Escalated,
	}
	if p := r.Plan; p != nil {
		out.Plan, out.Destructive, out.Undoable = size.line(p.Summary), p.Destructive, p.Undoable
		out.Commands = upTo(size, p.Commands, itself)
	}
	return out
}

func newGuard(g *eventdata.Guard, size Size) *eventdata.Guard {
	if g == nil {
		return nil
	}
	return &eventdata.Guard{Name: size.line(g.Name), Key: size.line(g.Key), State: size.line(g.State), Detail: size.line(g.Detail), By: size.line(g.By)}
}

func (s *Size) line(text string) string { return notifier.Line(text, s.Text) }

// upTo says a line for each item of a list that a size allows.
func upTo[T any](size Size, items []T, say func(*T) string) []string {
	lines := sayFirst(items, size.List, say)
	for i := range lines {
		lines[i] = size.line(lines[i])
	}
	return lines
}

func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
