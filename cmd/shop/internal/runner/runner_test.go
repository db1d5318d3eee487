package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/runner"
	"github.com/paramedic-otel/paramedic/cmd/shop/internal/sink"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder notes when batches came.
type recorder struct {
	begin time.Time
	came  []time.Duration
	send  func(n int) error
}

func (r *recorder) Send(context.Context, sink.Batch) error {
	r.came = append(r.came, time.Since(r.begin))
	if r.send != nil {
		return r.send(len(r.came))
	}
	return nil
}

func (r *recorder) Stats() sink.Stats { return sink.Stats{} }
func (r *recorder) Close() error      { return nil }

func newRunner(t *testing.T, speed float64, duration time.Duration) (*runner.Runner, *recorder) {
	t.Helper()
	cfg := shop.DefaultConfig()
	cfg.Start = time.Now()
	s, err := shop.New(cfg)
	require.NoError(t, err)
	rec := &recorder{begin: time.Now()}
	return &runner.Runner{Simulation: s, Sink: rec, Speed: speed, Duration: duration}, rec
}

func TestSpeed(t *testing.T) {
	for name, tc := range map[string]struct {
		speed float64
		want  []time.Duration
	}{
		"real time": {1, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}},
		"faster":    {4, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}},
		"slower":    {0.5, []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second}},
		"max":       {0, []time.Duration{0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, rec := newRunner(t, tc.speed, 3*time.Second)
				require.NoError(t, r.Run(t.Context()))
				assert.Equal(t, tc.want, rec.came)
			})
		})
	}
}

func TestCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec := newRunner(t, 1, 6*time.Second)
		rec.send = func(n int) error {
			if n == 2 {
				time.Sleep(2500 * time.Millisecond)
			}
			return nil
		}
		require.NoError(t, r.Run(t.Context()))
		s := time.Second
		assert.Equal(t, []time.Duration{s, 2 * s, 4500 * time.Millisecond, 4500 * time.Millisecond, 5 * s, 6 * s}, rec.came)
	})
}

func TestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec := newRunner(t, 1, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, r.Run(ctx), context.DeadlineExceeded)
		assert.Len(t, rec.came, 2)

		broken := errors.New("disk full")
		r, rec = newRunner(t, 0, time.Hour)
		rec.send = func(int) error { return broken }
		require.ErrorIs(t, r.Run(t.Context()), broken)
		assert.Len(t, rec.came, 1)
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, 1, 10*time.Second)
		n := 0
		r.Status, r.StatusEvery = func() { n++ }, 3*time.Second
		require.NoError(t, r.Run(t.Context()))
		assert.Equal(t, 3, n)
	})
}
