package remediationexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxIDLen bounds the part of an incident's identity that is kept as a key.
	maxIDLen = 128
	// maxQuoted bounds how many refused events one error speaks of.
	maxQuoted = 3
)

// book is a playbook ready to be asked.
type book struct {
	cfg        *PlaybookConfig
	rule       playbook.Rule
	conditions []*condition
	// hooks are those of the steps; nil for a step on Kubernetes.
	hooks []*destination
	// steps are the signals on which the verification of each step rests, and signals all that read a metric.
	steps   []*stepSignals
	signals []*metricSignal
}

func newBook(cfg *PlaybookConfig, set component.TelemetrySettings, hooks map[string]*destination) (*book, error) {
	conditions, err := parseConditions(cfg.When, set)
	if err != nil {
		return nil, err
	}
	b := &book{cfg: cfg, conditions: conditions, rule: playbook.Rule{
		Name: cfg.Name, Mode: playbook.Mode(cfg.Mode), TierModes: map[string]playbook.Mode{}, MinConfidence: cfg.MinConfidence,
		MaxRevision: cfg.MaxRevision, Cooldown: cfg.Cooldown, Witnesses: cfg.MinWitnesses,
		Approvers: cfg.Approval.Approvers, ApproveWithin: cfg.Approval.Within,
	}}
	if b.rule.Version, err = cfg.version(); err != nil {
		return nil, err
	}
	for tier, mode := range cfg.Modes {
		b.rule.TierModes[string(tier)] = playbook.Mode(mode)
	}
	for _, tier := range cfg.Criticality {
		b.rule.Tiers = append(b.rule.Tiers, string(tier))
	}
	for i := range cfg.Steps {
		c := &cfg.Steps[i]
		step := playbook.Step{
			Name: c.action(), Class: classWebhook, Destructive: c.Destructive, Continue: c.Continue,
			OnFailure: playbook.OnFailure(c.OnFailure), Within: cfg.verify(i).Within, Assessed: cfg.assessed(i),
		}
		if c.Kubernetes != nil {
			step.Class, step.Planned, step.Destructive = string(c.Kubernetes.Class()), true, c.Kubernetes.Destructive()
		}
		b.rule.Steps = append(b.rule.Steps, step)
		b.hooks = append(b.hooks, hooks[c.Webhook])
	}
	return b, nil
}

// classWebhook is what budgets count the actions of webhooks as.
const classWebhook = "webhook"

// version is a digest of everything that decides what the playbook does.
func (c *PlaybookConfig) version() (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("digest the playbook: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// incoming is an incident event with the playbooks whose conditions hold for it.
type incoming struct {
	semconv.IncidentEvent
	matched []*book
	// past is what the incident store knows of the incident's past; nil while it was not asked.
	past *past
	// held tells of each route whether its conditions hold.
	held []bool
}

// read copies the incident events and the words of people out of a batch and asks the playbooks' conditions. The error speaks of refused ones.
func (e *remediationExporter) read(ctx context.Context, ld plog.Logs) (events []incoming, approvals []approval, refused error) {
	var errs []error
	var received, other, broken, condition int
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				received++
				if semconv.IsApprovalEvent(lr) {
					a, err := semconv.DecodeApproval(lr)
					approvals = append(approvals, approval{a, err})
					continue
				}
				if !semconv.IsIncidentEvent(lr) {
					other++
					continue
				}
				ev, err := decodeEvent(lr)
				if err != nil {
					broken++
					errs = append(errs, err)
					continue
				}
				matched, err := e.match(ctx, rl, sl, lr, ev)
				if err != nil {
					condition++
					errs = append(errs, err)
					continue
				}
				held, err := e.heldRoutes(ctx, rl, sl, lr)
				if err != nil {
					condition++
					errs = append(errs, err)
					continue
				}
				events = append(events, incoming{IncidentEvent: ev, matched: matched, held: held})
			}
		}
	}
	e.telemetry.ExporterRemediationReceivedRecords.Add(ctx, int64(received))
	add(ctx, e.telemetry.ExporterRemediationIgnoredRecords, e.telemetry.ignored, ignoredOther, other)
	add(ctx, e.telemetry.ExporterRemediationRefusedRecords, e.telemetry.refusals, refusedBroken, broken)
	add(ctx, e.telemetry.ExporterRemediationRefusedRecords, e.telemetry.refusals, refusedCondition, condition)
	if n := len(errs); n > maxQuoted {
		errs = append(errs[:maxQuoted], fmt.Errorf("and %d more", n-maxQuoted))
	}
	return events, approvals, errors.Join(errs...)
}

