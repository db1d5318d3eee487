package logpattern

import (
	"fmt"
	"math/rand/v2"
	"strings"
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

// BenchmarkNewValues is a learnt wildcard with a word that was never seen in every line.
func BenchmarkNewValues(b *testing.B) {
	benchmarkLines(b, func(r *rand.Rand) string {
		return "session opened for user " + spelled(r.IntN(1e9)) + " from the console"
	})
}

// BenchmarkNewTemplates is the worst case: every line makes a template, and others must go.
func BenchmarkNewTemplates(b *testing.B) {
	benchmarkLines(b, func(r *rand.Rand) string {
		var line strings.Builder
		for range 12 {
			line.WriteString(spelled(r.IntN(1e9)) + " ")
		}
		return line.String()
	})
}

func benchmarkLines(b *testing.B, line func(*rand.Rand) string) {
	r := rand.New(rand.NewPCG(1, 1))
	lines := make([]string, 200_000)
	for i := range lines {
		lines[i] = line(r)
	}
	m := New(DefaultSettings())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Match(lines[i], 1)
		if i++; i == len(lines) {
			i = 0
		}
	}
}
