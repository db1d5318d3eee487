package anomalyprocessor

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

// counters are the n-th points of some counters of one resource, of which the first began at a time of its own.
func counters(n, many int, first pcommon.Timestamp) pmetric.Metrics {
	md, m := metrics("c0", "1")
	all := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for i := range many {
		if i > 0 {
			m = all.AppendEmpty()
			m.SetName(fmt.Sprint("c", i))
		}
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(lately(n, step)))
		p.SetStartTimestamp(pcommon.NewTimestampFromTime(lately(0, step).Add(-time.Hour)))
		if i == 0 && first != 0 {
			p.SetStartTimestamp(first)
		}
		p.SetIntValue(int64(1000 * n))
	}
	return md
}

// A counter that says that it begins in the future does not make its whole resource one that began anew.
func TestStartInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		for n := range 100 {
			h.feed(counters(n, 3, 0))
		}
		h.feed(counters(100, 3, math.MaxInt64-5))
		stop()
		h, stop = onDisk(t, d)
		assert.Zero(t, h.value("rejected_series", ""))
		assert.Equal(t, int64(3), h.value("restored_series", ""))
		for n := 101; n < 140; n++ {
			h.feed(counters(n, 3, 0))
		}
		var scores []score
		for n := 140; n < 300; n++ {
			scores = append(scores, h.feed(counters(n, 2, 0))...)
		}
		require.NotEmpty(t, scores)
		assert.Equal(t, "c2", scores[0].metric, "it is still missed")
		stop()
	})
}

// So it is with what was stored by one that believed it.
func TestStoredRestartInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		for n := range 100 {
			h.feed(counters(n, 3, 0))
		}
		stop()
		rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Resource.Restarted = math.MaxInt64 - 5 })(d)
		h, stop = onDisk(t, d)
		assert.Zero(t, h.value("rejected_series", ""))
		for n := 100; n < 140; n++ {
			h.feed(counters(n, 3, 0))
		}
		var scores []score
		for n := 140; n < 300; n++ {
			scores = append(scores, h.feed(counters(n, 2, 0))...)
		}
		assert.NotEmpty(t, scores)
		stop()
	})
}
