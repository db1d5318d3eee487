package servicenow_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/servicenow"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newEvents(t testing.TB, url string, client *http.Client, change ...func(*servicenow.EventsConfig)) notifier.Destination {
	t.Helper()
	cfg := servicenow.DefaultEventsConfig()
	cfg.Endpoint, cfg.Username, cfg.Password = url, username, password
	for _, f := range change {
		f(&cfg)
	}
	require.NoError(t, cfg.Validate())
	d, err := servicenow.NewEvents(&cfg, client)
	require.NoError(t, err)
	return d
}

func eventsSuite() *notifiertest.Suite {
	return &notifiertest.Suite{
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			m := newManager()
			return m.answer, m.open
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			return newEvents(t, url, client)
		},
		Traits:  servicenow.EventsTraits,
		Secrets: []string{password},
	}
}

func TestEventsSuite(t *testing.T) { eventsSuite().Run(t) }

func FuzzEvents(f *testing.F) { eventsSuite().Fuzz(f) }

func beginEvents(t *testing.T, change ...func(*servicenow.EventsConfig)) (*notifiertest.Talk, *manager) {
	m := newManager()
	return notifiertest.NewTalk(t, m.answer, func(url string, client *http.Client) notifier.Destination {
		return newEvents(t, url, client, change...)
	}), m
}

// TestEventsGolden shows what is sent for each type of event.
func TestEventsGolden(t *testing.T) {
	for _, typ := range notifiertest.Types {
		t.Run(notifiertest.Name(typ), func(t *testing.T) {
			k, _ := beginEvents(t)
			k.All(typ)
			notifiertest.Golden(t, "events/"+notifiertest.Name(typ), k.Server.Requests(), "Authorization")
		})
	}
}

// TestEventsAfterTheEnd does not open an alert anew for what comes late, and does when the trouble is back.
func TestEventsAfterTheEnd(t *testing.T) {
	k, m := beginEvents(t)
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentResolved, semconv.EventTypeRemediationSucceeded)
	assert.Zero(t, m.open())
	require.Len(t, m.events, 2)
	assert.Equal(t, "0", m.events[1].Severity)
	assert.Equal(t, "Closing", m.events[1].ResolutionState)
	late := notifiertest.Message(semconv.EventTypeIncidentAcknowledged)
	late.Incident.Status = semconv.StatusResolved
	require.NoError(t, k.Deliver(late))
	assert.Zero(t, m.open())
	k.All(semconv.EventTypeIncidentUpdated)
	assert.Equal(t, 1, m.open())
}

// TestTimeOfEvent is in UTC, whatever the event says.
func TestTimeOfEvent(t *testing.T) {
	k, m := beginEvents(t)
	msg := notifiertest.Message(semconv.EventTypeIncidentOpened)
	msg.Time = time.Date(2026, 8, 22, 12, 15, 3, 999, time.FixedZone("CEST", 7200))
	require.NoError(t, k.Deliver(msg))
	assert.Equal(t, "2026-08-22 10:15:03", m.events[0].TimeOfEvent)
	msg.Time = time.Time{}
	require.NoError(t, k.Deliver(msg))
	assert.Equal(t, "2026-03-01 10:17:03", m.events[1].TimeOfEvent, "that of the attempt if there is none")
}

// TestAdditionalInfo is a string with JSON in it, with what people are asked.
func TestAdditionalInfo(t *testing.T) {
	k, m := beginEvents(t)
	k.All(semconv.EventTypeRemediationApprovalRequested)
	var info map[string]string
	require.NoError(t, json.Unmarshal([]byte(m.events[0].AdditionalInfo), &info))
	assert.Equal(t, "major", info["severity"])
	assert.Contains(t, info["approve_url"], "https://paramedic.example.com/approve?token=")
	assert.Contains(t, info["news"], "asks for consent")
}

func TestEventsSettings(t *testing.T) {
	k, m := beginEvents(t, func(c *servicenow.EventsConfig) {
		c.Source = "ours"
		c.NodeAttributes = []string{"k8s.deployment.name"}
		c.Severities = driver.BySeverity[string]{Critical: "2", Major: "3", Minor: "5"}
		c.Username, c.Password, c.APIKey = "", "", apiKey
	})
	k.All(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "ours", m.events[0].Source)
	assert.Equal(t, "payment", m.events[0].Node)
	assert.Equal(t, "3", m.events[0].Severity)
	for severity, want := range map[semconv.Severity]string{semconv.SeverityCritical: "1", semconv.SeverityMajor: "2", semconv.SeverityMinor: "3"} {
		k, m := beginEvents(t)
		msg := notifiertest.Message(semconv.EventTypeIncidentOpened)
		msg.Incident.Severity = severity
		require.NoError(t, k.Deliver(msg))
		assert.Equal(t, want, m.events[0].Severity)
	}
}

// TestWrongAnswers are those that the platform documents, and those of what stands before it.
func TestWrongAnswers(t *testing.T) {
	reset := func(n string) notifiertest.Answer {
		a := failure(429, "Rate limit exceeded", "Rate limit of 10 requests per hour for Table API exceeded")
		a.Header["X-Ratelimit-Limit"], a.Header["X-Ratelimit-Reset"] = []string{"10"}, []string{n}
		return a
	}
	start := notifiertest.Message(semconv.EventTypeIncidentOpened).Now
	for name, c := range map[string]struct {
		answer notifiertest.Answer
		after  time.Duration
		busy   bool
	}{
		"429 with a reset":     {reset("1772360283"), time.Unix(1772360283, 0).Sub(start), true},
		"429 with a past one":  {reset("1"), 0, true},
		"429 with none":        {reset(""), 0, true},
		"sleeping instance":    {notifiertest.Answer{Status: 200, Body: "<html>Your instance is hibernating</html>"}, 0, true},
		"200 with an error":    {failure(200, "Failed", password), 0, true},
		"401":                  {failure(401, "User Not Authenticated", password), 0, false},
		"403 of a data policy": {failure(403, "Operation Failed", "Data Policy Exception"), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := notifiertest.NewServer(t, func(*notifiertest.Request) notifiertest.Answer { return c.answer })
			for _, d := range []notifier.Destination{newEvents(t, server.URL, server.HTTPClient()), newIncidents(t, server.URL, server.HTTPClient())} {
				_, err := d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
				var busy *notifier.Busy
				var refused *notifier.Refused
				if c.busy {
					require.ErrorAs(t, err, &busy)
					assert.Equal(t, c.after, busy.After)
				} else {
					require.ErrorAs(t, err, &refused)
				}
				assert.NotContains(t, err.Error(), password)
			}
		})
	}
}
