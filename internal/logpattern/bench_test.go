package logpattern

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkMatch shows what a line costs as the number of templates grows.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{100, 2_000, 20_000} {
		b.Run(fmt.Sprintf("templates=%d", n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			lines := make([]string, max(40_000, n))
			for i := range lines {
				t := i%n + 1
				lines[i] = fmt.Sprintf("service %s handled request %d of 10.0.%d.%d in %d ms, %s %s was not there", spelled(t), r.IntN(1e9),
					r.IntN(256), r.IntN(256), r.IntN(900), spelled(t*7), spelled(t*13))
			}
			m := New(DefaultSettings())
			for _, l := range lines {
				m.Match(l, 1)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Match(lines[i], 2)
				if i++; i == len(lines) {
					i = 0
				}
			}
			b.ReportMetric(float64(m.Len()), "templates")
		})
	}
}
