package template

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// whole uses everything that a template can.
const whole = `{
  "text": "{{ .Summary }}", "id": "{{ .ID }}", "kind": "{{ .Type }}", "key": "{{ .Key }}", "occurrence": {{ .Occurrence }},
  "title": "{{ line 200 .Incident.Title }}", "severity": "{{ upper .Incident.Severity }}", "open": {{ if eq .Incident.Status "open" }}true{{ else }}false{{ end }},
  "cause": {"name": "{{ .Cause.Entity.Name }}", "confidence": {{ .Cause.Confidence }}, "percent": "{{ percent .Cause.Confidence }}"},
  "services": [{{ range $i, $s := .Incident.Impact.Services }}{{ if $i }}, {{ end }}"{{ $s }}"{{ end }}],
  "since": "{{ .Incident.StartedAt }}", "unix": {{ unix .Incident.StartedAt }}, "day": "{{ date "2006-01-02" .Time }}",
  "resource": {{ json .Cause.Resource }}, "by": "{{ default "nobody" .Acknowledged }}", "entry": "{{ join ", " .Incident.EntryPoints }}",
  "plan": "{{ .Remediation.Plan.Summary }}", "approve": "{{ .ApproveURL }}", "storm": {{ .Storm.Events }}, "guard": "{{ .Guard.Name }}",
  "{{ .Owner }}": "{{ lower .Cluster }}", "test": {{ .Test }}
}`

func suite(edit func(*Config), check func(q *notifiertest.Request) string) *notifiertest.Suite {
	return &notifiertest.Suite{
		Traits: Traits, Secrets: []string{"hunter2", "tok3n"},
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			return func(q *notifiertest.Request) notifiertest.Answer {
				if len(q.Body) > 256<<10 {
					return notifiertest.Violation("%d bytes", len(q.Body))
				}
				if q.Header.Get("Idempotency-Key") == "" || q.Header.Get("Authorization") != "Bearer hunter2" {
					return notifiertest.Violation("headers: %v", q.Header)
				}
				if wrong := check(q); wrong != "" {
					return notifiertest.Violation("%s", wrong)
				}
				return notifiertest.Answer{}
			}, nil
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			c := DefaultConfig()
			c.Endpoint, c.Body, c.MaxBodySize = url+"/hook/tok3n", whole, 256<<10
			c.Headers = configopaque.MapList{{Name: "Authorization", Value: "Bearer hunter2"}}
			if edit != nil {
				edit(&c)
			}
			require.NoError(t, xconfmap.Validate(&c))
			d, err := New(&c, authorized(client))
			require.NoError(t, err)
			return d
		},
	}
}

// authorized adds the header that confighttp adds to the requests of the exporter.
func authorized(client *http.Client) *http.Client {
	out := *client
	out.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer hunter2")
		return client.Transport.RoundTrip(r)
	})
	return &out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fields are those that the template has; the one whose name comes from telemetry is left out.
const fields = 21

func checkJSON(q *notifiertest.Request) string {
	var m map[string]any
	if err := json.Unmarshal(q.Body, &m); err != nil {
		return "not JSON: " + err.Error()
	}
	if n := len(m); n < fields || n > fields+1 {
		return "the text of an event has added or removed a field"
	}
	if _, ok := m["open"].(bool); !ok || q.Header.Get("Content-Type") != "application/json" {
		return "a value has changed its type"
	}
	return ""
}

func TestSuiteJSON(t *testing.T) { suite(nil, checkJSON).Run(t) }

func FuzzJSON(f *testing.F) { suite(nil, checkJSON).Fuzz(f) }

func form(c *Config) {
	c.Format, c.Method, c.Body = Form, http.MethodPut, "title={{ .Incident.Title }}&summary={{ .Summary }}&n={{ .Occurrence }}"
}

func checkForm(q *notifiertest.Request) string {
	v, err := url.ParseQuery(string(q.Body))
	if err != nil || len(v) != 3 || len(v["title"]) != 1 || q.Method != http.MethodPut || q.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return "the form is broken"
	}
	return ""
}

func TestSuiteForm(t *testing.T) { suite(form, checkForm).Run(t) }

func FuzzForm(f *testing.F) { suite(form, checkForm).Fuzz(f) }

func lines(c *Config) {
	c.Format, c.ContentType, c.Body = Text, "text/markdown", "summary: {{ .Summary }}\ntitle: {{ .Incident.Title }}\n"
}

func checkLines(q *notifiertest.Request) string {
	if strings.Count(string(q.Body), "\n") != 2 || !strings.HasPrefix(string(q.Body), "summary: ") || q.Header.Get("Content-Type") != "text/markdown" {
		return "a value has more than one line"
	}
	return ""
}

func TestSuiteText(t *testing.T) { suite(lines, checkLines).Run(t) }

