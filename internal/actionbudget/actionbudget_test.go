package actionbudget

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time {
	return epoch.Add(time.Duration(minutes * float64(time.Minute)))
}

func ledger(t *testing.T, limits ...Limit) *Ledger {
	t.Helper()
	for i := range limits {
		if limits[i].Window == 0 {
			limits[i].Window = time.Hour
		}
		if limits[i].Scope == "" {
			limits[i].Scope = Fleet
		}
		require.NoError(t, limits[i].Validate())
	}
	return New(limits, 100)
}

func TestMaxActions(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 2})
	require.Nil(t, l.Spend(at(0), Charge{Key: "a", Class: "restart", Weight: 1}))
	require.Nil(t, l.Spend(at(10), Charge{Key: "b", Class: "scale", Weight: 1}))
	d := l.Spend(at(59.9), Charge{Key: "c", Class: "restart", Weight: 1})
	require.NotNil(t, d)
	assert.Equal(t, &Denial{
		Limit: Limit{Scope: Fleet, MaxActions: 2, Window: time.Hour}, Spent: 2, Allowed: 2, Until: at(60),
		Detail: "2 of 2 actions within 1h0m0s are spent in the fleet",
	}, d)
	require.Nil(t, l.Spend(at(20), Charge{Key: "a", Class: "restart", Weight: 1}), "it is paid for")
	require.Nil(t, l.Spend(at(60), Charge{Key: "c", Class: "restart", Weight: 1}), "a has left the window")
	require.NotNil(t, l.Check(at(69.9), Charge{Key: "d"}))
	require.Nil(t, l.Check(at(70), Charge{Key: "d"}))
}

func TestWhatALimitCovers(t *testing.T) {
	spent := []Charge{
		{Key: "1", Class: "restart", Namespace: "shop"},
		{Key: "2", Class: "drain", Destructive: true},
		{Key: "3", Class: "restart", Namespace: "bank"},
	}
	for name, c := range map[string]struct {
		limit  Limit
		charge Charge
		detail string
	}{
		"every class":                {Limit{MaxActions: 3}, Charge{Class: "scale"}, "3 of 3 actions within 1h0m0s are spent in the fleet"},
		"not yet":                    {Limit{MaxActions: 4}, Charge{Class: "scale"}, ""},
		"one class":                  {Limit{Class: "restart", MaxActions: 2}, Charge{Class: "restart"}, `2 of 2 actions of class "restart" within 1h0m0s are spent in the fleet`},
		"another class":              {Limit{Class: "restart", MaxActions: 2}, Charge{Class: "scale"}, ""},
		"one namespace":              {Limit{Scope: Namespace, MaxActions: 1}, Charge{Namespace: "shop"}, `1 of 1 actions within 1h0m0s are spent in namespace "shop"`},
		"another namespace":          {Limit{Scope: Namespace, MaxActions: 1}, Charge{Namespace: "post"}, ""},
		"no namespace":               {Limit{Scope: Namespace, MaxActions: 1}, Charge{}, `1 of 1 actions within 1h0m0s are spent in namespace ""`},
		"destructive":                {Limit{Destructive: true, MaxActions: 1}, Charge{Destructive: true}, `1 of 1 destructive actions within 1h0m0s are spent in the fleet`},
		"destructive of a class":     {Limit{Class: "drain", Destructive: true, MaxActions: 1}, Charge{Class: "drain", Destructive: true}, `1 of 1 destructive actions of class "drain" within 1h0m0s are spent in the fleet`},
		"not destructive":            {Limit{Destructive: true, MaxActions: 1}, Charge{}, ""},
		"a class in a namespace":     {Limit{Class: "restart", Scope: Namespace, MaxActions: 1}, Charge{Class: "restart", Namespace: "bank"}, `1 of 1 actions of class "restart" within 1h0m0s are spent in namespace "bank"`},
		"a class not in a namespace": {Limit{Class: "drain", Scope: Namespace, MaxActions: 1}, Charge{Class: "drain", Namespace: "bank"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger(t, c.limit)
			for _, s := range spent {
				l.Record(at(0), s)
			}
			c.charge.Key = "new"
			d := l.Check(at(1), c.charge)
			if c.detail == "" {
				require.Nil(t, d)
				return
			}
			require.NotNil(t, d)
			assert.Equal(t, c.detail, d.Detail)
		})
	}
}

