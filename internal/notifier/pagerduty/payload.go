package pagerduty

import (
	"encoding/json"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxSummary is in characters, and maxEvent in bytes of a request, a little below the 512 KB of the documentation.
	maxSummary = 1024
	maxEvent   = 500_000
	// maxField is ours: no length is documented for these.
	maxField = 255

	clientName = "otelcol-paramedic"
	// timeLayout is ISO 8601 with milliseconds.
	timeLayout = "2006-01-02T15:04:05.000Z07:00"
)

// short is an event that needs no payload.
func (d *destination) short(key, action string) *pd.V2Event {
	return &pd.V2Event{RoutingKey: string(d.cfg.RoutingKey), Action: action, DedupKey: key}
}

// trigger is an event that opens an alert or adds to one.
func (d *destination) trigger(m *notifier.Message, key string, severity semconv.Severity) *pd.V2Event {
	e := d.short(key, "trigger")
	e.Client, e.ClientURL = clientName, m.Links.Incident
	for _, l := range wording.Links(m) {
		e.Links = append(e.Links, pd.ChangeEventLink{Href: l.URL, Text: l.Text})
	}
	class := "incident"
	if kind := wording.Kind(m); kind != "" {
		class = kind + ".anomaly"
	}
	group := d.cfg.Group
	if group == "" {
		group = m.Cluster
	}
	e.Payload = &pd.V2Payload{
		Summary: notifier.Line(summary(m), maxSummary), Source: notifier.Line(wording.Place(m), maxField), Severity: d.cfg.Severities.Of(severity),
		Timestamp: stamp(m.Time), Group: notifier.Line(group, maxField), Class: notifier.Line(class, maxField),
	}
	if m.Incident != nil {
		e.Payload.Component = notifier.Line(wording.Service(m), maxField)
	}
	for _, size := range wording.Sizes {
		e.Payload.Details = wording.NewDetails(m, size)
		if fits(e) {
			break
		}
	}
	return e
}

// summary is the title, and what is asked or wanted of people in front of it.
func summary(m *notifier.Message) string {
	switch {
	case m.Type == semconv.EventTypeRemediationApprovalRequested:
		return "Approval wanted: " + wording.Title(m) + " - " + wording.Remediation(m)
	case wording.Escalated(m):
		return "Escalated: " + wording.Title(m) + " - " + wording.Remediation(m)
	default:
		return wording.Title(m)
	}
}

func fits(v any) bool {
	b, err := json.Marshal(v)
	return err == nil && len(b) <= maxEvent
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}
