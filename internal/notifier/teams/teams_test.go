package teams

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	flowPath  = "/workflows/abc/triggers/manual/paths/invoke"
	flowQuery = "api-version=2016-06-01&sig=s3cretsig"
)

// newFlow plays a workflow, which documents 28 KB and the elements of adaptive cards.
func newFlow() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
	return func(r *notifiertest.Request) notifiertest.Answer {
		if r.Method != http.MethodPost || r.Path != flowPath || r.Query != flowQuery {
			return notifiertest.Violation("the trigger's URL must be kept as it is")
		}
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			return notifiertest.Violation("TriggerInputSchemaMismatch")
		}
		if len(r.Body) > 28<<10 {
			return notifiertest.Answer{Status: http.StatusRequestEntityTooLarge, Violation: fmt.Sprintf("%d bytes", len(r.Body))}
		}
		if err := checkMessage(r.Body); err != nil {
			return notifiertest.Violation("%v", err)
		}
		return notifiertest.Answer{Status: http.StatusAccepted}
	}, nil
}

func checkMessage(body []byte) error {
	var m message
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return err
	}
	switch {
	case m.Type != "message" || len(m.Attachments) != 1:
		return fmt.Errorf("a message must have one card")
	case m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive":
		return fmt.Errorf("workflows take adaptive cards only")
	}
	c := m.Attachments[0].Content
	if c.Type != "AdaptiveCard" || c.Version == "" || c.FallbackText == "" || len(c.Body) == 0 || len(c.Actions) > 6 {
		return fmt.Errorf("not an adaptive card of Teams")
	}
	for _, e := range c.Body {
		if e.Type != "RichTextBlock" || len(e.Inlines) == 0 {
			return fmt.Errorf("%s: text of telemetry must not be read as Markdown", e.Type)
		}
		for _, r := range e.Inlines {
			if r.Type != "TextRun" || r.Text == "" && r.Weight != "" {
				return fmt.Errorf("not a TextRun with text: %+v", r)
			}
		}
	}
	for _, a := range c.Actions {
		if u, err := url.Parse(a.URL); err != nil || u.Scheme != "https" || a.Type != "Action.OpenUrl" || a.Title == "" {
			return fmt.Errorf("not an Action.OpenUrl: %+v", a)
		}
	}
	return nil
}

func newTeams(t testing.TB, url string, client *http.Client) notifier.Destination {
	c := DefaultConfig()
	c.Endpoint = url + flowPath + "?" + flowQuery
	require.NoError(t, c.Validate())
	d, err := New(&c, client)
	require.NoError(t, err)
	d.(*teams).limit = rate.NewLimiter(rate.Inf, 0)
	return d
}

var suite = notifiertest.Suite{System: newFlow, New: newTeams, Traits: Traits, Secrets: []string{"s3cretsig"}}

func TestTeams(t *testing.T) { suite.Run(t) }
func FuzzTeams(f *testing.F) { suite.Fuzz(f) }

// TestAnswers knows what the answers mean.
func TestAnswers(t *testing.T) {
	const failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error "
	for _, tt := range []struct {
		name, body          string
		status              int
		busy, refused, gone bool
		requests            int
	}{
		{name: "workflow", status: 202, requests: 1},
		{name: "connector", status: 200, body: "1", requests: 1},
		{name: "429 within 200", status: 200, body: failed + "429 with ContextId tcid=0", busy: true, requests: 1},
		{name: "500 within 200", status: 200, body: failed + "500", busy: true, requests: 1},
		{name: "413 within 200", status: 200, body: failed + "413 with ContextId tcid=1", refused: true, requests: 2},
		{name: "404 within 200", status: 200, body: failed + "404", refused: true, requests: 1},
		{name: "410 within 200", status: 200, body: failed + "410", refused: true, gone: true, requests: 1},
		{name: "202 within 200", status: 200, body: failed + "202", busy: true, requests: 1},
		{name: "no status within 200", status: 200, body: "Webhook Bad Request - message delivery failed", busy: true, requests: 1},
		{name: "too large", status: 413, refused: true, requests: 2},
		{name: "flow is off", status: 400, body: `{"error":{"code":"WorkflowTriggerIsNotEnabled"}}`, refused: true, requests: 1},
		{name: "flow is deleted", status: 404, body: `{"error":{"code":"WorkflowNotFound"}}`, refused: true, requests: 1},
		{name: "wrong signature", status: 401, body: `{"error":{"code":"DirectApiAuthorizationRequired"}}`, refused: true, requests: 1},
		{name: "throttled", status: 429, body: `{"error":{"code":"WorkflowRunActionThrottled"}}`, busy: true, requests: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := notifiertest.NewServer(t, func(*notifiertest.Request) notifiertest.Answer {
				return notifiertest.Answer{Status: tt.status, Body: tt.body}
			})
			_, err := newTeams(t, s.URL, s.HTTPClient()).Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
			assert.Len(t, s.Requests(), tt.requests)
			var busy *notifier.Busy
			var refused *notifier.Refused
			switch {
			case tt.busy:
				require.ErrorAs(t, err, &busy)
			case tt.refused:
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, tt.gone, refused.Gone)
			default:
				require.NoError(t, err)
			}
			if err != nil {
				assert.NotContains(t, err.Error(), "s3cretsig")
			}
		})
	}
}

