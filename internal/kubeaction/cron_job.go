package kubeaction

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// SuspendCronJob stops a CronJob from starting further jobs; those that run go on. Undo lets it start them again.
type SuspendCronJob struct{}

// ResumeCronJob lets a CronJob start jobs again. Undo suspends it.
type ResumeCronJob struct{}

func (*SuspendCronJob) name() string { return "suspend_cron_job" }
func (*ResumeCronJob) name() string  { return "resume_cron_job" }

func (*SuspendCronJob) class() Class { return ClassJob }
func (*ResumeCronJob) class() Class  { return ClassJob }

func (*SuspendCronJob) validate() error { return nil }
func (*ResumeCronJob) validate() error  { return nil }

func (*SuspendCronJob) needs() []permission { return cronJobNeeds() }
func (*ResumeCronJob) needs() []permission  { return cronJobNeeds() }

func cronJobNeeds() []permission {
	needs := []permission{kindCronJob.permission("get", "list", "patch"), kindJob.permission("get"), kindPod.permission("get"), eventsNeed}
	return append(needs, ownerNeeds...)
}

func (*SuspendCronJob) plan(ctx context.Context, c *Client, p *Plan) error {
	return c.planSuspend(ctx, p, true)
}

func (*ResumeCronJob) plan(ctx context.Context, c *Client, p *Plan) error {
	return c.planSuspend(ctx, p, false)
}

func (*SuspendCronJob) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	return c.applySuspend(ctx, p)
}

func (*ResumeCronJob) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	return c.applySuspend(ctx, p)
}

func (*SuspendCronJob) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	return c.undoSuspend(ctx, r)
}

func (*ResumeCronJob) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	return c.undoSuspend(ctx, r)
}

func (*SuspendCronJob) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.suspendHealth(ctx, r)
}

func (*ResumeCronJob) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.suspendHealth(ctx, r)
}

// suspendData is what spec.suspend is to become, and whether there is anything to do.
type suspendData struct {
	Suspend bool `json:"suspend"`
	// Changed is not set where it was so already, so that undoing leaves it.
	Changed bool `json:"changed"`
}

func (c *Client) planSuspend(ctx context.Context, p *Plan, suspend bool) error {
	u, err := c.resolve(ctx, p.Order, kindCronJob)
	if err != nil {
		return err
	}
	p.Target, p.Undoable, p.Weight = objectOf(u), true, 1
	p.Criticality = criticality(u)
	p.Locks = append(p.Locks, p.Target.lock())
	p.passed("target", "%s has UID %s", p.Target, p.Target.UID)
	for _, namespace := range p.Order.Scope.Namespaces {
		err := c.each(ctx, kindCronJob, namespace, p.Order.Scope.Selector, func(*unstructured.Unstructured) error {
			p.Population++
			p.Healthy++
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.capture(ctx, u, p)
	done := p.repeated(u)
	data := suspendData{Suspend: suspend, Changed: done || boolAt(u, "spec", "suspend") != suspend}
	if p.Data, err = json.Marshal(data); err != nil || done {
		return err
	}
	if !data.Changed {
		p.NoOp = true
		p.Summary = fmt.Sprintf("Nothing: spec.suspend of %s is %v already", p.Target, suspend)
		return nil
	}
	if err := c.respect(ctx, u, p, []string{"spec", "suspend"}); err != nil {
		return err
	}
	verb := "Resume"
	if suspend {
		verb = "Suspend"
	}
	p.Summary = fmt.Sprintf("%s %s", verb, p.Target)
	p.Commands = []string{fmt.Sprintf(`kubectl -n %s patch cronjob/%s --type=merge -p '{"spec":{"suspend":%v}}'`, p.Target.Namespace, p.Target.Name, suspend)}
	return c.try(ctx, p, suspendChange(p, data))
}

func suspendChange(p *Plan, data suspendData) change {
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		if boolAt(u, "spec", "suspend") == data.Suspend {
			return nil, nil
		}
		return nest(data.Suspend, "spec", "suspend"), nil
	})
}

func (c *Client) applySuspend(ctx context.Context, p *Plan) (Receipt, error) {
	var data suspendData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	r := p.nothing()
	if !p.NoOp {
		done, err := c.write(ctx, suspendChange(p, data))
		if err != nil {
			return Receipt{}, err
		}
		r = done.receipt(p)
		// Somebody else was faster: what they set is not ours to take back.
		data.Changed = data.Changed && (done.after != nil || done.repeated)
	}
	var err error
	r.Undo, err = json.Marshal(data)
	return r, err
}

func (c *Client) undoSuspend(ctx context.Context, r *Receipt) (Receipt, error) {
	var data suspendData
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	summary := fmt.Sprintf("Set spec.suspend of %s to %v again", r.Objects[0], !data.Suspend)
	if !data.Changed {
		return Receipt{Objects: r.Objects, NoOp: true, Summary: "Nothing: it was so before"}, nil
	}
	done, err := c.write(ctx, change{
		object: r.Objects[0], key: r.Key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			if boolAt(u, "spec", "suspend") != data.Suspend {
				return nil, nil
			}
			return nest(!data.Suspend, "spec", "suspend"), nil
		},
	})
	if err != nil {
		return Receipt{}, err
	}
	return done.undone(summary), nil
}

func (c *Client) suspendHealth(ctx context.Context, r *Receipt) (Health, error) {
	var data suspendData
	if err := decode(r.Undo, &data); err != nil {
		return Health{}, err
	}
	u, err := c.get(ctx, r.Objects[0])
	if err != nil {
		return Health{}, err
	}
	suspended := boolAt(u, "spec", "suspend")
	return Health{Ready: suspended == data.Suspend, Failed: suspended != data.Suspend, Detail: fmt.Sprintf("spec.suspend of %s is %v", r.Objects[0], suspended)}, nil
}
