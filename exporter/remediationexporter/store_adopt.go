package remediationexporter

import (
	"context"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// heardOfIntent looks whether people have told another replica what they think of an intent for which this one waits as well: where
// several replicas act, with no election among them, a word counts at all of them, and the fleet's claims see to it that it is done
// once.
func (e *remediationExporter) heardOfIntent(ctx context.Context, intent string) {
	if e.cfg.Coordination != CoordinationStore || e.cfg.LeaderElector != nil {
		return
	}
	e.mu.Lock()
	c, waits := e.awaiting(intent)
	e.mu.Unlock()
	if !waits {
		return
	}
	var stored *incidentstore.Intent
	err := e.call(ctx, storeLookup, e.cfg.Store.Timeout, func(ctx context.Context) error {
		var err error
		stored, err = e.incidents.memory.Intent(ctx, intent)
		return err
	})
	if err != nil || !samePlan(stored.Remediation.Plan, &c.Play) {
		return
	}
	for _, a := range stored.Approvals {
		w := word{intent: intent, verdict: a.Verdict, by: a.By, comment: plainText(a.Comment, maxComment), source: plainText(a.Source, 40)}
		if !isPerson(a.By) || said(&c.Play, w) {
			continue
		}
		if _, err := e.take(ctx, w); err != nil {
			e.logger.Debug("a word that another replica took does not count here", zap.String("intent", intent), zap.Error(err))
		}
	}
}

// awaiting returns the play that waits for people under this intent. e.mu is held.
func (e *remediationExporter) awaiting(intent string) (playbook.Change, bool) {
	for _, c := range e.ledger.Open() {
		if c.Play.Outcome == playbook.Awaiting && c.Intent() == intent {
			return c, true
		}
	}
	return playbook.Change{}, false
}

// samePlan reports whether what people were asked elsewhere is what they would be asked here.
func samePlan(stored *eventdata.Plan, p *playbook.Play) bool {
	if stored == nil || p.Plan == nil {
		return stored == nil && p.Plan == nil
	}
	return stored.Summary == newPlanData(p.Plan).Summary
}
