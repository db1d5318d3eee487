package anomalyprocessor

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// The table against a map: random streams come and go, among them keys that share a tag or a whole shard.
func TestTableAgainstAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tab := table{limit: 1 << 30, quantiles: []float64{0.5, 0.9, 0.99}}
	held := map[seriesidentity.Key]kind{}
	keys := make([]seriesidentity.Key, 4000)
	for i := range keys {
		keys[i] = seriesidentity.Key{Hi: r.Uint64(), Lo: r.Uint64()}
		switch i % 4 {
		case 1:
			keys[i].Hi, keys[i].Lo = uint64(i), uint64(i%7)
		case 2:
			keys[i].Hi, keys[i].Lo = uint64(i), keys[i-1].Lo+1
		}
	}
	kinds := []kind{kindValue, kindCumulativeSum, kindSummary, kindDeltaHistogram, kindCumulativeHistogram}
	for n := range 60_000 {
		k := keys[r.IntN(len(keys))]
		slot, ok := tab.lookup(k)
		want, known := held[k]
		if known != ok {
			t.Fatalf("step %d: held %v, found %v", n, known, ok)
		}
		switch {
		case !ok:
			held[k] = kinds[r.IntN(len(kinds))]
			s := tab.add(k, held[k], 0)
			require.NotNil(t, s)
			if s.last != 0 || s.first.series.Last() != 0 {
				t.Fatal("a new stream remembers another one")
			}
			s.last = 1
		case tab.streams.at(slot).kind != want:
			t.Fatal("another stream was found")
		case n%2 == 0:
			require.Equal(t, want.signals(3), tab.drop(slot, 0))
			delete(held, k)
		}
	}
	total := 0
	for _, k := range held {
		total += k.signals(3)
	}
	assert.Equal(t, total, tab.held)
	next, dropped := tab.sweep(0, 1<<30, 1, 1)
	assert.Zero(t, next)
	assert.Equal(t, total, dropped)
	assert.Zero(t, tab.held)
	assert.Len(t, tab.streams.free, int(tab.streams.size))
	assert.Len(t, tab.signals.free, int(tab.signals.size))
	assert.Len(t, tab.totals.free, int(tab.totals.size))
}
