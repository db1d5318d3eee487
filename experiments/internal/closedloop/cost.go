package closedloop

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

//go:embed cost.yaml
var costConfig string

//go:embed cost_without.yaml
var costWithoutConfig string

const (
	costRate = 200 // user requests a second
	// costWarm and costFor are the simulated time that is sent before and while costs are counted, of each signal.
	costWarm, costFor           = 5 * time.Minute, 10 * time.Minute
	costWarmQuick, costForQuick = time.Minute, 2 * time.Minute
	// costRest is the time in which a collector finishes what it has taken.
	costRest = 2 * time.Second
	// per is the number of items a second that costs are told of.
	per = 10_000.0

	withOurs, withoutOurs = "with our components", "without"
)

// signal is one of what a collector takes.
type signal struct {
	name, item string
	pick       func(ptrace.Traces, pmetric.Metrics, plog.Logs) (ptrace.Traces, pmetric.Metrics, plog.Logs, int)
}

var costSignals = []signal{
	{"spans", "spans/s", func(t ptrace.Traces, _ pmetric.Metrics, _ plog.Logs) (ptrace.Traces, pmetric.Metrics, plog.Logs, int) {
		return t, pmetric.NewMetrics(), plog.NewLogs(), t.SpanCount()
	}},
	{"data points", "data points/s", func(_ ptrace.Traces, m pmetric.Metrics, _ plog.Logs) (ptrace.Traces, pmetric.Metrics, plog.Logs, int) {
		return ptrace.NewTraces(), m, plog.NewLogs(), m.DataPointCount()
	}},
	{"log records", "log records/s", func(_ ptrace.Traces, _ pmetric.Metrics, l plog.Logs) (ptrace.Traces, pmetric.Metrics, plog.Logs, int) {
		return ptrace.NewTraces(), pmetric.NewMetrics(), l, l.LogRecordCount()
	}},
}

// contestant is a collector whose cost is counted.
type contestant struct {
	process *process
	sender  *sender
}

// bill is what a collector used for one signal.
type bill struct {
	items  int
	cores  float64 // at [per] items a second
	memory float64 // bytes that are its own at the end
}

// cost measures what our components add to a collector.
func cost(ctx context.Context, o experiment.Options) (*result.Result, error) {
	r := &result.Result{
		Name: "cost", Number: 7, Title: "Cost", Clock: result.Real, Seeds: o.Seeds,
		About: "Two collectors of the same binary get the same stream of the simulated shop by turns, second by second and as fast as they take it: one as in examples/quickstart, with anomaly, tracegraph and incident, and one " +
			"in which the same data only pass. CPU is user and system time of the process, memory its resident set at the end.",
	}
	bills := map[string]map[string][]bill{}
	for _, seed := range o.Seeds {
		got, err := play(ctx, seed, o.Quick)
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", seed, err)
		}
		for system, signals := range got {
			for name, b := range signals {
				if bills[name] == nil {
					bills[name] = map[string][]bill{}
				}
				bills[name][system] = append(bills[name][system], b)
			}
		}
		o.Logf("  seed %d", seed)
	}
	t := result.Table{
		Title: "Cores at 10,000 items a second (median over the seeds)",
		Head:  []string{"", "items sent to each", "without", "with our components", "added"},
	}
	for _, s := range costSignals {
		with, without := bills[s.name][withOurs], bills[s.name][withoutOurs]
		var added, a, b []float64
		for i := range with {
			a, b, added = append(a, with[i].cores), append(b, without[i].cores), append(added, with[i].cores-without[i].cores)
		}
		addMedian := func(system string, values []float64) string {
			m := *result.Summarise(values, 0).Median
			r.AddFigure("CPU per 10,000 "+s.item, "{core}", system, "", m, values)
			return fmt.Sprintf("%.3f", m)
		}
		row := []string{s.item, fmt.Sprint(with[0].items)}
		row = append(row, addMedian(withoutOurs, b), addMedian(withOurs, a), addMedian("added", added))
		t.Rows = append(t.Rows, row)
	}
	last := costSignals[len(costSignals)-1].name
	for _, system := range []string{withOurs, withoutOurs} {
		var memory []float64
		for _, b := range bills[last][system] {
			memory = append(memory, b.memory/(1<<20))
		}
		r.AddFigure("resident memory", "MiBy", system, "", *result.Summarise(memory, 0).Median, memory)
	}
	r.Tables = append(r.Tables, t)
	r.Note("The shop of %d user requests a second has the series of 31 pods; the memory of our components grows with series and edges, not with items a second.", costRate)
	return r, nil
}

func play(ctx context.Context, seed uint64, quick bool) (bills map[string]map[string]bill, err error) {
	dir, err := os.MkdirTemp("", "paramedic-cost-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	contestants := map[string]*contestant{}
	defer func() {
		for _, c := range contestants {
			err = errors.Join(err, c.sender.close())
			c.process.stop()
		}
	}()
	systems := []string{withOurs, withoutOurs}
	for i, config := range []string{costConfig, costWithoutConfig} {
		c, err := enter(ctx, filepath.Join(dir, fmt.Sprint(i)), config)
		if err != nil {
			return nil, err
		}
		contestants[systems[i]] = c
	}
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Rate, cfg.Steady, cfg.Start, cfg.MetricsInterval = seed, costRate, true, time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), metricsInterval
	simulation, err := shop.New(cfg)
	if err != nil {
		return nil, err
	}
	warm, counted := costWarm, costFor
	if quick {
		warm, counted = costWarmQuick, costForQuick
	}
	for range int(warm / time.Second) {
		traces, metrics, logs := simulation.Tick()
		for _, system := range systems {
			if err := contestants[system].sender.send(ctx, traces, metrics, logs); err != nil {
				return nil, err
			}
		}
	}
	bills = map[string]map[string]bill{withOurs: {}, withoutOurs: {}}
	for _, s := range costSignals {
		before := map[string]float64{}
		for _, system := range systems {
			if before[system], _, err = contestants[system].process.usage(); err != nil {
				return nil, err
			}
		}
		items := 0
		for range int(counted / time.Second) {
			traces, metrics, logs, n := s.pick(simulation.Tick())
			items += n
			for _, system := range systems {
				if err := contestants[system].sender.send(ctx, traces, metrics, logs); err != nil {
					return nil, err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(costRest):
		}
		for _, system := range systems {
			used, memory, err := contestants[system].process.usage()
			if err != nil {
				return nil, err
			}
			bills[system][s.name] = bill{items: items, cores: (used - before[system]) / float64(items) * per, memory: memory}
		}
	}
	return bills, nil
}

func enter(ctx context.Context, dir, config string) (*contestant, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "config.yaml")
	text := strings.NewReplacer("HEALTH", addresses[0], "OTLP", addresses[1]).Replace(config)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c := &contestant{}
	if c.process, err = launch(ctx, binary, path, filepath.Join(dir, "log"), addresses[0]); err != nil {
		return nil, err
	}
	if c.sender, err = newSender(addresses[1]); err != nil {
		c.process.stop()
		return nil, err
	}
	return c, nil
}
