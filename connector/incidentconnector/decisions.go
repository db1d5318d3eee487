package incidentconnector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// verdict is what was decided.
type verdict string

const (
	verdictJoined    verdict = "joined"
	verdictNotJoined verdict = "not_joined"
	verdictOpened    verdict = "opened"
	verdictWaits     verdict = "waits"
	verdictMuted     verdict = "muted"
	verdictMerged    verdict = "merged"
	verdictSplit     verdict = "split"
	verdictResolved  verdict = "resolved"
	verdictReopened  verdict = "reopened"
	verdictRefused   verdict = "refused"
)

// reason is why.
type reason string

const (
	// Of joined: it is of the incident's cause, near its symptoms in the graph and in time, of one kind with one of them on
	// the same machine, or an objective of a service that feels it.
	reasonCause      reason = "same_cause"
	reasonNear       reason = "near"
	reasonMachine    reason = "same_machine"
	reasonEntryPoint reason = "same_entry_point"
	// Of not_joined: nothing of any open incident is near it, what is near began at another time, or the incident subsides.
	reasonFar       reason = "too_far"
	reasonTime      reason = "other_time"
	reasonSubsiding reason = "subsides"
	// Of opened: there is enough evidence, an objective's budget burns, it was parted from another, or the silence that kept
	// it from being told of is over.
	reasonEvidence    reason = "evidence"
	reasonBurn        reason = "budget_burns"
	reasonParted      reason = "parted"
	reasonSilenceOver reason = "silence_over"
	// Of waits: there is too little evidence, the first cause is not sure, an answer is still awaited, or nothing but one
	// caller's complaint speaks against the cause.
	reasonWeak    reason = "little_evidence"
	reasonUnsure  reason = "unsure_cause"
	reasonAwaits  reason = "awaits_answers"
	reasonHearsay reason = "hearsay"
	// Of muted.
	reasonWarmUp  reason = "warm_up"
	reasonSilence reason = "silence"
	// Of merged: both name the same cause (same_cause), or what one is about explains the other. Of split: two causes
	// explain different symptoms.
	reasonExplained   reason = "explained"
	reasonIndependent reason = "independent_causes"
	// Of resolved. Of reopened: same_cause, or the same symptoms.
	reasonRecovered reason = "recovered"
	reasonNoData    reason = "no_data"
	reasonSymptoms  reason = "same_symptoms"
	// Of refused: a limit is reached.
	reasonLimit reason = "limit"
)

// verdicts are all verdicts with their reasons.
var verdicts = map[verdict][]reason{
	verdictJoined:    {reasonCause, reasonNear, reasonMachine, reasonEntryPoint},
	verdictNotJoined: {reasonFar, reasonTime, reasonSubsiding},
	verdictOpened:    {reasonEvidence, reasonBurn, reasonParted, reasonSilenceOver},
	verdictWaits:     {reasonWeak, reasonUnsure, reasonAwaits, reasonHearsay},
	verdictMuted:     {reasonWarmUp, reasonSilence},
	verdictMerged:    {reasonCause, reasonExplained},
	verdictSplit:     {reasonIndependent},
	verdictResolved:  {reasonRecovered, reasonNoData},
	verdictReopened:  {reasonCause, reasonSymptoms},
	verdictRefused:   {reasonLimit},
}

type decisionKind struct {
	verdict verdict
	reason  reason
}

// maxToldDecisions bounds the decisions that the body of an incident event holds.
const maxToldDecisions = 20

// decisions counts what was decided, and keeps it for who asks for that detail.
type decisions struct {
	detailed bool
	limit    int
	counts   map[decisionKind]int64
	// untold are those that were not sent yet, the oldest first; dropped counts those that there was no room for.
	untold  []semconv.Decision
	dropped int64
}

func newDecisions(cfg *Config) decisions {
	return decisions{detailed: cfg.Decisions == DecisionsDebug, limit: cfg.Limits.Decisions, counts: map[decisionKind]int64{}}
}

// decide notes a decision about a group of symptoms, known by its leading one, and an incident, which may be nil. The
// detail is only made when somebody asks for it.
func (e *engine) decide(now time.Time, i *incident, s *symptom, v verdict, r reason, detail string, args ...any) {
	d := &e.decisions
	d.counts[decisionKind{v, r}]++
	if !d.detailed {
		return
	}
	made := semconv.Decision{Time: now, Verdict: string(v), Reason: string(r), Detail: fmt.Sprintf(detail, args...)}
	if s != nil {
		made.Subject = s.entity.String() + " " + s.summary
	}
	if i != nil {
		made.Incident = i.state.ID
		if made.Subject == "" {
			made.Subject = i.state.Title
		}
		if len(i.state.Decisions) < maxToldDecisions {
			i.state.Decisions = append(slices.Clone(i.state.Decisions), made)
		}
	}
	if len(d.untold) >= d.limit {
		d.untold = slices.Delete(d.untold, 0, 1)
		d.dropped++
	}
	d.untold = append(d.untold, made)
}

// decideOnce is decide for what is decided anew at each bucket, whether to join an open incident and whether to open one: it
// notes a change of either alone.
func (e *engine) decideOnce(now time.Time, s *symptom, v verdict, r reason, detail string, args ...any) {
	kind, last := decisionKind{v, r}, &s.decided.opening
	if v == verdictNotJoined {
		last = &s.decided.joining
	}
	if *last == kind {
		return
	}
	*last = kind
	e.decide(now, nil, s, v, r, detail, args...)
}

// take returns what was not sent yet.
func (d *decisions) take() (untold []semconv.Decision, dropped int64) {
	untold, dropped = d.untold, d.dropped
	d.untold, d.dropped = nil, 0
	return untold, dropped
}

// sendDecisions hands over what was decided. It is no news that must not be lost: what is refused is counted and gone.
func (e *engine) sendDecisions(ctx context.Context) {
	if !e.decisions.detailed {
		return
	}
	e.mu.Lock()
	untold, dropped := e.decisions.take()
	e.mu.Unlock()
	if way := e.outbox.way(); len(untold) > 0 && (way == nil || way.ConsumeLogs(ctx, encodeDecisions(untold)) != nil) {
		dropped += int64(len(untold))
	}
	if dropped > 0 {
		e.telemetry.builder.ConnectorIncidentDroppedDecisions.Add(ctx, dropped)
	}
}

func encodeDecisions(list []semconv.Decision) plog.Logs {
	ld := plog.NewLogs()
	scope := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	scope.Scope().SetName(metadata.ScopeName)
	for _, d := range list {
		d.Encode(scope.LogRecords().AppendEmpty())
	}
	return ld
}
