package closedloop

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// sender sends telemetry to a collector.
type sender struct {
	conn    *grpc.ClientConn
	traces  ptraceotlp.GRPCClient
	metrics pmetricotlp.GRPCClient
	logs    plogotlp.GRPCClient
}

func newSender(endpoint string) (*sender, error) {
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	return &sender{conn, ptraceotlp.NewGRPCClient(conn), pmetricotlp.NewGRPCClient(conn), plogotlp.NewGRPCClient(conn)}, nil
}

// send hands over what a tick brought, in the order in which the shop's own sender would. What is refused fails the run.
func (s *sender) send(ctx context.Context, traces ptrace.Traces, metrics pmetric.Metrics, logs plog.Logs) error {
	var errs []error
	if traces.SpanCount() > 0 {
		_, err := s.traces.Export(ctx, ptraceotlp.NewExportRequestFromTraces(traces))
		errs = append(errs, err)
	}
	if logs.LogRecordCount() > 0 {
		_, err := s.logs.Export(ctx, plogotlp.NewExportRequestFromLogs(logs))
		errs = append(errs, err)
	}
	if metrics.DataPointCount() > 0 {
		_, err := s.metrics.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(metrics))
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("send telemetry: %w", err)
	}
	return nil
}

func (s *sender) close() error { return s.conn.Close() }
