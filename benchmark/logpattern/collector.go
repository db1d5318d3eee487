package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector"
)

// pipeline is otlp → batch → nop with a connector beside nop or, where records are annotated, before it.
type pipeline struct {
	name, title string
	annotate    logpatternconnector.Annotate
	metrics     bool
}

var pipelines = []pipeline{
	{name: "none", title: "none"},
	{"logpattern", "logpattern, logs → logs and logs → metrics", logpatternconnector.AnnotateOff, true},
	{"annotate", "logpattern, logs → logs with annotate: id_and_template", logpatternconnector.AnnotateIDAndText, false},
}

// serve runs the pipeline "name@endpoint" until standard input ends, and writes the CPU time used so far, in nanoseconds, for each
// line that it reads.
func serve(ctx context.Context, which string) (err error) {
	name, endpoint, _ := strings.Cut(which, "@")
	// A heap of some size, as a collector with more to do has, so that a connector's memory does not make the others' garbage
	// cheaper to collect.
	ballast := make([]byte, 128<<20)
	defer runtime.KeepAlive(ballast)
	var end consumer.Logs = consumertest.NewNop()
	for _, p := range pipelines {
		if p.name == name && p.annotate != "" {
			var stop func() error
			if end, stop, err = p.start(ctx); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
		}
	}
	batches := batchprocessor.NewFactory()
	batch, err := batches.CreateLogs(ctx, processortest.NewNopSettings(batches.Type()), batches.CreateDefaultConfig(), end)
	if err != nil {
		return err
	}
	host := componenttest.NewNopHost()
	if err := batch.Start(ctx, host); err != nil {
		return err
	}
	receivers := otlpreceiver.NewFactory()
	cfg := receivers.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{
		"protocols": map[string]any{"grpc": map[string]any{"endpoint": endpoint}},
	}).Unmarshal(cfg); err != nil {
		return err
	}
	receiver, err := receivers.CreateLogs(ctx, receivertest.NewNopSettings(receivers.Type()), cfg, batch)
	if err != nil {
		return err
	}
	if err := receiver.Start(ctx, host); err != nil {
		return err
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "collect" {
			runtime.GC()
		}
		fmt.Println(cpuTime())
	}
	return errors.Join(lines.Err(), receiver.Shutdown(ctx), batch.Shutdown(ctx))
}

// start starts the connector of a pipeline and returns what records are sent to.
func (p pipeline) start(ctx context.Context) (consumer.Logs, func() error, error) {
	f := logpatternconnector.NewFactory()
	cfg := f.CreateDefaultConfig().(*logpatternconnector.Config)
	cfg.Annotate = p.annotate
	set, host := connectortest.NewNopSettings(f.Type()), componenttest.NewNopHost()
	logs, err := f.CreateLogsToLogs(ctx, set, cfg, consumertest.NewNop())
	if err != nil {
		return nil, nil, err
	}
	if err := logs.Start(ctx, host); err != nil {
		return nil, nil, err
	}
	if !p.metrics {
		return logs, func() error { return logs.Shutdown(ctx) }, nil
	}
	metrics, err := f.CreateLogsToMetrics(ctx, set, cfg, consumertest.NewNop())
	if err != nil {
		return nil, nil, err
	}
	if err := metrics.Start(ctx, host); err != nil {
		return nil, nil, err
	}
	// None changes what it is given, so that all get the same, as a pipeline has it.
	all, err := consumer.NewLogs(func(ctx context.Context, ld plog.Logs) error {
		ld.MarkReadOnly()
		return errors.Join(logs.ConsumeLogs(ctx, ld), metrics.ConsumeLogs(ctx, ld))
	})
	return all, func() error { return errors.Join(logs.Shutdown(ctx), metrics.Shutdown(ctx)) }, err
}

// cpuTime returns the CPU time of this process in nanoseconds.
func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage of this process: " + err.Error())
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
