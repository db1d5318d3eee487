package playbook

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// remembered makes a full ledger in which half of the incidents are resolved, a tenth has been acted on, and a thousand plays
// are open, none of which acts.
func remembered(tb testing.TB, n int) *Ledger {
	settings := calm()
	settings.Budget[0].MaxActions, settings.MaxCharges, settings.Storm.MaxIncidents = 1000, 1000, 200
	l := NewLedger(Limits{MaxIncidents: n, ForgetAfter: 24 * time.Hour}, NewPolicy(settings),
		planned(nil), rule(func(r *Rule) { r.Name, r.Mode = "watch", Observe }), planned(func(r *Rule) { r.Name, r.Mode = "plans", Observe }))
	for i := range n {
		id := fmt.Sprint("i", i)
		require.Equal(tb, New, l.Observe(id, 1, start))
		if i%10 == 0 {
			mustDecide(tb, l, "watch", seen(id, 1), start)
		}
		if i < 1000 {
			mustDecide(tb, l, "plans", seen(id, 1), start)
		}
		if i%2 == 1 {
			l.Resolve(id, start, true, start)
		}
	}
	l.TakeChanged()
	return l
}

// BenchmarkDecide is a new incident, for which another makes room, from its event to an admitted plan, and then its end.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := remembered(b, n)
			plan := aPlan(nil)
			now := start
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Second)
				id := fmt.Sprint("new", i)
				_ = l.Begin()
				if l.Observe(id, 1, now) != New {
					b.Fatal("there is no room")
				}
				l.Policy().Opened(id, id, now)
				o := seen(id, 1)
				o.Target = id
				c, _ := l.Decide("restart", o, now)
				l.Commit()
				plan.Locks[0] = id
				if changes, _ := l.Admit(c.Ref, plan, now); changes[0].Play.Outcome != Dispatched {
					b.Fatal(changes[0].Play.Detail)
				}
				l.Refuse(c.Ref, "owner", "", now)
				l.Resolve(id, now, true, now)
			}
		})
	}
}

// BenchmarkTick is what is done every second.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := remembered(b, n)
			b.ReportAllocs()
			for b.Loop() {
				l.Expire(start)
				l.Reconsider(start)
				l.Forget(start)
			}
		})
	}
}
