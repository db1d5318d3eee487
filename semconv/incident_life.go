package semconv

import (
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// EventIncidentDecision is the EventName of a log record that says why the incident connector did something, or did not.
// It is none of the events of an incident's life.
const EventIncidentDecision EventName = "incident.decision"

// Attributes of incident events that only some of them have. An incident that was resolved and goes on is told of by a
// further [EventIncidentOpened], with the same [AttrIncidentID], a higher revision and [AttrIncidentReopened] above 0.
const (
	// AttrIncidentReopened counts how often the incident went on after it was resolved.
	AttrIncidentReopened = "incident.reopened"
	// AttrIncidentMergedInto and AttrIncidentSplitFrom hold the [AttrIncidentID] of another incident.
	AttrIncidentMergedInto = "incident.merged_into"
	AttrIncidentSplitFrom  = "incident.split_from"
	// AttrIncidentUnknownSince is an RFC 3339 time: since then no telemetry says whether the symptoms are still there.
	AttrIncidentUnknownSince = "incident.unknown_since"
	// AttrIncidentSilencedBy names the silence that kept the incident from being told of when it was found.
	AttrIncidentSilencedBy = "incident.silenced_by"
	// AttrIncidentFailureRatio is the share of failing requests at the entry point where most fail.
	AttrIncidentFailureRatio = "incident.impact.failure_ratio"
	// AttrIncidentEntities is how many entities show symptoms.
	AttrIncidentEntities = "incident.impact.entities"
	// AttrIncidentBurnRate and AttrIncidentBudgetConsumed are those of the objective that burns fastest: how many times
	// faster than its error budget allows, and the share of the budget that is gone, above 1 when it is overdrawn.
	AttrIncidentBurnRate       = "incident.slo.burn_rate"
	AttrIncidentBudgetConsumed = "incident.slo.budget_consumed"
)

// Attributes of [EventIncidentDecision] records; they carry [AttrIncidentID] as well where there is an incident.
const (
	AttrDecisionSubject = "incident.decision.subject"
	AttrDecision        = "incident.decision"
	AttrDecisionReason  = "incident.decision.reason"
	AttrDecisionDetail  = "incident.decision.detail"
)

// ObjectiveBurn is an objective whose error budget burns at one service.
type ObjectiveBurn struct {
	Objective, Service string
	// BurnRate is how many times faster than the budget allows errors come.
	BurnRate float64
	// BudgetConsumed is the share of the budget of the objective's window that is gone. It is above 1 when overdrawn.
	BudgetConsumed float64
}

// Decision is something that the incident connector decided, and why.
type Decision struct {
	// Time is event time.
	Time time.Time
	// Incident is the ID of the incident in question, if there is one, and Subject what was decided on: a symptom, or the
	// leading symptom of a group of them.
	Incident, Subject string
	// Verdict and Reason are from closed sets; see the connector's README.
	Verdict, Reason string
	// Detail says it in one sentence for a human.
	Detail string
}

// Keys of the body map for what is above.
const (
	bodyDecisions   = "decisions"
	keyUpstream     = "upstream"
	keyDownstream   = "downstream"
	keyObjectives   = "objectives"
	keyObjective    = "objective"
	keyService      = "service"
	keyBurnRate     = "burn_rate"
	keyConsumed     = "budget_consumed"
	keySubject      = "subject"
	keyDecision     = "decision"
	keyReason       = "reason"
	keyDetail       = "detail"
	keyIncident     = "incident"
	keyFailureRatio = "failure_ratio"
	keyEntities     = "entities"
)

// Encode writes the decision into an empty log record, at debug severity; its body is a line to read.
func (d Decision) Encode(lr plog.LogRecord) {
	lr.SetEventName(string(EventIncidentDecision))
	lr.SetTimestamp(pcommon.NewTimestampFromTime(d.Time))
	lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(d.Time))
	lr.SetSeverityNumber(plog.SeverityNumberDebug)
	lr.SetSeverityText("DEBUG")
	attrs := lr.Attributes()
	putText(attrs, AttrIncidentID, d.Incident)
	attrs.PutStr(AttrDecisionSubject, d.Subject)
	attrs.PutStr(AttrDecision, d.Verdict)
	attrs.PutStr(AttrDecisionReason, d.Reason)
	putText(attrs, AttrDecisionDetail, d.Detail)
	lr.Body().SetStr(strings.Join(slices.DeleteFunc([]string{d.Verdict, d.Reason, d.Subject, d.Detail}, func(part string) bool {
		return part == ""
	}), ": "))
}

