package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

// fakeExporter answers in the time of the bubble.
type fakeExporter struct {
	start  time.Time
	takes  time.Duration
	sent   []time.Duration // since start
	answer func(ctx context.Context, attempt int) error
}

func (e *fakeExporter) export(ctx context.Context, _ otlpjsonl.Batch) (int64, string, error) {
	e.sent = append(e.sent, time.Since(e.start))
	if e.takes > 0 {
		time.Sleep(e.takes)
	}
	if e.answer != nil {
		return 0, "", e.answer(ctx, len(e.sent))
	}
	return 0, "", nil
}

// loop runs the loop of the program against e, in a bubble.
func loop(t *testing.T, ctx context.Context, e *fakeExporter, args ...string) (tally, error) {
	c, err := parse(args, io.Discard)
	require.NoError(t, err)
	m, err := otlpjsonl.Open(c.paths, c.read)
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Close()) }()
	e.start = time.Now()
	r := &replay{config: &c, merger: m, exporter: e, screen: newConsole(io.Discard), started: e.start}
	err = r.loop(ctx)
	return r.tally, err
}

func TestPace(t *testing.T) {
	path := write(t, spanLine("s", 1000), pointLine("m", 1060), recordLine("l", 1090), spanLine("s", 1090), spanLine("s", 1690))
	const s = time.Second
	tests := []struct {
		speed string
		takes time.Duration
		want  []time.Duration
	}{
		{"1", 0, []time.Duration{0, 60 * s, 90 * s, 90 * s, 690 * s}},
		{"1x", 0, []time.Duration{0, 60 * s, 90 * s, 90 * s, 690 * s}},
		{"60", 0, []time.Duration{0, s, s + s/2, s + s/2, 11*s + s/2}},
		{"0.5", 0, []time.Duration{0, 120 * s, 180 * s, 180 * s, 1380 * s}},
		{"max", 0, []time.Duration{0, 0, 0, 0, 0}},
		{"max", s, []time.Duration{0, s, 2 * s, 3 * s, 4 * s}},
		// A slow receiver delays what follows, and then the schedule is kept again.
		{"60", 3 * s, []time.Duration{0, 3 * s, 6 * s, 9 * s, 12 * s}},
		{"1", 40 * s, []time.Duration{0, 60 * s, 100 * s, 140 * s, 690 * s}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s taking %s", tt.speed, tt.takes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &fakeExporter{takes: tt.takes}
				sum, err := loop(t, t.Context(), e, "--speed", tt.speed, "--timeout", "1h", path)
				require.NoError(t, err)
				assert.Equal(t, tt.want, e.sent)
				assert.Equal(t, int64(5), sum.total().accepted)
			})
		})
	}
}

func TestPaceOfLateLinesAndFarTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The second line is late: it goes out at once and does not disturb what follows.
		path := write(t, spanLine("s", 1000), spanLine("s", 10), spanLine("s", 1005),
			`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"18446744073709551615"}]}]}]}`)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		e := &fakeExporter{}
		sum, err := loop(t, ctx, e, "--reorder-lines", "0", path)
		require.ErrorIs(t, err, errInterrupted)
		assert.Equal(t, []time.Duration{0, 0, 5 * time.Second}, e.sent)
		assert.Equal(t, 24*time.Hour, time.Since(e.start))
		all := sum.total()
		assert.Equal(t, int64(1), all.unsent())
	})
}

func TestLinesWithoutATimeDoNotSetThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, spanLine("none", 0), spanLine("s", 1000), spanLine("none", 0), spanLine("s", 1010))
		e := &fakeExporter{}
		sum, err := loop(t, t.Context(), e, "--rebase", "1970-01-01T00:20:00Z", path)
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{0, 0, 0, 10 * time.Second}, e.sent)
		assert.Equal(t, 200*time.Second, sum.shift)
	})
}

