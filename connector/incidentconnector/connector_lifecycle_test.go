package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

// inBuckets returns how many buckets of the tests a time takes.
func inBuckets(d time.Duration) int { return int(d / step) }

// TestReopen lets a fault come back after its incident was resolved.
func TestReopen(t *testing.T) {
	t.Parallel()
	play := func(window time.Duration, pause int) []semconv.IncidentEvent {
		w := newWorld(t, func(c *Config) { c.ReopenWindow = window })
		w.play(0, 240, calm)
		w.play(240, 260, stockFails)
		w.play(260, 260+pause, calm)
		w.play(260+pause, 280+pause, stockFails)
		w.play(280+pause, 380+pause, calm)
		w.stop()
		checkLives(t, w.events())
		return w.events()
	}
	events := play(10*time.Minute, 60)
	var names []semconv.EventName
	for _, e := range events {
		assert.Equal(t, events[0].Incident.ID, e.Incident.ID, "it is the same one")
		if e.Name != semconv.EventIncidentUpdated {
			names = append(names, e.Name)
		}
	}
	assert.Equal(t, []semconv.EventName{
		semconv.EventIncidentOpened, semconv.EventIncidentResolved, semconv.EventIncidentOpened, semconv.EventIncidentResolved,
	}, names)
	last := events[len(events)-1].Incident
	assert.Equal(t, int64(1), last.Reopened)
	assert.Equal(t, events[0].Incident.StartedAt, last.StartedAt)
	assert.True(t, last.DetectedAt.After(events[0].Incident.DetectedAt), "detected again")

	apart := func(events []semconv.IncidentEvent) int {
		ids := map[string]bool{}
		for _, e := range events {
			ids[e.Incident.ID] = true
			assert.Zero(t, e.Incident.Reopened)
		}
		return len(ids)
	}
	assert.Equal(t, 2, apart(play(0, 60)), "without a window it is another one")
	assert.Equal(t, 2, apart(play(10*time.Minute, inBuckets(15*time.Minute))), "after the window as well")
}

// TestAnotherCauseReopensNothing lets another service fail after an incident was resolved, felt at the same entry point.
func TestAnotherCauseReopensNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 260, stockFails)
	w.play(260, 320, calm)
	w.play(320, 340, func(i int) []any {
		front, orders, stock := shop()
		front.failed, orders.failed = 30, 30
		return []any{graph(at(i), front, orders, stock)}
	})
	w.stop()
	require.Len(t, w.last(), 2)
	assert.Equal(t, service("orders"), w.last()[1].Cause().Entity)
}

// TestFlapping lets a fault come and go for an hour: it becomes one incident that stays open.
func TestFlapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	on, off := inBuckets(time.Minute), inBuckets(90*time.Second)
	w.play(240, 240+inBuckets(time.Hour), func(i int) []any {
		if (i-240)%(on+off) < on {
			return stockFails(i)
		}
		return calm(i)
	})
	w.stop()
	checkLives(t, w.events())
	opened := 0
	for _, e := range w.events() {
		if e.Name == semconv.EventIncidentOpened {
			opened++
		}
	}
	assert.Len(t, w.last(), 1)
	assert.LessOrEqual(t, opened, 3, "of 24 times")
}

// fork is a shop whose front calls mail as well as orders.
func fork(i int, stockFailed, mailFailed float64) []any {
	front, orders, stock := shop()
	mail := call{client: "front", server: "mail", n: 40, failed: mailFailed, took: 0.01, waited: 0.011}
	orders.failed, stock.failed = stockFailed, stockFailed
	front.failed = min(40, stockFailed+mailFailed)
	return []any{graph(at(i), front, orders, stock, mail)}
}

// TestSplit has two services that have nothing to do with each other fail, one after the other.
func TestSplit(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, func(i int) []any { return fork(i, 0, 0) })
	w.play(240, 252, func(i int) []any { return fork(i, 25, 0) })
	require.Len(t, w.last(), 1)
	w.play(252, 290, func(i int) []any { return fork(i, 25, 15) })
	incidents := w.last()
	require.Len(t, incidents, 2)
	first, second := incidents[0], incidents[1]
	assert.Equal(t, service("stock"), first.Cause().Entity, "what began first keeps the incident")
	assert.Equal(t, service("mail"), second.Cause().Entity)
	assert.Equal(t, first.ID, second.SplitFrom)
	assert.Contains(t, first.EntryPoints, "front")
	assert.Contains(t, second.EntryPoints, "front", "both are felt there")
	assert.NotContains(t, first.Impact.Services, "mail")

	w.play(290, 320, func(i int) []any { return fork(i, 25, 0) })
	incidents = w.last()
	require.Len(t, incidents, 2)
	assert.Equal(t, semconv.StatusOpen, incidents[0].Status, "the other one goes on")
	assert.Equal(t, semconv.ResolutionRecovered, incidents[1].Resolution)
	w.play(320, 380, func(i int) []any { return fork(i, 0, 0) })
	w.stop()
	incidents = w.last()
	require.Len(t, incidents, 2)
	assert.Equal(t, semconv.ResolutionRecovered, incidents[0].Resolution)
	checkLives(t, w.events())
}

