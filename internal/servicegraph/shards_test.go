package servicegraph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// stream is a minute of spans of all kinds, with links from trace to trace, weights, duplicates, shared identities and
// everything else that may come. Some come in any order, but not far from their time.
func stream(rng *rand.Rand, traces int) []refSpan {
	var all []refSpan
	for trace := range traces {
		spans := randomTrace(rng, uint64(trace))
		for i := range spans {
			s := &spans[i]
			s.End = int64(time.Hour) + int64(trace)*int64(time.Minute)/int64(traces) + rng.Int64N(int64(time.Second))
			s.Start = s.End - rng.Int64N(int64(2*time.Second))
			s.Weight = []float32{1, 1, 1, 4.0 / 3, 0.5, 10}[rng.IntN(6)]
			s.Flags = Flags(rng.IntN(16))
			s.Failure, s.Operation, s.Version = uint8(rng.IntN(3)), uint16(rng.IntN(3)), uint16(rng.IntN(3))
			switch rng.IntN(8) {
			case 0:
				s.Kind = KindProducer
			case 1:
				s.Kind = KindConsumer
			case 2:
				s.ID = s.Parent
			case 3:
				s.Parent = uint64(rng.IntN(20))
			}
		}
		all = append(all, spans...)
		if rng.IntN(4) == 0 {
			all = append(all, spans[rng.IntN(len(spans))])
		}
	}
	slices.SortStableFunc(all, func(a, b refSpan) int { return int(a.End/int64(time.Second) - b.End/int64(time.Second)) })
	return all
}

// fill makes the batch of an intake that of the spans.
func fill(in *Intake, spans []refSpan) {
	for k := range spans {
		s := spans[k].Span
		s.Service = in.Service("", spans[k].service)
		if s.ID%3 != 0 {
			s.Peer = in.Peer("", fmt.Sprint("peer", s.ID%5))
		}
		if s.Kind == KindConsumer {
			s.LinkFrom = int32(len(in.Links))
			for l := range s.ID % 4 {
				in.Links = append(in.Links, Link{Trace: TraceID{Lo: s.Trace.Lo + l}, ID: 1 + l})
			}
			s.LinkTo = int32(len(in.Links))
		}
		in.Spans = append(in.Spans, s)
	}
}

// render writes an output in full, but for the numbers of names.
func render(out *strings.Builder) Output {
	return func(at int64, edges []Edge) {
		fmt.Fprintln(out, time.Duration(at))
		for _, e := range edges {
			fmt.Fprintf(out, "%v %v %v %v %v %d %d %.9v %.9v %v\n", e.Client, e.Server, e.Connection, e.Virtual, e.Start,
				e.Totals.Requests, e.Totals.Failed, plain(&e.Totals.Client), plain(&e.Totals.Server), e.Totals.Slowest.Calls())
		}
	}
}

func plain(h *Histogram) string { return fmt.Sprintf("%d %.6f %v", h.Count, h.Sum, h.Buckets) }

func shardedConfig(shards int, seed uint64) Config {
	cfg := testConfig()
	cfg.Shards, cfg.Seed, cfg.MaxExemplars = shards, seed, 3
	return cfg
}

// TestShardsMakeNoDifference gives one stream, cut in the same or another way, to stores of different numbers of shards.
func TestShardsMakeNoDifference(t *testing.T) {
	for seed := range uint64(2) {
		spans := stream(rand.New(rand.NewPCG(seed, 9)), 600)
		var want string
		var wantStats Stats
		for _, shards := range []int{1, 2, 8, 256} {
			for _, size := range []int{7, 5000} {
				var out strings.Builder
				g := New(shardedConfig(shards, seed+uint64(shards)), render(&out))
				in := g.NewIntake()
				for batch := range slices.Chunk(spans, size) {
					in.Take(0, func() { fill(in, batch) })
				}
				g.Flush()
				s := g.Stats()
				assert.Zero(t, s.Held)
				assert.Zero(t, s.Pending)
				if shards == 1 && size == 7 {
					want, wantStats = out.String(), s
					assert.NotEmpty(t, want)
					assert.Positive(t, s.Links)
					continue
				}
				if size == 7 {
					assert.Equal(t, want, out.String(), "%d shards", shards)
				}
				assert.Equal(t, wantStats.Received, s.Received)
				if size == 7 {
					assert.Equal(t, wantStats.Outcomes, s.Outcomes)
				}
			}
		}
	}
}

// TestManySenders has several goroutines send parts of one stream at about the same time: whole traces each, so that it makes
// no difference who comes first.
func TestManySenders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	const senders, traces = 4, 4000
	var parts [senders][]refSpan
	want := map[string]int{}
	for trace := range traces {
		spans := randomTrace(rng, uint64(trace))
		reference(spans, want)
		parts[trace%senders] = append(parts[trace%senders], spans...)
	}
	got := map[string]int{}
	cfg := testConfig()
	cfg.Shards = 8
	// The senders are not in step: nothing is to be too late, or to be let go too early.
	cfg.FlushInterval, cfg.PairTimeout, cfg.IdleTimeout, cfg.MaxClockSkew = time.Minute, time.Minute, time.Minute, time.Minute
	g := New(cfg, func(_ int64, edges []Edge) {
		for _, e := range edges {
			got[e.Client.Name+">"+e.Server.Name] = int(e.Totals.Requests)
		}
	})
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() {
			in := g.NewIntake()
			for batch := range slices.Chunk(part, 100) {
				in.Take(0, func() {
					for k := range batch {
						s := batch[k].Span
						s.Service = in.Service("", batch[k].service)
						in.Spans = append(in.Spans, s)
					}
				})
			}
		})
	}
	wg.Wait()
	g.Flush()
	assert.Equal(t, want, got)
	s := g.Stats()
	assert.Zero(t, s.Held)
	assert.Zero(t, s.Pending)
}
