package wording

import (
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Title is a headline for systems that show the severity by themselves: what the trouble is, and its likely cause unless the
// incident's own title names that.
func Title(m *notifier.Message) string {
	if m.Incident == nil {
		return Tell(m).Headline
	}
	text := name(m)
	if c := firstCause(m.Incident); c != nil && !strings.Contains(text, notifier.Line(c.Entity.Name, maxName)) {
		text += " - likely cause: " + sayCause(c)
	}
	return marked(m, text)
}

// unknown is in trouble when nobody knows what is.
const unknown = "unknown"

// Service is the name of what is in trouble: the first cause, or where users feel it, or what is affected; "unknown" otherwise.
func Service(m *notifier.Message) string {
	if m.Incident == nil {
		return unknown
	}
	var candidates []string
	if c := firstCause(m.Incident); c != nil {
		candidates = append(candidates, c.Entity.Name)
	}
	candidates = append(append(candidates, m.Incident.EntryPoints...), m.Incident.Impact.Services...)
	for _, c := range candidates {
		if service := notifier.Line(c, maxName); service != "" {
			return service
		}
	}
	return unknown
}

// Place is the cluster and what is in trouble there.
func Place(m *notifier.Message) string {
	place := Service(m)
	if m.Incident == nil {
		place = "paramedic"
	}
	if cluster := notifier.Line(m.Cluster, maxName); cluster != "" {
		place = cluster + "/" + place
	}
	return place
}

// Kind is the sort of trouble that the first cause is in, empty when that is not known.
func Kind(m *notifier.Message) string {
	if c := firstCause(m.Incident); c != nil && c.Kind != semconv.CauseUnknown {
		return notifier.Line(string(c.Kind), maxName)
	}
	return ""
}
