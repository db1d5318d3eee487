package cloudevent_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/cloudevent"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	older  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	text   = "a shared secret of any text"
)

// check decodes a request as the SDK of CloudEvents does, and verifies the signature as a receiver of its kind does.
func check(cfg *cloudevent.Config, q *notifiertest.Request) (body []byte, answer *notifiertest.Answer) {
	refuse := func(format string, args ...any) *notifiertest.Answer {
		a := notifiertest.Violation(format, args...)
		return &a
	}
	switch cfg.Signature {
	case cloudevent.StandardWebhooks:
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, refuse("secret: %v", err)
		}
		if err := hook.Verify(q.Body, q.Header); err != nil {
			return nil, refuse("signature: %v", err)
		}
	case cloudevent.Grafana:
		signed := q.Body
		name := "X-Grafana-Alerting-Signature"
		if cfg.TimestampHeader != "" {
			signed = append([]byte(q.Header.Get(cfg.TimestampHeader)+":"), q.Body...)
			name = cfg.SignatureHeader
		}
		if mac := mac(signed); q.Header.Get(name) != mac {
			return nil, refuse("signature: got %q", q.Header.Get(name))
		}
	default:
		if q.Header.Get("X-Hub-Signature-256") != "sha256="+mac(q.Body) {
			return nil, refuse("signature: got %q", q.Header.Get("X-Hub-Signature-256"))
		}
	}
	ctx := context.Background()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost", bytes.NewReader(q.Body))
	if err != nil {
		return nil, refuse("request: %v", err)
	}
	req.Header = q.Header
	e, err := binding.ToEvent(ctx, cehttp.NewMessageFromHttpRequest(req))
	if err != nil {
		return nil, refuse("not a cloud event: %v", err)
	}
	if err := e.Validate(); err != nil {
		return nil, refuse("not a valid cloud event: %v", err)
	}
	if e.ID() != q.Header.Get("webhook-id") {
		return nil, refuse("webhook-id is %q and the event's %q", q.Header.Get("webhook-id"), e.ID())
	}
	if q.Header.Get("Ce-Id") != "" {
		for name := range q.Header {
			for _, c := range q.Header.Get(name) {
				if c < ' ' || c > '~' {
					return nil, refuse("header %s holds %q", name, c)
				}
			}
		}
	}
	return e.Data(), nil
}

func mac(body []byte) string {
	h := hmac.New(sha256.New, []byte(text))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

var configs = map[string]func(*cloudevent.Config){
	"structured": func(c *cloudevent.Config) { c.Secrets = []configopaque.String{secret, older} },
	"binary": func(c *cloudevent.Config) {
		c.Mode, c.Secrets = cloudevent.Binary, []configopaque.String{secret}
	},
	"grafana": func(c *cloudevent.Config) { c.Signature, c.Secrets = cloudevent.Grafana, []configopaque.String{text} },
	"grafana with time": func(c *cloudevent.Config) {
		c.Signature, c.Secrets, c.TimestampHeader, c.SignatureHeader = cloudevent.Grafana, []configopaque.String{text}, "X-Time", "X-Signature"
	},
	"github": func(c *cloudevent.Config) { c.Signature, c.Secrets = cloudevent.GitHub, []configopaque.String{text} },
}

// suite plays a receiver that knows what it has seen by the ID of the event.
func suite(edit func(*cloudevent.Config)) *notifiertest.Suite {
	cfg := cloudevent.DefaultConfig()
	edit(&cfg)
	return &notifiertest.Suite{
		Traits: cloudevent.Traits, Secrets: []string{strings.TrimPrefix(secret, "whsec_"), text, "tok3n"},
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			open := map[string]bool{}
			return func(q *notifiertest.Request) notifiertest.Answer {
				data, refused := check(&cfg, q)
				if refused != nil {
					return *refused
				}
				var d struct {
					Incident *struct{ ID, Status string }
				}
				if err := json.Unmarshal(data, &d); err != nil {
					return notifiertest.Violation("data: %v", err)
				}
				if d.Incident != nil && d.Incident.Status == string(semconv.StatusResolved) {
					delete(open, d.Incident.ID)
				} else if d.Incident != nil {
					open[d.Incident.ID] = true
				}
				return notifiertest.Answer{Status: http.StatusAccepted}
			}, func() int { return len(open) }
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			c := cfg
			c.Endpoint = url + "/hook?token=tok3n"
			require.NoError(t, xconfmap.Validate(&c))
			d, err := cloudevent.New(&c, client)
			require.NoError(t, err)
			return d
		},
	}
}

