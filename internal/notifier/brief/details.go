package brief

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
	Changes      []string         `json:"changes,omitempty"`
	Timeline     []string         `json:"timeline,omitempty"`
	Action       *ActionDetails   `json:"action,omitempty"`
	Storm        []string         `json:"storm,omitempty"`
	Guard        *eventdata.Guard `json:"guard,omitempty"`
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
		Event: notifier.Line(string(m.Type), size.Text), URL: m.Links.Incident, Cluster: notifier.Line(m.Cluster, size.Text), Owner: notifier.Line(m.Owner, size.Text),
		Acknowledged: notifier.Line(m.Acknowledged, size.Text), Truncated: m.Truncated, Action: newAction(m.Remediation, size),
	}
	if g := m.Guard; g != nil {
		d.Guard = &eventdata.Guard{
			Name: notifier.Line(g.Name, size.Text), Key: notifier.Line(g.Key, size.Text), State: notifier.Line(g.State, size.Text),
			Detail: notifier.Line(g.Detail, size.Text), By: notifier.Line(g.By, size.Text),
		}
	}
	d.Storm = head(stormLines(m), size.List)
	inc := m.Incident
	if inc == nil {
		return d
	}
	d.IncidentID, d.Severity, d.Status = notifier.Line(inc.ID, size.Text), notifier.Line(string(inc.Severity), size.Text), notifier.Line(string(inc.Status), size.Text)
	d.Revision, d.Occurrence, d.Resolution = inc.Revision, m.Occurrence, notifier.Line(string(inc.Resolution), size.Text)
	d.StartedAt, d.DetectedAt, d.ResolvedAt = stamp(inc.StartedAt), stamp(inc.DetectedAt), stamp(inc.ResolvedAt)
	d.Impact = notifier.Line(Impact(inc), size.Text)
	d.EntryPoints, d.Upstream, d.Downstream = names(inc.EntryPoints, size), names(inc.Impact.Upstream, size), names(inc.Impact.Downstream, size)
	for _, c := range head(inc.Causes, size.Causes) {
		d.Causes = append(d.Causes, newCause(&c, size))
	}
	for _, c := range head(inc.Changes, size.List) {
		d.Changes = append(d.Changes, notifier.Line(Change(&c), size.Text))
	}
	for _, t := range head(inc.Timeline, size.List) {
		line := t.Text
		if t.Time != nil {
			line = stamp(t.Time) + " " + line
		}
		d.Timeline = append(d.Timeline, notifier.Line(line, size.Text))
	}
	d.Truncated = d.Truncated || len(inc.Causes) > size.Causes || len(inc.Changes) > size.List || len(inc.Timeline) > size.List
	return d
}

func newCause(c *eventdata.Cause, size Size) CauseDetails {
	out := CauseDetails{
		Entity: notifier.Line(c.Entity.Name, size.Text), Kind: notifier.Line(string(c.Kind), size.Text), Confidence: min(max(c.Confidence, 0), 1),
	}
	for _, e := range head(c.Evidence, size.Evidence) {
		if s := notifier.Line(Evidence(&e), size.Text); s != "" {
			out.Evidence = append(out.Evidence, s)
		}
	}
	if c.Change != nil {
		out.Change = notifier.Line(Change(c.Change), size.Text)
	}
	return out
}

func newAction(r *eventdata.Remediation, size Size) *ActionDetails {
	if r == nil {
		return nil
	}
	out := &ActionDetails{
		Playbook: notifier.Line(r.Playbook, size.Text), Step: r.Step, Action: notifier.Line(r.Action, size.Text), Target: notifier.Line(r.Target, size.Text),
		Outcome: notifier.Line(r.Outcome, size.Text), Reason: notifier.Line(string(r.Reason), size.Text), Detail: notifier.Line(r.Detail, size.Text),
		ApproveUntil: stamp(r.ApproveUntil), Escalated: r.Escalated,
	}
	if p := r.Plan; p != nil {
		out.Plan, out.Destructive, out.Undoable = notifier.Line(p.Summary, size.Text), p.Destructive, p.Undoable
		out.Commands = names(p.Commands, size)
	}
	return out
}

func names(in []string, size Size) []string {
	var out []string
	for _, s := range head(in, size.List) {
		if s = notifier.Line(s, size.Text); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func head[T any](s []T, n int) []T { return s[:min(len(s), n)] }
