package anomalystate_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

func TestCollection(t *testing.T) {
	join := func(older, newer []byte) ([]byte, error) { return append(append([]byte(nil), older...), newer...), nil }
	stream := func(key uint64, last int64, state string) *anomalystate.Stream {
		return &anomalystate.Stream{
			Key: anomalystate.Key{Hi: key, Lo: 1}, Last: last, Rest: []byte(state),
			Signals: []anomalystate.Signal{{Name: "rate", State: []byte(state)}, {Name: state, State: []byte("own")}},
		}
	}
	var c anomalystate.Collection
	h := header
	add := func(s *anomalystate.Stream) { require.NoError(t, c.Add(&h, s, join)) }
	add(stream(9, 1, "x"))
	described := stream(2, 20, "new")
	add(described)
	older := stream(2, 10, "old")
	older.Text, older.Resource = []byte("text"), &anomalystate.Resource{Last: 3, Text: []byte("r")}
	add(older)
	// What was added is copied.
	older.Rest[0], older.Text[0], older.Resource.Text[0], described.Signals[0].State[0] = '!', '!', '!', '!'
	h.Written += 5
	add(stream(1, 1, "y"))
	assert.Equal(t, 3, c.Len())
	assert.Equal(t, header.Written+5, c.Header.Written)

	var keys []uint64
	require.NoError(t, c.All(func(s *anomalystate.Stream) error {
		keys = append(keys, s.Key.Hi)
		if s.Key.Hi == 2 {
			assert.Equal(t, "new", string(s.Rest), "counters are the newest ones")
			assert.Equal(t, "oldnew", string(s.Signals[0].State), "what was learnt is merged")
			assert.Equal(t, "own", string(s.Signals[1].State))
			assert.Equal(t, "text", string(s.Text))
			assert.Equal(t, "r", string(s.Resource.Text))
		}
		return nil
	}))
	assert.Equal(t, []uint64{1, 2, 9}, keys)

	stop := errors.New("enough")
	require.ErrorIs(t, c.All(func(*anomalystate.Stream) error { return stop }), stop)
	require.ErrorIs(t, c.Add(&h, stream(2, 30, "z"), func(_, _ []byte) ([]byte, error) { return nil, stop }), stop)
	h.Model++
	require.ErrorIs(t, c.Add(&h, stream(3, 1, "z"), join), anomalystate.ErrModel)
}

func TestDescribe(t *testing.T) {
	text := []byte("\x00\x02up\x07\x00\x01a\x00\x00\x01x\x00\x01b\x01\x03\x00\x01c\x02\x00\x00\x00\x00\x00\x00\xf0?\x00\x01d\x03\x00\x01e\x04\x00\x01f\x05\x00\x01g\x06\x00")
	s := anomalystate.Stream{Text: text}
	metric, attributes, ok := s.Describe()
	require.True(t, ok)
	assert.Equal(t, "up", metric)
	assert.Equal(t, map[string]any{"a": "x", "b": int64(-2), "c": 1.0, "d": true, "e": false, "f": nil}, attributes.AsRaw())
	for i := range text {
		s.Text = text[:i]
		_, _, ok := s.Describe()
		assert.False(t, ok)
	}
	s.Text = append(text, 0)
	_, _, ok = s.Describe()
	assert.False(t, ok)
	assert.Zero(t, s.Resource.Describe().Len())
	assert.Zero(t, (&anomalystate.Resource{Text: []byte{0xff}}).Describe().Len())
	assert.Equal(t, "unknown", anomalystate.Kind(200).String())
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("\x00\x02up\x02\x00\x01a\x00\x00\x01x\x00\x01b\x01\x03"))
	f.Fuzz(func(t *testing.T, text []byte) {
		metric, attributes, ok := (&anomalystate.Stream{Text: text}).Describe()
		if !ok {
			assert.Empty(t, metric)
			assert.Zero(t, attributes.Len())
		}
	})
}
