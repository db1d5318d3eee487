package sink

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// File writes one export request a line in OTLP JSON.
type File struct {
	closer io.Closer
	out    *bufio.Writer

	mu sync.Mutex
	// mu guards everything below.
	stats Stats
}

// NewFile returns a sink that writes to w and closes it in the end.
func NewFile(w io.WriteCloser) *File {
	const buffer = 1 << 18
	return &File{closer: w, out: bufio.NewWriterSize(w, buffer)}
}

// Send writes spans, log records and metrics, in this order: metrics are as of the end of the tick.
func (f *File) Send(_ context.Context, b Batch) error {
	counts := Counts{int64(b.Traces.SpanCount()), int64(b.Metrics.DataPointCount()), int64(b.Logs.LogRecordCount())}
	var (
		traces  ptrace.JSONMarshaler
		metrics pmetric.JSONMarshaler
		logs    plog.JSONMarshaler
	)
	if counts.Spans > 0 {
		if err := f.line(traces.MarshalTraces(b.Traces)); err != nil {
			return err
		}
	}
	if counts.Records > 0 {
		if err := f.line(logs.MarshalLogs(b.Logs)); err != nil {
			return err
		}
	}
	if counts.Points > 0 {
		if err := f.line(metrics.MarshalMetrics(b.Metrics)); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats.Sent.Spans += counts.Spans
	f.stats.Sent.Points += counts.Points
	f.stats.Sent.Records += counts.Records
	return nil
}

func (f *File) line(data []byte, err error) error {
	if err != nil {
		return fmt.Errorf("encode telemetry: %w", err)
	}
	if _, err = f.out.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write telemetry: %w", err)
	}
	return nil
}

// Stats tells what was written.
func (f *File) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// Close flushes and closes the file.
func (f *File) Close() error { return errors.Join(f.out.Flush(), f.closer.Close()) }
