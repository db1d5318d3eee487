package remediationexporter

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxPlanned bounds the objects, checks and commands of a plan in an event.
const maxPlanned = 20

func newPlanData(p *playbook.Plan) *eventdata.Plan {
	out := &eventdata.Plan{Summary: clip(p.Summary, maxDetail), Pods: p.Weight, Population: p.Population, Destructive: p.Destructive, Undoable: p.Undoable}
	var body kubeaction.Plan
	if json.Unmarshal(p.Body, &body) != nil {
		return out
	}
	for _, o := range head(body.Objects, maxPlanned) {
		out.Objects = append(out.Objects, o.String())
	}
	for _, c := range head(body.Checks, maxPlanned) {
		c.Detail = clip(c.Detail, maxDetail)
		out.Checks = append(out.Checks, eventdata.Check(c))
	}
	for _, c := range head(body.Commands, maxPlanned) {
		out.Commands = append(out.Commands, clip(c, maxDetail))
	}
	return out
}

// bounds are how much of an incident is put into an event.
type bounds struct {
	causes, evidence, resource, names, timeline, changes, graph int
	// traces is how many examples each evidence keeps.
	traces int
	// text is in runes.
	text int
}

// levels go from everything to what fits the smallest max_body_size in any case.
var levels = []bounds{
	{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt},
	{20, 20, 64, 200, 100, 50, semconv.MaxGraphEdges, semconv.MaxTraceIDs, 1024},
	{10, 5, 32, 50, 20, 10, 20, 3, 256},
	{3, 2, 16, 10, 5, 3, 5, 1, 128},
	{1, 0, 0, 0, 0, 0, 0, 0, 64},
}

func newIncidentData(inc *semconv.Incident, b bounds) eventdata.Incident {
	out := eventdata.Incident{
		ID: inc.ID, Revision: inc.Revision, Fingerprint: clip(inc.Fingerprint, b.text), Status: inc.Status, Severity: inc.Severity,
		Resolution: inc.Resolution, StartedAt: moment(inc.StartedAt), DetectedAt: moment(inc.DetectedAt),
		ResolvedAt: moment(inc.ResolvedAt), Title: clip(inc.Title, b.text), Causes: []eventdata.Cause{},
		EntryPoints: clipAll(inc.EntryPoints, b), Impact: newImpactData(&inc.Impact, b),
		Timeline: []eventdata.TimelineEntry{}, Changes: []eventdata.Change{},
		Reopened: inc.Reopened, MergedInto: clip(inc.MergedInto, b.text), SplitFrom: clip(inc.SplitFrom, b.text),
		UnknownSince: moment(inc.UnknownSince), SilencedBy: clip(inc.SilencedBy, b.text),
	}
	for _, c := range head(inc.Causes, b.causes) {
		cd := eventdata.Cause{
			Entity: newEntityData(c.Entity, b), Kind: semconv.CauseKind(clip(string(c.Kind), b.text)), Confidence: c.Confidence,
			Share: c.Share, Evidence: []eventdata.Evidence{},
		}
		for _, k := range head(sortedKeys(c.Resource), b.resource) {
			if cd.Resource == nil {
				cd.Resource = map[string]string{}
			}
			cd.Resource[clip(k, b.text)] = clip(c.Resource[k], b.text)
		}
		for _, e := range head(c.Evidence, b.evidence) {
			cd.Evidence = append(cd.Evidence, newEvidenceData(&e, b))
		}
		if c.Change != nil && b.changes > 0 {
			change := newChangeData(c.Change, b)
			cd.Change = &change
		}
		out.Causes = append(out.Causes, cd)
	}
	for _, g := range head(inc.Graph, b.graph) {
		out.Graph = append(out.Graph, eventdata.GraphEdge{
			Client: clip(g.Client, b.text), Server: clip(g.Server, b.text), ConnectionType: clip(g.ConnectionType, b.text),
			RequestsPerSecond: g.RequestsPerSecond, FailureRatio: g.FailureRatio, MeanDuration: g.MeanDuration, Abnormal: g.Abnormal,
		})
	}
	for _, t := range head(inc.Timeline, b.timeline) {
		out.Timeline = append(out.Timeline, eventdata.TimelineEntry{Time: moment(t.Time), Text: clip(t.Text, b.text)})
	}
	for _, c := range head(inc.Changes, b.changes) {
		out.Changes = append(out.Changes, newChangeData(&c, b))
	}
	return out
}

