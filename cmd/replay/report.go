package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

var units = [otlpjsonl.NumSignals]string{"spans", "data points", "log records"}

// count is what became of the items of one signal.
type count struct {
	read, accepted, rejected int64
	first, last              pcommon.Timestamp // as recorded
}

func (c *count) addTimes(first, last pcommon.Timestamp) {
	if first != 0 && (c.first == 0 || first < c.first) {
		c.first = first
	}
	c.last = max(c.last, last)
}

// unsent are the items that were read and then not sent for lack of an answer or of time.
func (c *count) unsent() int64 { return c.read - c.accepted - c.rejected }

// tally is what a run has done so far.
type tally struct {
	counts   [otlpjsonl.NumSignals]count
	shift    time.Duration
	retries  int64
	stuck    bool // the last attempt failed and is repeated
	refusals int64
	shown    []string
}

func (t *tally) addRead(b *otlpjsonl.Batch) {
	c := &t.counts[b.Signal]
	c.read += int64(b.Items)
	c.addTimes(b.First, b.Time)
}

func (t *tally) addAnswer(b *otlpjsonl.Batch, rejected int64) {
	c := &t.counts[b.Signal]
	c.rejected += rejected
	c.accepted += int64(b.Items) - rejected
}

func (t *tally) total() count {
	var sum count
	for _, c := range t.counts {
		sum.read += c.read
		sum.accepted += c.accepted
		sum.rejected += c.rejected
		sum.addTimes(c.first, c.last)
	}
	return sum
}

// summary is what is known at the end.
type summary struct {
	tally
	stats  otlpjsonl.Stats
	dryRun bool
	wall   time.Duration
}

func (r *replay) summary() summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return summary{tally: r.tally, stats: r.merger.Stats(), dryRun: r.exporter == nil, wall: time.Since(r.started)}
}

func (s *summary) print(w io.Writer) {
	total := s.total()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, c count) {
		fmt.Fprintf(table, "%s\t%d\t", name, c.read)
		if !s.dryRun {
			fmt.Fprintf(table, "%d\t%d\t%d\t", c.accepted, c.rejected, c.unsent())
		}
		fmt.Fprintf(table, "%s\t%s\n", formatTime(c.first), formatTime(c.last))
	}
	if s.dryRun {
		fmt.Fprintln(table, "items\tread\tfirst event time\tlast event time")
	} else {
		fmt.Fprintln(table, "items\tread\taccepted\trejected\tunsent\tfirst event time\tlast event time")
	}
	for i, c := range s.counts {
		row(units[i], c)
	}
	row("all", total)
	table.Flush()

	st := &s.stats
	fmt.Fprintf(w, "\nlines: %d read, %d late, %d without items, %d without a time, %d broken, %d too long; %d files cut short\n",
		st.Lines, st.Late, st.Empty, st.Undated, st.Broken, st.TooLong, st.Unreadable)
	if st.Cut > 0 {
		fmt.Fprintf(w, "cut: %d items outside --from and --to\n", st.Cut)
	}
	if s.shift != 0 {
		fmt.Fprintf(w, "moved: all times by %s\n", s.shift)
	}
	if s.retries > 0 {
		fmt.Fprintf(w, "retried: %d attempts\n", s.retries)
	}
	done := total.read
	if !s.dryRun {
		done = total.accepted
	}
	fmt.Fprintf(w, "time: %s, %.0f items/s, %.0f lines/s\n",
		s.wall.Round(time.Millisecond), float64(done)/s.wall.Seconds(), float64(st.Lines)/s.wall.Seconds())

	if len(st.Problems) > 0 {
		fmt.Fprintf(w, "\nnot read (%d of %d):\n", len(st.Problems), st.Lost())
		for _, p := range st.Problems {
			fmt.Fprintf(w, "  %s\n", limited(p.Error()))
		}
	}
	if len(s.shown) > 0 {
		fmt.Fprintf(w, "\nrefused by the receiver (%d of %d answers):\n", len(s.shown), s.refusals)
		for _, line := range s.shown {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
}

// verdict is nil when everything that was read in full was accepted in full.
func (s *summary) verdict() error {
	var errs []error
	if n := s.total().rejected; n > 0 {
		errs = append(errs, fmt.Errorf("%d items were rejected", n))
	}
	if n := s.stats.Broken + s.stats.TooLong; n > 0 {
		errs = append(errs, fmt.Errorf("%d lines could not be read", n))
	}
	if n := s.stats.Unreadable; n > 0 {
		errs = append(errs, fmt.Errorf("%d files could not be read to their end", n))
	}
	return errors.Join(errs...)
}

func formatTime(t pcommon.Timestamp) string {
	if t == 0 {
		return "-"
	}
	return t.AsTime().UTC().Format("2006-01-02T15:04:05.000Z")
}

// clean makes foreign text fit for a terminal.
func clean(text string) string {
	return limited(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text))
}

func limited(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
