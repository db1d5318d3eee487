package kubeaction

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// action is one kind of step; a step's parameters are its fields. Nothing but plan may read them: what apply, undo and
// health need stands in the plan and the receipt, so that they mean after a restart what they meant before it.
type action interface {
	// name is what configuration, audit and metrics call it.
	name() string
	class() Class
	// validate says everything that is wrong with the parameters; each error names only the leaf.
	validate() error
	// needs lists the permissions that plan, apply, undo and health use.
	needs() []permission
	// plan only reads and tries (dryRun=All). It gets a plan with Order, Action and Class set and fills in the rest but
	// Key, the order of Locks, and an empty Objects, which Prepare sees to. It refuses with a *Refusal; any other error may
	// pass when tried again.
	plan(ctx context.Context, c *Client, p *Plan) error
	// apply carries a plan out; it only uses what survives a restart (and Order.Incident and the like for annotations).
	// Repeating it must be harmless and must give a receipt that undoes the same.
	apply(ctx context.Context, c *Client, p *Plan) (Receipt, error)
	// undo takes back what the receipt says was done, and leaves alone what somebody else has changed since.
	undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error)
	// health only reads.
	health(ctx context.Context, c *Client, r *Receipt) (Health, error)
}

// permission is what an action must be allowed to do. Cluster is set for resources without a namespace; all others are
// needed in the namespaces of the scope.
type permission struct {
	Group, Resource string // Resource with its subresource, such as pods/eviction
	Verbs           []string
	Name            string // the only object that is meant; empty for all
	Cluster         bool
	// Optional is set for what is read only where it is installed and allowed; without it the action still works, but has
	// to assume the worst.
	Optional bool
}

// Prepare says what carrying out the order would change. It changes nothing. An order that must not be carried out gives
// a *Refusal; any other error, such as an API server that cannot be reached, may pass when tried again.
func (c *Client) Prepare(ctx context.Context, order Order) (Plan, error) {
	act, err := order.Step.action()
	if err != nil {
		return Plan{}, refuse(ReasonUnsupported, "%w", err)
	}
	if !validIntent(order.Intent) {
		return Plan{}, refuse(ReasonUnsupported, "intent must be 1 to 63 letters, digits and dashes, got %q", order.Intent)
	}
	p := Plan{Order: order, Action: act.name(), Class: act.class()}
	// An order out of its place is refused for that, by plan.
	if c.inPlace(act, order) {
		if err := c.checkPermissions(ctx, act, order.Scope, &p); err != nil {
			return Plan{}, fmt.Errorf("prepare %s: %w", p.Action, err)
		}
	}
	if err := act.plan(ctx, c, &p); err != nil {
		return Plan{}, fmt.Errorf("prepare %s: %w", p.Action, err)
	}
	p.Key = p.key()
	if len(p.Objects) == 0 {
		p.Objects = []Object{p.Target}
	}
	slices.Sort(p.Locks)
	p.Locks = slices.Compact(p.Locks)
	return p, nil
}

func (c *Client) inPlace(act action, order Order) bool {
	switch act.class() {
	case ClassNode:
		return true
	case ClassShed:
		return c.checkScope(order) == nil
	default:
		return c.checkPlace(order) == nil
	}
}

// Apply carries a plan out. The context must hold a [Permit] (see [WithPermit]). A *Refusal means that nothing was changed
// by this call; after any other error something may have been, and Apply can be repeated with the same plan.
func (c *Client) Apply(ctx context.Context, p Plan) (Receipt, error) {
	act, err := actionNamed(p.Action)
	if err != nil {
		return Receipt{}, err
	}
	r, err := act.apply(ctx, c, &p)
	if err != nil {
		return Receipt{}, fmt.Errorf("apply %s to %s: %w", p.Action, p.Target, err)
	}
	r.Key, r.Action, r.At = p.Key, p.Action, c.now().UTC()
	return r, nil
}

// Undo takes back what the receipt says was done. The context must hold a [Permit]. Undoing twice is harmless. Where
// somebody else has changed the object since, it is left as it is and the error is a *Refusal.
func (c *Client) Undo(ctx context.Context, r Receipt) (Receipt, error) {
	act, err := actionNamed(r.Action)
	if err != nil {
		return Receipt{}, err
	}
	if r.NoOp && len(r.Undo) == 0 {
		return Receipt{}, fmt.Errorf("undo %s: %w", r.Action, refuse(ReasonUnsupported, "how to take it back is not known: it had been done already"))
	}
	undone, err := act.undo(withRestoring(ctx), c, &r)
	if err != nil {
		return Receipt{}, fmt.Errorf("undo %s: %w", r.Action, err)
	}
	undone.Key, undone.Action, undone.At = r.Key, r.Action, c.now().UTC()
	return undone, nil
}

// Health says how what the receipt names does now.
func (c *Client) Health(ctx context.Context, r Receipt) (Health, error) {
	act, err := actionNamed(r.Action)
	if err != nil {
		return Health{}, err
	}
	if len(r.Objects) == 0 {
		return Health{}, fmt.Errorf("health after %s: the receipt names no object", r.Action)
	}
	return act.health(ctx, c, &r)
}

// String names an object as people write it: kind namespace/name.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// lock is the name of the lock on an object.
func (o Object) lock() string { return o.Kind + "/" + o.Namespace + "/" + o.Name }

// refuse makes a *Refusal; its detail tells which object it is about, what is wrong with it and what to do.
func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Detail: fmt.Errorf(format, args...).Error()}
}

// idempotencyKey is the same for every attempt of an intent's action on one object.
func idempotencyKey(intent, action, uid string) string {
	sum := sha256.Sum256([]byte(intent + "/" + action + "/" + uid))
	return hex.EncodeToString(sum[:16])
}

func validIntent(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' {
			return false
		}
	}
	return true
}
