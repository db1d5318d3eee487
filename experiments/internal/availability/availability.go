package availability

import (
	"context"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/experiments/internal/thresholds"
)

// Name is that of the experiment.
const Name = "availability"

// Experiment is what the command runs.
func Experiment() experiment.Experiment {
	return experiment.Experiment{Name: Name, Clock: result.Simulated, Run: run}
}

// pair are the two arms of a seed.
type pair struct{ with, without *Month }

func run(ctx context.Context, o experiment.Options) (*result.Result, error) {
	months := make([]pair, len(o.Seeds))
	if err := experiment.Each(ctx, o.Parallel, 2*len(o.Seeds), func(ctx context.Context, i int) (err error) {
		order := order{Seed: o.Seeds[i/2], Quick: o.Quick}
		arm := "without the loop"
		if i%2 == 0 {
			arm = "with the loop"
			months[i/2].with, err = watched(ctx, order)
		} else {
			months[i/2].without, err = live(ctx, order, false)
		}
		o.Logf("    seed %d: a month %s", order.Seed, arm)
		return err
	}); err != nil {
		return nil, err
	}
	return summarise(o.Seeds, months), nil
}

// tally sums up episodes of one arm.
type tally struct {
	episodes, failures, byPeople int
	down                         time.Duration
	detect, recover              []float64
	undetected                   int
	bad, sent                    int
	incidents, falseIncidents    int
	calmDown, calm               time.Duration
	actions, right, incurable    int
	inCalm, succeeded, failed    int
	worse                        int
	worst                        []string
}

// mtbf and mttr are in hours; a failure is an episode in which the shop was down.
func (t *tally) mtbf(months int) float64 {
	return (time.Duration(months)*month - t.down).Hours() / float64(max(1, t.failures))
}

func (t *tally) mttr() float64 { return t.down.Hours() / float64(max(1, t.failures)) }

func (t *tally) availability(months int) float64 {
	return t.mtbf(months) / (t.mtbf(months) + t.mttr())
}

func (t *tally) add(a *Account) {
	t.episodes++
	if a.Down > 0 {
		t.failures++
		t.recover = append(t.recover, a.Recovered.Seconds())
	}
	t.down += a.Down
	t.bad += a.Bad
	t.sent += a.Sent
	t.incidents += a.Incidents
	t.falseIncidents += a.FalseIncidents
	t.calm += a.Episode.Calm
	t.calmDown += a.Beforehand
	t.succeeded += a.Verdicts["succeeded"]
	t.failed += a.Verdicts["failed"] + a.Verdicts["inconclusive"]
	if a.ByPeople {
		t.byPeople++
	}
	if len(a.Episode.Faults) > 0 {
		if a.Detected >= 0 {
			t.detect = append(t.detect, a.Detected.Seconds())
		} else {
			t.undetected++
		}
	}
	for _, act := range a.Actions {
		t.actions++
		curable := len(a.Episode.Faults) > 0 && !a.Episode.Faults[0].Lasting
		switch {
		case act.After < 0 || len(a.Episode.Faults) == 0:
			t.inCalm++
		case !curable:
			t.incurable++
		case act.Right:
			t.right++
		}
	}
}

const (
	// A change of impact counts from this share of the requests on.
	grown = 0.05
	// before and after an action impact is compared over so many buckets.
	compared = 4
)

// harm compares the impact after each action with that before it, and with what came of the same fault at the same time without any
// action: it returns the actions after which more requests went wrong than in both.
func harm(with, without *Account) []string {
	mean := func(impact []float64, from, to int) float64 {
		from, to = max(0, from), min(to, len(impact))
		if from >= to {
			return 0
		}
		sum := 0.0
		for _, v := range impact[from:to] {
			sum += v
		}
		return sum / float64(to-from)
	}
	var out []string
	for _, act := range with.Actions {
		if act.After < 0 || act.Refused != "" {
			continue
		}
		at := int(act.After / bucket)
		before, after := mean(with.Impact, at-compared/2, at), mean(with.Impact, at+1, at+1+compared)
		idle := mean(without.Impact, at+1, at+1+compared)
		if after > before+grown && after > idle+grown {
			out = append(out, fmt.Sprintf("%s %s after %s of %s %v: %.0f %% of requests bad before, %.0f %% after, %.0f %% without",
				act.Name, act.Service, act.After, with.Episode.Trouble, with.Episode.Faults, 100*before, 100*after, 100*idle))
		}
	}
	return out
}

