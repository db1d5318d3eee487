package kubeaction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// labelShed keeps, on what was shed, to and from how many pods: "0-of-3", or "0-of-keda" where KEDA's pause was set. It is a
// label because kubectl rollout undo puts a Deployment's annotations back to old ones, and so that people can list it. It is
// what restoring goes by, so that it needs no receipt.
const labelShed = "paramedic.io/shed"

// shedFromKEDA stands for "as many as KEDA wants".
const shedFromKEDA = "keda"

// maxShedWorkloads bounds max_workloads.
const maxShedWorkloads = 100

// Tiers are the values of service.criticality that may be shed, the least important first.
var Tiers = []string{"low", "medium", "high", "critical"}

// Shed scales down all workloads of a tier in the scope, and remembers on each what it had: those whose label or
// annotation service.criticality (or its pods') is in the list. It is all or nothing: with more than MaxWorkloads to shed it
// is refused. Workloads that somebody would scale up again are left out. Undo is Restore of just these.
type Shed struct {
	// Criticality are tiers; critical is not allowed.
	Criticality []string `mapstructure:"criticality"`
	// To is how many pods are left, 0 by default. Only 0 switches a HorizontalPodAutoscaler off, so with more its workloads are left out.
	To int `mapstructure:"to"`
	// MaxWorkloads must be set, 1 to 100.
	MaxWorkloads int `mapstructure:"max_workloads"`
}

func (*Shed) name() string { return "shed" }
func (*Shed) class() Class { return ClassShed }

func (a *Shed) validate() error {
	var errs []error
	if len(a.Criticality) == 0 {
		errs = append(errs, fmt.Errorf("criticality must name at least one of %s", strings.Join(Tiers[:3], ", ")))
	}
	for _, tier := range a.Criticality {
		if !slices.Contains(Tiers[:3], tier) {
			errs = append(errs, fmt.Errorf("criticality must be of %s, got %q", strings.Join(Tiers[:3], ", "), tier))
		}
	}
	if a.To < 0 || a.To > maxReplicas {
		errs = append(errs, fmt.Errorf("to must be between 0 and %d, got %d", maxReplicas, a.To))
	}
	return errors.Join(append(errs, validMaxWorkloads(a.MaxWorkloads))...)
}

func validMaxWorkloads(n int) error {
	if n < 1 || n > maxShedWorkloads {
		return fmt.Errorf("max_workloads must be between 1 and %d, got %d; it bounds what one step may change", maxShedWorkloads, n)
	}
	return nil
}

var shedKinds = []kind{kindDeployment, kindStatefulSet, kindRollout}

func (*Shed) needs() []permission {
	return append(append(workloadNeeds(shedKinds, "patch"), autoscalerNeeds...), kindScaledObject.optional("patch"))
}

// shedItem is one workload to shed or restore.
type shedItem struct {
	Workload Object `json:"workload"`
	// Written is the workload, or the ScaledObject whose pause is set.
	Written Object `json:"written"`
	// Note is labelShed's value.
	Note string `json:"note"`
}

func (i shedItem) numbers() (to int, from string) {
	left, right, _ := strings.Cut(i.Note, "-of-")
	to, _ = strconv.Atoi(left)
	return to, right
}

// command is how a person would set the workload to so many pods, or let KEDA set it.
func (i shedItem) command(pods string) string {
	switch {
	case i.Written.Kind != kindScaledObject.name:
		return fmt.Sprintf("kubectl -n %s scale %s/%s --replicas=%s", i.Written.Namespace, lower(i.Written.Kind), i.Written.Name, pods)
	case pods == shedFromKEDA:
		return fmt.Sprintf("kubectl -n %s annotate scaledobject/%s %s-", i.Written.Namespace, i.Written.Name, kedaPausedReplicas)
	default:
		return fmt.Sprintf("kubectl -n %s annotate scaledobject/%s %s=%s", i.Written.Namespace, i.Written.Name, kedaPausedReplicas, pods)
	}
}

type shedData struct {
	Items []shedItem `json:"items"`
}

