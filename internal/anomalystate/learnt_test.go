package anomalystate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/baseline"
)

func TestMergeStates(t *testing.T) {
	state := func(from, points int) []byte {
		params := baseline.Params{WarmUpPoints: 20, Memory: time.Hour, LevelShiftAfter: time.Hour, AnomaliesPerDay: 0.3, MinScore: 0.95}
		var s baseline.Series
		for n := range points {
			params.Observe(&s, int64(from+n+1)*int64(10*time.Second), float64(n%7), &baseline.Limits{}, 0)
		}
		b, err := s.AppendBinary(nil)
		require.NoError(t, err)
		return b
	}
	merged, err := anomalystate.MergeStates(state(0, 100), state(200, 100))
	require.NoError(t, err)
	var s baseline.Series
	require.NoError(t, s.UnmarshalBinary(merged))
	assert.Equal(t, int64(300)*int64(10*time.Second), s.Last())
	_, err = anomalystate.MergeStates([]byte{1}, merged)
	require.Error(t, err)
	_, err = anomalystate.MergeStates(merged, nil)
	require.Error(t, err)
}
