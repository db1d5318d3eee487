package servicenow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// EventsTraits are what the exporter must know of Event Management.
var EventsTraits = driver.Traits{
	Events: driver.PagerEvents(),
	// Each instance has its own rules.
	MaxEventsPerMinute: 60,
}

// EventsConfig is the Event Management of an instance.
type EventsConfig struct {
	Instance `mapstructure:",squash"`
	// Source is the name of the event source, by which rules of the instance tell our events from others.
	Source string `mapstructure:"source"`
	// NodeAttributes are the resource attributes of the first cause that name its host, the best first; it binds the alert to a
	// configuration item.
	NodeAttributes []string `mapstructure:"node_attributes"`
	// Severities are 1 (critical) to 5 (OK) for each severity.
	Severities driver.BySeverity[string] `mapstructure:"severities"`
}

// DefaultEventsConfig returns everything that has a default.
func DefaultEventsConfig() EventsConfig {
	return EventsConfig{
		Instance: Instance{Client: driver.NewClient("")}, Source: sourceName, NodeAttributes: []string{"host.name", "k8s.node.name"},
		Severities: driver.BySeverity[string]{Critical: "1", Major: "2", Minor: "3"},
	}
}

var eventSeverities = []string{"1", "2", "3", "4", "5"}

const maxNodeAttributes = 20

// Validate checks what can be known without connecting.
func (c *EventsConfig) Validate() error {
	errs := c.check()
	if n := len([]rune(c.Source)); strings.TrimSpace(c.Source) == "" || n > maxEventField {
		errs = append(errs, fmt.Errorf("source must have 1 to %d characters, got %d", maxEventField, n))
	}
	if len(c.NodeAttributes) > maxNodeAttributes {
		errs = append(errs, fmt.Errorf("node_attributes must have at most %d entries, got %d", maxNodeAttributes, len(c.NodeAttributes)))
	}
	errs = append(errs, driver.CheckOneOf("severities", c.Severities, eventSeverities, "; 0 clears an alert")...)
	return errors.Join(errs...)
}

const (
	eventsPath = "/api/global/em/jsonv2"
	// maxEventField is the length of the columns source, event_class, node, resource, type and metric_name.
	maxEventField = 100
	// maxEventText is that of the description, and maxInfo what the string of additional_info is kept to.
	maxEventText = 4000
	maxInfo      = 4000
	maxInfoValue = 500

	severityClear   = "0"
	severityWarning = "4"
	stateNew        = "New"
	stateClosing    = "Closing"

	eventTime = "2006-01-02 15:04:05"
)

// What is remembered of an incident: memoryState is "open" or "closed".
const (
	memoryState  = "state"
	memoryOpen   = "open"
	memoryClosed = "closed"
)

type events struct {
	connection
	cfg *EventsConfig
}

// NewEvents returns the destination of a configuration that is valid.
func NewEvents(cfg *EventsConfig, client *http.Client) (notifier.Destination, error) {
	return &events{connection: connect(&cfg.Instance, client), cfg: cfg}, nil
}

// record is an event. All of its fields are strings.
type record struct {
	Source          string `json:"source"`
	EventClass      string `json:"event_class"`
	Node            string `json:"node"`
	Resource        string `json:"resource"`
	Type            string `json:"type"`
	MetricName      string `json:"metric_name,omitempty"`
	MessageKey      string `json:"message_key"`
	Severity        string `json:"severity"`
	ResolutionState string `json:"resolution_state"`
	TimeOfEvent     string `json:"time_of_event"`
	Description     string `json:"description"`
	AdditionalInfo  string `json:"additional_info"`
}

// Deliver sends one event. Events with the same key make one alert, so that a repeated one does no harm.
func (e *events) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	key, severity, ok := e.judge(m)
	if !ok {
		return nil, nil
	}
	body := struct {
		Records []*record `json:"records"`
	}{[]*record{e.record(m, key, severity)}}
	if _, err := e.call(ctx, http.MethodPost, eventsPath, &body, m.Now); err != nil {
		return nil, err
	}
	if m.Key == "" {
		return nil, nil
	}
	state := memoryOpen
	if severity == severityClear {
		state = memoryClosed
	}
	return m.Memory.With(memoryState, state), nil
}

// judge returns the alert that a message is about and the severity that it has from now on; ok is false when there is nothing to say.
func (e *events) judge(m *notifier.Message) (key, severity string, ok bool) {
	if about, standalone := wording.About(m); standalone {
		switch {
		case about.Ends:
			return about.Key, severityClear, true
		case about.Pages:
			return about.Key, e.cfg.Severities.Of(about.Severity), true
		default:
			return about.Key, severityWarning, true
		}
	}
	if m.Type == semconv.EventTypeIncidentResolved {
		return m.Key, severityClear, true
	}
	if m.Incident.Status == semconv.StatusResolved {
		return "", "", false
	}
	// What comes late about a remediation would open the alert anew.
	if m.Remediation != nil && m.Memory[memoryState] == memoryClosed {
		return "", "", false
	}
	return m.Key, e.cfg.Severities.Of(m.Incident.Severity), true
}

func (e *events) record(m *notifier.Message, key, severity string) *record {
	state := stateNew
	if severity == severityClear {
		state = stateClosing
	}
	at := m.Time
	if at.IsZero() {
		at = m.Now
	}
	class := notifier.Line(m.Cluster, maxEventField)
	if class == "" {
		class = e.cfg.Source
	}
	kind := "incident"
	if k := wording.Kind(m); k != "" {
		kind = k + ".anomaly"
	}
	r := &record{
		Source: e.cfg.Source, EventClass: class, Node: e.node(m), Resource: notifier.Line(wording.Service(m), maxEventField), Type: notifier.Line(kind, maxEventField),
		MetricName: notifier.Line(signal(m), maxEventField), MessageKey: key, Severity: severity, ResolutionState: state, TimeOfEvent: at.UTC().Format(eventTime),
		Description: text(wording.Text(m, maxEventText), maxEventText), AdditionalInfo: info(m),
	}
	if m.Incident == nil {
		r.Resource = sourceName
	}
	return r
}

func (e *events) node(m *notifier.Message) string {
	if m.Incident == nil {
		return sourceName
	}
	if len(m.Incident.Causes) > 0 {
		for _, a := range e.cfg.NodeAttributes {
			if v := notifier.Line(m.Incident.Causes[0].Resource[a], maxEventField); v != "" {
				return v
			}
		}
	}
	return notifier.Line(wording.Service(m), maxEventField)
}

func signal(m *notifier.Message) string {
	if m.Incident != nil && len(m.Incident.Causes) > 0 && len(m.Incident.Causes[0].Evidence) > 0 {
		return m.Incident.Causes[0].Evidence[0].Signal
	}
	return ""
}

// info is a string of JSON with one level of keys and values, as many as fit: a part of JSON is none.
func info(m *notifier.Message) string {
	fields := wording.Fields(m, maxInfoValue)
	if m.Remediation != nil {
		fields = append(fields, wording.Field{Name: "news", Value: notifier.Line(wording.Remediation(m), maxInfoValue)})
	}
	for _, l := range wording.Links(m) {
		if l.URL != m.Links.Incident {
			fields = append(fields, wording.Field{Name: strings.ToLower(l.Text) + "_url", Value: l.URL})
		}
	}
	values, out := map[string]string{}, "{}"
	for _, f := range fields {
		values[f.Name] = f.Value
		b, err := json.Marshal(values)
		if err != nil || len(b) > maxInfo {
			delete(values, f.Name)
			continue
		}
		out = string(b)
	}
	return out
}
