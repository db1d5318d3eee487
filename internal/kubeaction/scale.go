package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxReplicas bounds what a playbook may ask for.
const maxReplicas = 10_000

// Scale changes a workload's number of pods: to a number, by a number, or by a factor. Where a HorizontalPodAutoscaler or a
// KEDA ScaledObject scales the workload, its minimum is raised instead, up to its maximum; it is never scaled down against
// them. Undo puts the former number back.
type Scale struct {
	// To, By and Factor say how; exactly one is set. By may be negative; Factor is greater than 0 and its result is rounded up.
	To     *int    `mapstructure:"to"`
	By     int     `mapstructure:"by"`
	Factor float64 `mapstructure:"factor"`
	// Min and Max bound the result. Min is 1 unless set; Max must be set.
	Min *int `mapstructure:"min"`
	Max int  `mapstructure:"max"`
}

func (*Scale) name() string { return "scale" }
func (*Scale) class() Class { return ClassScale }

func (a *Scale) validate() error {
	var errs []error
	ways := 0
	if a.To != nil {
		ways++
	}
	if a.By != 0 {
		ways++
	}
	if a.Factor != 0 {
		ways++
	}
	if ways != 1 {
		errs = append(errs, fmt.Errorf("scale must set exactly one of to, by and factor, got %d of them; by and factor are not 0", ways))
	}
	if !(a.Factor >= 0 && a.Factor <= 100) {
		errs = append(errs, fmt.Errorf("factor must be between 0 and 100, got %v", a.Factor))
	}
	if a.By < -maxReplicas || a.By > maxReplicas {
		errs = append(errs, fmt.Errorf("by must be between -%d and %d, got %d", maxReplicas, maxReplicas, a.By))
	}
	if a.Max < 1 || a.Max > maxReplicas {
		errs = append(errs, fmt.Errorf("max must be between 1 and %d, got %d; it bounds how far a workload is scaled", maxReplicas, a.Max))
	}
	if a.min() < 0 || a.min() > a.Max {
		errs = append(errs, fmt.Errorf("min must be between 0 and max, got %d", a.min()))
	}
	if a.To != nil && (*a.To < a.min() || *a.To > a.Max) {
		errs = append(errs, fmt.Errorf("to must be between min (%d) and max (%d), got %d", a.min(), a.Max, *a.To))
	}
	return errors.Join(errs...)
}

func (a *Scale) min() int {
	if a.Min == nil {
		return 1
	}
	return *a.Min
}

func (*Scale) needs() []permission {
	needs := workloadNeeds([]kind{kindDeployment, kindStatefulSet, kindRollout}, "patch")
	return append(append(needs, autoscalerNeeds...), kindHPA.permission("get", "patch"), kindScaledObject.optional("patch"))
}

// wanted is the number of pods the step leads to from the current one. It never goes against the step's direction: what
// already is beyond a bound is not brought back to it.
func (a *Scale) wanted(current int) (int, error) {
	n := current + a.By
	switch {
	case a.To != nil:
		return *a.To, nil
	case current == 0:
		return 0, refuse(ReasonBounds, "it is scaled to zero, so there is nothing to go by; scale it to a number")
	case a.Factor != 0:
		n = int(math.Ceil(float64(current) * a.Factor))
	}
	bounded := min(max(n, a.min()), a.Max)
	if n >= current && bounded <= current || n <= current && bounded >= current {
		return 0, refuse(ReasonBounds, "it has %d pods, and the step's bounds (min %d, max %d) leave no way on", current, a.min(), a.Max)
	}
	return bounded, nil
}

// scaleData is the number that is written, where, and what stood there before.
type scaleData struct {
	Workload Object   `json:"workload"`
	Written  Object   `json:"written"`
	Path     []string `json:"path"`
	// Before is nil where the field was not set.
	Before *int `json:"before"`
	After  int  `json:"after"`
}

func (a *Scale) plan(ctx context.Context, c *Client, p *Plan) error {
	u, err := c.resolve(ctx, p.Order, kindDeployment, kindStatefulSet, kindRollout)
	if err != nil {
		return err
	}
	p.Target, p.Undoable = objectOf(u), true
	if _, shed := u.GetLabels()[labelShed]; shed {
		return refuse(ReasonOwner, "%s was shed; restore it instead of scaling it", p.Target)
	}
	scalers, err := c.autoscalersOf(ctx, u)
	if err != nil {
		return err
	}
	if err := c.describe(ctx, u, p); err != nil {
		return err
	}
	written, data := scaleThrough(u, scalers)
	if data.Written != data.Workload {
		p.Locks = append(p.Locks, data.Written.lock())
		p.Objects = []Object{p.Target, data.Written}
	}
	if p.repeated(written) {
		data.After = data.number(written)
		data.Before = previousNumber(written)
		p.Data, err = json.Marshal(data)
		return err
	}
	now := replicasOf(u).desired
	want, err := a.wanted(now)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Target, err)
	}
	if data.After, err = data.allowed(written, now, want); err != nil {
		return err
	}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	if data.Before != nil && *data.Before == data.After {
		p.NoOp = true
		p.Summary = fmt.Sprintf("Nothing: %s of %s is %d already", data.Path[1], data.Written, data.After)
		return nil
	}
	if err := c.respect(ctx, written, p, data.Path); err != nil {
		return err
	}
	if data.After < now {
		p.Destructive = true
		if err := c.checkCapacity(u, p); err != nil {
			return err
		}
	}
	p.Weight = max(data.After-now, now-data.After)
	p.Summary = fmt.Sprintf("Scale %s from %d to %d pods", p.Target, now, data.After)
	p.Commands = []string{fmt.Sprintf("kubectl -n %s scale %s/%s --replicas=%d", p.Target.Namespace, lower(p.Target.Kind), p.Target.Name, data.After)}
	if data.Written != data.Workload {
		p.Summary = fmt.Sprintf("Scale %s from %d to at least %d pods by raising %s of %s", p.Target, now, data.After, data.Path[1], data.Written)
		p.Commands = []string{fmt.Sprintf(`kubectl -n %s patch %s/%s --type=merge -p '{"spec":{"%s":%d}}'`, p.Target.Namespace, lower(data.Written.Kind), data.Written.Name, data.Path[1], data.After)}
	}
	return c.try(ctx, p, data.change(p))
}

