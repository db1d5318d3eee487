// Command nezha measures detection and diagnosis on a day of the Nezha fault-injection data, replayed through the real
// components with no injection time given.
//
//	go run ./benchmark/nezha -data DIR -out FILE
//	go run ./benchmark/nezha -data DIR -out FILE -incidents INCIDENTS
//
// With -incidents it scores what a collector wrote with its file exporter, to which the day was sent by cmd/replay,
// instead of running the components itself. DIR holds traces.jsonl.gz, metrics.jsonl.gz, logs.jsonl.gz and faults.json. FILE gets one JSON object per line and
// fault; a summary with sanity floors is printed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
	"github.com/paramedic-otel/paramedic/semconv"
)

// The modes: the source's own evaluation, or everything as it came.
const (
	modePaper  = "paper"
	modeStream = "stream"
)

func main() {
	data := flag.String("data", "", "folder of one day: traces.jsonl.gz, metrics.jsonl.gz, logs.jsonl.gz, faults.json")
	out := flag.String("out", "", "file to write one JSON object per line and fault to")
	mode := flag.String("mode", modeStream, "stream replays the day with no injection time given; paper asks about the source's evaluation minute of each fault")
	incidents := flag.String("incidents", "", "file of incident events, as the file exporter writes them, to score instead of running the components")
	verbose := flag.Bool("v", false, "print every incident event, or every answer")
	s := settingsFrom(flag.CommandLine)
	flag.Parse()
	if *data == "" || *out == "" || flag.NArg() > 0 || (*mode != modePaper && *mode != modeStream) || (*mode == modePaper && *incidents != "") {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *data, *out, *mode, *incidents, *verbose, *s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "nezha:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, out, mode, incidents string, verbose bool, s settings, w io.Writer) error {
	day, err := readDay(filepath.Join(dir, "faults.json"))
	if err != nil {
		return err
	}
	start := time.Now()
	var events []semconv.IncidentEvent
	var results []result
	var lost int64
	switch {
	case mode == modePaper:
		results, lost, err = judgeOnPaper(ctx, dir, day, s)
	case incidents != "":
		events, lost, err = readEvents(incidents)
	default:
		events, lost, err = replay(ctx, dir, s)
	}
	if err != nil {
		return err
	}
	if mode == modePaper {
		if verbose {
			printAnswers(w, results)
		}
		summarizePaper(w, day, results)
	} else {
		if verbose {
			printEvents(w, day, events)
		}
		results = score(day, events, s.late)
		summarize(w, day, events, results)
	}
	if err := write(out, results); err != nil {
		return err
	}
	fmt.Fprintf(w, "took %s; %d lines of input lost\n", time.Since(start).Round(100*time.Millisecond), lost)
	return nil
}

// replay feeds a day to the components in the order of event time and returns the incident events.
func replay(ctx context.Context, dir string, s settings) (events []semconv.IncidentEvent, lost int64, err error) {
	merger, err := open(dir)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, merger.Close()) }()
	configs := s.configs()
	l, err := loop.New(ctx, configs)
	if err != nil {
		return nil, 0, err
	}
	owners := map[pcommon.SpanID]string{}
	if s.dropEdges > 0 {
		if owners, err = readOwners(dir); err != nil {
			return nil, 0, errors.Join(err, l.Close(ctx))
		}
	}
	p := pulse{idle: configs.Tracegraph.IdleTimeout}
	for {
		batch, err := merger.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, errors.Join(err, l.Close(ctx))
		}
		s.spoil(&batch, owners)
		if err := p.feed(ctx, l, &batch); err != nil {
			return nil, 0, errors.Join(err, l.Close(ctx))
		}
		events = append(events, l.Events()...)
	}
	err = l.Close(ctx)
	return append(events, l.Events()...), merger.Stats().Lost(), err
}

// open opens the recording of a day.
func open(dir string) (*otlpjsonl.Merger, error) {
	var paths []string
	for _, name := range []string{"traces.jsonl.gz", "metrics.jsonl.gz", "logs.jsonl.gz"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	return otlpjsonl.Open(paths, otlpjsonl.DefaultOptions())
}

// readOwners reads which service each span is of.
func readOwners(dir string) (owners map[pcommon.SpanID]string, err error) {
	merger, err := otlpjsonl.Open([]string{filepath.Join(dir, "traces.jsonl.gz")}, otlpjsonl.DefaultOptions())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, merger.Close()) }()
	owners = map[pcommon.SpanID]string{}
	for {
		batch, err := merger.Next()
		if errors.Is(err, io.EOF) {
			return owners, nil
		}
		if err != nil {
			return nil, err
		}
		for _, rs := range batch.Traces.ResourceSpans().All() {
			name := nameOf(rs.Resource())
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					owners[span.SpanID()] = name
				}
			}
		}
	}
}

// readEvents reads incident events from a file of log records.
func readEvents(path string) (events []semconv.IncidentEvent, lost int64, err error) {
	merger, err := otlpjsonl.Open([]string{path}, otlpjsonl.DefaultOptions())
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, merger.Close()) }()
	for {
		batch, err := merger.Next()
		if errors.Is(err, io.EOF) {
			return events, merger.Stats().Lost(), nil
		}
		if err != nil {
			return nil, 0, err
		}
		if batch.Signal != otlpjsonl.Logs {
			continue
		}
		for _, rl := range batch.Logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					event, err := semconv.DecodeIncidentEvent(lr)
					if err != nil {
						return nil, 0, err
					}
					events = append(events, event)
				}
			}
		}
	}
}

func write(path string, results []result) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffered := bufio.NewWriter(f)
	encoder := json.NewEncoder(buffered)
	for i := range results {
		if err := encoder.Encode(&results[i]); err != nil {
			return err
		}
	}
	return buffered.Flush()
}
