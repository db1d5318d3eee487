package incidentconnector

import (
	"time"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/burnrate"
)

// storedBudget is how an objective fares at a service.
type storedBudget struct {
	key     budgetKey
	used    time.Time
	windows []burnrate.Window
	settled []time.Time
}

func (b *storedBudget) code(c *binarystate.Codec) {
	b.key.code(c)
	codeTimes(c, &b.used)
	codeList(c, &b.windows, func(w *burnrate.Window) { codeWindow(c, w) })
	codeList(c, &b.settled, func(t *time.Time) { codeTimes(c, t) })
}

func (k *budgetKey) code(c *binarystate.Codec) {
	c.String(&k.objective, maxStoredText)
	c.String(&k.service, maxStoredText)
}

func codeWindow(c *binarystate.Codec, w *burnrate.Window) {
	codeDurations(c, &w.Length)
	c.Int64s(&w.First, &w.Newest)
	c.Flags(&w.Started)
	for i := range w.Total {
		codeNumbers(c, &w.Total[i], &w.Bad[i])
	}
}

// appendBudget writes a budget.
func (e *engine) appendBudget(out []byte, key budgetKey) []byte {
	b := e.objectives.budgets[key]
	if b == nil {
		return out
	}
	stored := storedBudget{key: key, used: b.used, windows: append([]burnrate.Window{b.tracker.Budget}, append(b.tracker.Long, b.tracker.Short...)...), settled: b.tracker.Settled}
	c := binarystate.NewWriter(out)
	stored.code(c)
	return c.Written()
}

// restoreBudget goes on with a budget, if its objective is still the same.
func (e *engine) restoreBudget(stored *storedBudget) error {
	for i := range e.objectives.all {
		one := &e.objectives.all[i]
		if one.cfg.Name != stored.key.objective {
			continue
		}
		b := &budget{tracker: burnrate.New(one.cfg.Target, one.cfg.Window, one.cfg.policies()), used: stored.used}
		n := len(b.tracker.Policies)
		if len(stored.windows) != 1+2*n || len(stored.settled) != n || stored.windows[0].Length != one.cfg.Window {
			// The objective is another one now, and its budget begins anew.
			return nil
		}
		for at := range n {
			if stored.windows[1+at].Length != one.cfg.Burns[at].Long || stored.windows[1+n+at].Length != one.cfg.Burns[at].Short {
				return nil
			}
		}
		if len(e.objectives.budgets) >= e.objectives.limit {
			return errNoRoom
		}
		b.tracker.Budget, b.tracker.Long, b.tracker.Short = stored.windows[0], stored.windows[1:1+n], stored.windows[1+n:]
		b.tracker.Settled = stored.settled
		e.objectives.budgets[stored.key] = b
	}
	return nil
}
