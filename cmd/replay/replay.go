package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is the program; it ends early, with its table, when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "replay: %v\ntry replay --help\n", err)
		return exitUsage
	}
	if err := c.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "replay: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func (c *config) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	var e exporter
	if !c.dryRun {
		conn, err := c.target.dial()
		if err != nil {
			return fmt.Errorf("connect to %s: %w", c.target.endpoint, err)
		}
		defer conn.Close()
		e = newGRPCExporter(conn, c.target.headers)
	}
	m, err := otlpjsonl.Open(c.paths, c.read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	// Next may wait for a pipe; closing is what ends that.
	stop := context.AfterFunc(ctx, func() { _ = m.Close() })
	defer stop()

	screen := newConsole(stderr)
	r := &replay{config: c, merger: m, exporter: e, screen: screen, started: time.Now()}
	var drawing sync.WaitGroup
	drawn := make(chan struct{})
	if screen.terminal {
		drawing.Go(func() { r.draw(drawn) })
	}
	failed := r.loop(ctx)
	close(drawn)
	drawing.Wait()
	screen.clear()

	sum := r.summary()
	sum.print(stdout)
	return errors.Join(failed, sum.verdict())
}

// replay is one run.
type replay struct {
	config   *config
	merger   *otlpjsonl.Merger
	exporter exporter // nil in a dry run
	screen   *console
	started  time.Time

	mu sync.Mutex
	// mu guards everything below.
	tally tally
}

func (r *replay) loop(ctx context.Context) error {
	pace := pacer{speed: r.config.speed}
	var shift time.Duration
	begun := false // a batch with a time was seen
	for {
		b, err := r.merger.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return errInterrupted
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		r.update(func(t *tally) { t.addRead(&b) })
		if r.exporter == nil {
			continue
		}
		if !begun && b.Time != 0 {
			begun = true
			if shift, err = r.config.rebase.shift(&b); err != nil {
				return err
			}
			r.update(func(t *tally) { t.shift = shift })
		}
		place := fmt.Sprintf("%s line %d", r.config.paths[b.File], b.Line)
		recorded := b.Time
		b.Shift(shift)
		if pace.wait(ctx, b.Time) != nil {
			return fmt.Errorf("%w before %s, event time %s", errInterrupted, place, formatTime(recorded))
		}
		res, err := r.config.retry.deliver(ctx, r.exporter, b, r.waiting)
		if err != nil {
			return fmt.Errorf("%s, event time %s: %w", place, formatTime(recorded), err)
		}
		r.answered(&b, place, res)
	}
}

// shift is how far the batches are moved, the first one given.
func (r *rebase) shift(first *otlpjsonl.Batch) (time.Duration, error) {
	if !r.on {
		return 0, nil
	}
	to := r.at
	if r.now {
		to = time.Now()
	}
	if first.Time > math.MaxInt64 {
		return 0, fmt.Errorf("the first event time, %d ns, is after the year 2262 and cannot be moved", first.Time)
	}
	return time.Duration(to.UnixNano() - int64(first.Time)), nil
}

func (r *replay) update(change func(*tally)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.tally)
}

func (r *replay) waiting(err error, wait time.Duration) {
	first := false
	r.update(func(t *tally) {
		t.retries++
		first = !t.stuck
		t.stuck = true
	})
	if first {
		r.screen.note("%s; next attempt in %s, and on until it is answered", clean(err.Error()), wait)
	}
}

func (r *replay) answered(b *otlpjsonl.Batch, place string, res result) {
	stuck := false
	r.update(func(t *tally) {
		stuck, t.stuck = t.stuck, false
		t.addAnswer(b, res.rejected)
		if res.message == "" && res.rejected == 0 {
			return
		}
		t.refusals++
		if len(t.shown) < r.config.read.MaxProblems {
			t.shown = append(t.shown, fmt.Sprintf("%s: %d of %d %s rejected: %s", place, res.rejected, b.Items, units[b.Signal], clean(res.message)))
		}
	})
	if stuck {
		r.screen.note("the receiver answers again")
	}
}
