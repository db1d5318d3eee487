package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// checkScope refuses a scope of which any part must not be touched.
func (c *Client) checkScope(order Order) error {
	if err := c.checkCluster(order.Subject); err != nil {
		return err
	}
	if len(order.Scope.Namespaces) == 0 {
		return refuse(ReasonOutOfScope, "the playbook's scope has no namespaces, so there is nothing it may act on")
	}
	for _, namespace := range order.Scope.Namespaces {
		if err := c.checkNamespace(order.Scope, namespace); err != nil {
			return err
		}
	}
	return nil
}

// captureSubject keeps what can be seen of the workload for whose sake others are shed, which is where the trouble is.
func (c *Client) captureSubject(ctx context.Context, p *Plan) {
	if p.Order.Subject.Namespace == "" {
		return
	}
	u, err := c.find(ctx, p.Order.Subject)
	if err != nil {
		p.noted("evidence", "%v", err)
		return
	}
	c.capture(ctx, u, p)
}

// eachWorkload calls f with all workloads in scope whose number of pods can be set, by namespace, kind and name.
func (c *Client) eachWorkload(ctx context.Context, scope Scope, f func(*unstructured.Unstructured) error) error {
	for _, namespace := range scope.Namespaces {
		for _, k := range shedKinds {
			err := c.each(ctx, k, namespace, scope.Selector, f)
			if err != nil && !absent(k, err) {
				return err
			}
		}
	}
	return nil
}

// planItems completes a plan for several workloads and lets the API server judge each write.
func (c *Client) planItems(ctx context.Context, p *Plan, data shedData, of func(*Plan, shedItem) change) error {
	p.Target = data.Items[0].Written
	if err := c.countPopulation(ctx, p); err != nil {
		return err
	}
	changes := make([]change, 0, len(data.Items))
	for _, item := range data.Items {
		p.Objects = append(p.Objects, item.Written)
		p.Locks = append(p.Locks, item.Workload.lock(), item.Written.lock())
		changes = append(changes, of(p, item))
	}
	var err error
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	return c.try(ctx, p, changes...)
}

// applyItems writes to each workload; what an earlier attempt has done is left as it is. When some cannot be written, the
// others still are: their refusals end in the receipt's summary, and only if nothing at all was written in an error.
func (c *Client) applyItems(ctx context.Context, p *Plan, of func(*Plan, shedItem) change) (Receipt, error) {
	var data, written shedData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	r := Receipt{NoOp: true, Summary: p.Summary}
	var refusals []error
	for _, item := range data.Items {
		done, err := c.write(ctx, of(p, item))
		var refusal *Refusal
		if errors.As(err, &refusal) {
			refusals = append(refusals, err)
			continue
		}
		if err != nil {
			return Receipt{}, err
		}
		r.NoOp = r.NoOp && done.after == nil
		r.Objects = append(r.Objects, objectOf(done.before))
		written.Items = append(written.Items, item)
	}
	if len(written.Items) == 0 {
		return Receipt{}, errors.Join(refusals...)
	}
	if len(refusals) > 0 {
		r.Summary += fmt.Sprintf("; %d left as they are: %v", len(refusals), errors.Join(refusals...))
	}
	var err error
	r.Undo, err = json.Marshal(written)
	return r, err
}

func (c *Client) itemsHealth(ctx context.Context, r *Receipt, settled func(shedItem, *unstructured.Unstructured) bool) (Health, error) {
	var data shedData
	if err := decode(r.Undo, &data); err != nil {
		return Health{}, err
	}
	var waiting []string
	for _, item := range data.Items {
		u, err := c.get(ctx, item.Workload)
		if err != nil {
			return Health{}, err
		}
		if !settled(item, u) {
			waiting = append(waiting, item.Workload.String())
		}
	}
	if len(waiting) > 0 {
		return Health{Detail: fmt.Sprintf("%d of %d have not settled: %s", len(waiting), len(data.Items), strings.Join(waiting[:min(len(waiting), 5)], ", "))}, nil
	}
	return Health{Ready: true, Detail: fmt.Sprintf("all %d have settled", len(data.Items))}, nil
}

func shedChange(p *Plan, item shedItem) change {
	return p.change(item.Written, func(u *unstructured.Unstructured) (fields, error) {
		to, from := item.numbers()
		note := nest(item.Note, "metadata", "labels", labelShed)
		if from == shedFromKEDA {
			if how := paused(u); how != "" {
				return nil, refuse(ReasonTargetChanged, "%s was paused by somebody else (%s)", item.Written, how)
			}
			return merge(note, nest(strconv.Itoa(to), "metadata", "annotations", kedaPausedReplicas)), nil
		}
		if n := desiredReplicas(u); strconv.Itoa(n) != from {
			return nil, refuse(ReasonTargetChanged, "%s has been scaled to %d pods meanwhile", item.Written, n)
		}
		return merge(note, nest(to, "spec", "replicas")), nil
	})
}

func restoreChange(p *Plan, item shedItem) change { return p.change(item.Written, restorePatch(item)) }

// restorePatch puts back what was shed, unless somebody else has scaled it since.
func restorePatch(item shedItem) func(*unstructured.Unstructured) (fields, error) {
	return func(u *unstructured.Unstructured) (fields, error) {
		if u.GetLabels()[labelShed] != item.Note {
			return nil, nil // restored already, or shed anew by another order
		}
		to, from := item.numbers()
		patch := nest(nil, "metadata", "labels", labelShed)
		if from == shedFromKEDA {
			if u.GetAnnotations()[kedaPausedReplicas] == strconv.Itoa(to) {
				patch = merge(patch, nest(nil, "metadata", "annotations", kedaPausedReplicas))
			}
			return patch, nil
		}
		n, err := strconv.Atoi(from)
		if err != nil || n < 0 || n > maxReplicas {
			return nil, refuse(ReasonTargetChanged, "label %s of %s must be two numbers such as 0-of-3, got %q; somebody else has changed it", labelShed, item.Written, clean(item.Note, 32))
		}
		if desiredReplicas(u) == to {
			patch = merge(patch, nest(n, "spec", "replicas"))
		}
		return patch, nil
	}
}

// graver is the more important of two tiers.
func graver(a, b string) string {
	if slices.Index(Tiers, b) > slices.Index(Tiers, a) {
		return b
	}
	return a
}

// leftOut tells why workloads were left out.
func (p *Plan) leftOut() string {
	var reasons []string
	for _, check := range p.Checks {
		if check.Name == "left_out" && len(reasons) < 5 {
			reasons = append(reasons, check.Detail)
		}
	}
	if len(reasons) == 0 {
		return "none has this label or annotation"
	}
	return strings.Join(reasons, "; ")
}

// ownerDetail is why an owner makes one workload of several to be left out; passOwner is any other error.
func ownerDetail(err error) string {
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Reason == ReasonOwner {
		return refusal.Detail
	}
	return ""
}

func passOwner(err error) error {
	if ownerDetail(err) != "" {
		return nil
	}
	return err
}
