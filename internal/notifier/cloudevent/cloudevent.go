// Package cloudevent tells a webhook of events as they are: CloudEvents 1.0 over HTTP, signed.
package cloudevent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Mode is how an event is put into a request.
type Mode string

// The modes: the whole event as JSON in the body, or its attributes in headers and its data in the body.
const (
	Structured Mode = "structured"
	Binary     Mode = "binary"
)

// UnmarshalText reads a mode.
func (m *Mode) UnmarshalText(text []byte) error {
	switch v := Mode(text); v {
	case Structured, Binary:
		*m = v
		return nil
	default:
		return fmt.Errorf("mode must be %s or %s, got %.80q", Structured, Binary, text)
	}
}

// Config is the configuration of a webhook.
type Config struct {
	driver.Client `mapstructure:",squash"`
	Signing       `mapstructure:",squash"`
	// Mode is how an event is put into a request.
	Mode Mode `mapstructure:"mode"`
	// Links puts the URLs by which people come back into data.links: of the incident, and for approving and denying.
	Links bool `mapstructure:"links"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Client: driver.NewClient(""), Signing: DefaultSigning(), Mode: Structured, Links: true}
}

// Traits are those of a webhook, of whose limits nothing is known.
var Traits = driver.Traits{
	Events: []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated, semconv.EventTypeDeliveryDeadLettered,
		semconv.EventTypeDeliveryDestinationDisabled,
	},
	MaxEventsPerMinute: 60,
}

// Validate checks what can be known without connecting.
func (c *Config) Validate() error {
	errs := []error{c.Check(c.OwnHeaders()...), c.Signing.Validate()}
	if c.Compression.IsCompressed() {
		errs = append(errs, fmt.Errorf("compression must be unset, got %s; the signature is over the bytes as sent", c.Compression))
	}
	return errors.Join(errs...)
}

// Destination is a webhook.
type Destination struct {
	cfg    *Config
	client *http.Client
	signer *Signer
}

// New returns the webhook.
func New(cfg *Config, client *http.Client) (notifier.Destination, error) {
	signer, err := NewSigner(cfg.Signing)
	if err != nil {
		return nil, err
	}
	return &Destination{cfg: cfg, client: client, signer: signer}, nil
}

// Deliver sends the event. A receiver knows what it has seen by its ID, which is in the header webhook-id too.
func (d *Destination) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	body, err := d.body(m)
	if err != nil {
		return nil, &notifier.Refused{Reason: err.Error()}
	}
	if d.cfg.Mode == Structured {
		return nil, Post(ctx, d.client, d.cfg.Endpoint, http.Header{"Content-Type": {cloudevents.ContentType}}, body, d.signer, m.ID)
	}
	header, data, err := split(ctx, d.cfg.Endpoint, body)
	if err != nil {
		return nil, &notifier.Refused{Reason: "the event cannot be put into headers: " + err.Error()}
	}
	return nil, Post(ctx, d.client, d.cfg.Endpoint, header, data, d.signer, m.ID)
}

// body returns the event as it is sent: what is stored, with the links of this attempt and the mark of a test.
func (d *Destination) body(m *notifier.Message) ([]byte, error) {
	links := map[string]string{}
	if d.cfg.Links {
		for name, url := range map[string]string{"incident": m.Links.Incident, "approve": m.Links.Approve, "deny": m.Links.Deny} {
			if url != "" {
				links[name] = url
			}
		}
	}
	if len(links) == 0 && !m.Test {
		return m.Body, nil
	}
	var envelope, data map[string]json.RawMessage
	if err := json.Unmarshal(m.Body, &envelope); err != nil {
		return nil, fmt.Errorf("decode the stored event: %w", err)
	}
	if err := json.Unmarshal(envelope["data"], &data); err != nil {
		return nil, fmt.Errorf("decode the data of the stored event: %w", err)
	}
	if data == nil {
		data = map[string]json.RawMessage{}
	}
	if len(links) > 0 {
		data["links"], _ = json.Marshal(links) // cannot fail: strings
	}
	if m.Test {
		data["test"] = json.RawMessage("true")
	}
	var err error
	if envelope["data"], err = json.Marshal(data); err != nil {
		return nil, fmt.Errorf("encode the data: %w", err)
	}
	return json.Marshal(envelope)
}

// split puts the attributes of an event into headers.
func split(ctx context.Context, endpoint string, body []byte) (http.Header, []byte, error) {
	var e event.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, http.NoBody)
	if err != nil {
		return nil, nil, notifier.WithoutURL(err)
	}
	if err := cehttp.WriteRequest(binding.WithForceBinary(ctx), binding.ToMessage(&e), req); err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range req.Header {
		for i, v := range values {
			if name != "Content-Type" {
				values[i] = encodeHeader(v)
			}
		}
	}
	return req.Header, data, nil
}

// encodeHeader percent-encodes what the HTTP binding of CloudEvents 1.0 (3.1.3.2) does not allow as it is in a header: a space, a
// quotation mark, a percent sign and all that is not printable ASCII.
func encodeHeader(s string) string {
	var b bytes.Buffer
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Post makes one attempt to send a signed body, whose id stays the same over attempts.
func Post(ctx context.Context, client *http.Client, endpoint string, header http.Header, body []byte, signer *Signer, id string) error {
	now := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return &notifier.Refused{Reason: "make the request: " + notifier.WithoutURL(err).Error()}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	signer.Sign(req.Header, id, body, now)
	_, err = notifier.Exchange(client, req, now)
	return err
}
