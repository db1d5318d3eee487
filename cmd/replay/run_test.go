package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// receiver is a real gRPC server that notes what it accepted.
type receiver struct {
	endpoint string

	mu       sync.Mutex
	attempts int
	accepted []string
	times    []pcommon.Timestamp
	headers  metadata.MD
	// answer is asked before an item is accepted, with the number of the attempt from 1.
	answer func(attempt int, name string) (rejected int64, message string, err error)
}

func (r *receiver) take(ctx context.Context, name string, at pcommon.Timestamp) (int64, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts++
	r.headers, _ = metadata.FromIncomingContext(ctx)
	if r.answer != nil {
		rejected, message, err := r.answer(r.attempts, name)
		if err != nil || rejected > 0 || message != "" {
			return rejected, message, err
		}
	}
	r.accepted = append(r.accepted, name)
	r.times = append(r.times, at)
	return 0, "", nil
}

type traceService struct {
	ptraceotlp.UnimplementedGRPCServer
	*receiver
}

func (s *traceService) Export(ctx context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	span := req.Traces().ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	rejected, message, err := s.take(ctx, span.Name(), span.EndTimestamp())
	resp := ptraceotlp.NewExportResponse()
	resp.PartialSuccess().SetRejectedSpans(rejected)
	resp.PartialSuccess().SetErrorMessage(message)
	return resp, err
}

type metricService struct {
	pmetricotlp.UnimplementedGRPCServer
	*receiver
}

func (s *metricService) Export(ctx context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	m := req.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	rejected, message, err := s.take(ctx, m.Name(), m.Gauge().DataPoints().At(0).Timestamp())
	resp := pmetricotlp.NewExportResponse()
	resp.PartialSuccess().SetRejectedDataPoints(rejected)
	resp.PartialSuccess().SetErrorMessage(message)
	return resp, err
}

type logService struct {
	plogotlp.UnimplementedGRPCServer
	*receiver
}

func (s *logService) Export(ctx context.Context, req plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	r := req.Logs().ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	rejected, message, err := s.take(ctx, r.Body().Str(), r.Timestamp())
	resp := plogotlp.NewExportResponse()
	resp.PartialSuccess().SetRejectedLogRecords(rejected)
	resp.PartialSuccess().SetErrorMessage(message)
	return resp, err
}

func listen(t *testing.T, opts ...grpc.ServerOption) *receiver {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &receiver{endpoint: listener.Addr().String()}
	server := grpc.NewServer(opts...)
	ptraceotlp.RegisterGRPCServer(server, &traceService{receiver: r})
	pmetricotlp.RegisterGRPCServer(server, &metricService{receiver: r})
	plogotlp.RegisterGRPCServer(server, &logService{receiver: r})
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	return r
}

// Lines with one item each, at t seconds after 1970.

func spanLine(name string, t int) string {
	return fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":%q,"endTimeUnixNano":"%d"}]}]}]}`, name, t*1e9)
}

func pointLine(name string, t int) string {
	return fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":%q,"gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":1}]}}]}]}]}`,
		name, t*1e9)
}

func recordLine(name string, t int) string {
	return fmt.Sprintf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":%q},"timeUnixNano":"%d"}]}]}]}`, name, t*1e9)
}

func write(t *testing.T, lines ...string) string {
	path := filepath.Join(t.TempDir(), "recorded.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	return path
}

func writeGzip(t *testing.T, lines ...string) string {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write([]byte(strings.Join(lines, "\n")))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return write(t, buf.String())
}

func replayed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestReplayEndToEnd(t *testing.T) {
	r := listen(t)
	code, stdout, stderr := replayed(t, "--endpoint", r.endpoint, "--speed", "max", "--header", "X-Tenant=shop", "--header=x-tenant=two",
		writeGzip(t, spanLine("s1", 1), recordLine("l3", 3), pointLine("m5", 5)),
		write(t, pointLine("m2", 2), spanLine("s4", 4)))
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	assert.Equal(t, []string{"s1", "m2", "l3", "s4", "m5"}, r.accepted)
	assert.Equal(t, []string{"shop", "two"}, r.headers.Get("x-tenant"))
	assert.Equal(t, []pcommon.Timestamp{1e9, 2e9, 3e9, 4e9, 5e9}, r.times)
	want := strings.Join([]string{
		"items        read  accepted  rejected  unsent  first event time          last event time",
		"spans        2     2         0         0       1970-01-01T00:00:01.000Z  1970-01-01T00:00:04.000Z",
		"data points  2     2         0         0       1970-01-01T00:00:02.000Z  1970-01-01T00:00:05.000Z",
		"log records  1     1         0         0       1970-01-01T00:00:03.000Z  1970-01-01T00:00:03.000Z",
		"all          5     5         0         0       1970-01-01T00:00:01.000Z  1970-01-01T00:00:05.000Z",
		"",
		"lines: 5 read, 0 late, 0 without items, 0 without a time, 0 broken, 0 too long; 0 files cut short",
	}, "\n")
	assert.Equal(t, want, stdout[:strings.Index(stdout, "\ntime: ")])
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), want, "the example in the README")
}

