package anomalystate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

func TestBlobs(t *testing.T) {
	c := client(t)
	one, two := anomalystate.Key{Hi: 2, Lo: 1}, anomalystate.Key{Hi: 1, Lo: 5}
	open := func() *anomalystate.Blobs {
		b, err := anomalystate.OpenBlobs(t.Context(), c)
		require.NoError(t, err)
		return b
	}
	b := open()
	assert.Empty(t, b.Keys())
	require.NoError(t, b.Commit(t.Context()))
	require.NoError(t, b.Write(t.Context(), one, []byte("one")))
	require.NoError(t, b.Write(t.Context(), two, []byte{}))
	assert.Empty(t, open().Keys())
	require.NoError(t, b.Commit(t.Context()))
	b = open()
	assert.Equal(t, []anomalystate.Key{two, one}, b.Keys())
	data, err := b.Load(t.Context(), one)
	require.NoError(t, err)
	assert.Equal(t, "one", string(data))
	assert.Equal(t, 3+4+8, b.Size(one))
	require.NoError(t, b.Write(t.Context(), two, nil))
	require.NoError(t, b.Commit(t.Context()))
	assert.Equal(t, []anomalystate.Key{one}, open().Keys())

	sealed, err := c.Get(t.Context(), "blob/"+one.String())
	require.NoError(t, err)
	for i := range sealed {
		damaged := append([]byte(nil), sealed...)
		damaged[i]++
		require.NoError(t, c.Set(t.Context(), "blob/"+one.String(), damaged))
		_, err := b.Load(t.Context(), one)
		require.Error(t, err)
		require.NoError(t, c.Set(t.Context(), "blob/"+one.String(), sealed[:i]))
		_, err = b.Load(t.Context(), one)
		require.Error(t, err)
	}
	require.NoError(t, c.Set(t.Context(), "blobs", []byte("x")))
	b, err = anomalystate.OpenBlobs(t.Context(), c)
	require.ErrorIs(t, err, anomalystate.ErrForeign)
	require.NoError(t, b.Write(t.Context(), two, []byte("two")))
	require.NoError(t, b.Commit(t.Context()))
	b = open()
	require.NoError(t, b.Reset(t.Context()))
	assert.Empty(t, open().Keys())
	_, err = anomalystate.OpenBlobs(t.Context(), broken{})
	require.Error(t, err)
}

// stuck is a client that can store, and not delete.
type stuck struct{ storage.Client }

func (stuck) Delete(context.Context, string) error { return errors.New("disk is read-only") }

func TestBlobThatCannotBeRemovedIsHeld(t *testing.T) {
	b, err := anomalystate.OpenBlobs(t.Context(), stuck{client(t)})
	require.NoError(t, err)
	k := anomalystate.Key{Hi: 1, Lo: 2}
	require.NoError(t, b.Write(t.Context(), k, []byte("x")))
	size := b.Size(k)
	require.ErrorContains(t, b.Write(t.Context(), k, nil), "read-only")
	assert.Equal(t, []anomalystate.Key{k}, b.Keys())
	assert.Equal(t, size, b.Size(k))
}
