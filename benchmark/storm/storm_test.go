package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sized(services int) size {
	return size{services: services, edges: 10 * services, series: 5 * services}
}

// TestGrowth asserts that a storm over four times as many services allocates little more than four times as much, and is
// still one incident with the right cause.
func TestGrowth(t *testing.T) {
	small, err := measure(t.Context(), sized(60))
	require.NoError(t, err)
	large, err := measure(t.Context(), sized(240))
	require.NoError(t, err)
	for _, m := range []measured{small, large} {
		assert.Equal(t, 1, m.incidents)
		assert.NotContains(t, m.cause, "instead")
		assert.LessOrEqual(t, m.buckets, 3)
	}
	assert.Less(t, float64(large.mallocs), 4*1.5*float64(small.mallocs))
	assert.Less(t, float64(large.allocated), 4*1.5*float64(small.allocated))
}

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), []size{sized(20)}, &out))
	assert.Contains(t, out.String(), "diagnosis")
	assert.Contains(t, out.String(), "service-00016", "the first of the last layer")
}

func BenchmarkStorm(b *testing.B) {
	for b.Loop() {
		m, err := measure(b.Context(), sized(100))
		require.NoError(b, err)
		b.ReportMetric(float64(m.diagnosis.Nanoseconds()), "diagnosis-ns")
		b.ReportMetric(float64(m.mallocs), "diagnosis-allocs")
	}
}
