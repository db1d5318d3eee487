package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/paramedic-otel/paramedic/test/executor"
)

type options struct {
	incidents, starts, targets int
	apart                      time.Duration
}

// config has every guard on; only those that would hold so many actions in so short a time back are wider.
const config = `
budget: {max_actions: 1000, window: 1m}
storm: {max_incidents: 10000}
breakers:
  target: {failures: 2, max_actions: 100, window: 1h}
playbooks:
  - name: restart
    when: ['attributes["incident.cause.kind"] == "crash"', 'attributes["incident.severity"] != "minor"']
    mode: auto
    cooldown: 1s
    min_witnesses: 2
    scope: {namespaces: SCOPE}
    steps: [{kubernetes: {rollout_restart: {}}}]
    verify: {within: 30s, settle: 0s, hold: 0s, workload: {enabled: false}}
kubernetes:
  rate: 100
  action_burst: 100
  coordination: {namespace: HOME, holder: benchmark, window: 1m, max_entries: 1000}
`

// phases are what the time is spent on, in order.
var phases = []string{"decide and store", "prepare, admit and store", "reserve", "total"}

// times are when an incident came to each phase's end.
type times struct {
	told, planned, started, applied time.Time
}

func (t *times) complete() bool {
	return !t.applied.IsZero() && !t.planned.IsZero() && !t.started.IsZero()
}

func (t *times) durations() []time.Duration {
	return []time.Duration{t.planned.Sub(t.told), t.started.Sub(t.planned), t.applied.Sub(t.started), t.applied.Sub(t.told)}
}

// watch is a logger of the exporter that notes when its lines come.
type watch struct {
	zapcore.Core
	mu sync.Mutex
	// mu guards everything below.
	times    times
	accepted bool
	last     string // the last decision, for people
}

func (w *watch) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, w)
}

func (w *watch) With([]zapcore.Field) zapcore.Core { return w }

func (w *watch) Enabled(zapcore.Level) bool { return true }

func (w *watch) Write(e zapcore.Entry, fields []zapcore.Field) error {
	encoded := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoded)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Message {
	case "remediation decision":
		w.last = fmt.Sprintf("%v/%v: %v", encoded.Fields["outcome"], encoded.Fields["reason"], encoded.Fields["detail"])
		switch encoded.Fields["outcome"] {
		case "planned":
			w.times.planned = e.Time
		case "started":
			w.times.started = e.Time
		case "accepted":
			w.accepted = true
		}
	case "request to the API server":
		if encoded.Fields["verb"] == "patch" && encoded.Fields["resource"] == "deployments" {
			// It is told of when it is over.
			w.times.applied = e.Time.Add(-encoded.Fields["duration"].(time.Duration))
		}
	}
	return nil
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times, w.accepted = times{told: time.Now()}, false
}

func (w *watch) done() (times, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times, w.accepted && w.times.complete()
}

// measure runs both scenarios and prints what they took.
func measure(ctx context.Context, o options, out io.Writer) error {
	return run(ctx, func(b *bench) {
		s := executor.NewStage(b, 1, 1)
		var names []string
		for i := range o.targets {
			names = append(names, fmt.Sprintf("app-%d", i))
		}
		s.Deployments(b, 1, names...)
		s.Direct = true
		text := s.Config(b, config)
		before := load()

		var steady, first [][]time.Duration
		w := &watch{Core: zapcore.NewNopCore()}
		e := start(b, text, filepath.Join(b.TempDir(), "state"), w)
		one(b, s, e, w, "warm", names[len(names)-1])
		for i := range o.incidents {
			next := time.Now().Add(o.apart)
			steady = append(steady, one(b, s, e, w, fmt.Sprintf("steady-%d", i), names[i%len(names)]))
			time.Sleep(time.Until(next))
		}
		stop(b, e)
		for i := range o.starts {
			e := start(b, text, filepath.Join(b.TempDir(), "state"), w)
			first = append(first, one(b, s, e, w, fmt.Sprintf("first-%d", i), names[i%len(names)]))
			stop(b, e)
		}
		fmt.Fprintf(out, "load average before %s, after %s\n\n", before, load())
		table(out, fmt.Sprintf("%d incidents, %s apart", o.incidents, o.apart), steady)
		table(out, fmt.Sprintf("the first incident of each of %d executors, right after its start", o.starts), first)
	})
}

func start(b *bench, config, storage string, w *watch) *executor.Executor {
	e, err := executor.Start(b.ctx, executor.Options{Config: config, Storage: storage, Logger: zap.New(w)})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func stop(b *bench, e *executor.Executor) {
	if err := e.Stop(b.ctx); err != nil {
		b.Fatal(err)
	}
}

// one tells of one incident, waits until it was acted on, and says that it is over.
func one(b *bench, s *executor.Stage, e *executor.Executor, w *watch, id, name string) []time.Duration {
	i := executor.NewIncident(id, s.Namespaces[0], name)
	event := i.Opened()
	w.begin()
	if err := e.Tell(b.ctx, event); err != nil {
		b.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		t, ok := w.done()
		if ok {
			if err := e.Tell(b.ctx, i.Resolved()); err != nil {
				b.Fatal(err)
			}
			return t.durations()
		}
		if time.Now().After(end) || b.ctx.Err() != nil {
			b.Fatalf("%s was not acted on: %s", id, w.last)
		}
	}
}

func table(out io.Writer, title string, all [][]time.Duration) {
	fmt.Fprintln(out, title)
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "ms\tmedian\tP95\tP99\tmax\t")
	for p, name := range phases {
		var values []time.Duration
		for _, d := range all {
			values = append(values, d[p])
		}
		slices.Sort(values)
		at := func(q float64) string {
			n := max(0, int(math.Ceil(q*float64(len(values))))-1)
			return fmt.Sprintf("%.1f", values[n].Seconds()*1000)
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t\n", name, at(0.5), at(0.95), at(0.99), at(1))
	}
	_ = tab.Flush()
	fmt.Fprintln(out)
}

// load is the load average of the last minute, where the system tells it.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	average, _, _ := strings.Cut(string(b), " ")
	return average
}
