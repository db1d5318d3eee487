// Package actionbudget bounds how much may be done to a fleet: actions within a sliding window, by class and by namespace, as
// a number and as a share of the objects that could be touched, and a floor on what must stay healthy.
//
// It guards against the rows "runaway" and "limits off by default or drifting" of the failure modes of the safety design: one
// confident step at a time until half the cluster is gone, and a percentage of the wrong whole. The denominator of a share is
// [Charge.Population], the objects that the rule can touch right now, and never the whole fleet.
//
// Shares are rounded down, as Kubernetes rounds the maxUnavailable of a rollout, and the floor is rounded up, as it rounds the
// minAvailable of a PodDisruptionBudget. By that alone 10 % of 3 pods would never allow anything, so one object may be
// touched where the share comes to less than one: when it is a single object, nothing else of the same pool was touched within
// the window, and the limit has a MaxActions that allows it too. Where the population is not known a share cannot be judged:
// then MaxActions alone decides, for a charge that is not destructive and touches at most one object, and everything else is
// denied.
//
// Undoing is not charged: undo, uncordon and release are always allowed.
//
// Time is an argument. Charges that lie ahead of now, because a clock was set back, are taken to have been made now: they
// count for their whole window once more, and never longer. A [Ledger] is not safe for concurrent use.
package actionbudget

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Scope is over what a limit counts.
type Scope string

// The scopes.
const (
	Fleet Scope = "fleet"
	// Namespace has one count for each namespace, and one for what has none.
	Namespace Scope = "namespace"
)

// Limit is one bound. A bound that is 0 is off.
type Limit struct {
	// Class is the class of the actions that count; empty for every class.
	Class string `json:"class,omitempty" mapstructure:"class"`
	// Destructive limits count, and deny, only actions that are destructive.
	Destructive bool  `json:"destructive,omitempty" mapstructure:"destructive"`
	Scope       Scope `json:"scope" mapstructure:"scope"`
	// MaxActions is how many actions may start within the window.
	MaxActions int `json:"max_actions,omitempty" mapstructure:"max_actions"`
	// MaxPercent is how many of the objects that the rule can touch, in percent, may be touched within the window.
	MaxPercent float64 `json:"max_percent,omitempty" mapstructure:"max_percent"`
	// MinHealthyPercent is how many of these objects, in percent, must be healthy while the action goes on. Below 100, one object
	// may always be out.
	MinHealthyPercent float64       `json:"min_healthy_percent,omitempty" mapstructure:"min_healthy_percent"`
	Window            time.Duration `json:"window" mapstructure:"window"`
}

// Validate names everything that is wrong with the limit.
func (l Limit) Validate() error {
	var errs []error
	if l.Scope != Fleet && l.Scope != Namespace {
		errs = append(errs, fmt.Errorf("scope must be %q or %q, got %q", Fleet, Namespace, l.Scope))
	}
	if l.MaxActions < 0 {
		errs = append(errs, fmt.Errorf("max_actions must not be negative, got %d", l.MaxActions))
	}
	if !(l.MaxPercent >= 0 && l.MaxPercent <= 100) {
		errs = append(errs, fmt.Errorf("max_percent must be between 0 and 100, got %v", l.MaxPercent))
	}
	if !(l.MinHealthyPercent >= 0 && l.MinHealthyPercent <= 100) {
		errs = append(errs, fmt.Errorf("min_healthy_percent must be between 0 and 100, got %v", l.MinHealthyPercent))
	}
	if l.MaxActions == 0 && l.MaxPercent == 0 && l.MinHealthyPercent == 0 {
		errs = append(errs, errors.New("one of max_actions, max_percent and min_healthy_percent must be set, or the limit does nothing"))
	}
	if l.Window <= 0 {
		errs = append(errs, fmt.Errorf("window must be greater than 0, got %s", l.Window))
	}
	return errors.Join(errs...)
}

// Charge is an action that wants to start, or has.
type Charge struct {
	// Key is the action's own, such as its idempotency key: a charge that was spent is not spent again.
	Key       string `json:"key"`
	Class     string `json:"class"`
	Namespace string `json:"namespace,omitempty"`
	// Pool names what Population counts, such as the pods of one namespace: only charges of the same pool add up to a share.
	Pool string `json:"pool,omitempty"`
	// Weight is how many objects are touched.
	Weight int `json:"weight"`
	// Population is how many objects of the kind the rule can touch; 0 when that is not known.
	Population int `json:"population,omitempty"`
	// Healthy of the Population are healthy, of which the action touches HealthyTouched.
	Healthy        int  `json:"healthy,omitempty"`
	HealthyTouched int  `json:"healthy_touched,omitempty"`
	Destructive    bool `json:"destructive,omitempty"`
}

