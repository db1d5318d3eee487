package nodeimpact

import (
	"math"
	"slices"
)

// Normal is what was learnt of a service in fault-free times.
type Normal struct {
	Kinds [kinds]Range
}

// Range is where a value usually lies: around Level, with a standard deviation of Spread. Buckets is from how many
// buckets that is known.
type Range struct {
	Level, Spread float64
	Buckets       int
}

const (
	// madOfNormal is how many median absolute deviations a standard deviation is.
	madOfNormal = 1.4826
	half        = 0.5
)

// Learn learns from fault-free buckets. The spread is robust, but for bursts that come regularly: the upper tail counts
// where it is longer than a normal distribution's.
func (p Parameters) Learn(buckets []Sample) Normal {
	var out Normal
	values := make([]float64, 0, len(buckets))
	for k := range kinds {
		values = values[:0]
		for i := range buckets {
			if v, _, ok := buckets[i].value(k); ok {
				values = append(values, v)
			}
		}
		if len(values) < p.LearntBuckets || len(values) == 0 {
			continue
		}
		slices.Sort(values)
		level := quantile(values, half)
		tail := (quantile(values, p.Tail) - level) / (math.Sqrt2 * math.Erfinv(2*p.Tail-1))
		for i, v := range values {
			values[i] = math.Abs(v - level)
		}
		out.Kinds[k].Buckets = len(values)
		slices.Sort(values)
		out.Kinds[k].Level, out.Kinds[k].Spread = level, max(madOfNormal*quantile(values, half), tail)
	}
	return out
}

// quantile returns a quantile of sorted values, the lower one between two.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted)-1)))]
}