const (
	ours   = "with the loop"
	theirs = "thresholds and people"
)

// summarise makes the result of all months.
func summarise(seeds []uint64, months []pair) *result.Result {
	people := thresholds.DefaultPeople()
	r := &result.Result{
		Name: Name, Number: 6, Title: "Availability over a simulated month", Clock: result.Simulated, Seeds: seeds,
		About: fmt.Sprintf("A month of random troubles, %.0f hours apart on the average: faults of all kinds, two at once, faults that no action cures, that "+
			"flap, losses of all telemetry and of the way from the exporter to the shop, with faults in them and without. The same month is lived through "+
			"twice. With the loop, tracegraph, anomaly, incident and remediation are the real components, configured by examples/quickstart, on a fake "+
			"clock; an action is a signed webhook whose network is a function call, and takes effect in the shop at once, without the start of pods. People "+
			"are called when the exporter escalates or an incident lasts %s. Without the loop people are called by static thresholds, or by users after %s. People are "+
			"a model of ours: medians of %s from the call to the cause and %s to the repair, spread log-normally. Of the time between two troubles at most %s "+
			"are simulated; the rest counts like it.", meanApart.Hours(), patience, people.Notice, people.Triage, people.Repair, mostCalm),
	}
	all := [2]tally{}
	perSeed := [2][]tally{}
	most := 0
	byTrouble := map[Trouble]*[2]tally{}
	for _, p := range months {
		var seed [2]tally
		most = max(most, p.with.MostActions)
		for i := range p.with.Episodes {
			w, n := &p.with.Episodes[i], &p.without.Episodes[i]
			group := byTrouble[w.Episode.Trouble]
			if group == nil {
				group = &[2]tally{}
				byTrouble[w.Episode.Trouble] = group
			}
			worse := harm(w, n)
			for _, t := range []*[2]tally{&all, &seed, group} {
				t[0].add(w)
				t[1].add(n)
				t[0].worse += len(worse)
				t[0].worst = append(t[0].worst, worse...)
			}
		}
		for k := range perSeed {
			perSeed[k] = append(perSeed[k], seed[k])
		}
	}
	for k, system := range []string{ours, theirs} {
		figure := func(name, unit string, of func(*tally, int) float64) {
			var values []float64
			for i := range perSeed[k] {
				values = append(values, of(&perSeed[k][i], 1))
			}
			r.AddFigure(name, unit, system, "", of(&all[k], len(seeds)), values)
		}
		figure("availability, MTBF / (MTBF + MTTR)", "%", func(t *tally, n int) float64 { return t.availability(n) })
		figure("MTBF", "h", func(t *tally, n int) float64 { return t.mtbf(n) })
		figure("MTTR", "min", func(t *tally, _ int) float64 { return 60 * t.mttr() })
		figure("down in a month", "min", func(t *tally, n int) float64 { return t.down.Minutes() / float64(n) })
		figure("troubles that people had to end", "%", func(t *tally, _ int) float64 { return float64(t.byPeople) / float64(max(1, t.episodes)) })
		if k == 0 {
			figure("actions in a month", "", func(t *tally, n int) float64 { return float64(t.actions) / float64(n) })
			figure("actions that made things worse", "", func(t *tally, _ int) float64 { return float64(t.worse) })
			figure("false incidents per day, in the calm between troubles", "", func(t *tally, _ int) float64 { return 24 * float64(t.falseIncidents) / t.calm.Hours() })
		}
		r.AddSample("time to detect", "s", system, "", all[k].detect, all[k].undetected)
		r.AddSample("time to recover", "s", system, "", all[k].recover, 0)
	}
	r.Tables = append(r.Tables, troubleTable(byTrouble), actionTable(&all[0]), worseTable(all[0].worst))
	goals(r, &all[0], &all[1], len(seeds), most)
	r.Note("The shop is down while, over %s, more than %.0f %% of all requests of users, or %.0f %% of one kind, fail, do nothing, or take longer than twice the 99th "+
		"percentile of calm. In %.1f hours of calm between troubles it was so for %s with the loop.",
		bucket, 100*downShare, 100*downKind, all[0].calm.Hours(), all[0].calmDown)
	r.Note("Guards that remember, such as breakers, meet the next trouble only if it really comes within %s. In a first run all troubles came six minutes apart, "+
		"and the breakers of one kept the next from being cured.", mostCalm)
	r.Note("An action made things worse if the share of bad requests in the %s after it is %.0f points above that before it, and above that at the same time of the same "+
		"fault in the month without the loop.", compared*bucket, 100*grown)
	return r
}