// TestShare works the rounding out by hand.
func TestShare(t *testing.T) {
	limit := Limit{MaxActions: 10, MaxPercent: 10}
	for name, c := range map[string]struct {
		limit   Limit
		spent   int
		charge  Charge
		allowed int
		ok      bool
	}{
		"10 % of 100 are 10":                     {limit, 9, Charge{Weight: 1, Population: 100}, 10, true},
		"and no more":                            {limit, 10, Charge{Weight: 1, Population: 100}, 10, false},
		"nor at once":                            {limit, 0, Charge{Weight: 11, Population: 100}, 10, false},
		"10 at once":                             {limit, 0, Charge{Weight: 10, Population: 100}, 10, true},
		"10 % of 29 are 2":                       {limit, 2, Charge{Weight: 1, Population: 29}, 2, false},
		"10 % of 30 are 3":                       {limit, 2, Charge{Weight: 1, Population: 30}, 3, true},
		"10 % of 9 are less than one: one":       {limit, 0, Charge{Weight: 1, Population: 9}, 1, true},
		"10 % of 3 are less than one: one":       {limit, 0, Charge{Weight: 1, Population: 3}, 1, true},
		"but not a second":                       {limit, 1, Charge{Weight: 1, Population: 3}, 1, false},
		"nor two at once":                        {limit, 0, Charge{Weight: 2, Population: 3}, 0, false},
		"nor without a number of actions beside": {Limit{MaxPercent: 10}, 0, Charge{Weight: 1, Population: 3}, 0, false},
		"which a larger population needs not":    {Limit{MaxPercent: 10}, 0, Charge{Weight: 1, Population: 10}, 1, true},
		"0.1 x 3 is no more than 0.3":            {Limit{MaxPercent: 0.3}, 0, Charge{Weight: 3, Population: 1000}, 3, true},
		"an action that touches nothing":         {Limit{MaxPercent: 10}, 0, Charge{Population: 3}, 0, true},
		"unknown population, one object":         {limit, 5, Charge{Weight: 1}, 0, true},
		"unknown population, two objects":        {limit, 0, Charge{Weight: 2}, 0, false},
		"unknown population, destructive":        {limit, 0, Charge{Weight: 1, Destructive: true}, 0, false},
		"unknown population, no number":          {Limit{MaxPercent: 10}, 0, Charge{Weight: 1}, 0, false},
		"100 % are all":                          {Limit{MaxPercent: 100}, 4, Charge{Weight: 1, Population: 5}, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger(t, c.limit)
			l.Record(at(0), Charge{Key: "spent", Weight: c.spent})
			c.charge.Key = "new"
			d := l.Check(at(1), c.charge)
			require.Equal(t, c.ok, d == nil, "%+v", d)
			if d != nil {
				assert.Equal(t, c.allowed, d.Allowed)
				assert.Equal(t, c.spent, d.Spent)
				assert.Equal(t, c.spent > 0, !d.Until.IsZero(), "waiting helps when something is spent")
			}
		})
	}
}

func TestShareIsOfOnePool(t *testing.T) {
	l := ledger(t, Limit{MaxPercent: 50})
	require.Nil(t, l.Spend(at(0), Charge{Key: "a", Pool: "nodes", Weight: 2, Population: 4}))
	require.Nil(t, l.Spend(at(10), Charge{Key: "b", Pool: "pods", Weight: 2, Population: 4}))
	d := l.Spend(at(11), Charge{Key: "c", Pool: "pods", Weight: 1, Population: 4})
	require.NotNil(t, d)
	assert.Equal(t, at(70), d.Until)
	assert.Equal(t, "1 objects on top of 2 are more than 2, 50 % of the 4 that can be touched, within 1h0m0s in the fleet", d.Detail)
	require.NotNil(t, l.Check(at(11), Charge{Key: "d", Pool: "nodes", Weight: 1, Population: 4}))
	require.Nil(t, l.Check(at(60), Charge{Key: "d", Pool: "nodes", Weight: 1, Population: 4}))
}

