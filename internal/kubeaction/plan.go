package kubeaction

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// describe sets what every plan for a workload says: the tier, the lock, the population and the evidence.
func (c *Client) describe(ctx context.Context, u *unstructured.Unstructured, p *Plan) error {
	p.Criticality = criticality(u)
	p.Locks = append(p.Locks, objectOf(u).lock())
	p.passed("target", "%s has UID %s", objectOf(u), u.GetUID())
	counted := make(chan error, 1)
	counts := Plan{Order: p.Order}
	go func() { counted <- c.countPopulation(ctx, &counts) }()
	c.capture(ctx, u, p)
	err := <-counted
	p.Population, p.Healthy = counts.Population, counts.Healthy
	return err
}

// repeated says that this very intent has already changed the object, which makes the plan one that does nothing. The
// plan's target must be known.
func (p *Plan) repeated(u *unstructured.Unstructured) bool {
	if u.GetAnnotations()[annotationIntent] != p.key() {
		return false
	}
	p.NoOp = true
	p.Summary = fmt.Sprintf("Nothing: this intent has already been carried out on %s", objectOf(u))
	return true
}

// nothing is the receipt of a plan with NoOp.
func (p *Plan) nothing() Receipt {
	return Receipt{Objects: p.Objects, NoOp: true, Summary: p.Summary}
}

// key is the plan's idempotency key, also while it is being made.
func (p *Plan) key() string {
	if p.Key == "" {
		return idempotencyKey(p.Order.Intent, p.Action, p.Target.UID)
	}
	return p.Key
}

// change is a write of this plan to one of its objects.
func (p *Plan) change(o Object, patch func(*unstructured.Unstructured) (fields, error)) change {
	return change{object: o, key: p.key(), mark: annotationIntent, incident: p.Order.Incident, patch: patch}
}

// try lets the API server judge the writes without carrying them out.
func (c *Client) try(ctx context.Context, p *Plan, changes ...change) error {
	for _, ch := range changes {
		ch.dryRun = true
		if _, err := c.write(ctx, ch); err != nil {
			return err
		}
	}
	p.passed("dry_run", "the API server accepts the change")
	return nil
}

// carryOut makes the one write of a plan, unless it does nothing. What the action wrote into the plan is what takes it back.
func (c *Client) carryOut(ctx context.Context, p *Plan, ch change) (Receipt, error) {
	r := p.nothing()
	if !p.NoOp {
		done, err := c.write(ctx, ch)
		if err != nil {
			return Receipt{}, err
		}
		r = done.receipt(p)
	}
	r.Undo = p.Data
	return r, nil
}

// receipt is that of a plan with one write.
func (o outcome) receipt(p *Plan) Receipt {
	r := Receipt{Objects: []Object{objectOf(o.before)}, Summary: p.Summary, NoOp: o.after == nil}
	if o.after != nil {
		r.Objects[0] = objectOf(o.after)
	}
	return r
}

// decode reads what an action wrote into a plan or receipt.
func decode(data json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read the action's own data: %w", err)
	}
	return nil
}

// nest puts a value at a path.
func nest(value any, path ...string) fields {
	for i := len(path) - 1; i > 0; i-- {
		value = fields{path[i]: value}
	}
	return fields{path[0]: value}
}

// lower is how kubectl writes a kind.
func lower(kind string) string { return strings.ToLower(kind) }

// workloadNeeds are the permissions of an action on workloads.
func workloadNeeds(acted []kind, verbs ...string) []permission {
	var needs []permission
	for _, k := range workloads {
		needs = append(needs, k.served("get", "list"))
	}
	for _, k := range acted {
		needs = append(needs, k.served(verbs...))
	}
	needs = append(needs, ownerNeeds...)
	return append(needs, kindPod.permission("get", "list"), kindReplicaSet.permission("get", "list"), kindControllerRevision.permission("list"), eventsNeed)
}

// undone is the receipt of having taken one write back.
func (o outcome) undone(summary string) Receipt {
	r := Receipt{Objects: []Object{objectOf(o.before)}, Summary: summary, NoOp: o.after == nil}
	if o.after != nil {
		r.Objects[0] = objectOf(o.after)
	}
	return r
}
