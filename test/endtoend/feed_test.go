package endtoend

import (
	"bufio"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// sender sends OTLP over gRPC, one request after the other.
type sender struct {
	t       testing.TB
	traces  ptraceotlp.GRPCClient
	metrics pmetricotlp.GRPCClient
	logs    plogotlp.GRPCClient
}

func newSender(t testing.TB, address string) *sender {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return &sender{
		t: t, traces: ptraceotlp.NewGRPCClient(conn), metrics: pmetricotlp.NewGRPCClient(conn), logs: plogotlp.NewGRPCClient(conn),
	}
}

func (s *sender) sendTraces(td ptrace.Traces) {
	s.t.Helper()
	if td.SpanCount() == 0 {
		return
	}
	r, err := s.traces.Export(s.t.Context(), ptraceotlp.NewExportRequestFromTraces(td))
	require.NoError(s.t, err)
	require.Zero(s.t, r.PartialSuccess().RejectedSpans(), r.PartialSuccess().ErrorMessage())
}

func (s *sender) sendMetrics(md pmetric.Metrics) {
	s.t.Helper()
	if md.DataPointCount() == 0 {
		return
	}
	r, err := s.metrics.Export(s.t.Context(), pmetricotlp.NewExportRequestFromMetrics(md))
	require.NoError(s.t, err)
	require.Zero(s.t, r.PartialSuccess().RejectedDataPoints(), r.PartialSuccess().ErrorMessage())
}

func (s *sender) sendLogs(ld plog.Logs) {
	s.t.Helper()
	if ld.LogRecordCount() == 0 {
		return
	}
	r, err := s.logs.Export(s.t.Context(), plogotlp.NewExportRequestFromLogs(ld))
	require.NoError(s.t, err)
	require.Zero(s.t, r.PartialSuccess().RejectedLogRecords(), r.PartialSuccess().ErrorMessage())
}

// begin is the simulated time at which the shops of the tests open.
var begin = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// newShop returns a simulated shop.
func newShop(t testing.TB, rate float64, faults ...shop.ScheduledFault) *shop.Simulation {
	t.Helper()
	cfg := shop.DefaultConfig()
	cfg.Start, cfg.Rate, cfg.Faults = begin, rate, faults
	sim, err := shop.New(cfg)
	require.NoError(t, err)
	return sim
}

// run simulates until the time is over or stop says so after a tick, and sends everything as fast as it is taken.
func (s *sender) run(sim *shop.Simulation, d time.Duration, stop func() bool) {
	s.t.Helper()
	for range int(d / shop.TickLength) {
		td, md, ld := sim.Tick()
		s.sendTraces(td)
		s.sendLogs(ld)
		s.sendMetrics(md)
		if stop != nil && stop() {
			return
		}
	}
}

// record writes what a shop sends in the time to a file of OTLP JSON lines, as the file exporter would.
func record(t testing.TB, path string, sim *shop.Simulation, d time.Duration) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	w := bufio.NewWriter(f)
	line := func(b []byte, err error) {
		require.NoError(t, err)
		_, err = w.Write(append(b, '\n'))
		require.NoError(t, err)
	}
	for range int(d / shop.TickLength) {
		td, md, ld := sim.Tick()
		if td.SpanCount() > 0 {
			line((&ptrace.JSONMarshaler{}).MarshalTraces(td))
		}
		if ld.LogRecordCount() > 0 {
			line((&plog.JSONMarshaler{}).MarshalLogs(ld))
		}
		if md.DataPointCount() > 0 {
			line((&pmetric.JSONMarshaler{}).MarshalMetrics(md))
		}
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
}