func TestDryRunSendsNothing(t *testing.T) {
	r := listen(t)
	code, stdout, _ := replayed(t, "--endpoint", r.endpoint, "--dry-run",
		"--from", "1970-01-01T00:00:02Z", "--to", "1970-01-01T00:00:04Z",
		write(t, spanLine("s1", 1), spanLine("s2", 2), spanLine("s3", 3), spanLine("s4", 4)))
	assert.Equal(t, exitOK, code)
	assert.Zero(t, r.attempts)
	assert.Contains(t, stdout, "all          2     1970-01-01T00:00:02.000Z  1970-01-01T00:00:03.000Z\n")
	assert.Contains(t, stdout, "cut: 2 items")
}

func TestCut(t *testing.T) {
	r := listen(t)
	code, _, _ := replayed(t, "--endpoint", r.endpoint, "--speed", "max",
		"--from", "1970-01-01T00:00:02Z", "--to", "1970-01-01T00:00:04Z",
		write(t, spanLine("s1", 1), pointLine("m2", 2), recordLine("l3", 3), recordLine("l4", 4)))
	assert.Equal(t, exitOK, code)
	assert.Equal(t, []string{"m2", "l3"}, r.accepted)
}

func TestRebase(t *testing.T) {
	path := write(t, spanLine("s1", 100), pointLine("m2", 102), recordLine("l3", 103))
	t.Run("time", func(t *testing.T) {
		r := listen(t)
		code, stdout, _ := replayed(t, "--endpoint", r.endpoint, "--speed", "max", "--rebase", "2024-05-01T00:00:00Z", path)
		assert.Equal(t, exitOK, code)
		at := pcommon.NewTimestampFromTime(time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC))
		assert.Equal(t, []pcommon.Timestamp{at, at + 2e9, at + 3e9}, r.times)
		assert.Contains(t, stdout, "moved: all times by ")
		assert.Contains(t, stdout, "1970-01-01T00:01:43.000Z", "the table shows the times as recorded")
	})
	t.Run("now", func(t *testing.T) {
		r := listen(t)
		before := time.Now()
		code, _, _ := replayed(t, "--endpoint", r.endpoint, "--speed", "max", "--rebase", "now", path)
		assert.Equal(t, exitOK, code)
		require.Len(t, r.times, 3)
		first := r.times[0].AsTime()
		assert.False(t, first.Before(before) || first.After(time.Now()), "%s is not now", first)
		assert.Equal(t, r.times[0]+3e9, r.times[2])
	})
	t.Run("out of range", func(t *testing.T) {
		r := listen(t)
		far := write(t, `{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":"18446744073709551615"}]}]}]}`)
		code, _, stderr := replayed(t, "--endpoint", r.endpoint, "--rebase", "now", far)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, stderr, "cannot be moved")
		assert.Zero(t, r.attempts)
	})
}

