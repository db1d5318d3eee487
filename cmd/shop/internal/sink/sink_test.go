package sink_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is an OTLP server that answers as told.
type collector struct {
	*ptraceotlp.UnimplementedGRPCServer
	spans    []int
	points   int
	failures []error
	rejected int64
}

func (c *collector) Export(_ context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	out := ptraceotlp.NewExportResponse()
	if len(c.failures) > 0 {
		err := c.failures[0]
		c.failures = c.failures[1:]
		return out, err
	}
	c.spans = append(c.spans, r.Traces().SpanCount())
	if c.rejected > 0 {
		out.PartialSuccess().SetRejectedSpans(c.rejected)
		out.PartialSuccess().SetErrorMessage("too old")
	}
	return out, nil
}

type metricsServer struct {
	*pmetricotlp.UnimplementedGRPCServer
	c *collector
}

func (m metricsServer) Export(_ context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	m.c.points += r.Metrics().DataPointCount()
	return pmetricotlp.NewExportResponse(), nil
}

type logsServer struct {
	*plogotlp.UnimplementedGRPCServer
}

func (logsServer) Export(context.Context, plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	out := plogotlp.NewExportResponse()
	out.PartialSuccess().SetRejectedLogRecords(1)
	return out, nil
}

// start serves c and returns a sink that sends to it.
func start(t *testing.T, c *collector, retryFor time.Duration) *sink.OTLP {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(server, c)
	pmetricotlp.RegisterGRPCServer(server, metricsServer{c: c})
	plogotlp.RegisterGRPCServer(server, logsServer{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	out, err := sink.NewOTLP("passthrough:///collector", retryFor, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return listener.DialContext(ctx)
	}))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, out.Close())
		server.Stop()
		<-done
	})
	return out
}

func batch(resources, spans int) sink.Batch {
	b := sink.Batch{Traces: ptrace.NewTraces(), Metrics: pmetric.NewMetrics(), Logs: plog.NewLogs()}
	for range resources {
		ss := b.Traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
		for range spans {
			ss.Spans().AppendEmpty().SetName("s")
		}
	}
	m := b.Metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetEmptyGauge().DataPoints().AppendEmpty()
	lr := b.Logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	lr.AppendEmpty().Body().SetStr("one")
	lr.AppendEmpty().Body().SetStr("two")
	return b
}

func TestOTLPDelivers(t *testing.T) {
	c := &collector{}
	out := start(t, c, time.Second)
	require.NoError(t, out.Send(t.Context(), batch(2, 3)))
	assert.Equal(t, []int{6}, c.spans)
	assert.Equal(t, 1, c.points)
	st := out.Stats()
	assert.Equal(t, sink.Counts{Spans: 6, Points: 1, Records: 1}, st.Sent)
	assert.Equal(t, sink.Counts{Records: 1}, st.Rejected, "by partial success")
	assert.EqualValues(t, 8, st.Sent.Total())
}

func TestOTLPSplitsLargeBatches(t *testing.T) {
	c := &collector{}
	out := start(t, c, time.Second)
	require.NoError(t, out.Send(t.Context(), batch(5, 900)))
	assert.Equal(t, []int{2700, 1800}, c.spans)
	assert.EqualValues(t, 4500, out.Stats().Sent.Spans)

	b := batch(0, 0)
	for range 5 {
		records := b.Logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
		for range 900 {
			records.AppendEmpty()
		}
	}
	before := out.Stats()
	require.NoError(t, out.Send(t.Context(), b))
	assert.EqualValues(t, 4500, out.Stats().Sent.Records-before.Sent.Records)
	assert.EqualValues(t, 2, out.Stats().Rejected.Records-before.Rejected.Records, "one of each of two requests")
}

