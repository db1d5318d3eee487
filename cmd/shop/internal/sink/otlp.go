package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	firstPause     = 100 * time.Millisecond
	longestPause   = 5 * time.Second
	requestTimeout = 10 * time.Second
	maxItems       = 2000 // a request; gRPC servers take 4 MiB unless told otherwise
)

// OTLP sends to a collector over gRPC, one request after the other, and waits for each answer.
type OTLP struct {
	conn     *grpc.ClientConn
	traces   ptraceotlp.GRPCClient
	metrics  pmetricotlp.GRPCClient
	logs     plogotlp.GRPCClient
	retryFor time.Duration
	// away notes the signals that were given up: they get one attempt a request until one succeeds.
	away struct{ spans, points, records bool }

	mu sync.Mutex
	// mu guards everything below.
	stats Stats
}

// NewOTLP returns a sink for the collector at endpoint, a host and port. A request that cannot be delivered is repeated
// for the time retryFor and then given up; later requests get one attempt each until one succeeds. Dial options are added to those for a connection without TLS.
func NewOTLP(endpoint string, retryFor time.Duration, options ...grpc.DialOption) (*OTLP, error) {
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)
	conn, err := grpc.NewClient(endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	return &OTLP{
		conn: conn, traces: ptraceotlp.NewGRPCClient(conn), metrics: pmetricotlp.NewGRPCClient(conn),
		logs: plogotlp.NewGRPCClient(conn), retryFor: retryFor,
	}, nil
}

// Send sends spans, log records and metrics, in this order: metrics are as of the end of the tick. It returns an error
// only when ctx is over.
func (o *OTLP) Send(ctx context.Context, b Batch) error {
	var errs error
	for _, part := range splitTraces(b.Traces) {
		errs = errors.Join(errs, o.deliver(ctx, int64(part.SpanCount()), spans, &o.away.spans, func(ctx context.Context) (int64, string, error) {
			r, err := o.traces.Export(ctx, ptraceotlp.NewExportRequestFromTraces(part))
			if err != nil {
				return 0, "", err
			}
			return r.PartialSuccess().RejectedSpans(), r.PartialSuccess().ErrorMessage(), nil
		}))
	}
	for _, part := range splitLogs(b.Logs) {
		errs = errors.Join(errs, o.deliver(ctx, int64(part.LogRecordCount()), records, &o.away.records, func(ctx context.Context) (int64, string, error) {
			r, err := o.logs.Export(ctx, plogotlp.NewExportRequestFromLogs(part))
			if err != nil {
				return 0, "", err
			}
			return r.PartialSuccess().RejectedLogRecords(), r.PartialSuccess().ErrorMessage(), nil
		}))
	}
	return errors.Join(errs, o.deliver(ctx, int64(b.Metrics.DataPointCount()), points, &o.away.points, func(ctx context.Context) (int64, string, error) {
		r, err := o.metrics.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(b.Metrics))
		if err != nil {
			return 0, "", err
		}
		return r.PartialSuccess().RejectedDataPoints(), r.PartialSuccess().ErrorMessage(), nil
	}))
}

func spans(c *Counts) *int64   { return &c.Spans }
func points(c *Counts) *int64  { return &c.Points }
func records(c *Counts) *int64 { return &c.Records }

// splitTraces cuts the traces into parts of about maxItems spans along their resources.
func splitTraces(traces ptrace.Traces) []ptrace.Traces {
	if traces.SpanCount() <= maxItems {
		return []ptrace.Traces{traces}
	}
	var parts []ptrace.Traces
	part, size := ptrace.NewTraces(), 0
	for i := range traces.ResourceSpans().Len() {
		rs := traces.ResourceSpans().At(i)
		for j := range rs.ScopeSpans().Len() {
			size += rs.ScopeSpans().At(j).Spans().Len()
		}
		rs.MoveTo(part.ResourceSpans().AppendEmpty())
		if size >= maxItems {
			parts = append(parts, part)
			part, size = ptrace.NewTraces(), 0
		}
	}
	if size > 0 {
		parts = append(parts, part)
	}
	return parts
}

// splitLogs does the same with log records.
func splitLogs(logs plog.Logs) []plog.Logs {
	if logs.LogRecordCount() <= maxItems {
		return []plog.Logs{logs}
	}
	var parts []plog.Logs
	part, size := plog.NewLogs(), 0
	for i := range logs.ResourceLogs().Len() {
		rl := logs.ResourceLogs().At(i)
		for j := range rl.ScopeLogs().Len() {
			size += rl.ScopeLogs().At(j).LogRecords().Len()
		}
		rl.MoveTo(part.ResourceLogs().AppendEmpty())
		if size >= maxItems {
			parts = append(parts, part)
			part, size = plog.NewLogs(), 0
		}
	}
	if size > 0 {
		parts = append(parts, part)
	}
	return parts
}

// deliver repeats export until it succeeds, fails for good or the time is up, and counts the items.
func (o *OTLP) deliver(
	ctx context.Context, items int64, signal func(*Counts) *int64, away *bool, export func(context.Context) (int64, string, error),
) error {
	if items == 0 {
		return nil
	}
	retryFor := o.retryFor
	if *away {
		retryFor = 0
	}
	patience, stop := context.WithTimeout(ctx, retryFor)
	defer stop()
	pause := firstPause
	for {
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		rejected, message, err := export(attempt)
		cancel()
		if err == nil {
			*away = false
			o.count(func(s *Stats) {
				*signal(&s.Sent) += items - rejected
				*signal(&s.Rejected) += rejected
				if message != "" {
					s.LastError = message
				}
			})
			return nil
		}
		wait := time.NewTimer(pause)
		again := retryable(err)
		if again {
			select {
			case <-wait.C:
			case <-patience.Done():
				again = false
			}
		}
		wait.Stop()
		o.count(func(s *Stats) {
			s.LastError = err.Error()
			switch {
			case again:
				s.Retries++
			case retryable(err):
				*signal(&s.Lost) += items
			default:
				*signal(&s.Rejected) += items
			}
		})
		if !again {
			*away = retryable(err)
			return ctx.Err()
		}
		pause = min(2*pause, longestPause)
	}
}

// retryable follows the OTLP specification.
func retryable(err error) bool {
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return true
	default:
		return false
	}
}

func (o *OTLP) count(change func(*Stats)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.stats)
}

// Stats tells what became of what was sent.
func (o *OTLP) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stats
}

// Close closes the connection.
func (o *OTLP) Close() error { return o.conn.Close() }
