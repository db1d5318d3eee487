package incidentconnector

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

func service(name string) semconv.Entity {
	return semconv.Entity{Type: semconv.EntityService, Name: name}
}

// TestLife plays calm, trouble and calm again.
func TestLife(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(i int) []any
		entity  semconv.Entity
		kind    semconv.CauseKind
	}{
		"errors":  {stockFails, service("stock"), semconv.CauseErrors},
		"latency": {stockSlow, service("stock"), semconv.CauseLatency},
		"network": {func(i int) []any {
			front, orders, stock := shop()
			front.took, orders.took, orders.waited, stock.waited = 0.83, 0.815, 0.816, 0.8045
			return []any{graph(at(i), front, orders, stock)}
		}, semconv.Entity{}, semconv.CauseNetwork},
		"traffic": {func(i int) []any {
			front, orders, stock := shop()
			front.n, orders.n, stock.n = 200, 200, 200
			front.took, front.failed = 1.9, 80
			return []any{graph(at(i), front, orders, stock)}
		}, service("front"), semconv.CauseTraffic},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, calm)
			require.Empty(t, w.events(), "calm")
			w.play(240, 270, c.trouble)
			require.NotEmpty(t, w.events())
			open := w.one()
			assert.Equal(t, semconv.StatusOpen, open.Status)
			if c.entity != (semconv.Entity{}) {
				assert.Equal(t, c.entity, open.Cause().Entity)
			}
			assert.Equal(t, c.kind, open.Cause().Kind)
			assert.Contains(t, open.EntryPoints, "front")
			assert.Contains(t, open.Impact.Services, "front")
			assert.WithinDuration(t, at(240), open.StartedAt, 2*step)
			assert.WithinDuration(t, at(240), open.DetectedAt, 6*step)
			assert.NotEmpty(t, open.Title)
			assert.NotEmpty(t, open.Timeline)

			w.play(270, 320, calm)
			resolved := w.one()
			assert.Equal(t, semconv.StatusResolved, resolved.Status)
			assert.Equal(t, semconv.ResolutionRecovered, resolved.Resolution)
			assert.Equal(t, open.ID, resolved.ID)
			assert.WithinDuration(t, at(270), resolved.ResolvedAt, 6*step)
			checkLives(t, w.events())
			w.stop()
			assert.Len(t, w.last(), 1)
		})
	}
}

// TestSilentCallee has a stock that sends nothing any more: its caller's calls fail, unanswered.
func TestSilentCallee(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 270, func(i int) []any {
		front, orders, stock := shop()
		front.failed, orders.failed, stock.failed, stock.took, stock.waited = 40, 40, 40, 0, 2
		return []any{graph(at(i), front, orders, stock)}
	})
	assert.Equal(t, service("stock"), w.one().Cause().Entity)
	w.stop()
}

// TestDroppedCalls has orders that no longer call stock.
func TestDroppedCalls(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 270, func(i int) []any {
		front, orders, _ := shop()
		return []any{graph(at(i), front, orders)}
	})
	cause := w.one().Cause()
	assert.Equal(t, service("orders"), cause.Entity, "who does not call any more is the one to ask")
	w.stop()
}

func talk(i int, records ...record) []any {
	return append(calm(i), logs(at(i).Add(-time.Second), records...))
}

func chatter(i int) []record {
	return []record{
		{service: "orders", body: fmt.Sprintf("order %d accepted", i), severity: plog.SeverityNumberInfo},
		{service: "stock", body: fmt.Sprintf("reserved %d items", i), severity: plog.SeverityNumberInfo},
	}
}

func TestLogErrorsAlone(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, func(i int) []any { return talk(i, chatter(i)...) })
	require.Empty(t, w.events())
	w.play(240, 270, func(i int) []any {
		records := chatter(i)
		for n := range 10 {
			records = append(records, record{service: "stock", body: fmt.Sprintf("cannot lock row %d", 100*i+n), severity: plog.SeverityNumberError})
		}
		return talk(i, records...)
	})
	cause := w.one().Cause()
	assert.Equal(t, service("stock"), cause.Entity)
	assert.Equal(t, semconv.CauseErrors, cause.Kind)
	assert.Contains(t, fmt.Sprint(cause.Evidence), "cannot lock row", "the template is quoted")
	w.stop()
}

