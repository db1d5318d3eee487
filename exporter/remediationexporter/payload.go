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
	"unicode/utf8"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// eventData is the data of every event. Action stands only in what a playbook asks its own webhook to do, so that no
// receiver of news can take it for an instruction.
type eventData struct {
	Incident    any              `json:"incident"`
	Remediation *remediationData `json:"remediation,omitempty"`
	Action      *actionData      `json:"action,omitempty"`
	Playbook    *playbookData    `json:"playbook,omitempty"`
	// Truncated says that the incident was shortened to fit.
	Truncated bool `json:"truncated,omitempty"`
}

type actionData struct {
	Name       string            `json:"name"`
	Parameters map[string]string `json:"parameters"`
}

type playbookData struct {
	Name          string        `json:"name"`
	Mode          playbook.Mode `json:"mode"`
	VerifySeconds float64       `json:"verify_within_seconds"`
}

// remediationData is news of what a playbook decided or achieved.
type remediationData struct {
	// Intent is the identity of the step for this incident; people approve by it.
	Intent   string          `json:"intent"`
	Playbook string          `json:"playbook"`
	Step     int             `json:"step"`
	Action   string          `json:"action_name"`
	Target   string          `json:"target,omitempty"`
	Outcome  string          `json:"outcome"`
	Reason   playbook.Reason `json:"reason,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Revision int64           `json:"revision"`
	Mode     playbook.Mode   `json:"mode,omitempty"`
	// Plan is what would be, or was, changed.
	Plan *planData `json:"plan,omitempty"`
	// PlanDigest is what people are asked to approve; an approval that repeats it counts for nothing else.
	PlanDigest string `json:"plan_digest,omitempty"`
	// ApproveUntil is when an approval comes too late.
	ApproveUntil *time.Time `json:"approve_until,omitempty"`
	// Escalated says that automation has nothing more to offer and a person is needed.
	Escalated bool `json:"escalated,omitempty"`
}

// planData is what the executor found that a step would do.
type planData struct {
	Summary     string             `json:"summary"`
	Objects     []string           `json:"objects,omitempty"`
	Pods        int                `json:"weight"`
	Population  int                `json:"population,omitempty"`
	Destructive bool               `json:"destructive"`
	Undoable    bool               `json:"undoable"`
	Checks      []kubeaction.Check `json:"checks,omitempty"`
	// Commands are how a person would do it.
	Commands []string `json:"commands,omitempty"`
}

// maxPlanned bounds the objects, checks and commands of a plan in an event.
const maxPlanned = 20

func newPlanData(p *playbook.Plan) *planData {
	out := &planData{Summary: clip(p.Summary, maxDetail), Pods: p.Weight, Population: p.Population, Destructive: p.Destructive, Undoable: p.Undoable}
	var body kubeaction.Plan
	if json.Unmarshal(p.Body, &body) != nil {
		return out
	}
	for _, o := range head(body.Objects, maxPlanned) {
		out.Objects = append(out.Objects, o.String())
	}
	for _, c := range head(body.Checks, maxPlanned) {
		c.Detail = clip(c.Detail, maxDetail)
		out.Checks = append(out.Checks, c)
	}
	for _, c := range head(body.Commands, maxPlanned) {
		out.Commands = append(out.Commands, clip(c, maxDetail))
	}
	return out
}

type entityData struct {
	Type semconv.EntityType `json:"type"`
	Name string             `json:"name"`
}

type incidentData struct {
	ID          string                 `json:"id"`
	Revision    int64                  `json:"revision"`
	Fingerprint string                 `json:"fingerprint,omitempty"`
	Status      semconv.IncidentStatus `json:"status"`
	Severity    semconv.Severity       `json:"severity"`
	Resolution  semconv.Resolution     `json:"resolution,omitempty"`
	StartedAt   *time.Time             `json:"started_at,omitempty"`
	DetectedAt  *time.Time             `json:"detected_at,omitempty"`
	ResolvedAt  *time.Time             `json:"resolved_at,omitempty"`
	Title       string                 `json:"title"`
	Causes      []causeData            `json:"causes"`
	EntryPoints []string               `json:"entry_points"`
	Impact      impactData             `json:"impact"`
	Timeline    []timelineData         `json:"timeline"`
	Changes     []changeData           `json:"changes"`
	// What follows tells of turns of its life that only some incidents take.
	Reopened     int64      `json:"reopened,omitempty"`
	MergedInto   string     `json:"merged_into,omitempty"`
	SplitFrom    string     `json:"split_from,omitempty"`
	UnknownSince *time.Time `json:"unknown_since,omitempty"`
	SilencedBy   string     `json:"silenced_by,omitempty"`
}

type causeData struct {
	Entity     entityData        `json:"entity"`
	Kind       semconv.CauseKind `json:"kind"`
	Confidence float64           `json:"confidence"`
	Share      float64           `json:"share"`
	Resource   map[string]string `json:"resource,omitempty"`
	Evidence   []evidenceData    `json:"evidence"`
	// Change is what was changed of the entity, or of what it runs on, before the trouble.
	Change *changeData `json:"change,omitempty"`
}

type evidenceData struct {
	Signal    string     `json:"signal"`
	Onset     *time.Time `json:"onset,omitempty"`
	Deviation float64    `json:"deviation"`
	Score     float64    `json:"score"`
	Summary   string     `json:"summary"`
	// Kind is left out when nothing tells, Entity when it is that of the cause.
	Kind     semconv.CauseKind `json:"kind,omitempty"`
	Entity   *entityData       `json:"entity,omitempty"`
	TraceIDs []string          `json:"trace_ids,omitempty"`
}

type impactData struct {
	Services     []string        `json:"services"`
	Ratio        float64         `json:"ratio"`
	Entities     int64           `json:"entities,omitempty"`
	FailureRatio float64         `json:"failure_ratio,omitempty"`
	Upstream     []string        `json:"upstream,omitempty"`
	Downstream   []string        `json:"downstream,omitempty"`
	Objectives   []objectiveData `json:"objectives,omitempty"`
}

type objectiveData struct {
	Objective      string  `json:"objective"`
	Service        string  `json:"service"`
	BurnRate       float64 `json:"burn_rate"`
	BudgetConsumed float64 `json:"budget_consumed"`
}

type timelineData struct {
	Time *time.Time `json:"time,omitempty"`
	Text string     `json:"text"`
}

type changeData struct {
	Time    *time.Time `json:"time,omitempty"`
	Entity  entityData `json:"entity"`
	Summary string     `json:"summary"`
	// Kind is left out when nothing tells.
	Kind string `json:"kind,omitempty"`
}

// bounds are how much of an incident is put into an event.
type bounds struct {
	causes, evidence, resource, names, timeline, changes int
	// traces is how many examples each evidence keeps.
	traces int
	// text is in runes.
	text int
}

// levels go from everything to what fits the smallest max_body_size in any case.
var levels = []bounds{
	{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt},
	{20, 20, 64, 200, 100, 50, semconv.MaxTraceIDs, 1024},
	{10, 5, 32, 50, 20, 10, 3, 256},
	{3, 2, 16, 10, 5, 3, 1, 128},
	{1, 0, 0, 0, 0, 0, 0, 64},
}

func newIncidentData(inc *semconv.Incident, b bounds) incidentData {
	out := incidentData{
		ID: inc.ID, Revision: inc.Revision, Fingerprint: clip(inc.Fingerprint, b.text), Status: inc.Status, Severity: inc.Severity,
		Resolution: inc.Resolution, StartedAt: moment(inc.StartedAt), DetectedAt: moment(inc.DetectedAt),
		ResolvedAt: moment(inc.ResolvedAt), Title: clip(inc.Title, b.text), Causes: []causeData{},
		EntryPoints: clipAll(inc.EntryPoints, b), Impact: newImpactData(&inc.Impact, b),
		Timeline: []timelineData{}, Changes: []changeData{},
		Reopened: inc.Reopened, MergedInto: clip(inc.MergedInto, b.text), SplitFrom: clip(inc.SplitFrom, b.text),
		UnknownSince: moment(inc.UnknownSince), SilencedBy: clip(inc.SilencedBy, b.text),
	}
	for _, c := range head(inc.Causes, b.causes) {
		cd := causeData{
			Entity: newEntityData(c.Entity, b), Kind: semconv.CauseKind(clip(string(c.Kind), b.text)), Confidence: c.Confidence,
			Share: c.Share, Evidence: []evidenceData{},
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
	for _, t := range head(inc.Timeline, b.timeline) {
		out.Timeline = append(out.Timeline, timelineData{moment(t.Time), clip(t.Text, b.text)})
	}
	for _, c := range head(inc.Changes, b.changes) {
		out.Changes = append(out.Changes, newChangeData(&c, b))
	}
	return out
}

func newEvidenceData(e *semconv.Evidence, b bounds) evidenceData {
	out := evidenceData{
		Signal: clip(e.Signal, b.text), Onset: moment(e.Onset), Deviation: e.Deviation, Score: e.Score,
		Summary: clip(e.Summary, b.text), Kind: semconv.CauseKind(clip(string(e.Kind), b.text)), TraceIDs: head(e.TraceIDs, b.traces),
	}
	if e.Entity != (semconv.Entity{}) {
		entity := newEntityData(e.Entity, b)
		out.Entity = &entity
	}
	return out
}

func newChangeData(c *semconv.Change, b bounds) changeData {
	return changeData{moment(c.Time), newEntityData(c.Entity, b), clip(c.Summary, b.text), clip(c.Kind, b.text)}
}

func newImpactData(i *semconv.Impact, b bounds) impactData {
	out := impactData{
		Services: clipAll(i.Services, b), Ratio: i.Ratio, Entities: i.Entities, FailureRatio: i.FailureRatio,
		Upstream: clipAll(i.Upstream, b), Downstream: clipAll(i.Downstream, b),
	}
	for _, o := range head(i.Objectives, b.names) {
		out.Objectives = append(out.Objectives, objectiveData{clip(o.Objective, b.text), clip(o.Service, b.text), o.BurnRate, o.BudgetConsumed})
	}
	return out
}

func newEntityData(e semconv.Entity, b bounds) entityData {
	return entityData{semconv.EntityType(clip(string(e.Type), b.text)), clip(e.Name, b.text)}
}

// shorten marshals the event with as much of the incident as fits into limit bytes.
func shorten(ev *cloudevents.Event, data *eventData, inc *semconv.Incident, limit int) (body []byte, truncated bool, err error) {
	ev.Data = data
	for i, b := range levels {
		data.Incident = newIncidentData(inc, b)
		data.Truncated = i > 0
		if body, err = ev.Marshal(); err != nil {
			return nil, false, err
		}
		if len(body) <= limit {
			break
		}
	}
	return body, data.Truncated, nil
}

// summary is what is kept of an incident to report on its actions later.
type summary struct {
	ID          string                 `json:"id"`
	Fingerprint string                 `json:"fingerprint,omitempty"`
	Severity    semconv.Severity       `json:"severity"`
	Status      semconv.IncidentStatus `json:"status"`
	Resolution  semconv.Resolution     `json:"resolution,omitempty"`
	Revision    int64                  `json:"revision"`
	Title       string                 `json:"title"`
	Cause       *causeSummary          `json:"cause,omitempty"`
}

type causeSummary struct {
	Entity     entityData        `json:"entity"`
	Kind       semconv.CauseKind `json:"kind"`
	Confidence float64           `json:"confidence"`
}

func newSummary(inc *semconv.Incident) summary {
	b := bounds{text: 200}
	s := summary{
		ID: inc.ID, Fingerprint: clip(inc.Fingerprint, b.text), Severity: inc.Severity, Status: inc.Status,
		Resolution: inc.Resolution, Revision: inc.Revision, Title: clip(inc.Title, b.text),
	}
	if len(inc.Causes) > 0 {
		c := inc.Cause()
		s.Cause = &causeSummary{newEntityData(c.Entity, b), semconv.CauseKind(clip(string(c.Kind), b.text)), c.Confidence}
	}
	return s
}

// memo is what the ledger keeps for us with each incident.
type memo struct {
	Summary summary `json:"summary"`
	// Opened maps a webhook to the event that told it of the incident, queued or delivered.
	Opened map[string]string `json:"opened,omitempty"`
	// Folded are the webhooks that were told of its opening in a summary.
	Folded []string `json:"folded,omitempty"`
	// Requesters are the people who asked for an undo or a replay in this incident.
	Requesters []string `json:"requesters,omitempty"`
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

// clip returns at most n runes of valid UTF-8, ending in an ellipsis when something was cut off.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count++; count == n {
			return s[:i] + "…"
		}
	}
	return ""
}

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
