package template

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Format is what kind of text a template makes, and so how the values in it are written.
type Format string

// The formats.
const (
	// JSON writes values so that they fit where they stand, and the result is checked to be JSON.
	JSON Format = "json"
	// Form writes values as parts of a query, as in application/x-www-form-urlencoded.
	Form Format = "form"
	// Text writes each value as one line.
	Text Format = "text"
)

// contentTypes are those of the formats, unless the user has another.
var contentTypes = map[Format]string{
	JSON: "application/json", Form: "application/x-www-form-urlencoded", Text: "text/plain; charset=utf-8",
}

// UnmarshalText reads a format.
func (f *Format) UnmarshalText(text []byte) error {
	switch v := Format(text); v {
	case JSON, Form, Text:
		*f = v
		return nil
	default:
		return fmt.Errorf("format must be %s, %s or %s, got %.80q", JSON, Form, Text, text)
	}
}

// Config is the configuration of a webhook with a body of the user's own.
type Config struct {
	driver.Client `mapstructure:",squash"`
	// Method is POST, PUT or PATCH.
	Method string `mapstructure:"method"`
	// Format is what kind of text the body is.
	Format Format `mapstructure:"format"`
	// ContentType is said to the receiver in place of the format's own.
	ContentType string `mapstructure:"content_type"`
	// Body is a template of Go's text/template for a [View].
	Body string `mapstructure:"body"`
	// MaxBodySize bounds the request, in bytes; an event whose body is larger is refused.
	MaxBodySize int `mapstructure:"max_body_size"`
}

const (
	// maxTemplate bounds a template, in bytes.
	maxTemplate = 64 << 10
	minBodySize = 1 << 10
	maxBodySize = 1 << 20
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Client: driver.NewClient(""), Method: http.MethodPost, Format: JSON, MaxBodySize: 64 << 10}
}

// Traits are those of a receiver of which nothing is known.
var Traits = driver.Traits{
	Events: []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated, semconv.EventTypeDeliveryDeadLettered,
		semconv.EventTypeDeliveryDestinationDisabled,
	},
	MaxEventsPerMinute: 60,
}

// Validate parses the template, and tries it with a message of every type.
func (c *Config) Validate() error {
	errs := []error{c.Check()}
	if methods := []string{http.MethodPost, http.MethodPut, http.MethodPatch}; !slices.Contains(methods, c.Method) {
		errs = append(errs, fmt.Errorf("method must be one of %s, got %.80q", strings.Join(methods, ", "), c.Method))
	}
	for _, r := range c.ContentType {
		if r < ' ' || r > '~' {
			errs = append(errs, errors.New("content_type must be printable ASCII"))
			break
		}
	}
	if c.Format == JSON && c.ContentType != "" && !strings.Contains(c.ContentType, "json") {
		errs = append(errs, fmt.Errorf("content_type must be one of JSON with format json, got %.80q; set format", c.ContentType))
	}
	if c.MaxBodySize < minBodySize || c.MaxBodySize > maxBodySize {
		errs = append(errs, fmt.Errorf("max_body_size must be between %d and %d, got %d", minBodySize, maxBodySize, c.MaxBodySize))
	}
	if c.Body == "" || len(c.Body) > maxTemplate {
		errs = append(errs, fmt.Errorf("body must have 1 to %d bytes, got %d", maxTemplate, len(c.Body)))
		return errors.Join(errs...)
	}
	t, err := parseBody(c)
	if err != nil {
		errs = append(errs, fmt.Errorf("body: %w", err))
		return errors.Join(errs...)
	}
	for _, v := range samples() {
		if _, err := t.render(v); err != nil {
			errs = append(errs, fmt.Errorf("body: with an event of type %s: %w", v.Type, err))
			break
		}
	}
	return errors.Join(errs...)
}
