package prefetch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/paramedic-otel/paramedic/internal/prefetch"
)

// Were anything read, the first lines of the address space would end the test: nobody may read them.
func TestAnyAddressIsAllowed(t *testing.T) {
	for n := 1; n <= 32; n++ {
		prefetch.Lines(nil, n)
	}
}

// What is asked for stays on the stack.
func TestNothingEscapes(t *testing.T) {
	allocations := testing.AllocsPerRun(100, func() {
		var data [4 * prefetch.Line]byte
		prefetch.Lines(unsafe.Pointer(&data), 4)
	})
	if allocations != 0 {
		t.Fatalf("%v allocations, want none", allocations)
	}
}

// BenchmarkLines reads records in random order, far more than caches hold, with and without asking for them ahead. Each
// read has to wait for the one before, as in a table whose records are worked on one after the other.
func BenchmarkLines(b *testing.B) {
	const records, ahead = 1 << 20, 16
	type record [2 * prefetch.Line]byte
	all := make([]record, records)
	order := rand.New(rand.NewPCG(1, 1)).Perm(records)
	for i := range all {
		all[i][0] = 1
	}
	for _, asked := range []bool{false, true} {
		b.Run(fmt.Sprintf("asked=%v", asked), func(b *testing.B) {
			last := 0
			for n := 0; b.Loop(); n += ahead {
				at := n % records
				for i := at; asked && i < at+ahead; i++ {
					prefetch.Lines(unsafe.Pointer(&all[order[i]]), 1)
				}
				for i := at; i < at+ahead; i++ {
					// The next address depends on what was read, without being another one.
					r := &all[order[i]+last&2]
					last = int(r[0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*ahead), "ns/record")
		})
	}
}
