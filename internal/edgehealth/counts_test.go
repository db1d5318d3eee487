package edgehealth

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

func TestCounts(t *testing.T) {
	m := New("user", Limits{MaxEdges: 1, IdleBuckets: 100}, excess.Learning{HalfLife: 100, NormalAfter: 100})
	key := Key{"user", "front"}
	for b := range int64(5) {
		m.Observe(key, b, &Sample{Requests: 10, Failed: float64(b)})
		m.Close(b, 4)
	}
	requests, failed := m.Counts(key, 2)
	assert.InDelta(t, 20, requests, 0)
	assert.InDelta(t, 7, failed, 0, "three and four")
	requests, failed = m.Counts(Key{"a", "b"}, 2)
	assert.Zero(t, requests+failed)
}