// TestFloor works the rounding out by hand.
func TestFloor(t *testing.T) {
	for name, c := range map[string]struct {
		percent float64
		charge  Charge
		needed  int
		ok      bool
	}{
		"80 % of 10 are 8":                          {80, Charge{Population: 10, Healthy: 9, HealthyTouched: 1}, 8, true},
		"and no fewer":                              {80, Charge{Population: 10, Healthy: 8, HealthyTouched: 1}, 8, false},
		"an object that is ill takes nothing":       {80, Charge{Population: 10, Healthy: 8, HealthyTouched: 0}, 8, true},
		"but too many are ill for one cause":        {80, Charge{Population: 10, Healthy: 7, HealthyTouched: 0}, 8, false},
		"75 % of 10 are 7.5, which needs 8":         {75, Charge{Population: 10, Healthy: 8, HealthyTouched: 1}, 8, false},
		"90 % of 3 are all: one may be out":         {90, Charge{Population: 3, Healthy: 3, HealthyTouched: 1}, 2, true},
		"but not two":                               {90, Charge{Population: 3, Healthy: 3, HealthyTouched: 2}, 2, false},
		"the only one may be out":                   {50, Charge{Population: 1, Healthy: 0, HealthyTouched: 0}, 0, true},
		"100 % means it":                            {100, Charge{Population: 1, Healthy: 0, HealthyTouched: 0}, 1, false},
		"unknown, destructive":                      {50, Charge{Destructive: true}, 0, false},
		"unknown, not destructive":                  {50, Charge{}, 0, true},
		"more are touched than are healthy":         {50, Charge{Population: 4, Healthy: 1, HealthyTouched: 2}, 2, false},
		"33.3 % of 1000 are 333 and not 333.000001": {33.3, Charge{Population: 1000, Healthy: 333}, 333, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger(t, Limit{MinHealthyPercent: c.percent})
			c.charge.Key, c.charge.Weight = "new", 1
			d := l.Check(at(1), c.charge)
			require.Equal(t, c.ok, d == nil, "%+v", d)
			if d != nil {
				assert.Equal(t, c.needed, d.Allowed)
				assert.Equal(t, c.charge.Healthy-c.charge.HealthyTouched, d.Spent)
			}
		})
	}
	d := ledger(t, Limit{MinHealthyPercent: 80}).Check(at(0), Charge{Population: 10, Healthy: 8, HealthyTouched: 1})
	assert.Equal(t, "7 of 10 objects would remain healthy, 8 are needed for 80 %", d.Detail)
}

func TestRefund(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 1})
	require.Nil(t, l.Spend(at(0), Charge{Key: "a"}))
	require.NotNil(t, l.Spend(at(1), Charge{Key: "b"}))
	assert.True(t, l.Refund("a"))
	assert.False(t, l.Refund("a"))
	require.Nil(t, l.Spend(at(1), Charge{Key: "b"}))
}

func TestDeniedIsNotSpent(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 5}, Limit{Class: "drain", MaxActions: 1})
	for i := range 10 {
		l.Spend(at(0), Charge{Key: fmt.Sprint(i), Class: "drain", Weight: 3})
	}
	assert.Equal(t, []Usage{
		{Limit: l.limits[0], Actions: 1, Objects: 3},
		{Limit: l.limits[1], Actions: 1, Objects: 3},
	}, l.Usage(at(0)))
}

func TestUsage(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 5, Window: 30 * time.Minute}, Limit{Scope: Namespace, MaxActions: 5, Window: time.Hour})
	l.Record(at(0), Charge{Key: "1", Namespace: "shop", Weight: 2})
	l.Record(at(40), Charge{Key: "2", Namespace: "bank", Weight: 1})
	l.Record(at(41), Charge{Key: "3", Namespace: "shop", Weight: 1})
	assert.Equal(t, []Usage{
		{Limit: l.limits[0], Actions: 2, Objects: 2},
		{Limit: l.limits[1], Namespace: "bank", Actions: 1, Objects: 1},
		{Limit: l.limits[1], Namespace: "shop", Actions: 2, Objects: 3},
	}, l.Usage(at(42)))
	assert.Equal(t, []Usage{{Limit: l.limits[0]}}, l.Usage(at(1000)))
}

func TestNonsense(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 5})
	for _, c := range []Charge{{Weight: -1}, {Population: -1}, {Healthy: -1}, {HealthyTouched: -1}, {Weight: 1_000_000_001}} {
		d := l.Spend(at(0), c)
		require.NotNil(t, d)
		assert.Contains(t, d.Detail, "must be between 0 and 1000000000")
	}
}

func TestRoom(t *testing.T) {
	l := New([]Limit{{Scope: Fleet, MaxActions: 10, Window: time.Hour}}, 2)
	require.Nil(t, l.Spend(at(0), Charge{Key: "a"}))
	require.Nil(t, l.Spend(at(1), Charge{Key: "b"}))
	d := l.Spend(at(2), Charge{Key: "c"})
	require.NotNil(t, d)
	assert.Equal(t, Denial{Spent: 2, Allowed: 2, Detail: "no room to remember another action: 2 are kept"}, *d)
	l.Record(at(2), Charge{Key: "c"})
	assert.Len(t, l.spent, 2)
	assert.True(t, l.Refund("c"))
	assert.True(t, l.Refund("b"))
}

func TestWindowsOfTheirOwn(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 1, Window: 10 * time.Minute}, Limit{MaxActions: 2, Window: time.Hour})
	require.Nil(t, l.Spend(at(0), Charge{Key: "a"}))
	require.Equal(t, at(10), l.Spend(at(9.9), Charge{Key: "b"}).Until)
	require.Nil(t, l.Spend(at(10), Charge{Key: "b"}))
	require.Equal(t, at(60), l.Spend(at(20), Charge{Key: "c"}).Until)
	require.Nil(t, l.Spend(at(60), Charge{Key: "c"}))
}

