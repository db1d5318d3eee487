package wording_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestAbout pairs what begins with what ends it.
func TestAbout(t *testing.T) {
	for begin, end := range map[semconv.EventType]semconv.EventType{
		semconv.EventTypeRemediationBreakerOpened: semconv.EventTypeRemediationBreakerClosed,
		semconv.EventTypeRemediationStormBegan:    semconv.EventTypeRemediationStormEnded,
		semconv.EventTypeRemediationPaused:        semconv.EventTypeRemediationResumed,
	} {
		a, ok := wording.About(notifiertest.Message(begin))
		require.True(t, ok)
		b, ok := wording.About(notifiertest.Message(end))
		require.True(t, ok)
		assert.Equal(t, a.Key, b.Key, begin)
		assert.False(t, a.Ends || a.Pages || b.Pages, begin)
		assert.True(t, b.Ends, end)
	}
	s, ok := wording.About(notifiertest.Message(semconv.EventTypeIncidentStorm))
	assert.True(t, ok && s.Pages && s.Severity == semconv.SeverityCritical)
	disabled, _ := wording.About(notifiertest.Message(semconv.EventTypeDeliveryDestinationDisabled))
	assert.True(t, disabled.Pages)
	dead, _ := wording.About(notifiertest.Message(semconv.EventTypeDeliveryDeadLettered))
	assert.False(t, dead.Pages)
	assert.NotEqual(t, dead.Key, disabled.Key)
	_, ok = wording.About(notifiertest.Message(semconv.EventTypeIncidentOpened))
	assert.False(t, ok)
}
