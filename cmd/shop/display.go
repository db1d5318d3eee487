package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/sink"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// display tells people how the run goes.
type display struct {
	out        io.Writer
	terminal   bool
	simulation *shop.Simulation
	sink       sink.Sink
}

// status writes one line; on a terminal it takes the place of the one before.
func (d *display) status() {
	st, stats := d.simulation.State(), d.sink.Stats()
	faults := make([]string, 0, len(st.Faults))
	for _, f := range st.Faults {
		faults = append(faults, fmt.Sprintf("%s:%s", f.Kind, f.Service))
	}
	if len(faults) == 0 {
		faults = append(faults, "none")
	}
	line := fmt.Sprintf("%s  %.1f req/s  sent %d  rejected %d  lost %d  faults %s", st.Time.Format(time.RFC3339), st.Load,
		stats.Sent.Total(), stats.Rejected.Total(), stats.Lost.Total(), strings.Join(faults, " "))
	if d.terminal {
		fmt.Fprintf(d.out, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(d.out, line)
}

// summary closes the run.
func (d *display) summary() {
	if d.terminal {
		fmt.Fprintln(d.out)
	}
	st, stats := d.simulation.State(), d.sink.Stats()
	row := func(name string, c sink.Counts) {
		fmt.Fprintf(d.out, "%-9s%12d spans%12d points%12d records\n", name, c.Spans, c.Points, c.Records)
	}
	fmt.Fprintf(d.out, "ended at %s\n", st.Time.Format(time.RFC3339))
	row("sent", stats.Sent)
	row("rejected", stats.Rejected)
	row("lost", stats.Lost)
	if stats.Retries > 0 || stats.LastError != "" {
		fmt.Fprintf(d.out, "%d retries, last error: %s\n", stats.Retries, stats.LastError)
	}
	if st.Dropped > 0 || st.RefusedFaults > 0 {
		fmt.Fprintf(d.out, "%d records beyond max-pending, %d scheduled faults refused\n", st.Dropped, st.RefusedFaults)
	}
	for _, f := range st.Ended {
		fmt.Fprintf(d.out, "%s of %s from %s to %s: %s\n", f.Kind, f.Service, f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339), f.Ended)
	}
	for _, f := range st.Faults {
		fmt.Fprintf(d.out, "%s of %s from %s: still in force\n", f.Kind, f.Service, f.Since.Format(time.RFC3339))
	}
}
