package remediationexporter

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

const (
	// reviewAttempts and reviewPause bound how long the API server is asked for our permissions at the start.
	reviewAttempts = 10
	reviewPause    = 30 * time.Second
)

// reviewer tells which permissions steps lack; [kubeaction.Client] does.
type reviewer interface {
	Review(ctx context.Context, steps []*kubeaction.Step, scope kubeaction.Scope) ([]kubeaction.Missing, error)
}

// reviewPermissions names the permissions that the playbooks lack before any of them is needed. A step is refused for a
// missing one in any case, so that this only tells earlier.
func (e *remediationExporter) reviewPermissions(ctx context.Context) {
	r, ok := e.cluster.(reviewer)
	if !ok {
		return
	}
	for _, b := range e.books {
		e.reviewBook(ctx, r, b)
	}
}

func (e *remediationExporter) reviewBook(ctx context.Context, r reviewer, b *book) {
	var steps []*kubeaction.Step
	for i := range b.cfg.Steps {
		if b.cfg.Steps[i].Kubernetes != nil {
			steps = append(steps, b.cfg.Steps[i].Kubernetes)
		}
	}
	if len(steps) == 0 {
		return
	}
	for attempt := 1; ; attempt++ {
		missing, err := r.Review(ctx, steps, b.cfg.Scope)
		if err == nil {
			for _, m := range missing {
				if m.Optional {
					e.logger.Info("permission is missing, so the worst is assumed", zap.String("playbook", b.cfg.Name), zap.Stringer("rule", m))
					continue
				}
				e.logger.Error("permission is missing, so steps will be refused: grant it", zap.String("playbook", b.cfg.Name), zap.Stringer("rule", m))
			}
			return
		}
		if attempt == reviewAttempts {
			e.logger.Warn("permissions could not be reviewed", zap.String("playbook", b.cfg.Name), zap.Error(err))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-e.stop:
			return
		case <-time.After(reviewPause):
		}
	}
}
