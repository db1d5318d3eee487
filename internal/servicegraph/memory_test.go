package servicegraph

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// halvesOf has n calls of which one side came wait, that many in each trace.
func halvesOf(in *Intake, kind Kind, n, perTrace int) {
	const size = 1000
	for batch := range n / size {
		in.Take(0, func() {
			service := in.Service("", "a")
			for k := range size {
				s := in.Add()
				i := batch*size + k
				s.Trace = TraceID{Hi: mix(uint64(i / perTrace)), Lo: 1}
				s.ID, s.Parent = mix(uint64(2*i+1)), mix(uint64(2*i+2))
				s.Kind, s.Service, s.Weight = kind, service, 1
				s.End = int64(time.Hour) + int64(batch)*int64(time.Millisecond)
			}
		})
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalised
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryOfHalves has calls wait for their other side, whose traces have one or ten of them.
func TestMemoryOfHalves(t *testing.T) {
	const n = 300_000
	for _, kind := range []Kind{KindClient, KindServer} {
		for _, perTrace := range []int{1, 10} {
			t.Run(fmt.Sprintf("%d/%d", kind, perTrace), func(t *testing.T) {
				cfg := testConfig()
				cfg.MaxPending, cfg.Shards, cfg.MaxExemplars = n, 8, 2
				g := New(cfg, func(int64, []Edge) {})
				in := g.NewIntake()
				before := heapInUse()
				halvesOf(in, kind, n, perTrace)
				each := float64(heapInUse()-before) / n
				assert.EqualValues(t, n, g.Stats().Pending)
				t.Logf("%.1f bytes each", each)
				assert.LessOrEqual(t, each, 96.0)
			})
		}
	}
}

// TestTakeDoesNotAllocate sends both sides of calls together, and the callee's later, through a store that has its size.
func TestTakeDoesNotAllocate(t *testing.T) {
	for _, late := range []int{0, 20} {
		cfg := testConfig()
		cfg.Shards, cfg.MaxExemplars, cfg.PairTimeout = 8, 2, time.Second
		g := New(cfg, func(int64, []Edge) {})
		in := g.NewIntake()
		round := 0
		read := func() {
			services := [2]NodeID{in.Service("", "a"), in.Service("", "b")}
			for k := range 200 {
				s := in.Add()
				side := k % 2
				s.Trace = TraceID{Lo: uint64(20*(round-side*late) + k/20 + 10_000)}
				s.ID, s.Parent = uint64(k/2*2+side+1), uint64(side*(k/2*2+1))
				s.Kind, s.Service, s.Weight = []Kind{KindClient, KindServer}[side], services[side], 1
				s.End = int64(time.Hour) + int64(round)*int64(10*time.Millisecond)
			}
			round++
		}
		step := func() { in.Take(0, read) }
		for range 1500 {
			step()
		}
		assert.Zero(t, testing.AllocsPerRun(500, step), "%d batches later", late)
		assert.Positive(t, g.Stats().Outcomes[OutcomePaired])
	}
}