// cpu is a score of the processor of a service.
func cpu(i, onset int, name string, s, deviation, utilization float64) any {
	return score(at(i).Add(-2*time.Second), at(onset).Add(-2*time.Second), map[string]string{semconv.AttrServiceName: name, semconv.AttrK8sPodName: name + "-1"},
		"container.cpu.utilization", s, deviation, utilization)
}

func TestScoreAlone(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 100, calm)
	w.play(100, 120, func(i int) []any { return append(calm(i), cpu(i, 100, "orders", 0.999, 20, 0.95)) })
	open := w.one()
	assert.Equal(t, service("orders"), open.Cause().Entity)
	assert.Equal(t, semconv.CauseCPU, open.Cause().Kind)
	assert.Equal(t, "orders-1", open.Cause().Resource[semconv.AttrK8sPodName], "an action finds its target")
	w.play(120, 121, func(i int) []any { return append(calm(i), cpu(i, 100, "orders", 0.1, 0, 0.2)) })
	w.play(121, 160, calm)
	assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution)
	checkLives(t, w.events())
	w.stop()
}

func TestChange(t *testing.T) {
	change := func(i int) any {
		return logs(at(i), record{service: "stock", event: string(semconv.EventDeploymentChanged), attrs: map[string]string{semconv.AttrServiceVersion: "2.0"}})
	}
	for name, c := range map[string]struct {
		at   int
		kind semconv.CauseKind
		// listed is whether the incident tells of the change.
		listed bool
	}{
		"before":          {230, semconv.CauseChange, true},
		"after the onset": {250, semconv.CauseErrors, true},
		"long before":     {20, semconv.CauseErrors, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			with := func(make func(int) []any) func(int) []any {
				return func(i int) []any {
					if i == c.at {
						return append(make(i), change(i))
					}
					return make(i)
				}
			}
			w.play(0, 240, with(calm))
			w.play(240, 270, with(stockFails))
			w.play(270, 320, with(calm))
			got := w.one()
			assert.Equal(t, service("stock"), got.Cause().Entity)
			assert.Equal(t, c.kind, got.Cause().Kind)
			if c.listed && c.at < 240 {
				require.NotEmpty(t, got.Changes)
				assert.Contains(t, got.Changes[0].Summary, "2.0")
			}
			if !c.listed {
				assert.Empty(t, got.Changes)
			}
			w.stop()
		})
	}
}

// TestGrouping has two shops that have nothing to do with each other.
func TestGrouping(t *testing.T) {
	other := func(fails float64) []call {
		return []call{
			{client: "user", server: "portal", n: 40, failed: fails, took: 0.05},
			{client: "portal", server: "mail", n: 40, failed: fails, took: 0.02, waited: 0.021},
		}
	}
	for name, c := range map[string]struct {
		stockFails, mailFails float64
		want                  []semconv.Entity
	}{
		"one":  {30, 0, []semconv.Entity{service("stock")}},
		"both": {30, 30, []semconv.Entity{service("mail"), service("stock")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			play := func(from, to int, stockFails, mailFails float64) {
				w.play(from, to, func(i int) []any {
					front, orders, stock := shop()
					front.failed, orders.failed, stock.failed = stockFails, stockFails, stockFails
					return []any{graph(at(i), append(other(mailFails), front, orders, stock)...)}
				})
			}
			play(0, 240, 0, 0)
			play(240, 260, c.stockFails, c.mailFails)
			var got []semconv.Entity
			for _, i := range w.last() {
				got = append(got, i.Cause().Entity)
			}
			assert.ElementsMatch(t, c.want, got)
			w.stop()
		})
	}
}

func TestCalm(t *testing.T) {
	t.Parallel()
	for seed := range int64(8) {
		rng := rand.New(rand.NewSource(seed))
		w := newWorld(t, nil)
		w.play(0, 500, func(i int) []any {
			front, orders, stock := shop()
			front.n = float64(25 + rng.Intn(30))
			orders.n, stock.n = front.n, front.n
			for _, c := range []*call{&front, &orders, &stock} {
				c.took *= 0.8 + 0.4*rng.Float64()
				c.waited = c.took * 1.05
				if rng.Intn(20) == 0 {
					c.failed = 1
				}
			}
			front.waited = 0
			return []any{graph(at(i), front, orders, stock), logs(at(i), chatter(i)...)}
		})
		w.stop()
		assert.Empty(t, describe(w.events()), seed)
	}
}
