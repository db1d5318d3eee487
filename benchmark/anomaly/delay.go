package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// symptom is a signal that shows a fault from the first export after it on: what the simulation changes at once.
type symptom struct {
	service, metric, signal string
	// attributes must stand in the series' attributes.
	attributes string
}

func (s *symptom) String() string {
	return strings.TrimSpace(s.service + " " + s.metric + " " + s.signal + " " + s.attributes)
}

func (s *symptom) shownBy(a *alarm) bool {
	return a.service == s.service && a.metric == s.metric && a.signal == s.signal && strings.Contains(a.attributes, s.attributes)
}

const (
	durations = "http.server.request.duration"
	pods      = "k8s.deployment.available_pods"
	cpu       = "k8s.pod.cpu.usage"
	pool      = "db.client.connection.count"
)

// symptoms lists what each kind of fault does to its default service and to those that use it.
var symptoms = map[shop.FaultKind][]symptom{
	shop.MemoryLeak: {
		{"recommendation", "k8s.pod.memory.working_set", "value", ""},
		{"recommendation", "k8s.container.memory_limit_utilization", "value", ""},
	},
	shop.CPUHog: {
		{"search", cpu, "value", ""},
		{"search", "k8s.container.cpu_limit_utilization", "value", ""},
		{"search", durations, "mean", ""},
		{"search", durations, "p50", ""},
	},
	shop.SlowDependency: {
		{"cache", "redis.memory.fragmentation_ratio", "value", ""},
		{"catalogue", durations, "mean", ""},
		{"cart", durations, "mean", ""},
	},
	shop.ErrorBurst: {
		{"payment", durations, "rate", "status_code=200"},
	},
	shop.Crash: {
		{"cart", pods, "value", ""},
		{"cart", cpu, "value", ""},
		{"cart", "k8s.pod.memory.working_set", "value", ""},
		{"cart", "k8s.container.restarts", "value", ""},
	},
	shop.BadDeploy: {
		{"catalogue", durations, "mean", ""},
	},
	shop.DatabaseLocks: {
		{"orders-db", "postgresql.database.locks", "value", ""},
		{"orders-db", "postgresql.backends", "value", ""},
		{"checkout", pool, "value", "name=orders-db"},
		{"checkout", durations, "mean", ""},
	},
	shop.TrafficSurge: {
		{"search", durations, "rate", "status_code=200"},
		{"search", cpu, "value", ""},
		{"search", "http.server.active_requests", "value", ""},
	},
	shop.NetworkDelay: {
		{"inventory", "k8s.pod.network.errors", "rate", ""},
		{"checkout", durations, "mean", ""},
	},
	shop.SilentFailure: {
		{"payment", durations, "rate", ""},
		{"shipping", durations, "rate", ""},
	},
}

// missed is the delay of a symptom that raised no alarm.
const missed = math.MaxInt

// trial is what one fault with one seed came to. Delays count samples after the first affected one.
type trial struct {
	first    int // of any listed symptom
	anywhere int // of any series of the shop
	symptoms []int
	before   int // alarms in the last ten minutes before the fault
}

// delay measures how many samples after the first affected one an alarm comes. The first affected sample is the
// first export after the injection: it covers a whole interval with the fault.
func delay(ctx context.Context, o *options, out io.Writer) error {
	t := table(out)
	fmt.Fprintf(t, "fault\tdetected\tmedian delay, samples\tworst\tany series of the shop\tfalse alarms, 10 min before\t\n")
	var all, signals, anywhere []int
	type row struct {
		kind   shop.FaultKind
		trials []trial
	}
	var rows []row
	for _, kind := range shop.SteadyFaultKinds() {
		var trials []trial
		for seed := range o.seeds {
			got, err := try(ctx, o, kind, uint64(seed+1))
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			trials = append(trials, got)
		}
		rows = append(rows, row{kind, trials})
		var first, any []int
		before := 0
		for _, x := range trials {
			first, any = append(first, x.first), append(any, x.anywhere)
			signals = append(signals, x.symptoms...)
			before += x.before
		}
		all, anywhere = append(all, first...), append(anywhere, any...)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t\n", kind, detected(first), median(first), samples(slices.Max(first)), median(any), before)
	}
	fmt.Fprintf(t, "all\t%s\t%s\t%s\t%s\t\t\n", detected(all), median(all), samples(slices.Max(all)), median(anywhere))
	fmt.Fprintf(t, "all symptoms, each for itself\t%s\t%s\t%s\t\t\t\n", detected(signals), median(signals), samples(slices.Max(signals)))
	t.Flush()

	t = table(out)
	fmt.Fprintf(t, "fault\tsymptom\tdetected\tmedian delay, samples\tworst\t\n")
	for _, r := range rows {
		for i := range symptoms[r.kind] {
			var d []int
			for _, x := range r.trials {
				d = append(d, x.symptoms[i])
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", r.kind, &symptoms[r.kind][i], detected(d), median(d), samples(slices.Max(d)))
		}
	}
	t.Flush()
	fmt.Fprintf(out, "%d seeds, %s learnt, a point every %s\n", o.seeds, o.learn, orDefault(o.interval, shop.DefaultConfig().MetricsInterval))
	return nil
}

func try(ctx context.Context, o *options, kind shop.FaultKind, seed uint64) (out trial, err error) {
	w, err := newWatcher(ctx, o, monday.Add(10*time.Hour), seed)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.processor.Close(ctx)) }()
	// Whole exports, so that the next one covers the fault and nothing else.
	if err := w.run(ctx, o.learn.Truncate(w.interval), nil); err != nil {
		return out, err
	}
	for i := range w.alarms {
		if w.sim.Now().Sub(w.alarms[i].at) <= 10*time.Minute {
			out.before++
		}
	}
	if _, err := w.sim.Inject(shop.Fault{Kind: kind}); err != nil {
		return out, err
	}
	injected := w.sim.Now()
	w.alarms = nil
	if err := w.run(ctx, o.watch, nil); err != nil {
		return out, err
	}

	out.first, out.anywhere = missed, missed
	list := symptoms[kind]
	out.symptoms = slices.Repeat([]int{missed}, len(list))
	for i := range w.alarms {
		a := &w.alarms[i]
		d := int(a.at.Sub(injected)/w.interval) - 1
		out.anywhere = min(out.anywhere, d)
		for j := range list {
			if list[j].shownBy(a) {
				out.symptoms[j] = min(out.symptoms[j], d)
				out.first = min(out.first, d)
			}
		}
	}
	return out, nil
}

func detected(d []int) string {
	n := 0
	for _, v := range d {
		if v != missed {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(d))
}

// median counts what was missed as later than all else.
func median(d []int) string {
	d = slices.Sorted(slices.Values(d))
	return samples(d[(len(d)-1)/2])
}

func samples(d int) string {
	if d == missed {
		return "missed"
	}
	return fmt.Sprint(d)
}