func newEvidenceData(e *semconv.Evidence, b bounds) eventdata.Evidence {
	out := eventdata.Evidence{
		Signal: clip(e.Signal, b.text), Onset: moment(e.Onset), Deviation: e.Deviation, Score: e.Score,
		Summary: clip(e.Summary, b.text), Kind: semconv.CauseKind(clip(string(e.Kind), b.text)), TraceIDs: head(e.TraceIDs, b.traces),
	}
	if e.Entity != (semconv.Entity{}) {
		entity := newEntityData(e.Entity, b)
		out.Entity = &entity
	}
	return out
}

func newChangeData(c *semconv.Change, b bounds) eventdata.Change {
	return eventdata.Change{Time: moment(c.Time), Entity: newEntityData(c.Entity, b), Summary: clip(c.Summary, b.text), Kind: clip(c.Kind, b.text)}
}

func newImpactData(i *semconv.Impact, b bounds) eventdata.Impact {
	out := eventdata.Impact{
		Services: clipAll(i.Services, b), Ratio: i.Ratio, Entities: i.Entities, FailureRatio: i.FailureRatio,
		Upstream: clipAll(i.Upstream, b), Downstream: clipAll(i.Downstream, b),
	}
	for _, o := range head(i.Objectives, b.names) {
		out.Objectives = append(out.Objectives, eventdata.Objective{Objective: clip(o.Objective, b.text), Service: clip(o.Service, b.text), BurnRate: o.BurnRate, BudgetConsumed: o.BudgetConsumed})
	}
	return out
}

func newEntityData(e semconv.Entity, b bounds) eventdata.Entity {
	return eventdata.Entity{Type: semconv.EntityType(clip(string(e.Type), b.text)), Name: clip(e.Name, b.text)}
}

// shorten marshals the event with as much of the incident as fits into limit bytes.
func shorten(ev *cloudevents.Event, data *eventdata.Data, inc *semconv.Incident, limit int) (body []byte, truncated bool, err error) {
	ev.Data = data
	for i, b := range levels {
		data.Incident = newIncidentData(inc, b)
		data.Truncated = i > 0
		if i == len(levels)-1 {
			data.Similar = nil
		}
		if body, err = ev.Marshal(); err != nil {
			return nil, false, err
		}
		if len(body) <= limit {
			break
		}
	}
	return body, data.Truncated, nil
}

func newSummary(inc *semconv.Incident) eventdata.Summary {
	b := bounds{text: 200}
	s := eventdata.Summary{
		ID: inc.ID, Fingerprint: clip(inc.Fingerprint, b.text), Severity: inc.Severity, Status: inc.Status,
		Resolution: inc.Resolution, Revision: inc.Revision, Title: clip(inc.Title, b.text),
	}
	if len(inc.Causes) > 0 {
		c := inc.Cause()
		s.Cause = &eventdata.CauseSummary{Entity: newEntityData(c.Entity, b), Kind: semconv.CauseKind(clip(string(c.Kind), b.text)), Confidence: c.Confidence}
	}
	return s
}

