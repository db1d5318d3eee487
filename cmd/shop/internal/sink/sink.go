// Package sink takes what the simulated shop sends and delivers it: over OTLP/gRPC to a collector, or as OTLP JSON lines
// to a file.
package sink

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Batch is the telemetry of one tick.
type Batch struct {
	Traces  ptrace.Traces
	Metrics pmetric.Metrics
	Logs    plog.Logs
}

// Counts are items by signal.
type Counts struct {
	Spans, Points, Records int64
}

// Total is the number of items of all signals.
func (c Counts) Total() int64 { return c.Spans + c.Points + c.Records }

// Stats tell what became of the items given to a sink.
type Stats struct {
	// Sent were delivered, Rejected were refused by the receiver for good, and Lost were given up after retries.
	Sent, Rejected, Lost Counts
	// Retries counts repeated requests; LastError is the latest failure.
	Retries   int64
	LastError string
}

// Sink delivers batches. It is used by one goroutine; Stats may be called by others.
type Sink interface {
	// Send delivers the batch. What could not be delivered is in Stats; an error means that nothing more can be sent.
	Send(ctx context.Context, b Batch) error
	Stats() Stats
	Close() error
}
