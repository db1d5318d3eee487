package closedloop

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// unattended tells which share of a mixture of faults, some of them incurable, nobody had to be called for.
func (c *campaign) unattended(ctx context.Context, o experiment.Options) (*result.Result, error) {
	records, _, err := c.play(ctx, o)
	if err != nil {
		return nil, err
	}
	r := &result.Result{
		Name: "unattended", Number: 3, Title: "Share handled without a human", Clock: result.Real, Seeds: o.Seeds,
		About: about + "Of the faults some have their reason outside of the shop, so that no playbook can cure them: they must be escalated with a diagnosis.",
	}
	curable := slices.DeleteFunc(slices.Clone(records), func(r record) bool { return r.Lasting })
	lasting := slices.DeleteFunc(slices.Clone(records), func(r record) bool { return !r.Lasting })
	perSeed := func(f func(measured) float64) []float64 {
		var out []float64
		for _, seed := range o.Seeds {
			out = append(out, f(measure(ofSeed(records, seed))))
		}
		return out
	}
	all, possible, not := measure(records), measure(curable), measure(lasting)
	r.AddFigure("handled without a human", "%", result.Ours, "all faults", all.success(), perSeed(measured.success))
	r.AddFigure("handled without a human", "%", result.Ours, "curable faults", possible.success(), nil)
	r.AddFigure("escalated", "", result.Ours, "", float64(all.escalated), nil)
	r.AddFigure("escalated with a diagnosis", "", result.Ours, "", float64(all.withReports), nil)
	r.AddFigure("wrong actions", "", result.Ours, "curable faults", float64(possible.wrong), nil)
	r.AddFigure("actions that did not help", "", result.Ours, "incurable faults", float64(not.futile), nil)
	r.AddFigure("harmful actions", "", result.Ours, "", float64(all.harmful), nil)
	r.Tables = append(r.Tables, result.Table{
		Title: "What became of the faults",
		Head:  []string{"", "faults", "handled", "escalated", "of them with a diagnosis", "neither", "actions", "wrong", "did not help", "harmful"},
		Rows:  [][]string{outcomes("curable", possible), outcomes("incurable", not), outcomes("all", all)},
		Note:  "A wrong action is on another service than the faulty one, or cannot cure the fault. For an incurable fault no action is right: one attempt that is seen not to help, on the right service, is what the playbooks are for.",
	}, caseTable(lasting))
	neither := all.n - all.recoveredAndJudged - all.escalated
	r.AddGoal(result.FromPaper, "handled without a human", "%", ">=", 0.85, new(all.success()), unverified(records)+fmt.Sprintf("; %d of %d faults are incurable", not.n, all.n))
	r.AddGoal(result.FromProject, "of the rest escalated with a diagnosis", "", "=", float64(all.n-all.recoveredAndJudged), new(float64(all.withReports)), fmt.Sprintf("%d were neither handled nor escalated", neither))
	r.AddGoal(result.FromProject, "wrong actions on curable faults", "", "=", 0, new(float64(possible.wrong)), wrong(curable))
	r.AddGoal(result.FromProject, "harmful actions", "", "=", 0, new(float64(all.harmful)), harmful(records))
	return r, nil
}

func outcomes(name string, m measured) []string {
	out := []string{name}
	for _, n := range []int{m.n, m.recoveredAndJudged, m.escalated, m.withReports, m.n - m.recoveredAndJudged - m.escalated, m.actions, m.wrong, m.futile, m.harmful} {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

func wrong(records []record) string {
	var names []string
	for i := range records {
		for _, a := range records[i].Actions {
			if !a.Right {
				names = append(names, fmt.Sprintf("%s of %s for %s of %s (seed %d)", a.Action, workload(a.Target), records[i].Kind, records[i].Service, records[i].Seed))
			}
		}
	}
	return strings.Join(names, ", ")
}