func (a *Shed) plan(ctx context.Context, c *Client, p *Plan) error {
	p.Destructive, p.Undoable = true, true
	if err := c.checkScope(p.Order); err != nil {
		return err
	}
	var data shedData
	var running []*unstructured.Unstructured
	err := c.eachWorkload(ctx, p.Order.Scope, func(u *unstructured.Unstructured) error {
		if slices.Contains(a.Criticality, criticality(u)) && u.GetDeletionTimestamp() == nil {
			running = append(running, u)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range running {
		item, why, err := a.item(ctx, c, p, u)
		if err != nil {
			return err
		}
		if why != "" {
			p.noted("left_out", "%s: %s", objectOf(u), why)
			continue
		}
		data.Items = append(data.Items, item)
		p.Weight += max(replicasOf(u).desired-a.To, 0)
		p.Criticality = graver(p.Criticality, criticality(u))
	}
	if len(data.Items) == 0 {
		return refuse(ReasonTargetMissing, "no workload with service.criticality %s in %s is left to be shed; %s", strings.Join(a.Criticality, " or "), strings.Join(p.Order.Scope.Namespaces, ", "), p.leftOut())
	}
	if len(data.Items) > a.MaxWorkloads {
		return refuse(ReasonBounds, "%d workloads would be shed, more than max_workloads (%d)", len(data.Items), a.MaxWorkloads)
	}
	c.captureSubject(ctx, p)
	p.Summary = fmt.Sprintf("Shed %d workloads of criticality %s, %d pods, leaving %d of each", len(data.Items), strings.Join(a.Criticality, " or "), p.Weight, a.To)
	for _, item := range data.Items {
		to, _ := item.numbers()
		p.Commands = append(p.Commands, item.command(strconv.Itoa(to)))
	}
	return c.planItems(ctx, p, data, shedChange)
}

// item judges one workload. why says for what reason it is left out.
func (a *Shed) item(ctx context.Context, c *Client, p *Plan, u *unstructured.Unstructured) (item shedItem, why string, err error) {
	now := replicasOf(u)
	item = shedItem{Workload: objectOf(u), Written: objectOf(u), Note: fmt.Sprintf("%d-of-%d", a.To, now.desired)}
	if u.GetLabels()[labelShed] != "" {
		return item, "it is shed already", nil
	}
	scalers, err := c.autoscalersOf(ctx, u)
	if err != nil {
		return item, ownerDetail(err), passOwner(err)
	}
	path, written := []string{"spec", "replicas"}, u
	switch {
	case scalers.scaledObject != nil:
		written = scalers.scaledObject
		item.Written, item.Note = objectOf(written), fmt.Sprintf("%d-of-%s", a.To, shedFromKEDA)
		path = []string{"metadata", "annotations", kedaPausedReplicas}
		if how := paused(written); how != "" {
			return item, fmt.Sprintf("%s is paused (%s)", item.Written, how), nil
		}
	case scalers.hpa != nil && a.To > 0:
		return item, fmt.Sprintf("%s would scale it up again; only to 0 switches it off", objectOf(scalers.hpa)), nil
	}
	if now.desired <= a.To {
		return item, fmt.Sprintf("it has %d pods", now.desired), nil
	}
	if err := c.respect(ctx, written, p, path); err != nil {
		return item, ownerDetail(err), passOwner(err)
	}
	return item, "", nil
}

func (*Shed) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	return c.applyItems(ctx, p, shedChange)
}

func (*Shed) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	var data shedData
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	undone := Receipt{NoOp: true, Summary: fmt.Sprintf("Restored %d workloads that were shed", len(data.Items))}
	var errs []error
	for _, item := range data.Items {
		ch := change{object: item.Written, key: r.Key, mark: annotationUndone, patch: restorePatch(item)}
		done, err := c.write(ctx, ch)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		undone.Objects = append(undone.Objects, objectOf(done.before))
		undone.NoOp = undone.NoOp && done.after == nil
	}
	return undone, errors.Join(errs...)
}

// health is that of scaling down: it has settled when no more pods are left than were to be.
func (*Shed) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.itemsHealth(ctx, r, func(item shedItem, u *unstructured.Unstructured) bool {
		to, _ := item.numbers()
		n := replicasOf(u)
		return n.observed && n.total <= to
	})
}

// Restore scales back what Shed has scaled down in the scope, each workload to just what it had. What somebody has scaled
// meanwhile keeps its number and is only marked as no longer shed.
type Restore struct {
	// Criticality are tiers; empty for all.
	Criticality []string `mapstructure:"criticality"`
	// MaxWorkloads must be set, 1 to 100.
	MaxWorkloads int `mapstructure:"max_workloads"`
}

func (*Restore) name() string { return "restore" }
func (*Restore) class() Class { return ClassShed }

func (a *Restore) validate() error {
	var errs []error
	for _, tier := range a.Criticality {
		if !slices.Contains(Tiers[:3], tier) {
			errs = append(errs, fmt.Errorf("criticality must be of %s, got %q", strings.Join(Tiers[:3], ", "), tier))
		}
	}
	return errors.Join(append(errs, validMaxWorkloads(a.MaxWorkloads))...)
}

func (*Restore) needs() []permission { return (&Shed{}).needs() }

func (a *Restore) plan(ctx context.Context, c *Client, p *Plan) error {
	if err := c.checkScope(p.Order); err != nil {
		return err
	}
	var data shedData
	err := c.eachWorkload(ctx, p.Order.Scope, func(u *unstructured.Unstructured) error {
		if len(a.Criticality) > 0 && !slices.Contains(a.Criticality, criticality(u)) {
			return nil
		}
		written := u
		if u.GetLabels()[labelShed] == "" {
			scalers, err := c.autoscalersOf(ctx, u)
			if err != nil {
				return err
			}
			if scalers.scaledObject == nil || scalers.scaledObject.GetLabels()[labelShed] == "" {
				return nil
			}
			written = scalers.scaledObject
		}
		item := shedItem{Workload: objectOf(u), Written: objectOf(written), Note: written.GetLabels()[labelShed]}
		data.Items = append(data.Items, item)
		_, from := item.numbers()
		if n, err := strconv.Atoi(from); err == nil {
			p.Weight += max(n-replicasOf(u).desired, 0)
		}
		p.Criticality = graver(p.Criticality, criticality(u))
		return nil
	})
	if err != nil {
		return err
	}
	if len(data.Items) == 0 {
		return refuse(ReasonTargetMissing, "nothing in %s is shed", strings.Join(p.Order.Scope.Namespaces, ", "))
	}
	if len(data.Items) > a.MaxWorkloads {
		return refuse(ReasonBounds, "%d workloads would be restored, more than max_workloads (%d)", len(data.Items), a.MaxWorkloads)
	}
	p.Summary = fmt.Sprintf("Restore %d workloads that were shed, %d pods", len(data.Items), p.Weight)
	for _, item := range data.Items {
		_, from := item.numbers()
		p.Commands = append(p.Commands, item.command(from))
	}
	return c.planItems(ctx, p, data, restoreChange)
}

func (*Restore) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	return c.applyItems(ctx, p, restoreChange)
}

func (*Restore) undo(context.Context, *Client, *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "restoring cannot be taken back; shed again if need be")
}

func (*Restore) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.itemsHealth(ctx, r, func(item shedItem, u *unstructured.Unstructured) bool {
		n := replicasOf(u)
		return n.observed && n.available >= n.desired
	})
}
