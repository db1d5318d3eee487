package remediationexporter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

const (
	// reviewAgain is how soon permissions are looked at again while some are missing or unknown, reviewEvery otherwise.
	reviewAgain = time.Minute
	reviewEvery = 10 * time.Minute
)

// review is what was last found about the permissions of all playbooks.
type review struct {
	missing, optional []string
	err               error
}

// watchPermissions names missing permissions before they are needed: at the start, and whenever that changes. The collector
// goes on, since what else it does needs none of them.
func (e *remediationExporter) watchPermissions(ctx context.Context, host component.Host) {
	var told review
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.stop:
			return
		case <-timer.C:
		}
		r := e.reviewPermissions(ctx)
		if ctx.Err() != nil {
			return
		}
		e.tellPermissions(host, &told, &r)
		told = r
		if r.err != nil || len(r.missing) > 0 {
			timer.Reset(reviewAgain)
		} else {
			timer.Reset(reviewEvery)
		}
	}
}

// reviewPermissions asks which permissions the playbooks lack, and notes which playbooks do.
func (e *remediationExporter) reviewPermissions(ctx context.Context) review {
	var r review
	for _, b := range e.books {
		missing, err := e.missing(ctx, b)
		if err != nil {
			r.err = err
			return r
		}
		lacking := 0
		for _, m := range missing {
			text := b.cfg.Name + ": " + m.String()
			if m.Optional {
				r.optional = append(r.optional, text)
			} else {
				r.missing, lacking = append(r.missing, text), lacking+1
			}
		}
		e.mu.Lock()
		e.lacking[b.cfg.Name] = lacking
		e.mu.Unlock()
	}
	return r
}

// missing asks which permissions the steps of a playbook lack.
func (e *remediationExporter) missing(ctx context.Context, b *book) ([]kubeaction.Missing, error) {
	var steps []*kubeaction.Step
	for i := range b.cfg.Steps {
		if step := b.cfg.Steps[i].Kubernetes; step != nil {
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, reviewAgain)
	defer cancel()
	return e.cluster.Review(ctx, steps, b.cfg.Scope)
}

// tellPermissions tells people what has changed.
func (e *remediationExporter) tellPermissions(host component.Host, told, r *review) {
	switch {
	case r.err != nil:
		if told.err == nil {
			e.logger.Warn("permissions could not be reviewed and are asked for again", zap.Error(r.err))
		}
	case !slices.Equal(told.missing, r.missing) && len(r.missing) > 0:
		e.logger.Warn("playbooks lack permissions and do nothing until these are granted; remediation-rbac prints the roles",
			zap.Strings("missing", r.missing))
		componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(
			fmt.Errorf("playbooks lack permissions: %s", strings.Join(r.missing, "; "))))
	case len(told.missing) > 0 && len(r.missing) == 0:
		e.logger.Info("playbooks have the permissions that they lacked")
		componentstatus.ReportStatus(host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
	if r.err == nil && !slices.Equal(told.optional, r.optional) && len(r.optional) > 0 {
		e.logger.Info("actions assume the worst about what they may not read", zap.Strings("missing", r.optional))
	}
}

// permissionGrace is for how long a permission that was granted when it was last reviewed is asked for again: an API server
// that has just started answers that nothing is allowed until it has read its roles.
const permissionGrace = 30 * time.Second

// doubtful reports whether a refusal for want of a permission may be none. e.mu is held.
func (e *remediationExporter) doubtful(ref playbook.Ref, play *playbook.Play, refusal *kubeaction.Refusal, now time.Time) bool {
	lacking, reviewed := e.lacking[ref.Playbook]
	return refusal.Reason == kubeaction.ReasonPermission && reviewed && lacking == 0 && now.Sub(play.Decided) < permissionGrace
}

// permitted refuses a step of a playbook that lacked a permission for any of its steps when it was last reviewed, and still
// does: half a playbook may be worse than none.
func (e *remediationExporter) permitted(ctx context.Context, ref playbook.Ref) error {
	e.mu.Lock()
	lacking := e.lacking[ref.Playbook]
	e.mu.Unlock()
	b := e.bookOf(ref.Playbook)
	if lacking == 0 || b == nil {
		return nil
	}
	missing, err := e.missing(ctx, b)
	if err != nil {
		return fmt.Errorf("review permissions: %w", err)
	}
	var names []string
	for _, m := range missing {
		if !m.Optional {
			names = append(names, m.String())
		}
	}
	if len(names) > 0 {
		return &kubeaction.Refusal{
			Reason: kubeaction.ReasonPermission,
			Detail: "our service account lacks what the playbook needs: " + strings.Join(names, ", ") + "; grant it",
		}
	}
	return nil
}

// lackedPermissions counts what was missing at the last review. e.mu is held.
func (e *remediationExporter) lackedPermissions() int {
	n := 0
	for _, lacking := range e.lacking {
		n += lacking
	}
	return n
}