func TestSuite(t *testing.T) {
	for name, edit := range configs {
		t.Run(name, func(t *testing.T) {
			if name == "structured" || name == "binary" {
				suite(edit).Run(t)
			} else { // other signatures of the same requests
				suite(edit).RunLife(t)
			}
		})
	}
}

func FuzzBinary(f *testing.F) { suite(configs["binary"]).Fuzz(f) }

// TestLinks are in the data of each attempt, unless they are not wanted; the event is sent as it is stored otherwise.
func TestLinks(t *testing.T) {
	for _, links := range []bool{true, false} {
		s := suite(func(c *cloudevent.Config) { configs["structured"](c); c.Links = links })
		answer, _ := s.System()
		server := notifiertest.NewServer(t, answer)
		m := notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
		_, err := s.New(t, server.URL, server.HTTPClient()).Deliver(t.Context(), m)
		require.NoError(t, err)
		body := server.Requests()[0].Body
		if links {
			assert.Contains(t, string(body), `"approve":"https://paramedic.example.com/approve?token=l1nk-s3cret"`)
			assert.Contains(t, string(body), `"incident":"https://paramedic.example.com/incidents/i-1"`)
		} else {
			assert.Equal(t, string(m.Body), string(body))
		}
	}
}

// TestBinaryHeaders encodes what a header cannot hold.
func TestBinaryHeaders(t *testing.T) {
	s := suite(configs["binary"])
	var header http.Header
	server := notifiertest.NewServer(t, func(q *notifiertest.Request) notifiertest.Answer {
		header = q.Header
		return notifiertest.Answer{}
	})
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	m.Body = bytes.Replace(m.Body, []byte(`"incident/i-1"`), []byte(`"incident/ä \"%\u0000x"`), 1)
	_, err := s.New(t, server.URL, server.HTTPClient()).Deliver(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, "incident/%C3%A4%20%22%25%00x", header.Get("Ce-Subject"))
	assert.Equal(t, "ERROR", header.Get("Ce-Severitytext"))
	assert.Equal(t, "application/json", header.Get("Content-Type"))
}

func TestConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*cloudevent.Config)
		want string
	}{
		"no endpoint":   {func(c *cloudevent.Config) { c.Endpoint = "" }, "endpoint must be an http or https URL with a host"},
		"user":          {func(c *cloudevent.Config) { c.Endpoint = "https://a:b@example.com" }, "endpoint must not hold a user or password"},
		"fragment":      {func(c *cloudevent.Config) { c.Endpoint = "https://example.com/#a" }, "endpoint must not have a fragment"},
		"no secret":     {func(c *cloudevent.Config) { c.Secrets = nil }, "secrets must hold 1 to 4 values, got 0"},
		"broken secret": {func(c *cloudevent.Config) { c.Secrets = []configopaque.String{"s3cret"} }, "secrets::0: secret must start with whsec_"},
		"short secret": {func(c *cloudevent.Config) {
			c.Signature, c.Secrets = cloudevent.GitHub, []configopaque.String{"s3cret"}
		}, "secrets must hold one value of at least 16 bytes for signature github"},
		"own header":     {func(c *cloudevent.Config) { c.Headers = configopaque.MapList{{Name: "Webhook-ID", Value: "x"}} }, "headers must not set webhook-id, which the driver sets"},
		"compressed":     {func(c *cloudevent.Config) { c.Compression = configcompression.TypeGzip }, "compression must be unset, got gzip"},
		"timeout":        {func(c *cloudevent.Config) { c.Timeout = 0 }, "timeout must be more than 0s and at most 5m0s, got 0s"},
		"foreign header": {func(c *cloudevent.Config) { c.SignatureHeader = "X" }, "signature_header must not be set with signature standard_webhooks"},
		"no header": {func(c *cloudevent.Config) {
			c.Signature, c.Secrets, c.TimestampHeader = cloudevent.Grafana, []configopaque.String{text}, "a b"
		}, `timestamp_header must be the name of a header, got "a b"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := cloudevent.DefaultConfig()
			c.Endpoint, c.Secrets = "https://example.com", []configopaque.String{secret}
			require.NoError(t, c.Validate())
			tc.edit(&c)
			err := c.Validate()
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
	var m cloudevent.Mode
	require.ErrorContains(t, m.UnmarshalText([]byte("x")), `mode must be structured or binary, got "x"`)
	require.NoError(t, m.UnmarshalText([]byte("binary")))
	var s cloudevent.Signature
	require.ErrorContains(t, s.UnmarshalText([]byte("x")), `signature must be standard_webhooks, grafana or github, got "x"`)
	require.NoError(t, s.UnmarshalText([]byte("github")))
}