// TestClockSetBack: what was spent in a future that will not come again counts for one window more.
func TestClockSetBack(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 1})
	l.Record(at(365*24*60), Charge{Key: "a"})
	require.NotNil(t, l.Check(at(0), Charge{Key: "b"}))
	require.NotNil(t, l.Check(at(59.9), Charge{Key: "b"}))
	require.Nil(t, l.Check(at(60), Charge{Key: "b"}))
}

func TestValidate(t *testing.T) {
	require.NoError(t, Limit{Scope: Fleet, MaxActions: 1, MaxPercent: 10, MinHealthyPercent: 90, Window: time.Hour}.Validate())
	assert.EqualError(t, Limit{Scope: "cluster"}.Validate(), `scope must be "fleet" or "namespace", got "cluster"
one of max_actions, max_percent and min_healthy_percent must be set, or the limit does nothing
window must be greater than 0, got 0s`)
	assert.EqualError(t, Limit{Scope: Namespace, MaxActions: -1, MaxPercent: 101, MinHealthyPercent: -2, Window: 1}.Validate(), `max_actions must not be negative, got -1
max_percent must be between 0 and 100, got 101
min_healthy_percent must be between 0 and 100, got -2`)
}

// TestNeverMoreThanTheBudget plays random charges, refunds and restarts, and counts anew at every step from a list of everything
// that was let through: no limit is ever exceeded, and nothing is denied that would have fitted.
func TestNeverMoreThanTheBudget(t *testing.T) {
	limits := []Limit{
		{Scope: Fleet, MaxActions: 12, MaxPercent: 20, Window: time.Hour},
		{Scope: Namespace, MaxActions: 5, Window: 30 * time.Minute},
		{Scope: Fleet, Destructive: true, MaxActions: 3, Window: 40 * time.Minute},
		{Scope: Namespace, Class: "drain", MaxActions: 2, MaxPercent: 10, Window: 20 * time.Minute},
	}
	for seed := range int64(30) {
		rng := rand.New(rand.NewSource(seed))
		l := ledger(t, limits...)
		var done []Spent
		now, denied := epoch, 0
		for step := range 400 {
			now = now.Add(time.Duration(rng.Intn(240)) * time.Second)
			c := Charge{
				Key: fmt.Sprint(step), Class: []string{"restart", "drain"}[rng.Intn(2)], Namespace: []string{"", "a", "b"}[rng.Intn(3)],
				Pool: []string{"x", "y"}[rng.Intn(2)], Weight: 1 + rng.Intn(3), Population: []int{0, 3, 8, 40, 41}[rng.Intn(5)], Destructive: rng.Intn(4) == 0,
			}
			fits := true
			for _, limit := range limits {
				fits = fits && fitsInto(limit, done, Spent{c, now})
			}
			d := l.Spend(now, c)
			require.Equal(t, fits, d == nil, "seed %d step %d: %+v %+v", seed, step, c, d)
			switch {
			case d != nil:
				denied++
			case rng.Intn(10) == 0:
				require.True(t, l.Refund(c.Key))
			default:
				done = append(done, Spent{c, now})
			}
			if rng.Intn(20) == 0 {
				l = restart(t, l)
			}
		}
		require.Greater(t, denied, 50)
		require.Greater(t, len(done), 50)
	}
}

// fitsInto says by counting whether the limit holds with the new charge.
func fitsInto(l Limit, done []Spent, c Spent) bool {
	if (l.Class != "" && l.Class != c.Class) || (l.Destructive && !c.Destructive) {
		return true
	}
	actions, objects := 1, c.Weight
	for _, d := range done {
		if (l.Class != "" && l.Class != d.Class) || (l.Destructive && !d.Destructive) || (l.Scope == Namespace && d.Namespace != c.Namespace) {
			continue
		}
		if !d.At.Add(l.Window).After(c.At) {
			continue
		}
		actions++
		if d.Pool == c.Pool {
			objects += d.Weight
		}
	}
	if actions > l.MaxActions {
		return false
	}
	switch {
	case l.MaxPercent == 0:
		return true
	case c.Population == 0:
		return c.Weight == 1 && !c.Destructive
	default:
		return objects == 1 || objects*100 <= int(l.MaxPercent)*c.Population
	}
}

func restart(t *testing.T, l *Ledger) *Ledger {
	t.Helper()
	b, err := json.Marshal(l.Snapshot())
	require.NoError(t, err)
	var s Snapshot
	require.NoError(t, json.Unmarshal(b, &s))
	fresh := New(l.limits, l.max)
	require.NoError(t, fresh.Restore(s))
	require.Equal(t, len(l.spent), len(fresh.spent))
	return fresh
}