func goals(r *result.Result, with, without *tally, months, most int) {
	const budget = 20
	worse, peak := float64(with.worse), float64(most)
	r.AddGoal(result.FromProject, "actions after which impact grew", "", "=", 0, &worse, "the table tells of each")
	r.AddGoal(result.FromProject, "most actions within the budget's 10 min", "", "<=", budget, &peak, "the budget did not hold")
	gain := with.availability(months) - without.availability(months)
	r.AddGoal(result.FromProject, "availability gained over thresholds and people", "%", ">=", 0, &gain, "the loop costs more than it brings")
	median := result.Summarise(with.recover, 0).Median
	r.AddGoal(result.FromProject, "median time from fault to recovery, incurable ones included", "s", "<=", 45, median,
		"incurable faults last until people come, and one that is detected late is cured late")
}

func troubleTable(by map[Trouble]*[2]tally) result.Table {
	t := result.Table{
		Title: "By sort of trouble",
		Head: []string{
			"trouble", "episodes", "down, with the loop: median, s", "thresholds and people, s", "recovered after, with the loop: median, s",
			"thresholds and people, s", "ended by people", "incidents", "actions",
		},
		Note: "Down is per episode, episodes in which the shop stayed up included; recovered is of those in which it was down.",
	}
	cell := func(values []float64) string {
		m := result.Summarise(values, 0).Median
		if m == nil {
			return "–"
		}
		return fmt.Sprintf("%.0f", *m)
	}
	for _, tr := range troubles {
		g := by[tr.trouble]
		if g == nil {
			continue
		}
		mean := func(k int) string { return fmt.Sprintf("%.0f", g[k].down.Seconds()/float64(g[k].episodes)) }
		t.Rows = append(t.Rows, []string{
			string(tr.trouble), fmt.Sprint(g[0].episodes), mean(0), mean(1), cell(g[0].recover), cell(g[1].recover),
			fmt.Sprintf("%d/%d", g[0].byPeople, g[0].episodes), fmt.Sprint(g[0].incidents), fmt.Sprint(g[0].actions),
		})
	}
	return t
}

func actionTable(t *tally) result.Table {
	rows := [][]string{
		{"all", fmt.Sprint(t.actions)},
		{"the cure of a fault that was there", fmt.Sprint(t.right)},
		{"for a fault that nothing cures", fmt.Sprint(t.incurable)},
		{"while nothing was wrong", fmt.Sprint(t.inCalm)},
		{"of no use to a curable fault", fmt.Sprint(t.actions - t.right - t.incurable - t.inCalm)},
		{"after which impact grew", fmt.Sprint(t.worse)},
		{"plays that the exporter saw succeed", fmt.Sprint(t.succeeded)},
		{"plays that it saw fail, or could not tell", fmt.Sprint(t.failed)},
	}
	return result.Table{Title: "Actions of the loop", Head: []string{"actions", "number"}, Rows: rows}
}

func worseTable(worst []string) result.Table {
	t := result.Table{Title: "Actions after which impact grew", Head: []string{"what"}}
	for _, w := range worst {
		t.Rows = append(t.Rows, []string{w})
	}
	return t
}