// scaleThrough decides which object is written to scale a workload.
func scaleThrough(u *unstructured.Unstructured, scalers autoscalers) (*unstructured.Unstructured, scaleData) {
	written, field := u, "replicas"
	switch {
	case scalers.scaledObject != nil:
		written, field = scalers.scaledObject, "minReplicaCount"
	case scalers.hpa != nil:
		written, field = scalers.hpa, "minReplicas"
	}
	data := scaleData{Workload: objectOf(u), Written: objectOf(written), Path: []string{"spec", field}}
	if _, found, _ := unstructured.NestedInt64(written.Object, data.Path...); found {
		before := data.number(written)
		data.Before = &before
	}
	return written, data
}

// allowed is the number to write so that the workload comes from its current number of pods to the wanted one, as far as
// its autoscaler allows.
func (d scaleData) allowed(written *unstructured.Unstructured, current, want int) (int, error) {
	var limit int
	switch d.Written.Kind {
	case kindScaledObject.name:
		limit = 100 // KEDA's default
		if n, found, _ := unstructured.NestedInt64(written.Object, "spec", "maxReplicaCount"); found {
			limit = int(n)
		}
		if how := paused(written); how != "" {
			return 0, refuse(ReasonOwner, "%s is paused (%s); somebody holds %s as it is", d.Written, how, d.Workload)
		}
	case kindHPA.name:
		limit = intAt(written, "spec", "maxReplicas")
		if current == 0 {
			return 0, refuse(ReasonOwner, "%s is scaled to zero, which switches %s off; somebody wants it so", d.Workload, d.Written)
		}
	default:
		return want, nil
	}
	if want < current {
		return 0, refuse(ReasonOwner, "%s decides how many pods %s needs and would not follow; lower its minimum by hand if it is too high", d.Written, d.Workload)
	}
	if want > current && limit <= current {
		return 0, refuse(ReasonBounds, "%s has %d pods, the most that %s allows; raise its maximum", d.Workload, current, d.Written)
	}
	after := min(want, limit)
	if d.Before != nil {
		after = max(after, *d.Before)
	}
	return after, nil
}

func (d scaleData) number(u *unstructured.Unstructured) int { return intAt(u, d.Path...) }

// annotationPrevious keeps, on what was scaled, the number before, so that a plan made anew after a crash can be undone.
const annotationPrevious = "paramedic.io/previous"

func previousNumber(u *unstructured.Unstructured) *int {
	n, err := strconv.Atoi(u.GetAnnotations()[annotationPrevious])
	if err != nil {
		return nil
	}
	return &n
}

func (d scaleData) change(p *Plan) change {
	return p.change(d.Written, func(u *unstructured.Unstructured) (fields, error) {
		if err := d.unchanged(u, d.Before); err != nil {
			return nil, err
		}
		note := "unset"
		if d.Before != nil {
			note = strconv.Itoa(*d.Before)
		}
		return merge(nest(d.After, d.Path...), nest(note, "metadata", "annotations", annotationPrevious)), nil
	})
}

// unchanged refuses when the number is not the one expected, nil standing for none.
func (d scaleData) unchanged(u *unstructured.Unstructured, want *int) error {
	n, found, _ := unstructured.NestedInt64(u.Object, d.Path...)
	if found != (want != nil) || found && int(n) != *want {
		return refuse(ReasonTargetChanged, "somebody else has set %s of %s to %d", d.Path[len(d.Path)-1], d.Written, n)
	}
	return nil
}

func (a *Scale) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data scaleData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	return c.carryOut(ctx, p, data.change(p))
}

func (*Scale) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	var data scaleData
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	done, err := c.write(ctx, change{
		object: data.Written, key: r.Key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			if data.unchanged(u, data.Before) == nil {
				return nil, nil
			}
			if err := data.unchanged(u, &data.After); err != nil {
				return nil, err
			}
			if data.Before == nil {
				return nest(nil, data.Path...), nil
			}
			return nest(*data.Before, data.Path...), nil
		},
	})
	if err != nil {
		return Receipt{}, err
	}
	return done.undone(fmt.Sprintf("Put %s of %s back", data.Path[len(data.Path)-1], data.Written)), nil
}

// health waits for the workload, whoever was written to, to have at least the pods that were asked for.
func (*Scale) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	var data scaleData
	if err := decode(r.Undo, &data); err != nil {
		return Health{}, err
	}
	h, err := c.workloadHealth(ctx, data.Workload)
	if err != nil || data.Written == data.Workload {
		return h, err
	}
	u, err := c.get(ctx, data.Workload)
	if err != nil {
		return Health{}, err
	}
	if n := replicasOf(u).desired; n < data.After {
		return Health{Detail: fmt.Sprintf("%s still asks for %d pods, %s has not raised it to %d yet", data.Workload, n, data.Written, data.After)}, nil
	}
	return h, nil
}
