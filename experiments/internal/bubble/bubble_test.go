package bubble

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	Register("sleep", func(_ context.Context, input []byte) ([]byte, error) {
		d, err := time.ParseDuration(string(input))
		if err != nil {
			return nil, err
		}
		time.Sleep(d)
		return []byte(time.Now().UTC().Format(time.DateTime)), nil
	})
	Register("fail", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("out of order") })
	Main()
	os.Exit(m.Run())
}

func TestCall(t *testing.T) {
	began := time.Now()
	out, err := Call(t.Context(), "sleep", []byte("240h"))
	require.NoError(t, err)
	assert.Equal(t, "2000-01-11 00:00:00", string(out))
	assert.Less(t, time.Since(began), time.Minute)

	_, err = Call(t.Context(), "fail", nil)
	require.ErrorContains(t, err, "out of order")
	_, err = Call(t.Context(), "none", nil)
	require.EqualError(t, err, `no function is registered as "none"`)
}