func TestRetryBacksOff(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name string
		code codes.Code
		want []time.Duration // of the attempts
	}{
		{"unavailable", codes.Unavailable, []time.Duration{0, 500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 15500 * ms, 31500 * ms, 61500 * ms, 91500 * ms}},
		{"deadline", codes.DeadlineExceeded, []time.Duration{0, 500 * ms, 1500 * ms}},
		{"canceled", codes.Canceled, []time.Duration{0, 500 * ms}},
		{"aborted", codes.Aborted, []time.Duration{0, 500 * ms}},
		{"out of range", codes.OutOfRange, []time.Duration{0, 500 * ms}},
		{"data loss", codes.DataLoss, []time.Duration{0, 500 * ms}},
	}
	path := write(t, spanLine("s", 1))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &fakeExporter{answer: func(_ context.Context, attempt int) error {
					if attempt < len(tt.want) {
						return status.Error(tt.code, "not now")
					}
					return nil
				}}
				sum, err := loop(t, t.Context(), e, path)
				require.NoError(t, err)
				assert.Equal(t, tt.want, e.sent)
				assert.Equal(t, int64(len(tt.want)-1), sum.retries)
				assert.Equal(t, int64(1), sum.total().accepted)
			})
		})
	}
}

func TestRetryWaitsAsLongAsTheReceiverAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := exhausted(t, 7*time.Second)
		e := &fakeExporter{answer: func(_ context.Context, attempt int) error {
			if attempt < 3 {
				return busy
			}
			return nil
		}}
		_, err := loop(t, t.Context(), e, write(t, spanLine("s", 1)))
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{0, 7 * time.Second, 14 * time.Second}, e.sent)
	})
}

func TestPermanentErrorsAreNotRepeated(t *testing.T) {
	path := write(t, spanLine("s", 1))
	for _, code := range []codes.Code{
		codes.Unknown, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
		codes.ResourceExhausted, codes.FailedPrecondition, codes.Unimplemented, codes.Internal, codes.Unauthenticated,
	} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &fakeExporter{answer: func(context.Context, int) error { return status.Error(code, "no") }}
				sum, err := loop(t, t.Context(), e, path)
				require.NoError(t, err)
				assert.Len(t, e.sent, 1)
				assert.Equal(t, int64(1), sum.total().rejected)
			})
		})
	}
}

func TestMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeExporter{answer: func(context.Context, int) error { return status.Error(codes.Unavailable, "down") }}
		sum, err := loop(t, t.Context(), e, "--max-elapsed", "10s", write(t, spanLine("s", 1), spanLine("s", 2)))
		require.ErrorIs(t, err, errGaveUp)
		require.ErrorContains(t, err, "down")
		// The next attempt, at 15.5 s, would be too late.
		assert.Equal(t, 7500*time.Millisecond, time.Since(e.start))
		assert.Equal(t, int64(1), sum.counts[otlpjsonl.Traces].unsent())
	})
}

func TestTimeoutOfOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeExporter{answer: func(ctx context.Context, attempt int) error {
			if attempt > 1 {
				return nil
			}
			<-ctx.Done() // a receiver that hangs
			return status.FromContextError(ctx.Err()).Err()
		}}
		_, err := loop(t, t.Context(), e, "--timeout", "4s", write(t, spanLine("s", 1)))
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{0, 4500 * time.Millisecond}, e.sent)
	})
}

func TestInterrupt(t *testing.T) {
	path := write(t, spanLine("s", 1), spanLine("s", 3600))
	hang := func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	tests := []struct {
		name      string
		answer    func(context.Context, int) error
		takes     time.Duration
		wantAfter time.Duration // the interrupt comes after 1 s
		accepted  int64
	}{
		{"while waiting for the next", nil, 0, time.Second, 1},
		{"while a request is answered soon", nil, 2 * time.Second, 2 * time.Second, 1},
		{"while a request hangs", hang, 0, 3 * time.Second, 0},
		{"between attempts", func(context.Context, int) error { return exhausted(t, time.Hour) }, 0, time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				e := &fakeExporter{answer: tt.answer, takes: tt.takes}
				sum, err := loop(t, ctx, e, path)
				require.True(t, errors.Is(err, errInterrupted), "%v", err)
				assert.Equal(t, tt.wantAfter, time.Since(e.start))
				assert.Equal(t, tt.accepted, sum.total().accepted)
			})
		})
	}
}
