// Command shop simulates an e-commerce shop of 15 services and sends the OpenTelemetry data that it would send. Faults
// can be injected into it and cured again; see README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/control"
	"github.com/paramedic-otel/paramedic/cmd/shop/internal/runner"
	"github.com/paramedic-otel/paramedic/cmd/shop/internal/sink"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong command line")

// run is the command: data go to stdout if asked for, everything for people to messages.
func run(ctx context.Context, args []string, stdout, messages io.Writer, terminal bool) (err error) {
	o, err := parseOptions(args, time.Now(), messages)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	simulation, err := shop.New(o.shop)
	if err != nil {
		return err
	}
	target, err := openSink(o, stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if o.control != "" {
		counters := func() any { return target.Stats() }
		closeControl, err := serve(ctx, o, control.NewHandler(simulation, o.keys, time.Now, counters), messages)
		if err != nil {
			return err
		}
		defer closeControl()
	}

	every := time.Minute
	if terminal {
		every = time.Second
	}
	d := display{out: messages, terminal: terminal, simulation: simulation, sink: target}
	r := runner.Runner{
		Simulation: simulation, Sink: target, Speed: float64(o.speed), Duration: o.duration,
		Status: d.status, StatusEvery: every,
	}
	err = r.Run(ctx)
	d.summary()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // interrupted as a user ends it
	}
	if lost := target.Stats().Lost.Total(); err == nil && lost > 0 {
		err = fmt.Errorf("%d items were lost", lost)
	}
	return err
}

func openSink(o options, stdout io.Writer) (sink.Sink, error) {
	switch o.out {
	case "":
		return sink.NewOTLP(o.endpoint, o.retryFor)
	case "-":
		return sink.NewFile(nopCloser{stdout}), nil
	default:
		f, err := os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open output: %w", err)
		}
		return sink.NewFile(f), nil
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// serve runs the control interface until the function that it returns is called.
func serve(ctx context.Context, o options, h http.Handler, messages io.Writer) (func(), error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.control)
	if err != nil {
		return nil, fmt.Errorf("listen for control: %w", err)
	}
	fmt.Fprintf(messages, "control: http://%s\n", listener.Addr())
	server := &http.Server{
		Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(messages, "shop: control ended:", err)
		}
	}()
	return func() {
		_ = server.Close() // open requests need not be waited for
		<-done
	}, nil
}
