// Package cdevents tells of incidents as CDEvents 0.5.0 over CloudEvents: dev.cdevents.incident.detected, reported and resolved, from
// which tools compute the time to restore service.
package cdevents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/cloudevent"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	specVersion = "0.5.0"

	typeDetected = "dev.cdevents.incident.detected.0.3.0"
	typeReported = "dev.cdevents.incident.reported.0.3.0"
	typeResolved = "dev.cdevents.incident.resolved.0.3.0"

	// maxText bounds, in runes, the texts that come from telemetry.
	maxText = 1000
)

// Config is the configuration of a receiver of CDEvents.
type Config struct {
	driver.Client      `mapstructure:",squash"`
	cloudevent.Signing `mapstructure:",squash"`
	// Environment is the ID of the environment in which incidents happen, such as production.
	Environment string `mapstructure:"environment"`
	// EnvironmentSource says where that ID is from; optional.
	EnvironmentSource string `mapstructure:"environment_source"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Client: driver.NewClient(""), Signing: cloudevent.DefaultSigning()}
}

// Traits are those of a receiver of which only the beginning and the end of incidents are of interest.
var Traits = driver.Traits{
	Events:             []semconv.EventType{semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentResolved},
	MaxEventsPerMinute: 60,
}

// Validate checks what can be known without connecting.
func (c *Config) Validate() error {
	errs := []error{c.Check(c.OwnHeaders()...), c.Signing.Validate()}
	if c.Environment == "" || len(c.Environment) > 200 {
		errs = append(errs, fmt.Errorf("environment must have 1 to 200 characters, got %d; CDEvents require it", len(c.Environment)))
	}
	if _, err := url.Parse(c.EnvironmentSource); err != nil || len(c.EnvironmentSource) > 200 {
		errs = append(errs, errors.New("environment_source must be a URI reference of at most 200 characters"))
	}
	if c.Compression.IsCompressed() {
		errs = append(errs, fmt.Errorf("compression must be unset, got %s; the signature is over the bytes as sent", c.Compression))
	}
	return errors.Join(errs...)
}

// Destination is a receiver of CDEvents.
type Destination struct {
	cfg    *Config
	client *http.Client
	signer *cloudevent.Signer
}

// New returns the receiver.
func New(cfg *Config, client *http.Client) (notifier.Destination, error) {
	signer, err := cloudevent.NewSigner(cfg.Signing)
	if err != nil {
		return nil, err
	}
	return &Destination{cfg: cfg, client: client, signer: signer}, nil
}

// The names in the memory: which events the receiver has taken.
const (
	tookDetected = "detected"
	tookReported = "reported"
)

// Deliver sends what CDEvents know of an incident: that it was detected, that it was reported when there is a page to read about it,
// and that it is over. A receiver knows what it has seen by the IDs, which are the same for every attempt.
func (d *Destination) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	if m.Incident == nil {
		return nil, nil
	}
	switch m.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated:
		return d.open(ctx, m)
	case semconv.EventTypeIncidentResolved:
		return nil, d.post(ctx, m, typeResolved, m.Time)
	default:
		return nil, nil
	}
}

func (d *Destination) open(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	took := notifier.Memory{}
	for k, v := range m.Memory {
		took[k] = v
	}
	for _, step := range []struct{ name, typ string }{{tookDetected, typeDetected}, {tookReported, typeReported}} {
		if took[step.name] != "" || step.typ == typeReported && m.Links.Incident == "" {
			continue
		}
		if err := d.post(ctx, m, step.typ, m.Time); err != nil {
			return took, err
		}
		took[step.name] = "yes"
	}
	return took, nil
}

type reference struct {
	ID     string `json:"id"`
	Source string `json:"source,omitempty"`
}

type content struct {
	Description string     `json:"description,omitempty"`
	Environment reference  `json:"environment"`
	Service     *reference `json:"service,omitempty"`
	TicketURI   string     `json:"ticketURI,omitempty"`
}

type cdevent struct {
	Context struct {
		SpecVersion string    `json:"specversion"`
		ID          string    `json:"id"`
		ChainID     string    `json:"chainId"`
		Source      string    `json:"source"`
		Type        string    `json:"type"`
		Timestamp   time.Time `json:"timestamp"`
	} `json:"context"`
	Subject struct {
		ID      string  `json:"id"`
		Source  string  `json:"source,omitempty"`
		Content content `json:"content"`
	} `json:"subject"`
	CustomData            custom `json:"customData"`
	CustomDataContentType string `json:"customDataContentType"`
}

type custom struct {
	Severity   semconv.Severity   `json:"severity"`
	Occurrence int                `json:"occurrence"`
	Cause      *eventdata.Entity  `json:"cause,omitempty"`
	CauseKind  semconv.CauseKind  `json:"cause_kind,omitempty"`
	Confidence float64            `json:"confidence,omitempty"`
	Resolution semconv.Resolution `json:"resolution,omitempty"`
	Test       bool               `json:"test,omitempty"`
}

// ids is the namespace of the IDs of CDEvents.
var ids = uuid.MustParse("0e6b8c1a-8a55-4a7c-9a51-56b3b1e6f1b4")

// id is the same for every attempt at the same thing.
func id(m *notifier.Message, typ string) string {
	if typ == typeResolved {
		return uuid.NewSHA1(ids, []byte(typ+"|"+m.ID)).String()
	}
	// Whichever event tells of it first.
	return uuid.NewSHA1(ids, fmt.Appendf(nil, "%s|%s|%d", typ, m.Key, m.Occurrence)).String()
}

// post sends one CDEvent.
func (d *Destination) post(ctx context.Context, m *notifier.Message, typ string, at time.Time) error {
	inc := m.Incident
	var e cdevent
	e.Context.SpecVersion, e.Context.ID, e.Context.ChainID = specVersion, id(m, typ), uuid.NewSHA1(ids, []byte(m.Key)).String()
	e.Context.Source, e.Context.Type, e.Context.Timestamp = m.Source, typ, at.UTC()
	if at.IsZero() {
		e.Context.Timestamp = m.Now.UTC()
	}
	e.Subject.ID, e.Subject.Source = inc.ID, m.Source
	title := notifier.Line(inc.Title, maxText)
	if m.Test {
		title = notifier.Line("TEST: "+title, maxText)
	}
	e.Subject.Content = content{Description: title, Environment: reference{d.cfg.Environment, d.cfg.EnvironmentSource}}
	if typ == typeReported {
		e.Subject.Content.TicketURI = m.Links.Incident
	}
	e.CustomData = custom{Severity: inc.Severity, Occurrence: m.Occurrence, Resolution: inc.Resolution, Test: m.Test}
	if len(inc.Causes) > 0 {
		c := &inc.Causes[0]
		e.CustomData.Cause = &eventdata.Entity{Type: c.Entity.Type, Name: notifier.Line(c.Entity.Name, maxText)}
		e.CustomData.CauseKind, e.CustomData.Confidence = semconv.CauseKind(notifier.Line(string(c.Kind), maxText)), c.Confidence
		if name := strings.TrimSpace(e.CustomData.Cause.Name); c.Entity.Type == semconv.EntityService && name != "" {
			e.Subject.Content.Service = &reference{ID: name, Source: notifier.Line(m.Cluster, maxText)}
			if _, err := url.Parse(e.Subject.Content.Service.Source); err != nil {
				e.Subject.Content.Service.Source = ""
			}
		}
	}
	e.CustomDataContentType = "application/json"
	body, err := (&cloudevents.Event{ID: e.Context.ID, Source: e.Context.Source, Type: typ, Subject: inc.ID, Time: e.Context.Timestamp, Data: &e}).Marshal()
	if err != nil {
		return &notifier.Refused{Reason: err.Error()}
	}
	return cloudevent.Post(ctx, d.client, d.cfg.Endpoint, http.Header{"Content-Type": {cloudevents.ContentType}}, body, d.signer, e.Context.ID)
}
