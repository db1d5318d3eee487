package cdevents_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/cdevents"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var eventType = regexp.MustCompile(`^dev\.cdevents\.incident\.(detected|reported|resolved)\.0\.3\.0$`)

// cdevent is what the schemas of CDEvents 0.5.0 allow for incidents; additional properties they forbid.
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
		ID      string `json:"id"`
		Source  string `json:"source"`
		Content struct {
			Description string             `json:"description"`
			Environment *map[string]string `json:"environment"`
			Service     *map[string]string `json:"service"`
			ArtifactID  *string            `json:"artifactId"`
			TicketURI   *string            `json:"ticketURI"`
		} `json:"content"`
	} `json:"subject"`
	CustomData            map[string]any `json:"customData"`
	CustomDataContentType string         `json:"customDataContentType"`
}

func check(q *notifiertest.Request) (e cdevent, wrong string) {
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return e, err.Error()
	}
	if err := hook.Verify(q.Body, q.Header); err != nil {
		return e, "signature: " + err.Error()
	}
	var ce event.Event
	if err := json.Unmarshal(q.Body, &ce); err != nil {
		return e, "not a cloud event: " + err.Error()
	}
	if err := ce.Validate(); err != nil {
		return e, "not a valid cloud event: " + err.Error()
	}
	d := json.NewDecoder(strings.NewReader(string(ce.Data())))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, "not a CDEvent: " + err.Error()
	}
	c := e.Subject.Content
	switch {
	case e.Context.SpecVersion != "0.5.0" || e.Context.ID != ce.ID() || e.Context.Source != ce.Source() || e.Context.Type != ce.Type() || e.Context.Timestamp.IsZero():
		return e, "the context is not that of the cloud event"
	case !eventType.MatchString(e.Context.Type):
		return e, "type " + e.Context.Type
	case e.Subject.ID == "" || c.Environment == nil || (*c.Environment)["id"] == "":
		return e, "the subject must have id and environment"
	case c.Service != nil && (*c.Service)["id"] == "":
		return e, "a service must have an id"
	case (c.TicketURI != nil) != strings.Contains(e.Context.Type, ".reported."):
		return e, "what is reported, and nothing else, must have a ticketURI"
	case ce.ID() != q.Header.Get("webhook-id"):
		return e, "webhook-id"
	}
	for _, s := range []string{e.Context.Source, e.Subject.Source} {
		if _, err := url.Parse(s); err != nil {
			return e, err.Error()
		}
	}
	if c.Service != nil {
		if _, err := url.Parse((*c.Service)["source"]); err != nil {
			return e, err.Error()
		}
	}
	return e, ""
}

func suite() *notifiertest.Suite {
	return &notifiertest.Suite{
		Traits: cdevents.Traits, Secrets: []string{strings.TrimPrefix(secret, "whsec_")},
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			open, seen := map[string]bool{}, map[string]bool{}
			return func(q *notifiertest.Request) notifiertest.Answer {
				e, wrong := check(q)
				switch {
				case wrong != "":
					return notifiertest.Violation("%s", wrong)
				case seen[e.Context.ID]:
				case strings.Contains(e.Context.Type, ".resolved."):
					delete(open, e.Subject.ID)
				default:
					open[e.Subject.ID] = true
				}
				seen[e.Context.ID] = true
				return notifiertest.Answer{Status: http.StatusAccepted}
			}, func() int { return len(open) }
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			c := config(url)
			require.NoError(t, xconfmap.Validate(&c))
			d, err := cdevents.New(&c, client)
			require.NoError(t, err)
			return d
		},
	}
}

func config(url string) cdevents.Config {
	c := cdevents.DefaultConfig()
	c.Endpoint, c.Secrets, c.Environment, c.EnvironmentSource = url, []configopaque.String{secret}, "production", "/clusters"
	return c
}

func TestSuite(t *testing.T) { suite().Run(t) }

func FuzzDeliver(f *testing.F) { suite().Fuzz(f) }

// TestEvents shows what an incident becomes, with and without a page to read about it.
func TestEvents(t *testing.T) {
	for _, linked := range []bool{true, false} {
		var got []cdevent
		server := notifiertest.NewServer(t, func(q *notifiertest.Request) notifiertest.Answer {
			e, wrong := check(q)
			assert.Empty(t, wrong)
			got = append(got, e)
			return notifiertest.Answer{}
		})
		d := suite().New(t, server.URL, server.HTTPClient())
		var memory notifier.Memory
		for _, typ := range []semconv.EventType{semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeRemediationStarted, semconv.EventTypeIncidentResolved} {
			m := notifiertest.Message(typ)
			m.Memory = memory
			if !linked {
				m.Links.Incident = ""
			}
			kept, err := d.Deliver(t.Context(), m)
			require.NoError(t, err)
			if kept != nil {
				memory = kept
			}
		}
		var types []string
		for _, e := range got {
			types = append(types, strings.TrimPrefix(e.Context.Type, "dev.cdevents.incident."))
		}
		if !linked {
			assert.Equal(t, []string{"detected.0.3.0", "resolved.0.3.0"}, types)
			continue
		}
		assert.Equal(t, []string{"detected.0.3.0", "reported.0.3.0", "resolved.0.3.0"}, types)
		assert.Equal(t, "https://paramedic.example.com/incidents/i-1", *got[1].Subject.Content.TicketURI)
		assert.Equal(t, map[string]string{"id": "production", "source": "/clusters"}, *got[0].Subject.Content.Environment)
		assert.Equal(t, map[string]string{"id": "shop/payment", "source": "prod-eu"}, *got[0].Subject.Content.Service)
		assert.Equal(t, "latency of shop/gateway, caused by shop/payment", got[0].Subject.Content.Description)
		assert.Equal(t, "recovered", got[2].CustomData["resolution"])
		assert.Equal(t, got[0].Context.ChainID, got[2].Context.ChainID)
	}
}

func TestConfig(t *testing.T) {
	for want, edit := range map[string]func(*cdevents.Config){
		"endpoint must be an http or https URL with a host":                     func(c *cdevents.Config) { c.Endpoint = "" },
		"environment must have 1 to 200 characters, got 0; CDEvents require it": func(c *cdevents.Config) { c.Environment = "" },
		"environment_source must be a URI reference":                            func(c *cdevents.Config) { c.EnvironmentSource = "%" },
		"secrets must hold 1 to 4 values, got 0":                                func(c *cdevents.Config) { c.Secrets = nil },
		"compression must be unset, got gzip":                                   func(c *cdevents.Config) { c.Compression = configcompression.TypeGzip },
	} {
		c := config("https://example.com")
		require.NoError(t, c.Validate())
		edit(&c)
		assert.ErrorContains(t, c.Validate(), want)
	}
}
