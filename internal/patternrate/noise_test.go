package patternrate

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestFalseAlarms has templates come evenly or in clusters of many sizes for a day, with the traffic of a day: hardly any is to be
// told of.
func TestFalseAlarms(t *testing.T) {
	for name, tc := range map[string]struct {
		perRequest bool
		clusters   float64
		most       int
	}{
		"evenly, by activity":      {false, 0, 0},
		"evenly, by requests":      {true, 0, 0},
		"in clusters, by activity": {false, 2, 8},
		"in clusters, by requests": {true, 2, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewSource(5))
			found := 0
			for range 2 {
				found += len(noisyDay(rng, tc.perRequest, tc.clusters))
			}
			t.Log(found, "events of 200 templates in a day")
			assert.LessOrEqual(t, found, tc.most)
		})
	}
}

// noisyDay returns what is found in a day of a service with 100 templates.
func noisyDay(rng *rand.Rand, perRequest bool, clustered float64) (findings []Finding) {
	const templates, day = 100, 8640
	var s Service
	rates, means, clusters := make([]Rate, templates), make([]float64, templates), make([]float64, templates)
	for i := range rates {
		means[i], clusters[i] = math.Exp(2*rng.NormFloat64()), 1+clustered*rng.ExpFloat64()
	}
	for i := range day {
		traffic := max(0.05, 1+0.6*math.Sin(2*math.Pi*float64(i)/day)+0.1*rng.NormFloat64())
		b := Bucket{Index: int64(i)}
		for k := range rates {
			n := uint64(math.Round(clusters[k] * poisson(rng, means[k]*traffic/clusters[k])))
			b.Records += n
			b.Counts = append(b.Counts, Count{&rates[k], n})
		}
		if perRequest {
			b.Traced, b.Traces = b.Records, 100*traffic
		}
		findings = append(findings, s.Close(b, &settings)...)
	}
	return findings
}

// poisson draws a number, for large means of the normal distribution that is like it.
func poisson(rng *rand.Rand, mean float64) float64 {
	if mean > 30 {
		return max(0, mean+math.Sqrt(mean)*rng.NormFloat64())
	}
	limit, p, n := math.Exp(-mean), 1.0, -1.0
	for p > limit {
		p *= rng.Float64()
		n++
	}
	return n
}
