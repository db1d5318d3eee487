package actionbudget

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// covers reports whether the limit counts such charges.
func (l Limit) covers(c Charge) bool {
	return (l.Class == "" || l.Class == c.Class) && (!l.Destructive || c.Destructive)
}

// part returns whose count a charge is.
func (l Limit) part(c Charge) string {
	if l.Scope == Namespace {
		return c.Namespace
	}
	return ""
}

// allowed is how many objects a share comes to, rounded down.
func (l Limit) allowed(population int) int {
	return int(math.Floor(l.MaxPercent*float64(population)/100 + rounding))
}

// needed is how many healthy objects the floor asks for, rounded up.
func (l Limit) needed(population int) int {
	n := int(math.Ceil(l.MinHealthyPercent*float64(population)/100 - rounding))
	if l.MinHealthyPercent < 100 {
		n = min(n, population-1)
	}
	return n
}

// rounding is what products of percentages may be off by.
const rounding = 1e-9

// check returns what one limit says against a charge.
func (l *Ledger) check(limit Limit, c Charge, now time.Time) *Denial {
	if !limit.covers(c) {
		return nil
	}
	where := "in the fleet"
	if limit.Scope == Namespace {
		where = fmt.Sprintf("in namespace %q", c.Namespace)
	}
	var actions, objects int
	var oldest, oldestOfPool time.Time
	for _, s := range l.spent {
		if !limit.covers(s.Charge) || limit.part(s.Charge) != limit.part(c) || now.Sub(s.At) >= limit.Window {
			continue
		}
		if actions++; actions == 1 {
			oldest = s.At
		}
		if s.Pool != c.Pool {
			continue
		}
		if objects == 0 {
			oldestOfPool = s.At
		}
		objects += s.Weight
	}
	if limit.MaxActions > 0 && actions >= limit.MaxActions {
		return &Denial{
			Limit: limit, Spent: actions, Allowed: limit.MaxActions, Until: oldest.Add(limit.Window),
			Detail: fmt.Sprintf("%d of %d %s within %s are spent %s", actions, limit.MaxActions, limit.what(), limit.Window, where),
		}
	}
	if limit.MaxPercent > 0 {
		if d := limit.checkShare(c, objects, where); d != nil {
			if objects > 0 {
				d.Until = oldestOfPool.Add(limit.Window)
			}
			return d
		}
	}
	if limit.MinHealthyPercent > 0 {
		return limit.checkFloor(c)
	}
	return nil
}

func (l Limit) checkShare(c Charge, spent int, where string) *Denial {
	if c.Population == 0 {
		if !c.Destructive && c.Weight <= 1 && l.MaxActions > 0 {
			return nil
		}
		return &Denial{Limit: l, Spent: spent, Detail: fmt.Sprintf("of how many objects %v %% may be touched is not known", l.MaxPercent)}
	}
	allowed := l.allowed(c.Population)
	if allowed == 0 && l.MaxActions > 0 && c.Weight <= 1 {
		allowed = 1
	}
	if spent+c.Weight <= allowed {
		return nil
	}
	return &Denial{
		Limit: l, Spent: spent, Allowed: allowed,
		Detail: fmt.Sprintf("%d objects on top of %d are more than %d, %v %% of the %d that can be touched, within %s %s",
			c.Weight, spent, allowed, l.MaxPercent, c.Population, l.Window, where),
	}
}

func (l Limit) checkFloor(c Charge) *Denial {
	if c.Population == 0 {
		if !c.Destructive {
			return nil
		}
		return &Denial{Limit: l, Detail: "how many objects are healthy is not known"}
	}
	remaining, needed := c.Healthy-c.HealthyTouched, l.needed(c.Population)
	if remaining >= needed {
		return nil
	}
	return &Denial{
		Limit: l, Spent: remaining, Allowed: needed,
		Detail: fmt.Sprintf("%d of %d objects would remain healthy, %d are needed for %v %%", max(0, remaining), c.Population, needed, l.MinHealthyPercent),
	}
}

func (l Limit) what() string {
	switch {
	case l.Class != "" && l.Destructive:
		return fmt.Sprintf("destructive actions of class %q", l.Class)
	case l.Class != "":
		return fmt.Sprintf("actions of class %q", l.Class)
	case l.Destructive:
		return "destructive actions"
	default:
		return "actions"
	}
}

// maxObjects bounds the numbers of objects, so that their sums do not overflow.
const maxObjects = 1_000_000_000

func (c Charge) validate() error {
	for _, n := range []int{c.Weight, c.Population, c.Healthy, c.HealthyTouched} {
		if n < 0 || n > maxObjects {
			return fmt.Errorf("weight, population and healthy must be between 0 and %d, got %d, %d, %d and %d", maxObjects, c.Weight, c.Population, c.Healthy, c.HealthyTouched)
		}
	}
	return nil
}

func (l *Ledger) index(key string) int {
	return slices.IndexFunc(l.spent, func(s Spent) bool { return s.Key == key })
}

// settle takes charges that lie ahead for made now, and drops what no limit counts any more.
func (l *Ledger) settle(now time.Time) {
	var longest time.Duration
	for _, limit := range l.limits {
		longest = max(longest, limit.Window)
	}
	for i := range l.spent {
		if l.spent[i].At.After(now) {
			l.spent[i].At = now
		}
	}
	l.spent = slices.DeleteFunc(l.spent, func(s Spent) bool { return now.Sub(s.At) >= longest })
}
