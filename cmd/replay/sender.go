package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

// exporter makes one request and reports what a partial success says.
type exporter interface {
	export(ctx context.Context, b otlpjsonl.Batch) (rejected int64, message string, err error)
}

type grpcExporter struct {
	headers metadata.MD
	traces  ptraceotlp.GRPCClient
	metrics pmetricotlp.GRPCClient
	logs    plogotlp.GRPCClient
}

func newGRPCExporter(conn *grpc.ClientConn, headers metadata.MD) *grpcExporter {
	return &grpcExporter{
		headers: headers,
		traces:  ptraceotlp.NewGRPCClient(conn),
		metrics: pmetricotlp.NewGRPCClient(conn),
		logs:    plogotlp.NewGRPCClient(conn),
	}
}

func (e *grpcExporter) export(ctx context.Context, b otlpjsonl.Batch) (int64, string, error) {
	if len(e.headers) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, e.headers)
	}
	switch b.Signal {
	case otlpjsonl.Traces:
		resp, err := e.traces.Export(ctx, ptraceotlp.NewExportRequestFromTraces(b.Traces))
		if err != nil {
			return 0, "", err
		}
		return resp.PartialSuccess().RejectedSpans(), resp.PartialSuccess().ErrorMessage(), nil
	case otlpjsonl.Metrics:
		resp, err := e.metrics.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(b.Metrics))
		if err != nil {
			return 0, "", err
		}
		return resp.PartialSuccess().RejectedDataPoints(), resp.PartialSuccess().ErrorMessage(), nil
	case otlpjsonl.Logs:
		resp, err := e.logs.Export(ctx, plogotlp.NewExportRequestFromLogs(b.Logs))
		if err != nil {
			return 0, "", err
		}
		return resp.PartialSuccess().RejectedLogRecords(), resp.PartialSuccess().ErrorMessage(), nil
	}
	return 0, "", fmt.Errorf("signal %s cannot be sent", b.Signal)
}

// retry bounds the attempts for one request.
type retry struct {
	timeout      time.Duration // of one attempt
	initial, max time.Duration // waits between attempts, doubled each time
	maxElapsed   time.Duration // of all attempts; 0 is without end
	grace        time.Duration // for an attempt under way when the user ends the program
}

var (
	errGaveUp      = errors.New("gave up")
	errInterrupted = errors.New("interrupted")
)

// result is the receiver's last word on a batch.
type result struct {
	rejected int64
	message  string
}

// deliver sends the batch until it is accepted or refused for good. Its error, errGaveUp or
// errInterrupted, says that the batch was neither. waiting is told of each failed attempt.
func (r retry) deliver(ctx context.Context, e exporter, b otlpjsonl.Batch, waiting func(err error, wait time.Duration)) (result, error) {
	start := time.Now()
	backoff := r.initial
	for {
		if ctx.Err() != nil {
			return result{}, errInterrupted
		}
		rejected, message, err := r.attempt(ctx, e, b)
		if err == nil {
			return result{rejected: min(max(rejected, 0), int64(b.Items)), message: message}, nil
		}
		wait, again := retryable(err)
		if !again {
			return result{rejected: int64(b.Items), message: err.Error()}, nil
		}
		if ctx.Err() != nil {
			return result{}, errInterrupted
		}
		if wait <= 0 {
			wait, backoff = backoff, min(2*backoff, r.max)
		}
		if r.maxElapsed > 0 && time.Since(start)+wait > r.maxElapsed {
			return result{}, fmt.Errorf("%w after %s: %w", errGaveUp, time.Since(start).Round(time.Millisecond), err)
		}
		waiting(err, wait)
		if sleep(ctx, wait) != nil {
			return result{}, errInterrupted
		}
	}
}

// attempt lets a request under way come to its end for a moment when ctx ends, so that it is known
// whether its items arrived.
func (r retry) attempt(ctx context.Context, e exporter, b otlpjsonl.Batch) (int64, string, error) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if sleep(call, r.grace) == nil {
			cancel()
		}
	})
	defer stop()
	return e.export(call, b)
}

// retryable follows the OTLP specification: these codes, and ResourceExhausted when the receiver
// says that it will recover. It also returns how long the receiver asks to wait, if it does.
func retryable(err error) (time.Duration, bool) {
	st := status.Convert(err)
	var info *errdetails.RetryInfo
	for _, d := range st.Details() {
		if i, ok := d.(*errdetails.RetryInfo); ok {
			info = i
		}
	}
	wait := info.GetRetryDelay().AsDuration()
	switch st.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return wait, true
	case codes.ResourceExhausted:
		return wait, info != nil
	}
	return 0, false
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
