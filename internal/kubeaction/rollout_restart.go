package kubeaction

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// annotationRestarted is what kubectl rollout restart sets on the pods' template.
const annotationRestarted = "kubectl.kubernetes.io/restartedAt"

// RolloutRestart replaces a workload's pods step by step, as kubectl rollout restart does. An Argo Rollout is restarted by
// its own spec.restartAt. It cannot be undone.
type RolloutRestart struct{}

func (*RolloutRestart) name() string    { return "rollout_restart" }
func (*RolloutRestart) class() Class    { return ClassRestart }
func (*RolloutRestart) validate() error { return nil }

func (*RolloutRestart) needs() []permission {
	return workloadNeeds(workloads, "patch")
}

// restartData is what has to be as it was when the restart is carried out.
type restartData struct {
	// Before is when the workload was last restarted this way. If that has changed, somebody else was faster.
	Before string `json:"before,omitempty"`
}

func (a *RolloutRestart) plan(ctx context.Context, c *Client, p *Plan) error {
	u, err := c.resolve(ctx, p.Order, workloads...)
	if err != nil {
		return err
	}
	p.Target = objectOf(u)
	path := restartField(p.Target)
	if err := c.describe(ctx, u, p); err != nil {
		return err
	}
	if p.repeated(u) {
		return nil
	}
	if err := c.respect(ctx, u, p, path); err != nil {
		return err
	}
	if err := restartable(u); err != nil {
		return err
	}
	if err := c.checkCapacity(u, p); err != nil {
		return err
	}
	now := replicasOf(u)
	p.Weight = max(now.desired, now.total)
	p.Summary = fmt.Sprintf("Restart %s, replacing its %d pods step by step", p.Target, p.Weight)
	p.Commands = []string{fmt.Sprintf("kubectl -n %s rollout restart %s/%s", p.Target.Namespace, lower(p.Target.Kind), p.Target.Name)}
	data := restartData{Before: stringAt(u, path...)}
	if p.Target.Kind == kindRollout.name {
		p.Commands = []string{fmt.Sprintf("kubectl argo rollouts -n %s restart %s", p.Target.Namespace, p.Target.Name)}
	}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	return c.try(ctx, p, a.change(c, p, data))
}

func (a *RolloutRestart) change(c *Client, p *Plan, data restartData) change {
	path := restartField(p.Target)
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		if at := stringAt(u, path...); at != data.Before {
			return nil, refuse(ReasonTargetChanged, "%s was restarted by somebody else at %s", p.Target, at)
		}
		if err := restartable(u); err != nil {
			return nil, err
		}
		return nest(c.now().UTC().Format(time.RFC3339), path...), nil
	})
}

func (a *RolloutRestart) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	if p.NoOp {
		return p.nothing(), nil
	}
	var data restartData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	done, err := c.write(ctx, a.change(c, p, data))
	if err != nil {
		return Receipt{}, err
	}
	return done.receipt(p), nil
}

func (*RolloutRestart) undo(_ context.Context, _ *Client, r *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "a restart cannot be taken back")
}

func (*RolloutRestart) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.workloadHealth(ctx, r.Objects[0])
}

func restartField(o Object) []string {
	if o.Kind == kindRollout.name {
		return []string{"spec", "restartAt"}
	}
	return []string{"spec", "template", "metadata", "annotations", annotationRestarted}
}

// restartable refuses a workload whose controller would not carry a restart out.
func restartable(u *unstructured.Unstructured) error {
	object := objectOf(u)
	switch {
	case u.GetKind() != kindStatefulSet.name && u.GetKind() != kindDaemonSet.name && boolAt(u, "spec", "paused"):
		return refuse(ReasonUnsupported, "%s is paused, so nothing would be restarted; somebody is at work on it", object)
	case stringAt(u, "spec", "updateStrategy", "type") == "OnDelete":
		return refuse(ReasonUnsupported, "%s has the update strategy OnDelete, so nothing would be restarted; delete its pods instead", object)
	case replicasOf(u).desired == 0 && u.GetKind() != kindDaemonSet.name:
		return refuse(ReasonUnsupported, "%s is scaled to zero, so there is nothing to restart", object)
	}
	return nil
}
