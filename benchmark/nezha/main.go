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

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/benchmark/internal/loop"
	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
	"github.com/paramedic-otel/paramedic/semconv"
)

func main() {
	data := flag.String("data", "", "folder of one day: traces.jsonl.gz, metrics.jsonl.gz, logs.jsonl.gz, faults.json")
	out := flag.String("out", "", "file to write one JSON object per line and fault to")
	incidents := flag.String("incidents", "", "file of incident events, as the file exporter writes them, to score instead of running the components")
	verbose := flag.Bool("v", false, "print every incident event")
	flag.Parse()
	if *data == "" || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *data, *out, *incidents, *verbose, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "nezha:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, out, incidents string, verbose bool, w io.Writer) error {
	day, err := readDay(filepath.Join(dir, "faults.json"))
	if err != nil {
		return err
	}
	start := time.Now()
	var events []semconv.IncidentEvent
	var lost int64
	if incidents != "" {
		events, lost, err = readEvents(incidents)
	} else {
		events, lost, err = replay(ctx, dir)
	}
	if err != nil {
		return err
	}
	if verbose {
		printEvents(w, day, events)
	}
	results := score(day, events)
	if err := write(out, results); err != nil {
		return err
	}
	summarize(w, day, events, results)
	fmt.Fprintf(w, "took %s; %d lines of input lost\n", time.Since(start).Round(100*time.Millisecond), lost)
	return nil
}

// replay feeds a day to the components in the order of event time and returns the incident events.
func replay(ctx context.Context, dir string) (events []semconv.IncidentEvent, lost int64, err error) {
	var paths []string
	for _, name := range []string{"traces.jsonl.gz", "metrics.jsonl.gz", "logs.jsonl.gz"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	merger, err := otlpjsonl.Open(paths, otlpjsonl.DefaultOptions())
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, merger.Close()) }()
	l, err := loop.New(ctx, loop.Default())
	if err != nil {
		return nil, 0, err
	}
	for {
		batch, err := merger.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, errors.Join(err, l.Close(ctx))
		}
		var td ptrace.Traces
		var md pmetric.Metrics
		var ld plog.Logs
		switch batch.Signal {
		case otlpjsonl.Traces:
			td = batch.Traces
		case otlpjsonl.Metrics:
			md = batch.Metrics
		case otlpjsonl.Logs:
			ld = batch.Logs
		}
		if err := l.Feed(ctx, td, md, ld); err != nil {
			return nil, 0, errors.Join(err, l.Close(ctx))
		}
		events = append(events, l.Events()...)
	}
	err = l.Close(ctx)
	return append(events, l.Events()...), merger.Stats().Lost(), err
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