// memo is what the ledger keeps for us with each incident.
type memo struct {
	Summary eventdata.Summary `json:"summary"`
	// Opened maps a webhook to the event that told it of the incident, queued or delivered.
	Opened map[string]string `json:"opened,omitempty"`
	// Folded are the webhooks that were told of its opening in a summary.
	Folded []string `json:"folded,omitempty"`
	// Memories are what the drivers of destinations remember of it.
	Memories map[string]recollection `json:"memories,omitempty"`
	// Owner and Cluster are those of the first cause when it was first told of.
	Owner   string `json:"owner,omitempty"`
	Cluster string `json:"cluster,omitempty"`
	// Acknowledged is the person who has taken it on.
	Acknowledged string `json:"acknowledged,omitempty"`
	// Routed says that routes have chosen the destinations, which are Notify; Escalate are those that are told so
	// much later, unless somebody takes it on.
	Routed   bool                     `json:"routed,omitempty"`
	Notify   []string                 `json:"notify,omitempty"`
	Escalate map[string]time.Duration `json:"escalate,omitempty"`
	// Requesters are the people who asked for an undo or a replay in this incident.
	Requesters []string `json:"requesters,omitempty"`
	// What follows is kept with an incident store only. Trouble decides which silences cover the incident, SilencedBy is the last that
	// did, and Untold are the webhooks that were not told of it for that reason.
	Trouble    *incidentstore.Trouble `json:"trouble,omitempty"`
	SilencedBy string                 `json:"silenced_by,omitempty"`
	Untold     []string               `json:"untold,omitempty"`
	// Acknowledgment is how it was taken on, nil while nobody has.
	Acknowledgment *eventdata.Acknowledgment `json:"acknowledgment,omitempty"`
	// Reopened is until when an acknowledgment in the store is one of the occurrence before; zero for the first.
	Reopened time.Time `json:"reopened,omitzero"`
	// Words are what people said of the incident's intents.
	Words []spoken `json:"words,omitempty"`
	// Past is what the store knew of the incident's past; nil while it was not asked.
	Past *past `json:"past,omitempty"`
}

func decodeMemo(inc *playbook.Incident) memo {
	var m memo
	if inc != nil && len(inc.Memo) > 0 {
		// What cannot be read is as good as not kept: it is only news that is lost.
		_ = json.Unmarshal(inc.Memo, &m)
	}
	if m.Opened == nil {
		m.Opened = map[string]string{}
	}
	return m
}

// concerns reports whether a destination is told of the incident.
func (m *memo) concerns(name string) bool { return !m.Routed || slices.Contains(m.Notify, name) }

func (m memo) store(inc *playbook.Incident) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode what is kept of incident %s: %w", m.Summary.ID, err)
	}
	inc.Memo = b
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// idSpace is the namespace of delivery ids.
var idSpace = uuid.MustParse("b7b2f0d6-6a55-4a41-9a0e-3c3f8f0f6a51")

// deliveryID is the same whenever the same thing is told to the same webhook. The lengths keep the parts apart.
func deliveryID(typ semconv.EventType, webhook, incident string, revision int64, playbookName string) string {
	var b []byte
	for _, s := range []string{string(typ), webhook, incident, playbookName} {
		b = append(b, byte(len(s)>>8), byte(len(s)))
		b = append(b, s...)
	}
	for i := range 8 {
		b = append(b, byte(revision>>(8*i)))
	}
	return uuid.NewSHA1(idSpace, b).String()
}

// logSeverity returns the severity extension's values, on the scale of OpenTelemetry.
func logSeverity(s semconv.Severity) (text string, number int32) {
	switch s {
	case semconv.SeverityCritical:
		return "FATAL", int32(plog.SeverityNumberFatal)
	case semconv.SeverityMajor:
		return "ERROR", int32(plog.SeverityNumberError)
	default:
		return "WARN", int32(plog.SeverityNumberWarn)
	}
}

// plainText makes one line of at most n runes of what a person wrote.
func plainText(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		default:
			return -1
		}
	}, strings.ToValidUTF8(s, ""))
	return clip(strings.TrimSpace(s), n)
}

// clip is [notifier.Clip]: what is stored and what is told are cut alike.
func clip(s string, n int) string { return notifier.Clip(s, n) }

func clipAll(in []string, b bounds) []string {
	out := []string{}
	for _, s := range head(in, b.names) {
		out = append(out, clip(s, b.text))
	}
	return out
}

func head[T any](s []T, n int) []T { return s[:min(len(s), n)] }

func moment(t time.Time) *time.Time {
	// JSON has no time past year 9999.
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return &t
}