// Denial says which limit stands against a charge.
type Denial struct {
	// Limit is the zero value when it was not a limit: a charge whose numbers make no sense, or a ledger that is full.
	Limit Limit
	// Spent of Allowed are gone: actions, or objects of the pool, or, for the floor, healthy objects that would remain and that
	// are needed.
	Spent, Allowed int
	Detail         string
	// Until is when the first of what was spent no longer counts; zero when waiting does not help by itself.
	Until time.Time
}

// Spent is a charge that counts, and since when.
type Spent struct {
	Charge
	At time.Time `json:"at"`
}

// Ledger knows what was spent.
type Ledger struct {
	limits []Limit
	max    int
	// spent is in the order in which it was spent.
	spent []Spent
}

// New returns an empty ledger. The limits must be valid; maxCharges bounds the charges that are kept: past it everything is
// denied until some no longer count.
func New(limits []Limit, maxCharges int) *Ledger {
	return &Ledger{limits: slices.Clone(limits), max: maxCharges}
}

// Check returns what stands against a charge, or nil. Nothing does when it was spent already.
func (l *Ledger) Check(now time.Time, c Charge) *Denial {
	l.settle(now)
	if l.index(c.Key) >= 0 {
		return nil
	}
	if err := c.validate(); err != nil {
		return &Denial{Detail: err.Error()}
	}
	for _, limit := range l.limits {
		if d := l.check(limit, c, now); d != nil {
			return d
		}
	}
	if len(l.spent) >= l.max {
		return &Denial{Spent: len(l.spent), Allowed: l.max, Detail: fmt.Sprintf("no room to remember another action: %d are kept", len(l.spent))}
	}
	return nil
}

// Spend checks a charge and, when nothing stands against it, spends it. Spending the same key again does nothing.
func (l *Ledger) Spend(now time.Time, c Charge) *Denial {
	if d := l.Check(now, c); d != nil {
		return d
	}
	l.Record(now, c)
	return nil
}

// Record spends a charge unchecked: an action that has happened counts, whatever the limits say. When there is no room the
// oldest is forgotten for it.
func (l *Ledger) Record(now time.Time, c Charge) {
	l.settle(now)
	if l.index(c.Key) >= 0 {
		return
	}
	c.Weight = min(max(c.Weight, 0), maxObjects)
	l.spent = append(l.spent, Spent{Charge: c, At: now})
	l.spent = slices.Delete(l.spent, 0, max(0, len(l.spent)-l.max))
}

// Refund takes back the charge of an action that was not carried out, and reports whether it was there.
func (l *Ledger) Refund(key string) bool {
	i := l.index(key)
	if i < 0 {
		return false
	}
	l.spent = slices.Delete(l.spent, i, i+1)
	return true
}

// Usage is what is spent of one limit.
type Usage struct {
	Limit Limit `json:"limit"`
	// Namespace is whose count it is when the limit's scope is Namespace.
	Namespace string `json:"namespace,omitempty"`
	Actions   int    `json:"actions"`
	Objects   int    `json:"objects"`
}

// Usage returns what is spent of every limit, in their order, and within a limit by namespace. A limit of the fleet is always
// there, a namespace only when something was spent in it.
func (l *Ledger) Usage(now time.Time) []Usage {
	l.settle(now)
	out := []Usage{}
	for _, limit := range l.limits {
		by := map[string]*Usage{}
		if limit.Scope == Fleet {
			by[""] = &Usage{Limit: limit}
		}
		for _, s := range l.spent {
			if !limit.covers(s.Charge) || now.Sub(s.At) >= limit.Window {
				continue
			}
			ns := limit.part(s.Charge)
			if by[ns] == nil {
				by[ns] = &Usage{Limit: limit, Namespace: ns}
			}
			by[ns].Actions++
			by[ns].Objects += s.Weight
		}
		first := len(out)
		for _, u := range by {
			out = append(out, *u)
		}
		slices.SortFunc(out[first:], func(a, b Usage) int { return cmp.Compare(a.Namespace, b.Namespace) })
	}
	return out
}
