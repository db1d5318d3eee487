package stage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

func config() Config {
	cfg := shop.DefaultConfig()
	cfg.Start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	return Config{Shop: cfg}
}

func TestStageSeesAFaultAndItsHarm(t *testing.T) {
	ctx := t.Context()
	st, err := New(ctx, config())
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close(ctx)) }()
	opened := 0
	count := func(n News) {
		for _, e := range n.Events {
			if e.Name == semconv.EventIncidentOpened {
				opened++
			}
		}
	}
	require.NoError(t, st.Run(ctx, 6*time.Minute, count))
	require.Zero(t, opened)
	st.Users.Learnt(2)
	require.NoError(t, st.Run(ctx, 2*time.Minute, count))
	calm := st.Users.Take()
	_, excess := Worst(calm, calm)
	assert.Zero(t, excess)
	assert.Less(t, st.Users.Requests(calm).Bad(), 0.02)
	_, err = st.Shop.Inject(shop.Fault{Kind: shop.Crash, Service: "cart"})
	require.NoError(t, err)
	require.NoError(t, st.Run(ctx, time.Minute, count))
	assert.Equal(t, 1, opened)
	kind, excess := Worst(st.Users.Take(), calm)
	assert.Contains(t, []string{"add-to-cart", "checkout"}, kind)
	assert.Greater(t, excess, 0.9)
}

func TestUnwatchedAndLost(t *testing.T) {
	ctx := t.Context()
	cfg := config()
	cfg.Unwatched = true
	cfg.Lost = func(now time.Time) bool { return now.Second() < 30 }
	st, err := New(ctx, cfg)
	require.NoError(t, err)
	require.NoError(t, st.Run(ctx, 10*time.Second, func(n News) { assert.Empty(t, n.Events) }))
	assert.Positive(t, st.Users.Requests(st.Users.Take()).Sent, "users go on")
	assert.True(t, st.Users.Message("notification of orders"))
	assert.False(t, st.Users.Message("checkout"))
	st.Users.KeepDurations("browse")
	require.NoError(t, st.Run(ctx, 5*time.Second, nil))
	assert.NotEmpty(t, st.Users.TakeDurations("browse"))
	assert.Empty(t, st.Users.TakeDurations("browse"))
	assert.Empty(t, st.Users.TakeDurations("nothing"))
	require.NoError(t, st.Close(ctx))
}