// TestTooLarge sends a smaller card where the first was too large.
func TestTooLarge(t *testing.T) {
	s := notifiertest.NewServer(t, func(r *notifiertest.Request) notifiertest.Answer {
		if len(r.Body) > 2000 {
			return notifiertest.Answer{Status: http.StatusRequestEntityTooLarge}
		}
		return notifiertest.Answer{Status: http.StatusAccepted}
	})
	_, err := newTeams(t, s.URL, s.HTTPClient()).Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
	require.NoError(t, err)
	assert.Contains(t, string(s.Requests()[1].Body), "https://paramedic.example.com/incidents/i-1", "the way to the rest stays")
}

// TestSize keeps a card within its bound however much there is to tell, and whatever it is escaped to.
func TestSize(t *testing.T) {
	m := notifiertest.Hostile(semconv.EventTypeIncidentOpened, strings.Repeat("<", 3000), 60)
	m.Links = notifier.Links{
		Incident: "https://x.example.com/" + strings.Repeat("a", 1970), Approve: "https://x.example.com/" + strings.Repeat("b", 1970),
		Deny: "https://x.example.com/" + strings.Repeat("c", 1970),
	}
	body, err := encode(m, 0)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(body), maxCard)
	require.NoError(t, checkMessage(body))
	assert.Contains(t, string(body), "shortened")
	body, err = encode(m, smallest)
	require.NoError(t, err)
	assert.Less(t, len(body), 10_000, "what fits in any case")
}

// TestUpdates posts an update only when there is something new.
func TestUpdates(t *testing.T) {
	answer, _ := newFlow()
	s := notifiertest.NewServer(t, answer)
	d := newTeams(t, s.URL, s.HTTPClient())
	var memory notifier.Memory
	grave := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	grave.Incident.Severity = semconv.SeverityCritical
	for i, step := range []struct {
		m        *notifier.Message
		requests int
	}{
		{notifiertest.Message(semconv.EventTypeIncidentOpened), 1},
		{notifiertest.Message(semconv.EventTypeIncidentUpdated), 1},
		{grave, 2},
		{grave, 2},
		{notifiertest.Message(semconv.EventTypeIncidentResolved), 3},
	} {
		step.m.Memory = memory
		after, err := d.Deliver(t.Context(), step.m)
		require.NoError(t, err)
		if after != nil {
			memory = after
		}
		assert.Len(t, s.Requests(), step.requests, "step %d", i)
	}
}

// TestRate stays below four requests a second, which the server enforces.
func TestRate(t *testing.T) {
	var at []time.Time
	s := notifiertest.NewServer(t, func(*notifiertest.Request) notifiertest.Answer {
		at = append(at, time.Now())
		if n := len(at); n > 4 && at[n-1].Sub(at[n-5]) < time.Second {
			return notifiertest.Answer{Status: http.StatusTooManyRequests, Violation: "more than four requests a second"}
		}
		return notifiertest.Answer{Status: http.StatusAccepted}
	})
	c := DefaultConfig()
	c.Endpoint = s.URL
	d, err := New(&c, s.HTTPClient())
	require.NoError(t, err)
	for range 6 {
		_, err := d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
		require.NoError(t, err)
	}
}

func TestGolden(t *testing.T) {
	for _, typ := range notifiertest.Types {
		body, err := encode(notifiertest.Message(typ), 0)
		require.NoError(t, err)
		notifiertest.GoldenJSON(t, notifiertest.Name(typ), json.RawMessage(body))
	}
}

func TestValidate(t *testing.T) {
	c := DefaultConfig()
	require.ErrorContains(t, c.Validate(), "endpoint must be an http or https URL with a host")
	c.Endpoint, c.Timeout = "https://prod-1.westeurope.logic.azure.com"+flowPath+"?"+flowQuery, 0
	err := c.Validate()
	require.ErrorContains(t, err, "timeout must be")
	assert.NotContains(t, err.Error(), "s3cretsig")
	c.Timeout = time.Second
	require.NoError(t, c.Validate())
	var _ driver.Config = &c
}

func TestReadme(t *testing.T) {
	notifiertest.Readme(t, "teams", map[string]string{"TEAMS_WORKFLOW_URL": "https://prod-1.westeurope.logic.azure.com/workflows/x?sig=y"}, func() driver.Config {
		c := DefaultConfig()
		return &c
	})
}