func decodeEvent(lr plog.LogRecord) (semconv.IncidentEvent, error) {
	ev, err := semconv.DecodeIncidentEvent(lr)
	if err != nil {
		return ev, err
	}
	inc := &ev.Incident
	switch {
	case !isPlain(inc.ID) || len(inc.ID) > maxIDLen:
		return ev, fmt.Errorf("%s must be a plain name of at most %d characters, got %.40q", semconv.AttrIncidentID, maxIDLen, inc.ID)
	case inc.Revision < 1:
		return ev, fmt.Errorf("%s must be at least 1, got %d", semconv.AttrIncidentRevision, inc.Revision)
	case (ev.Name == semconv.EventIncidentResolved) != (inc.Status == semconv.StatusResolved):
		return ev, fmt.Errorf("%s does not fit the event %s, got %s", semconv.AttrIncidentStatus, ev.Name, inc.Status)
	}
	return ev, nil
}

// match returns the playbooks whose conditions hold. The end of an incident calls for none.
func (e *remediationExporter) match(
	ctx context.Context, rl plog.ResourceLogs, sl plog.ScopeLogs, lr plog.LogRecord, ev semconv.IncidentEvent,
) ([]*book, error) {
	if len(e.books) == 0 || ev.Name == semconv.EventIncidentResolved {
		return nil, nil
	}
	tctx := ottllog.NewTransformContextPtr(rl, sl, lr)
	defer tctx.Close()
	var matched []*book
	for _, b := range e.books {
		if !b.cfg.isFor(ev.Incident.Cause().Kind) {
			continue
		}
		ok, err := hold(ctx, b.conditions, tctx)
		switch {
		case err != nil && b.cfg.ErrorMode == ottl.PropagateError:
			e.telemetry.ExporterRemediationConditionErrors.Add(ctx, 1)
			return nil, fmt.Errorf("evaluate conditions of playbook %s: %w", b.cfg.Name, err)
		case err != nil:
			e.telemetry.ExporterRemediationConditionErrors.Add(ctx, 1)
			if b.cfg.ErrorMode == ottl.IgnoreError {
				e.logger.Warn("condition of a playbook could not be evaluated", zap.String("playbook", b.cfg.Name), zap.Error(err))
			}
		case ok:
			matched = append(matched, b)
		}
	}
	return matched, nil
}

// heldRoutes asks the conditions of the routes.
func (e *remediationExporter) heldRoutes(ctx context.Context, rl plog.ResourceLogs, sl plog.ScopeLogs, lr plog.LogRecord) ([]bool, error) {
	if len(e.routes) == 0 {
		return nil, nil
	}
	tctx := ottllog.NewTransformContextPtr(rl, sl, lr)
	defer tctx.Close()
	return e.routesHold(ctx, tctx)
}

// isFor reports whether the playbook is for causes of this kind.
func (c *PlaybookConfig) isFor(kind semconv.CauseKind) bool {
	return len(c.CauseKinds) == 0 || slices.Contains(c.CauseKinds, kind)
}

// decideAll decides on all events and stores the decisions, or undoes them.
func (e *remediationExporter) decideAll(ctx context.Context, events []incoming) error {
	return e.transact(ctx, func(now time.Time) error {
		for i := range events {
			if err := e.decide(ctx, &events[i], now); err != nil {
				return err
			}
		}
		return nil
	})
}

