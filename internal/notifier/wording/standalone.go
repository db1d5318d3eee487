package wording

import (
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Standalone is news that is not of one incident: a summary of many, or what befell Paramedic itself.
type Standalone struct {
	// Key identifies what it is about, to every system.
	Key string
	// Ends says that what was told under the same key is over.
	Ends bool
	// Pages says that a person should look at it at once.
	Pages    bool
	Severity semconv.Severity
}

// About returns what a message without an incident is about; ok is false for a message with one.
func About(m *notifier.Message) (s Standalone, ok bool) {
	if m.Incident != nil {
		return Standalone{}, false
	}
	s.Severity = semconv.SeverityMinor
	about := string(m.Type)
	switch m.Type {
	case semconv.EventTypeIncidentStorm:
		about, s.Pages = "storm of incidents", true
		if m.Storm != nil && m.Storm.Severity != "" {
			s.Severity = m.Storm.Severity
		}
	case semconv.EventTypeRemediationBreakerOpened, semconv.EventTypeRemediationBreakerClosed:
		about, s.Ends = "breaker", m.Type == semconv.EventTypeRemediationBreakerClosed
	case semconv.EventTypeRemediationStormBegan, semconv.EventTypeRemediationStormEnded:
		about, s.Ends = "storm gate", m.Type == semconv.EventTypeRemediationStormEnded
	case semconv.EventTypeRemediationPaused, semconv.EventTypeRemediationResumed:
		about, s.Ends = "pause", m.Type == semconv.EventTypeRemediationResumed
	case semconv.EventTypeDeliveryDestinationDisabled:
		s.Severity, s.Pages = semconv.SeverityMajor, true
	}
	if m.Delivery != nil {
		about += "|" + m.Delivery.Destination
	}
	if m.Guard != nil {
		about += "|" + m.Guard.Name + "|" + m.Guard.Key
	}
	s.Key = notifier.Key(m.Cluster, "news|"+about)
	return s, true
}