// encodeLife writes the attributes that tell of the less usual turns of an incident's life.
func (i *Incident) encodeLife(attrs pcommon.Map) {
	if i.Reopened > 0 {
		attrs.PutInt(AttrIncidentReopened, i.Reopened)
	}
	putText(attrs, AttrIncidentMergedInto, i.MergedInto)
	putText(attrs, AttrIncidentSplitFrom, i.SplitFrom)
	putTime(attrs, AttrIncidentUnknownSince, i.UnknownSince)
	putText(attrs, AttrIncidentSilencedBy, i.SilencedBy)
	attrs.PutInt(AttrIncidentEntities, i.Impact.Entities)
	attrs.PutDouble(AttrIncidentFailureRatio, i.Impact.FailureRatio)
	if worst, ok := i.Impact.worstBurn(); ok {
		attrs.PutDouble(AttrIncidentBurnRate, worst.BurnRate)
		attrs.PutDouble(AttrIncidentBudgetConsumed, worst.BudgetConsumed)
	}
}

func (i *Impact) worstBurn() (worst ObjectiveBurn, ok bool) {
	for _, o := range i.Objectives {
		if !ok || o.BurnRate > worst.BurnRate {
			worst, ok = o, true
		}
	}
	return worst, ok
}

func (d *decoder) life(attrs, body pcommon.Map, inc *Incident) {
	inc.Reopened = d.integer(attrs, AttrIncidentReopened)
	if inc.Reopened < 0 {
		d.fail(AttrIncidentReopened, "must be at least 0, got %d", inc.Reopened)
	}
	inc.MergedInto = d.str(attrs, AttrIncidentMergedInto)
	inc.SplitFrom = d.str(attrs, AttrIncidentSplitFrom)
	inc.UnknownSince = d.time(attrs, AttrIncidentUnknownSince)
	inc.SilencedBy = d.str(attrs, AttrIncidentSilencedBy)
	for m := range d.maps(body, bodyDecisions) {
		inc.Decisions = append(inc.Decisions, Decision{
			Time: d.time(m, keyTime), Incident: d.str(m, keyIncident), Subject: d.str(m, keySubject),
			Verdict: d.str(m, keyDecision), Reason: d.str(m, keyReason), Detail: d.str(m, keyDetail),
		})
	}
}

func (i *Impact) encode(m pcommon.Map) {
	putStrings(m, keyServices, i.Services)
	m.PutDouble(keyRatio, i.Ratio)
	m.PutInt(keyEntities, i.Entities)
	m.PutDouble(keyFailureRatio, i.FailureRatio)
	putStrings(m, keyUpstream, i.Upstream)
	putStrings(m, keyDownstream, i.Downstream)
	if len(i.Objectives) == 0 {
		return
	}
	objectives := m.PutEmptySlice(keyObjectives)
	for _, o := range i.Objectives {
		om := objectives.AppendEmpty().SetEmptyMap()
		om.PutStr(keyObjective, o.Objective)
		om.PutStr(keyService, o.Service)
		om.PutDouble(keyBurnRate, o.BurnRate)
		om.PutDouble(keyConsumed, o.BudgetConsumed)
	}
}

func (d *decoder) impact(attrs, m pcommon.Map) Impact {
	out := Impact{
		Services: d.strings(m, keyServices), Ratio: d.ratio(attrs, AttrIncidentImpactRatio),
		Entities: d.integer(attrs, AttrIncidentEntities), FailureRatio: d.ratio(attrs, AttrIncidentFailureRatio),
		Upstream: d.strings(m, keyUpstream), Downstream: d.strings(m, keyDownstream),
	}
	for om := range d.maps(m, keyObjectives) {
		out.Objectives = append(out.Objectives, ObjectiveBurn{
			Objective: d.str(om, keyObjective), Service: d.str(om, keyService),
			BurnRate: d.double(om, keyBurnRate), BudgetConsumed: d.double(om, keyConsumed),
		})
	}
	return out
}

func putText(m pcommon.Map, key, value string) {
	if value != "" {
		m.PutStr(key, value)
	}
}
