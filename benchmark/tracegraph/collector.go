package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// pipelines are those that a process can run: otlp → batch → nop, and the same with a connector beside nop.
var pipelines = map[string]*contestant{
	"none": nil, "tracegraph": &tracegraph, "servicegraph": &servicegraphLarge,
}

// serve runs the pipeline "name@endpoint" until standard input ends, and writes the CPU time used so far, in nanoseconds, for
// each line that it reads.
func serve(ctx context.Context, pipeline string) (err error) {
	name, endpoint, ok := strings.Cut(pipeline, "@")
	c, known := pipelines[name]
	if !ok || !known {
		return fmt.Errorf("pipeline must be none, tracegraph or servicegraph, @ and an endpoint, got %q", pipeline)
	}
	// A heap of some size, as a collector with more to do has, so that a connector's store does not make the others' garbage
	// cheaper to collect.
	ballast := make([]byte, 128<<20)
	defer runtime.KeepAlive(ballast)
	var end consumer.Traces = consumertest.NewNop()
	if c != nil {
		conn, err := c.start(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, conn.Shutdown(ctx)) }()
		if end, err = fanOut(end, conn); err != nil {
			return err
		}
	}
	batches := batchprocessor.NewFactory()
	batch, err := batches.CreateTraces(ctx, processortest.NewNopSettings(batches.Type()), batches.CreateDefaultConfig(), end)
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
	receiver, err := receivers.CreateTraces(ctx, receivertest.NewNopSettings(receivers.Type()), cfg, batch)
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
		fmt.Println(cpuTime().Nanoseconds())
	}
	return errors.Join(lines.Err(), receiver.Shutdown(ctx), batch.Shutdown(ctx))
}

// fanOut sends to several consumers of which none changes what it is given, as a pipeline does with its exporters.
func fanOut(all ...consumer.Traces) (consumer.Traces, error) {
	return consumer.NewTraces(func(ctx context.Context, td ptrace.Traces) error {
		td.MarkReadOnly()
		var errs error
		for _, c := range all {
			errs = errors.Join(errs, c.ConsumeTraces(ctx, td))
		}
		return errs
	})
}