// TestBody shows what becomes of an ordinary event.
func TestBody(t *testing.T) {
	c := DefaultConfig()
	c.Body = whole
	b, err := parseBody(&c)
	require.NoError(t, err)
	m := notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	m.Incident.Title = `say "hi" \ <b>`
	text, err := b.render(newView(m))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, `say "hi" \ <b>`, got["title"])
	assert.Equal(t, "remediation.approval_requested", got["kind"])
	assert.Equal(t, "MAJOR", got["severity"])
	assert.Equal(t, true, got["open"])
	assert.Equal(t, map[string]any{"name": "shop/payment", "confidence": 0.93, "percent": "93 %"}, got["cause"])
	assert.Equal(t, "payment", got["resource"].(map[string]any)["k8s.deployment.name"])
	assert.Equal(t, "https://paramedic.example.com/approve?token=l1nk-s3cret", got["approve"])
	assert.Equal(t, "nobody", got["by"])
	assert.Equal(t, "2026-03-01T10:14:55Z", got["since"])
	assert.InDelta(t, 1772360095, got["unix"], 0)
	assert.Equal(t, "2026-03-01", got["day"])
	assert.Equal(t, "prod-eu", got["payments"])
}

// TestUnsafeTemplates are refused before they are used, or make nothing of hostile text.
func TestUnsafeTemplates(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"text outside of a string": {`{"a": {{ .Summary }}}`, "it does not make JSON"},
		"key outside of a string":  {`{ {{ .Summary }}: 1}`, "it does not make JSON"},
		"json within a string":     {`{"a": "{{ json .Storm.Opened }}"}`, "it does not make JSON"},
		"after a backslash":        {`{"a": "\{{ .Summary }}"}`, "it does not make JSON"},
		"within an escape":         {`{"a": "\u00{{ .Summary }}"}`, "it does not make JSON"},
		"no JSON":                  {`hello`, "it does not make JSON"},
		"typo":                     {`{"a": "{{ .Incident.Titel }}"}`, "can't evaluate field Titel"},
		"syntax":                   {`{"a": "{{ .Incident.Title }"}`, "unexpected"},
		"no such function":         {`{"a": "{{ env "HOME" }}"}`, `function "env" not defined`},
		"call":                     {`{"a": "{{ call .Summary }}"}`, "not available"},
		"HTML":                     {`{"a": "{{ html .Summary }}"}`, "not available"},
		"only sometimes JSON":      {`{"a": 1{{ if .Storm.Events }},{{ end }}}`, "with an event of type incident.storm"},
		"too large":                {`{"a": "{{ range .Incident.Causes }}` + strings.Repeat("x", 2000) + `{{ end }}"}`, "the body is larger than max_body_size"},
		"loops":                    {`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, "exceeded maximum template depth"},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			c.Endpoint, c.Body, c.MaxBodySize = "https://example.com", tc.body, 1024
			require.ErrorContains(t, c.Validate(), tc.want)
		})
	}
}

// TestTooLarge is refused and says why, without what is in the event.
func TestTooLarge(t *testing.T) {
	c := DefaultConfig()
	c.Endpoint, c.Body, c.MaxBodySize = "https://example.com", `{"a": "{{ range .Incident.Causes }}{{ $.Incident.Title }}{{ end }}"}`, 4096
	require.NoError(t, c.Validate())
	d, err := New(&c, http.DefaultClient)
	require.NoError(t, err)
	_, err = d.Deliver(t.Context(), notifiertest.Hostile(semconv.EventTypeIncidentOpened, strings.Repeat("secret", 100), 20))
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "refused: the template cannot be used for this event: the body is larger than max_body_size", err.Error())
}

func TestConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"no endpoint":  {func(c *Config) { c.Endpoint = "" }, "endpoint must be"},
		"method":       {func(c *Config) { c.Method = "GET" }, `method must be one of POST, PUT, PATCH, got "GET"`},
		"content type": {func(c *Config) { c.ContentType = "text/xml" }, `content_type must be one of JSON with format json, got "text/xml"; set format`},
		"not ASCII":    {func(c *Config) { c.ContentType = "application/json\n" }, "content_type must be printable ASCII"},
		"size":         {func(c *Config) { c.MaxBodySize = 1 }, "max_body_size must be between 1024 and 1048576, got 1"},
		"no body":      {func(c *Config) { c.Body = "" }, "body must have 1 to 65536 bytes, got 0"},
		"long body":    {func(c *Config) { c.Body = strings.Repeat(" ", 65537) }, "body must have 1 to 65536 bytes, got 65537"},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			c.Endpoint, c.Body = "https://example.com", whole
			require.NoError(t, c.Validate())
			tc.edit(&c)
			require.ErrorContains(t, c.Validate(), tc.want)
		})
	}
	var f Format
	require.ErrorContains(t, f.UnmarshalText([]byte("xml")), `format must be json, form or text, got "xml"`)
	require.NoError(t, f.UnmarshalText([]byte("form")))
}
