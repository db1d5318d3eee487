package servicegraph

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestFreshTracesMakeNoDifference compares spans of traces of which nothing is known with the same spans where one more of each
// trace came before, which belongs to no call.
func TestFreshTracesMakeNoDifference(t *testing.T) {
	for seed := range uint64(4) {
		spans := stream(rand.New(rand.NewPCG(seed, 9)), 600)
		if seed%2 == 0 { // whole traces at once, as well as parts of them
			slices.SortStableFunc(spans, func(a, b refSpan) int { return int(a.Trace.Lo/8) - int(b.Trace.Lo/8) })
		}
		var out [2]strings.Builder
		var stats [2]Stats
		extra := int64(0)
		for known := range 2 {
			cfg := shardedConfig(4, seed)
			cfg.MaxExemplars = 0 // the smallest traces have none where calls time out, and those with one more span have
			g := New(cfg, render(&out[known]))
			in := g.NewIntake()
			seen := map[TraceID]bool{}
			for batch := range slices.Chunk(spans, 150) {
				var before []refSpan
				// No later than any other, so that they do not move the watermark.
				early := slices.MinFunc(batch, func(a, b refSpan) int { return cmp.Compare(a.End, b.End) }).End
				for _, s := range batch {
					if known == 1 && !seen[s.Trace] {
						seen[s.Trace] = true
						s.Kind, s.ID, s.Parent, s.Flags, s.Start, s.End = KindInternal, 1<<40, 0, 0, early, early
						before = append(before, s)
					}
				}
				extra += int64(len(before))
				in.Take(0, func() { fill(in, before) })
				in.Take(0, func() { fill(in, batch) })
			}
			g.Flush()
			stats[known] = g.Stats()
		}
		assert.NotEmpty(t, out[0].String())
		assert.Equal(t, strings.Split(out[0].String(), "\n"), strings.Split(out[1].String(), "\n"), "seed %d", seed)
		stats[1].Outcomes[OutcomeInternal] -= extra
		assert.Equal(t, stats[0].Outcomes, stats[1].Outcomes, "seed %d", seed)
	}
}
