package experiment

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEach(t *testing.T) {
	var sum, most, now atomic.Int64
	require.NoError(t, Each(t.Context(), 3, 50, func(_ context.Context, i int) error {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		sum.Add(int64(i))
		now.Add(-1)
		return nil
	}))
	assert.EqualValues(t, 49*50/2, sum.Load())
	assert.LessOrEqual(t, most.Load(), int64(3))
	require.NoError(t, Each(t.Context(), 3, 0, nil))

	broken := errors.New("broken")
	var calls atomic.Int64
	err := Each(t.Context(), 1, 50, func(ctx context.Context, i int) error {
		calls.Add(1)
		if i == 3 {
			return broken
		}
		return ctx.Err()
	})
	require.ErrorIs(t, err, broken)
	assert.Less(t, calls.Load(), int64(7), "no further call is begun")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Each(ended, 1, 5, func(ctx context.Context, _ int) error { return ctx.Err() }), context.Canceled)
}
