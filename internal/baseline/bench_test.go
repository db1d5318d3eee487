package baseline

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkObserve judges the points of one series that is in the cache: of a dense one, and of one where every point is a mean.
func BenchmarkObserve(b *testing.B) {
	for name, step := range map[string]time.Duration{"every 10s": 10 * time.Second, "every 5m": 5 * time.Minute} {
		b.Run(name, func(b *testing.B) {
			values := make([]float64, 4096)
			r := rand.New(rand.NewPCG(1, 1))
			for i := range values {
				values[i] = 100 + 5*r.NormFloat64()
			}
			p, limits := defaults(), Limits{}
			var s Series
			t := int64(time.Hour)
			for _, v := range values {
				t += int64(step)
				p.Observe(&s, t, v, &limits, 0)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t += int64(step)
				p.Observe(&s, t, values[i%len(values)], &limits, 0)
			}
			b.ReportMetric(float64(unsafe.Sizeof(s)), "B/series")
		})
	}
}
