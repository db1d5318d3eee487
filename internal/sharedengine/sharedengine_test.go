package sharedengine

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
)

type engine struct {
	starts, stops int
	err           error
}

func (e *engine) Start(context.Context, component.Host) error { e.starts++; return e.err }
func (e *engine) Shutdown(context.Context) error              { e.stops++; return nil }

func TestSharedLife(t *testing.T) {
	var set Set[string, *engine]
	made := 0
	create := func() (*engine, error) { made++; return &engine{}, nil }
	a, err := set.Lease("key", create)
	require.NoError(t, err)
	b, err := set.Lease("key", create)
	require.NoError(t, err)
	other, err := set.Lease("other", create)
	require.NoError(t, err)
	assert.Same(t, a.Engine(), b.Engine())
	assert.NotSame(t, a.Engine(), other.Engine())
	assert.Equal(t, 2, made)

	require.NoError(t, a.Start(t.Context(), nil))
	require.NoError(t, b.Start(t.Context(), nil))
	assert.Equal(t, 1, a.Engine().starts)

	require.NoError(t, a.Shutdown(t.Context()))
	require.NoError(t, a.Shutdown(t.Context()))
	assert.Zero(t, b.Engine().stops, "another lease still runs")
	require.NoError(t, b.Shutdown(t.Context()))
	assert.Equal(t, 1, b.Engine().stops)

	c, err := set.Lease("key", create)
	require.NoError(t, err)
	assert.NotSame(t, a.Engine(), c.Engine(), "a stopped engine is forgotten")
}

func TestShutdownBeforeStart(t *testing.T) {
	var set Set[int, *engine]
	l, err := set.Lease(1, func() (*engine, error) { return &engine{}, nil })
	require.NoError(t, err)
	require.NoError(t, l.Shutdown(t.Context()))
	assert.Equal(t, 1, l.Engine().stops)
}

func TestErrors(t *testing.T) {
	var set Set[int, *engine]
	wrong := errors.New("wrong")
	_, err := set.Lease(1, func() (*engine, error) { return nil, wrong })
	require.ErrorIs(t, err, wrong)
	a, err := set.Lease(1, func() (*engine, error) { return &engine{err: wrong}, nil })
	require.NoError(t, err)
	b, err := set.Lease(1, nil)
	require.NoError(t, err)
	require.ErrorIs(t, a.Start(t.Context(), nil), wrong)
	require.ErrorIs(t, b.Start(t.Context(), nil), wrong)
	assert.Equal(t, 1, a.Engine().starts)
}
