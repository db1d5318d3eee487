package remediationexporter

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// isolationEvery is how often isolations are looked for whose time is over.
const isolationEvery = time.Minute

// isolator finds what should have been released by now; [kubeaction.Client] does.
type isolator interface {
	Expired(ctx context.Context, scope kubeaction.Scope) ([]kubeaction.Receipt, error)
}

// endIsolations releases what was isolated for longer than its step said, also by a replica that is gone. An isolation that
// nobody ends would be an outage of our own.
func (e *remediationExporter) endIsolations(ctx context.Context) {
	c, ok := e.cluster.(isolator)
	if !ok {
		return
	}
	var scopes []kubeaction.Scope
	for _, b := range e.books {
		for i := range b.cfg.Steps {
			if step := b.cfg.Steps[i].Kubernetes; step != nil && step.Isolate != nil {
				scopes = append(scopes, b.cfg.Scope)
				break
			}
		}
	}
	if len(scopes) == 0 {
		return
	}
	ticker := time.NewTicker(isolationEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.stop:
			return
		case <-ticker.C:
		}
		for _, scope := range scopes {
			e.endIsolationsIn(ctx, c, scope)
		}
	}
}

func (e *remediationExporter) endIsolationsIn(ctx context.Context, c isolator, scope kubeaction.Scope) {
	e.mu.Lock()
	w := e.look(time.Now())
	e.mu.Unlock()
	if w.Paused != "" || w.Standby {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, isolationEvery)
	defer cancel()
	expired, err := c.Expired(ctx, scope)
	if err != nil {
		e.logger.Warn("isolations could not be looked for and are at the next turn", zap.Error(err))
		return
	}
	for _, r := range expired {
		if _, err := e.cluster.Undo(kubeaction.WithPermit(ctx, releasePermit{e}), r); err != nil {
			e.logger.Warn("isolation could not be released and is tried again", zap.Stringer("policy", r.Objects[0]), zap.Error(err))
			continue
		}
		e.logger.Info("isolation was released, since its time is over", zap.Stringer("policy", r.Objects[0]))
		now := time.Now()
		e.mu.Lock()
		e.noteGuard(playbook.Note{Guard: "isolation", State: "released", Key: r.Objects[0].String(), Detail: r.Summary}, now)
		e.settleAndUnlock(ctx)
	}
}

// releasePermit permits what ends an isolation: only the kill switch and leadership stand against it.
type releasePermit struct{ e *remediationExporter }

// Allow implements kubeaction.Permit.
func (p releasePermit) Allow(ctx context.Context, _ kubeaction.Request) error {
	if err := p.e.rate.Wait(ctx); err != nil {
		return fmt.Errorf("wait for the rate limit: %w", err)
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if w := p.e.look(time.Now()); w.Paused != "" || w.Standby {
		return fmt.Errorf("%w: automation is paused, or another replica leads", errWithdrawn)
	}
	return nil
}
