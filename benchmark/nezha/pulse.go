package main

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
	"github.com/paramedic-otel/paramedic/semconv"
)

// pulse hands batches over. Where traces are missing for a while, which the service graph notices by the clock on the wall when
// it runs live, it sends a span that belongs to nothing, by whose time the graph notices.
type pulse struct {
	// idle is after how much time without spans the service graph settles what waits.
	idle time.Duration
	// last is the time of the newest spans.
	last time.Time
}

func (p *pulse) feed(ctx context.Context, l *loop.Loop, batch *otlpjsonl.Batch) error {
	var td ptrace.Traces
	var md pmetric.Metrics
	var ld plog.Logs
	at := batch.Time.AsTime()
	switch batch.Signal {
	case otlpjsonl.Traces:
		td, p.last = batch.Traces, at
	case otlpjsonl.Metrics:
		md = batch.Metrics
	case otlpjsonl.Logs:
		ld = batch.Logs
	}
	if !p.last.IsZero() && at.Sub(p.last) >= p.idle {
		p.last = p.last.Add(p.idle)
		if err := l.Feed(ctx, beat(p.last), pmetric.Metrics{}, plog.Logs{}); err != nil {
			return err
		}
		// One is enough until spans come again.
		p.last = time.Time{}
	}
	return l.Feed(ctx, td, md, ld)
}

// beat is a span that is no call.
func beat(at time.Time) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr(semconv.AttrServiceName, "pulse")
	span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID(pcommon.TraceID{1})
	span.SetSpanID(pcommon.SpanID{1})
	span.SetKind(ptrace.SpanKindInternal)
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(at))
	return td
}