// TestOneCauseIsNotSplit has two services fail because of what both call.
func TestOneCauseIsNotSplit(t *testing.T) {
	w := newWorld(t, nil)
	play := func(from, to int, failed float64) {
		w.play(from, to, func(i int) []any {
			front, orders, stock := shop()
			mail := call{client: "front", server: "mail", n: 40, failed: failed, took: 0.01, waited: 0.011}
			deep := call{client: "mail", server: "stock", n: 40, failed: failed, took: 0.004, waited: 0.0045}
			front.failed, orders.failed, stock.failed = failed, failed, failed
			return []any{graph(at(i), front, orders, stock, mail, deep)}
		})
	}
	play(0, 240, 0)
	play(240, 300, 30)
	w.stop()
	assert.Equal(t, service("stock"), w.one().Cause().Entity)
}

// TestMerge has two incidents turn out to have one cause: those who call stock begin to fail so late that it looks like
// another trouble at first.
func TestMerge(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.GroupWindow = 20 * time.Second
		c.ResolveAfter, c.StaleAfter = time.Hour, time.Hour
	})
	w.play(0, 240, calm)
	w.play(240, 300, func(i int) []any {
		front, orders, stock := shop()
		stock.failed = 30
		if i >= 260 {
			front.failed, orders.failed = 30, 30
		}
		return []any{graph(at(i), front, orders, stock)}
	})
	w.stop()
	checkLives(t, w.events())
	incidents := w.last()
	require.Len(t, incidents, 2)
	assert.Equal(t, semconv.StatusOpen, incidents[0].Status)
	assert.Equal(t, semconv.ResolutionMerged, incidents[1].Resolution)
	assert.Equal(t, incidents[0].ID, incidents[1].MergedInto)
	assert.Equal(t, service("stock"), incidents[0].Cause().Entity)
	assert.Subset(t, incidents[0].Impact.Services, []string{"front", "orders", "stock"}, "it has taken the symptoms")
	assert.NotEmpty(t, incidents[0].Cause().Evidence)
	assert.Contains(t, incidents[0].EntryPoints, "front")
}

// TestGapIsNoRecovery stops all telemetry of the shop during a fault: nobody knows whether it is over.
func TestGapIsNoRecovery(t *testing.T) {
	t.Parallel()
	others := func(i int) []any { return []any{logs(at(i), record{service: "other", body: "alive"})} }
	minute := inBuckets(time.Minute)
	for name, c := range map[string]struct {
		silent, then int
		after        func(i int) []any
		want         semconv.Resolution
	}{
		"it goes on afterwards":    {2 * minute, minute, stockFails, ""},
		"it is over afterwards":    {2 * minute, 3 * minute, calm, semconv.ResolutionRecovered},
		"it was only just over":    {2 * minute, minute / 2, calm, ""},
		"it stays silent too long": {4 * minute, 1, others, semconv.ResolutionNoData},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, calm)
			w.play(240, 260, stockFails)
			w.play(260, 260+c.silent, others)
			if c.want != semconv.ResolutionNoData {
				silent := w.one()
				assert.Equal(t, semconv.StatusOpen, silent.Status)
				assert.WithinDuration(t, at(260), silent.UnknownSince, 8*step, "it says so")
			}
			w.play(260+c.silent, 260+c.silent+c.then, c.after)
			w.stop()
			assert.Equal(t, c.want, w.one().Resolution)
			if c.want == semconv.ResolutionRecovered {
				assert.Zero(t, w.one().UnknownSince)
			}
			checkLives(t, w.events())
		})
	}
}

func TestWarmUp(t *testing.T) {
	opened := func(warmUp time.Duration) time.Time {
		w := newWorld(t, func(c *Config) { c.WarmUp = warmUp })
		w.play(0, 20, calm)
		saturate(w, 20, 120, "orders")
		w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
		assert.Zero(t, w.count("warming_up", ""))
		w.stop()
		assert.Equal(t, warmUp > time.Minute, w.count("decisions", "warm_up") > 0)
		return w.one().DetectedAt
	}
	assert.WithinDuration(t, at(20), opened(0), 6*step)
	assert.WithinDuration(t, epoch.Add(5*time.Minute), opened(5*time.Minute), 4*step, "it opens when the warm-up is over")

	w := newWorld(t, func(c *Config) { c.WarmUp = time.Hour })
	w.play(0, 20, calm)
	saturate(w, 20, 120, "orders")
	w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
	assert.Equal(t, int64(1), w.count("warming_up", ""))
	w.stop()
	assert.Empty(t, w.events())
}
