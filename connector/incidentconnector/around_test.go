package incidentconnector

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestGraphAround tells of the edges around an incident, the troubled ones and those of the cause first.
func TestGraphAround(t *testing.T) {
	w := newWorld(t, nil)
	beside := func(i int) []any {
		// Far from the trouble: neither side has any part in it.
		return []any{graph(at(i), call{client: "batch", server: "archive", n: 5, took: 0.1})}
	}
	w.play(0, 240, func(i int) []any { return append(calm(i), beside(i)...) })
	w.play(240, 260, func(i int) []any { return append(stockFails(i), beside(i)...) })
	edges := w.one().Graph
	require.Len(t, edges, 3)
	assert.Equal(t, [2]string{"orders", "stock"}, [2]string{edges[0].Client, edges[0].Server}, "that of the cause is the first")
	assert.Equal(t, [2]string{semconv.GraphUser, "front"}, [2]string{edges[1].Client, edges[1].Server}, "then by which requests come in")
	for _, e := range edges {
		assert.True(t, e.Abnormal, "%+v", e)
		assert.InDelta(t, 0.75, e.FailureRatio, 0.15)
		assert.InDelta(t, 40/step.Seconds(), e.RequestsPerSecond, 15/step.Seconds())
		assert.Positive(t, e.MeanDuration)
		assert.Equal(t, semconv.ConnectionDirect, e.ConnectionType)
	}
	w.stop()
}

// TestGraphAroundIsBounded keeps the most important edges of a large graph.
func TestGraphAroundIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	database := map[string]string{semconv.AttrGraphConnectionType: semconv.ConnectionDatabase}
	wide := func(i int, more []any) []any {
		var calls []call
		for k := range 80 {
			calls = append(calls, call{client: "stock", server: fmt.Sprintf("shelf-%02d", k), n: float64(1 + k), took: 0.001, attrs: database})
		}
		return append(more, graph(at(i), calls...))
	}
	w.play(0, 240, func(i int) []any { return wide(i, calm(i)) })
	w.play(240, 260, func(i int) []any { return wide(i, stockFails(i)) })
	edges := w.one().Graph
	require.Len(t, edges, semconv.MaxGraphEdges)
	for k, e := range edges {
		assert.Equal(t, k < 3, e.Abnormal, "the troubled ones come first")
	}
	assert.Equal(t, "shelf-79", edges[3].Server, "then those with most requests")
	assert.Equal(t, semconv.ConnectionDatabase, edges[3].ConnectionType)
	w.stop()
}
