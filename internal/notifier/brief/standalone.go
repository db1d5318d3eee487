package brief

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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

func standaloneTitle(m *notifier.Message) string {
	if st := m.Storm; st != nil {
		s := fmt.Sprintf("%d more news of incidents in a minute", st.Events)
		if n := len(st.Opened.IDs) + st.Opened.More; n > 0 {
			s += fmt.Sprintf(", %d incidents opened", n)
		}
		if n := len(st.Resolved.IDs) + st.Resolved.More; n > 0 {
			s += fmt.Sprintf(", %d resolved", n)
		}
		if len(st.Causes) > 0 {
			s += ", most often: " + notifier.Line(st.Causes[0].Cause, maxName)
		}
		return s
	}
	title := "paramedic: " + notifier.Line(strings.TrimSuffix(strings.TrimPrefix(string(m.Type), "io.paramedic."), ".v1"), maxName)
	if g := m.Guard; g != nil {
		for _, part := range []string{g.Name, g.Key, g.State, g.Detail, g.By} {
			if part = notifier.Line(part, maxLine); part != "" {
				title += ", " + part
			}
		}
	}
	if d := m.Delivery; d != nil {
		for _, part := range []string{d.Destination, d.Reason, d.Detail} {
			if part = notifier.Line(part, maxLine); part != "" {
				title += ", " + part
			}
		}
		if d.Dropped > 0 {
			title += fmt.Sprintf(", %d events dropped", d.Dropped)
		}
	}
	return title
}

func stormLines(m *notifier.Message) []string {
	st := m.Storm
	if st == nil {
		return nil
	}
	out := []string{fmt.Sprintf("From %s to %s:", Time(st.From), Time(st.To))}
	for _, t := range slices.Sorted(maps.Keys(st.Types)) {
		if len(out) > maxListed {
			break
		}
		out = append(out, fmt.Sprintf("- %d x %s", st.Types[t], notifier.Line(string(t), maxName)))
	}
	for i, c := range st.Causes {
		if i == maxListed {
			break
		}
		out = append(out, fmt.Sprintf("- cause %s: %d", notifier.Line(c.Cause, maxName), c.Events))
	}
	return out
}

// maxListed bounds each list in a text.
const maxListed = 10