// decide takes one event. e.mu is held.
func (e *remediationExporter) decide(ctx context.Context, ev *incoming, now time.Time) error {
	inc := &ev.Incident
	verdict, returned := e.observe(ev, now)
	switch verdict {
	case playbook.Duplicate:
		e.after(func() {
			add(ctx, e.telemetry.ExporterRemediationIgnoredRecords, e.telemetry.ignored, ignoredDuplicate, 1)
		})
		return nil
	case playbook.Refused:
		e.record(incidentRecord(&ev.IncidentEvent)) // it has happened all the same
		e.after(func() { add(ctx, e.telemetry.ExporterRemediationRefusedRecords, e.telemetry.refusals, refusedLimit, 1) })
		return nil
	}
	if verdict == playbook.New && ev.Name != semconv.EventIncidentResolved {
		e.ledger.Policy().Opened(inc.ID, inc.Cause().Entity.String(), now)
	}
	e.ledger.Occurred(inc.ID, int(inc.Reopened))
	e.ledger.Touch(inc.ID)
	held := e.ledger.Incident(inc.ID)
	m := decodeMemo(held)
	m.Summary = newSummary(inc)
	if ev.past != nil {
		m.Past = ev.past
	}
	silence := e.silence(inc, &m, now)
	if e.incidents != nil {
		e.record(incidentRecord(&ev.IncidentEvent))
	}
	if verdict == playbook.New {
		e.route(ctx, ev, &m, now)
	}
	if ev.Name == semconv.EventIncidentOpened {
		m.begin(ev, verdict) // who took it on when it was there before did not take this on
	}
	if err := e.notify(ctx, ev, &m, silence, now); err != nil {
		return err
	}
	if ev.Name != semconv.EventIncidentResolved {
		if err := e.renewEscalations(ctx, ev, &m, now); err != nil {
			return err
		}
	}
	if silence == nil && (verdict == playbook.New && ev.Name != semconv.EventIncidentResolved || ev.Name == semconv.EventIncidentOpened) {
		if err := e.escalate(ctx, ev, &m, now); err != nil {
			return err
		}
	}
	if err := m.store(held); err != nil {
		return err
	}

	changes := returned
	switch {
	case ev.Name == semconv.EventIncidentResolved && inc.Resolution == semconv.ResolutionMerged:
		changes = e.ledger.Merge(inc.ID, inc.MergedInto, now)
	case ev.Name == semconv.EventIncidentResolved:
		changes = e.ledger.Resolve(inc.ID, ev.Time, inc.Resolution == semconv.ResolutionRecovered, now)
	default:
		changes = append(changes, e.ledger.Progress(inc.ID, ev.Time, now)...)
		changes = append(changes, e.ledger.Reread(inc.ID, func(name string) (string, float64) {
			b := e.bookOf(name)
			if b == nil {
				return "", 0
			}
			return b.cfg.target(inc), inc.Cause().Confidence
		}, now)...)
	}
	e.deciding = inc
	defer func() { e.deciding = nil }()
	e.report(ctx, changes, now)
	for _, b := range e.ordered(ev, now) {
		e.ask(ctx, b, ev, now)
	}
	return nil
}

// observe notes an event in the ledger. An incident that is told of as opened again goes on: the changes say which actions
// were held to have helped and have not.
func (e *remediationExporter) observe(ev *incoming, now time.Time) (playbook.Verdict, []playbook.Change) {
	inc := &ev.Incident
	if ev.Name == semconv.EventIncidentOpened && inc.Reopened > 0 {
		if changes, ok := e.ledger.Reopen(inc.ID, inc.Revision, now); ok {
			return playbook.Known, changes
		}
	}
	return e.ledger.Observe(inc.ID, inc.Revision, now), nil
}

