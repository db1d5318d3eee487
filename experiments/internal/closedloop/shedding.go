package closedloop

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/cluster"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

//go:embed shedding.yaml
var sheddingPlaybooks string

const (
	// surgeOf makes four times as many requests come as usual. The crowd browses, searches and is recommended things, which is 72 % of
	// all requests and all that the catalogue serves: it must be 5.17 times as many of them. Usually 33 % of the catalogue's
	// capacity are asked for, and a surge of severity 1 asks for 160 %.
	surgeOf = (4 - 0.28) / 0.72 * 0.33 / 1.6
	// shedBy is how long after the surge begins users are asked how they fare, and askFor for how long.
	shedBy = time.Minute
	askFor = time.Minute

	withShedding, withoutShedding = "with shedding", "without shedding"
)

// tiers are the criticalities of requests, the most important first.
var tiers = []string{"critical", "high", "medium", "low"}

// surge is one surge and how users fared in it, by the criticality of what they wanted.
type surge struct {
	tiers map[string]*fared
	acted *float64
	log   []string
}

// fared are the requests of a tier.
type fared struct {
	asked, well, failed int
	took                []float64 // of those that were answered, in seconds
}

func (f *fared) success() float64 { return share(f.well, f.well+f.failed+f.asked) }

func (f *fared) p99() *float64 {
	if len(f.took) == 0 {
		return nil
	}
	sorted := slices.Clone(f.took)
	slices.Sort(sorted)
	return &sorted[min(len(sorted)-1, len(sorted)*99/100)]
}

func shedding(ctx context.Context, o experiment.Options) (*result.Result, error) {
	lab, err := openLab(ctx)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	surges := make([]surge, 2*len(o.Seeds)) // with and without, by turns
	err = experiment.Each(ctx, atOnce, len(surges), func(ctx context.Context, i int) error {
		with := ""
		if i%2 == 0 {
			with = sheddingPlaybooks
		}
		var err error
		surges[i], err = playSurge(ctx, lab, o.Seeds[i/2], with)
		if err != nil {
			for _, l := range surges[i].log {
				o.Logf("%s", l)
			}
			return fmt.Errorf("seed %d: %w", o.Seeds[i/2], err)
		}
		o.Logf("  seed %d, shedding %v: acted %s", o.Seeds[i/2], with != "", seconds(surges[i].acted))
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := &result.Result{
		Name: "load-shedding", Number: 4, Title: "Load shedding by criticality", Clock: result.Real, Seeds: o.Seeds,
		About: about + "Four times as many requests come as usual, and do not go away: a crowd that browses, searches and is recommended things, beside the usual buyers. With shedding, a playbook has the frontend ask whoever wants less than a high-criticality page to come back later, by a key of a ConfigMap; without, nobody acts.",
	}
	t := result.Table{Title: "Users by the criticality of what they want, from one to two minutes after the surge began", Head: []string{"criticality", "", "requests", "served", "failed", "asked to come back later", "p99 of those served"}}
	var acted []float64
	for i := 0; i < len(surges); i += 2 {
		if a := surges[i].acted; a != nil {
			acted = append(acted, *a)
		}
	}
	r.AddSample("time to shed", "s", withShedding, "", acted, len(o.Seeds)-len(acted))
	values := map[string]map[string]*fared{}
	for _, tier := range tiers {
		for which, name := range []string{withShedding, withoutShedding} {
			sum := &fared{}
			var perSeed []float64
			for i := which; i < len(surges); i += 2 {
				f := surges[i].tiers[tier]
				sum.asked, sum.well, sum.failed, sum.took = sum.asked+f.asked, sum.well+f.well, sum.failed+f.failed, append(sum.took, f.took...)
				perSeed = append(perSeed, f.success())
			}
			if values[name] == nil {
				values[name] = map[string]*fared{}
			}
			values[name][tier] = sum
			r.AddFigure("served", "%", name, tier, sum.success(), perSeed)
			p99 := "-"
			if p := sum.p99(); p != nil {
				p99 = fmt.Sprintf("%.2f s", *p)
				r.AddFigure("p99", "s", name, tier, *p, nil)
			}
			n := sum.well + sum.failed + sum.asked
			t.Rows = append(t.Rows, []string{tier, name, fmt.Sprint(n), percent(sum.success()), percent(share(sum.failed, n)), percent(share(sum.asked, n)), p99})
		}
	}
	r.Tables = append(r.Tables, t)
	with, without := values[withShedding]["critical"], values[withoutShedding]["critical"]
	r.AddGoal(result.FromProject, "checkouts served with shedding", "%", ">=", 0.99, new(with.success()), "see the table")
	r.AddGoal(result.FromProject, "checkouts served: gain over no shedding", "%", ">=", 0.1, new(with.success()-without.success()), "see the table")
	r.Note("Checkout is the only critical request; adding to the cart and logging in are of high, browsing and searching of medium, recommendations of low criticality. Being asked to come back later (429) costs the shop nothing and is not counted as served.")
	return r, nil
}

// playSurge plays one surge.
func playSurge(ctx context.Context, lab *cluster.Cluster, seed uint64, with string) (s surge, err error) {
	s.tiers = map[string]*fared{}
	for _, tier := range tiers {
		s.tiers[tier] = &fared{}
	}
	kinds := map[string]string{}
	for _, k := range shop.RequestKinds() {
		kinds[k.Name] = k.Criticality
	}
	t := &trial{
		stage: &stage{setup: setup{seed: seed, rate: rate, learn: learn, playbooks: with}, cluster: lab},
		fault: shop.Fault{Kind: shop.TrafficSurge, Service: "catalogue", Severity: surgeOf, Lasting: true},
		log:   func(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) },
	}
	defer func() { err = errors.Join(err, t.close(context.WithoutCancel(ctx))) }()
	asking := false
	t.watch = func(e shop.Experience) {
		f := s.tiers[kinds[e.Kind]]
		if !asking || e.Message || f == nil {
			return
		}
		switch {
		case e.Asked:
			f.asked++
		case e.Failed || e.Hollow:
			f.failed++
		default:
			f.well++
			f.took = append(f.took, e.Took.Seconds())
		}
	}
	if err := t.raise(ctx); err != nil {
		return s, err
	}
	t.forget()
	if err := t.settle(ctx); err != nil {
		return s, err
	}
	t.vitals.learnt()
	if t.status, err = t.shop.Inject(ctx, t.fault); err != nil {
		return s, err
	}
	t.onset = time.Now()
	for range int((shedBy + askFor) / time.Second) {
		asking = time.Since(t.onset) >= shedBy-time.Second
		if err := t.step(ctx); err != nil {
			return s, err
		}
	}
	s.acted = t.record.Acted
	return s, nil
}