// exhausted is how a collector under memory pressure answers.
func exhausted(t *testing.T, after time.Duration) error {
	st, err := status.New(codes.ResourceExhausted, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	require.NoError(t, err)
	return st.Err()
}

func TestBackPressureLosesNothingAndSendsNothingTwice(t *testing.T) {
	busy := exhausted(t, time.Millisecond)
	r := listen(t)
	r.answer = func(attempt int, _ string) (int64, string, error) {
		if attempt%3 != 0 {
			return 0, "", busy
		}
		return 0, "", nil
	}
	var lines, want []string
	for i := range 50 {
		name := fmt.Sprint("n", i)
		want = append(want, name)
		lines = append(lines, []func(string, int) string{spanLine, pointLine, recordLine}[i%3](name, i+1))
	}
	code, stdout, stderr := replayed(t, "--endpoint", r.endpoint, "--speed", "max", write(t, lines...))
	assert.Equal(t, exitOK, code)
	assert.Equal(t, want, r.accepted)
	assert.Equal(t, 150, r.attempts)
	assert.Contains(t, stdout, "retried: 100 attempts\n")
	assert.Equal(t, 50, strings.Count(stderr, "next attempt in 1ms"))
	assert.Equal(t, 50, strings.Count(stderr, "the receiver answers again"))
}

func TestRefusedItemsAreCountedAndShown(t *testing.T) {
	r := listen(t)
	r.answer = func(_ int, name string) (int64, string, error) {
		switch name {
		case "partial":
			return 1, "bad \x1b[31mspan", nil
		case "refused":
			return 0, "", status.Error(codes.InvalidArgument, "no such tenant")
		case "full":
			return 0, "", status.Error(codes.ResourceExhausted, "larger than max")
		case "warned":
			return 0, "old format", nil
		case "liar":
			return 1000, "more than there were", nil
		}
		return 0, "", nil
	}
	path := write(t, spanLine("good", 1), spanLine("partial", 2), recordLine("refused", 3), pointLine("full", 4),
		recordLine("warned", 5), pointLine("liar", 6))
	code, stdout, stderr := replayed(t, "--endpoint", r.endpoint, "--speed", "max", path)
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, "replay: 4 items were rejected\n", stderr)
	assert.Equal(t, 6, r.attempts)
	assert.Contains(t, stdout, "all          6     2         4         0")
	assert.Contains(t, stdout, "refused by the receiver (5 of 5 answers):\n")
	assert.Contains(t, stdout, path+" line 2: 1 of 1 spans rejected: bad  [31mspan\n")
	assert.Contains(t, stdout, " line 3: 1 of 1 log records rejected: rpc error: code = InvalidArgument desc = no such tenant\n")
	assert.Contains(t, stdout, " line 5: 0 of 1 log records rejected: old format\n")

	_, stdout, _ = replayed(t, "--endpoint", r.endpoint, "--speed", "max", "--max-shown", "2", path)
	assert.Contains(t, stdout, "refused by the receiver (2 of 5 answers):\n")
	assert.NotContains(t, stdout, "line 5")
}

func TestBrokenLines(t *testing.T) {
	r := listen(t)
	path := write(t, spanLine("s1", 1), "broken", spanLine(strings.Repeat("x", 500), 2), spanLine("s3", 3))
	code, stdout, stderr := replayed(t, "--endpoint", r.endpoint, "--speed", "max", "--max-line-bytes", "400", path)
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, "replay: 2 lines could not be read\n", stderr)
	assert.Equal(t, []string{"s1", "s3"}, r.accepted)
	assert.Contains(t, stdout, "1 broken, 1 too long")
	assert.Contains(t, stdout, path+":2: not a JSON object\n")
	assert.Contains(t, stdout, path+":3: line is longer than the limit\n")

	code, _, _ = replayed(t, "--dry-run", path)
	assert.Equal(t, exitFailed, code)
}

func TestGivesUpAfterMaxElapsed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := listener.Addr().String()
	require.NoError(t, listener.Close())
	path := write(t, spanLine("s1", 1), spanLine("s2", 2))
	code, stdout, stderr := replayed(t, "--endpoint", nobody, "--speed", "max", "--max-elapsed", "1ms", path)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, path+" line 1, event time 1970-01-01T00:00:01.000Z: gave up after ")
	assert.Contains(t, stderr, "Unavailable")
	assert.Contains(t, stdout, "spans        1     0         0         1")
}

func TestInterruptEndsWithTheTable(t *testing.T) {
	r := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.answer = func(int, string) (int64, string, error) {
		cancel() // while the request is under way: its answer is still waited for
		return 0, "", nil
	}
	var stdout, stderr bytes.Buffer
	path := write(t, spanLine("s1", 1), spanLine("a day later", 86_400))
	code := run(ctx, []string{"--endpoint", r.endpoint, path}, &stdout, &stderr)
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, []string{"s1"}, r.accepted)
	assert.Contains(t, stderr.String(), "interrupted")
	assert.Contains(t, stdout.String(), "spans        ")
	assert.Contains(t, stdout.String(), "     1         0         ")
}