// notify queues the event for those who want it. The end of an incident goes only to those who were told of it.
func (e *remediationExporter) notify(ctx context.Context, ev *incoming, m *memo, silence *incidentstore.Silence, now time.Time) error {
	inc := &ev.Incident
	typ := incidentEventType(ev.Name)
	for _, h := range e.destinations {
		concerned := m.concerns(h.name) || h.box.holds(inc.ID, func(q *queued) bool { return q.escalates(now) })
		if !h.wants(typ) || !concerned || e.withheld(ctx, h, inc.ID, typ, silence, m) {
			continue
		}
		if ev.Name == semconv.EventIncidentResolved && h.wants(semconv.EventTypeIncidentOpened) && !e.told(h, inc.ID, m) {
			if slices.Contains(m.Folded, h.name) {
				e.fold(ctx, h, typ, &m.Summary) // it was opened in a summary, so it ends in one
			} else {
				e.lose(ctx, h, lostUnopened)
			}
			continue
		}
		if e.folds(ctx, h, typ, &m.Summary, now) {
			if ev.Name == semconv.EventIncidentOpened && m.Opened[h.name] == "" && !slices.Contains(m.Folded, h.name) {
				m.Folded = append(m.Folded, h.name)
			}
			continue
		}
		d := delivery{ID: deliveryID(typ, h.name, inc.ID, inc.Revision, ""), Type: typ, Incident: inc.ID, Revision: inc.Revision}
		queued, err := e.send(ctx, h, d, e.envelope(d, ev.Time, inc), &eventdata.Data{Similar: similarFor(typ, m)}, inc)
		if err != nil {
			return err
		}
		if queued && m.Opened[h.name] == "" {
			m.Opened[h.name] = d.ID
		}
	}
	return nil
}

// told reports whether a destination knows of an incident, or will when it has taken what is queued. e.mu is held.
func (e *remediationExporter) told(h *destination, incident string, m *memo) bool {
	return m.Opened[h.name] != "" || h.box.holds(incident, func(q *queued) bool {
		return q.Type == semconv.EventTypeIncidentOpened || q.Type == semconv.EventTypeIncidentUpdated
	})
}

func incidentEventType(name semconv.EventName) semconv.EventType {
	switch name {
	case semconv.EventIncidentOpened:
		return semconv.EventTypeIncidentOpened
	case semconv.EventIncidentUpdated:
		return semconv.EventTypeIncidentUpdated
	default:
		return semconv.EventTypeIncidentResolved
	}
}

// ask lets a playbook whose conditions hold pass the guards. This is the only way to an action.
func (e *remediationExporter) ask(ctx context.Context, b *book, ev *incoming, now time.Time) {
	inc := &ev.Incident
	o := playbook.Observation{
		Incident: inc.ID, Revision: inc.Revision, At: ev.Time, Confidence: inc.Cause().Confidence, CauseKind: string(inc.Cause().Kind),
		Target: b.cfg.target(inc), Criticality: inc.Cause().Resource[semconv.AttrServiceCriticality], Witnesses: len(sources(inc)),
	}
	o.Orders, o.Obstacle, o.ObstacleDetail = b.cfg.orders(inc)
	if p := decodeMemo(e.ledger.Incident(inc.ID)).Past; p != nil {
		o.Caution = p.Caution
	}
	if len(b.signals) > 0 {
		o.Signals = e.watch.failing(b, newAbout(inc, b.cfg), ev.Time, now, now)
	}
	age := now.Sub(ev.Time)
	switch {
	case o.Obstacle != "":
	case e.cfg.MaxEventAge > 0 && age > e.cfg.MaxEventAge:
		o.Obstacle, o.ObstacleDetail = playbook.ReasonFrozen, fmt.Sprintf("the event is %s old, more than max_event_age", age.Round(time.Second))
	case e.cfg.MaxEventLead > 0 && -age > e.cfg.MaxEventLead:
		o.Obstacle, o.ObstacleDetail = playbook.ReasonFrozen, fmt.Sprintf("the event is %s ahead of our clock, more than max_event_lead", (-age).Round(time.Second))
	case !inc.UnknownSince.IsZero():
		o.Obstacle, o.ObstacleDetail = playbook.ReasonFrozen, "no telemetry says whether the symptoms are still there"
	case b.hooks[0] != nil && b.rule.Mode == playbook.Auto && !b.hooks[0].takes(e.cfg.QueueSize):
		o.Obstacle, o.ObstacleDetail = playbook.ReasonEndpoint, "webhook "+b.hooks[0].name+" is gone or its queue is full"
	}
	if c, ok := e.ledger.Decide(b.cfg.Name, o, now); ok {
		e.report(ctx, []playbook.Change{c}, now)
	}
}

// bookOf returns the playbook of that name, or nil when it is no longer configured.
func (e *remediationExporter) bookOf(name string) *book {
	if i := slices.IndexFunc(e.books, func(b *book) bool { return b.cfg.Name == name }); i >= 0 {
		return e.books[i]
	}
	return nil
}
