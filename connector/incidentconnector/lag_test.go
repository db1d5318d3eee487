package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"
)

func TestLag(t *testing.T) {
	const tolerated, most = 10 * time.Second, 90 * time.Second
	for name, c := range map[string]struct {
		// behind are by how many seconds the batches of a resource are.
		behind []int
		want   time.Duration
	}{
		"in time":             {[]int{0, 4, 2, 1, 0, 3, 2}, 0},
		"tolerably late":      {[]int{9, 8, 9, 8, 9, 9, 9}, 0},
		"too few batches":     {[]int{30, 30, 30, 30, 30}, 0},
		"a clock behind":      {[]int{30, 32, 31, 30, 34, 33}, 30 * time.Second},
		"behind by anything":  {[]int{30, 2, 50, 15, 40, 60}, 0},
		"it was mended":       {[]int{30, 30, 30, 30, 30, 30, 1}, time.Second},
		"mended for long":     {[]int{30, 30, 30, 30, 30, 30, 1, 1, 1, 1, 1, 1, 8}, 0},
		"set once more":       {[]int{30, 30, 30, 30, 30, 30, 60, 60, 60, 60, 60, 60}, 60 * time.Second},
		"drifts a little":     {[]int{30, 30, 30, 30, 30, 30, 33, 33, 33, 33, 33, 33}, 30 * time.Second},
		"data from long ago":  {[]int{99, 99, 99, 99, 99, 99, 99}, 0},
		"ahead, within a lot": {[]int{-30, -30, -30, -30, -30, -30}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := lags{limit: 1, of: map[[16]byte]*lag{}, tolerated: tolerated, most: most}
			var got time.Duration
			now := epoch
			for i, behind := range c.behind {
				now = now.Add(5 * time.Second)
				got = l.note([16]byte{1}, i, now.Add(-time.Duration(behind)*time.Second), now)
				l.note([16]byte{1}, i, now.Add(-time.Duration(behind+5)*time.Second), now)
			}
			assert.Equal(t, c.want, got)
			assert.Zero(t, l.note([16]byte{2}, 99, now, now), "no room")
			l.forget(now.Add(time.Second))
			assert.Empty(t, l.of)
		})
	}
}

// Log records of a host with a clock that is behind count at the distances that they tell, not in the lumps in which they come.
func TestLagSpreadsWhatComesInLumps(t *testing.T) {
	for name, behind := range map[string]time.Duration{"in time": 0, "behind": 6 * step} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			e := w.metrics.(*metricsView).lease.Engine()
			uneven := 0
			w.play(0, 120, func(i int) []any {
				data := calm(i)
				if i%2 == 1 {
					// Two buckets' records come together.
					both := plog.NewLogs()
					for _, of := range []int{i - 1, i} {
						for range 10 {
							one := logs(at(of).Add(-step/2-behind), record{service: "front", body: "served"})
							one.ResourceLogs().MoveAndAppendTo(both.ResourceLogs())
						}
					}
					data = append([]any{both}, data...)
				}
				if i > 60 && i%2 == 0 && e.flow.Records("front", 2)-e.flow.Records("front", 1) != e.flow.Records("front", 1) {
					uneven++
				}
				return data
			})
			w.stop()
			assert.Zero(t, uneven)
		})
	}
}