func TestOTLPRetries(t *testing.T) {
	away := status.Error(codes.Unavailable, "queue is full")
	for _, tc := range []struct {
		name     string
		failures []error
		retryFor time.Duration
		want     sink.Stats
	}{
		{"back later", slices.Repeat([]error{away}, 8), time.Minute, sink.Stats{Sent: sink.Counts{Spans: 6}, Retries: 8, LastError: "queue is full"}},
		{"never back", slices.Repeat([]error{away}, 99), time.Minute, sink.Stats{Lost: sink.Counts{Spans: 6}, Retries: 16, LastError: "queue is full"}},
		{"back soon", []error{away}, time.Minute, sink.Stats{Sent: sink.Counts{Spans: 6}, Retries: 1, LastError: "queue is full"}},
		{"away too long", slices.Repeat([]error{away}, 9), 0, sink.Stats{Lost: sink.Counts{Spans: 6}, LastError: "queue is full"}},
		{
			"refused for good",
			[]error{status.Error(codes.InvalidArgument, "bad span")},
			time.Minute,
			sink.Stats{Rejected: sink.Counts{Spans: 6}, LastError: "bad span"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{failures: tc.failures}
				out := start(t, c, tc.retryFor)
				begin := time.Now()
				require.NoError(t, out.Send(t.Context(), batch(2, 3)))
				st := out.Stats()
				assert.Equal(t, tc.want.Sent.Spans, st.Sent.Spans)
				assert.Equal(t, tc.want.Rejected.Spans, st.Rejected.Spans)
				assert.Equal(t, tc.want.Lost.Spans, st.Lost.Spans)
				assert.Equal(t, tc.want.Retries, st.Retries)
				assert.Contains(t, st.LastError, tc.want.LastError)
				assert.LessOrEqual(t, time.Since(begin), tc.retryFor)
			})
		})
	}
}

func TestOTLPDoesNotWaitForACollectorThatStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{failures: slices.Repeat([]error{status.Error(codes.Unavailable, "away")}, 18)}
		out := start(t, c, time.Minute)
		begin := time.Now()
		require.NoError(t, out.Send(t.Context(), batch(1, 1)))
		assert.Equal(t, time.Minute, time.Since(begin))
		c.failures = c.failures[:1]
		require.NoError(t, out.Send(t.Context(), batch(1, 1)))
		require.NoError(t, out.Send(t.Context(), batch(1, 1)))
		st := out.Stats()
		assert.EqualValues(t, 2, st.Lost.Spans)
		assert.EqualValues(t, 1, st.Sent.Spans)

		c.failures = []error{status.Error(codes.Unavailable, "away")}
		require.NoError(t, out.Send(t.Context(), batch(1, 1)))
		assert.EqualValues(t, 2, out.Stats().Sent.Spans, "once it is back it is worth waiting for again")
	})
}

func TestOTLPCountsPartialSuccess(t *testing.T) {
	out := start(t, &collector{rejected: 2}, time.Second)
	require.NoError(t, out.Send(t.Context(), batch(2, 3)))
	st := out.Stats()
	assert.EqualValues(t, 4, st.Sent.Spans)
	assert.EqualValues(t, 2, st.Rejected.Spans)
	assert.Equal(t, "too old", st.LastError)
}

func TestOTLPStopsWithItsContext(t *testing.T) {
	out := start(t, &collector{}, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, out.Send(ctx, batch(1, 1)), context.Canceled)
	assert.EqualValues(t, 1, out.Stats().Lost.Spans)
}

type file struct {
	bytes.Buffer
	closed bool
	fail   error
}

func (f *file) Write(b []byte) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	return f.Buffer.Write(b)
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

func TestFileWritesOneRequestALine(t *testing.T) {
	f := &file{}
	out := sink.NewFile(f)
	require.NoError(t, out.Send(t.Context(), batch(1, 2)))
	empty := sink.Batch{Traces: ptrace.NewTraces(), Metrics: pmetric.NewMetrics(), Logs: plog.NewLogs()}
	require.NoError(t, out.Send(t.Context(), empty))
	require.NoError(t, out.Close())
	assert.True(t, f.closed)
	lines := strings.Split(strings.TrimSuffix(f.String(), "\n"), "\n")
	require.Len(t, lines, 3, "nothing is written for nothing")
	traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces([]byte(lines[0]))
	require.NoError(t, err)
	assert.Equal(t, 2, traces.SpanCount())
	logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs([]byte(lines[1]))
	require.NoError(t, err)
	assert.Equal(t, 2, logs.LogRecordCount())
	metrics, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics([]byte(lines[2]))
	require.NoError(t, err)
	assert.Equal(t, 1, metrics.DataPointCount())
	assert.Equal(t, sink.Counts{Spans: 2, Points: 1, Records: 2}, out.Stats().Sent)
}

func TestFileReportsWriteErrors(t *testing.T) {
	broken := errors.New("disk full")
	out := sink.NewFile(&file{fail: broken})
	require.NoError(t, out.Send(t.Context(), batch(1, 1)), "buffered")
	require.ErrorIs(t, out.Close(), broken)
}
