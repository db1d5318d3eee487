package wording_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestGist changes with what is worth telling again, and with nothing else.
func TestGist(t *testing.T) {
	of := func(change func(*notifier.Message)) string {
		m := notifiertest.Message(semconv.EventTypeIncidentUpdated)
		change(m)
		return wording.Gist(m)
	}
	same := of(func(*notifier.Message) {})
	assert.Equal(t, same, of(func(m *notifier.Message) { m.Incident.Revision, m.Incident.Causes[0].Confidence = 9, 0.5 }))
	for name, change := range map[string]func(*notifier.Message){
		"severity":     func(m *notifier.Message) { m.Incident.Severity = semconv.SeverityCritical },
		"status":       func(m *notifier.Message) { m.Incident.Status = semconv.StatusResolved },
		"cause":        func(m *notifier.Message) { m.Incident.Causes[0].Entity.Name = "other" },
		"entry points": func(m *notifier.Message) { m.Incident.EntryPoints = []string{"other"} },
		"acknowledged": func(m *notifier.Message) { m.Acknowledged = "ann" },
		"reopened":     func(m *notifier.Message) { m.Incident.Reopened = 1 },
	} {
		assert.NotEqual(t, same, of(change), name)
	}
	assert.Empty(t, wording.Gist(notifiertest.Message(semconv.EventTypeIncidentStorm)))
}
