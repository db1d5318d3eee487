package pagerduty_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/pagerduty"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDestination(t testing.TB, url string, client *http.Client, change ...func(*pagerduty.Config)) notifier.Destination {
	t.Helper()
	cfg := pagerduty.DefaultConfig()
	cfg.Endpoint, cfg.RoutingKey = url, routingKey
	for _, f := range change {
		f(&cfg)
	}
	require.NoError(t, cfg.Validate())
	d, err := pagerduty.New(&cfg, client)
	require.NoError(t, err)
	return d
}

func suite() *notifiertest.Suite {
	return &notifiertest.Suite{
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			p := newPagerDuty()
			return p.answer, func() int { return len(p.open) }
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			return newDestination(t, url, client)
		},
		Traits:  pagerduty.Traits,
		Secrets: []string{routingKey},
	}
}

func TestSuite(t *testing.T) { suite().Run(t) }

func FuzzDeliver(f *testing.F) { suite().Fuzz(f) }

// talk is a destination with the PagerDuty that it talks to.
type talk struct {
	*notifiertest.Talk
	t *testing.T
	p *pagerDuty
}

func begin(t *testing.T, change ...func(*pagerduty.Config)) *talk {
	p := newPagerDuty()
	return beginWith(t, p, p.answer, change...)
}

func beginWith(t *testing.T, p *pagerDuty, answer func(*notifiertest.Request) notifiertest.Answer, change ...func(*pagerduty.Config)) *talk {
	return &talk{t: t, p: p, Talk: notifiertest.NewTalk(t, answer, func(url string, client *http.Client) notifier.Destination {
		return newDestination(t, url, client, change...)
	})}
}

func (k *talk) alert() *alert {
	k.t.Helper()
	a := k.p.open[notifier.Key("prod-eu", "i-1")]
	require.NotNil(k.t, a)
	return a
}

// TestGolden shows what is sent for each type of event.
func TestGolden(t *testing.T) {
	for _, typ := range notifiertest.Types {
		name := notifiertest.Name(typ)
		t.Run(name, func(t *testing.T) {
			k := begin(t)
			k.All(typ)
			notifiertest.Golden(t, name, k.Server.Requests())
		})
	}
}

// TestAfterTheEnd opens a new alert when the trouble comes back, and none for what comes late.
func TestAfterTheEnd(t *testing.T) {
	k := begin(t)
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentResolved, semconv.EventTypeRemediationEscalated, semconv.EventTypeRemediationSucceeded)
	assert.Empty(t, k.p.open)
	assert.Equal(t, 1, k.p.opened)
	again := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	again.Incident.Reopened, again.Occurrence = 1, 2
	require.NoError(t, k.Deliver(again))
	assert.Equal(t, 2, k.p.opened)
	assert.Contains(t, k.alert().triggers[0].Payload.Summary, "again (#2): ")
	assert.Zero(t, k.p.dropped)
}

// TestChanges tells of a deployment once, however many updates and incidents name it.
func TestChanges(t *testing.T) {
	k := begin(t)
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated)
	require.Len(t, k.p.changes, 1)
	assert.Equal(t, "deployment of service shop/payment: version 1.4 to 1.5 (2026-03-01 10:14:03 UTC)", k.p.changes[0].Payload.Summary)
	assert.Equal(t, "2026-03-01T10:14:03.120Z", k.p.changes[0].Payload.Timestamp, "the time of the change, not of the incident")
	k.Memory = nil
	require.NoError(t, k.Deliver(notifiertest.OfIncident(semconv.EventTypeIncidentOpened, "i-2")))
	assert.Len(t, k.p.changes, 1)
	// After a restart of ours the memory of the incident tells.
	k.Memory = notifier.Memory{}
	k.All(semconv.EventTypeIncidentOpened)
	k.Destination = newDestination(t, k.Server.URL, k.Server.HTTPClient())
	k.All(semconv.EventTypeIncidentUpdated)
	assert.Len(t, k.p.changes, 2)
}

// TestManyChanges bounds what is told.
func TestManyChanges(t *testing.T) {
	k := begin(t)
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	for i := range 50 {
		m.Incident.Changes = append(m.Incident.Changes, eventdata.Change{Summary: fmt.Sprint("change ", i)})
	}
	require.NoError(t, k.Deliver(m))
	assert.Len(t, k.p.changes, 5)
}

// TestBusyAmidst goes on where it was: the alert is not sent again for a change that has to wait.
func TestBusyAmidst(t *testing.T) {
	k := begin(t)
	k.p.perMinute = 1
	err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened))
	var busy *notifier.Busy
	require.ErrorAs(t, err, &busy)
	assert.Equal(t, 30*time.Second, busy.After, "as PagerDuty suggests")
	k.p.perMinute = 100
	k.All(semconv.EventTypeIncidentOpened)
	assert.Len(t, k.alert().triggers, 1)
	assert.Len(t, k.p.changes, 1)
}

// TestBusyChanges does not hold an incident up for ever when only change events are not taken.
func TestBusyChanges(t *testing.T) {
	p := newPagerDuty()
	k := beginWith(t, p, func(q *notifiertest.Request) notifiertest.Answer {
		if q.Path == "/v2/change/enqueue" {
			return notifiertest.Answer{Status: http.StatusInternalServerError}
		}
		return p.answer(q)
	})
	for range 2 {
		require.Error(t, k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened)))
	}
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentResolved)
	assert.Len(t, k.Server.Requests(), 5, "one alert, three attempts at its change, one end")
	assert.Equal(t, notifier.Memory{"state": "resolved"}, k.Memory)
}

// TestHuge names less when all of it is too much.
func TestHuge(t *testing.T) {
	k := begin(t)
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	text := strings.Repeat("&", 1000) // six bytes each, in JSON
	inc := m.Incident
	cause := eventdata.Cause{Entity: eventdata.Entity{Name: text}, Kind: semconv.CauseKind(text), Change: &eventdata.Change{Summary: text}}
	for range 5 {
		cause.Evidence = append(cause.Evidence, eventdata.Evidence{Summary: text})
	}
	for range 60 {
		inc.Causes = append(inc.Causes, cause)
		inc.EntryPoints = append(inc.EntryPoints, text)
		inc.Timeline = append(inc.Timeline, eventdata.TimelineEntry{Text: text})
		inc.Changes = append(inc.Changes, eventdata.Change{Summary: text})
	}
	inc.Impact.Upstream, inc.Impact.Downstream = inc.EntryPoints, inc.EntryPoints
	require.NoError(t, k.Deliver(m))
	got := k.p.open[m.Key].triggers[0]
	assert.Len(t, got.Payload.Details["causes"], 3)
	for _, q := range k.Server.Requests() {
		assert.LessOrEqual(t, len(q.Body), 500_000)
	}
}

// TestRefusedChange does not let an alert that was taken count as lost.
func TestRefusedChange(t *testing.T) {
	p := newPagerDuty()
	k := beginWith(t, p, func(q *notifiertest.Request) notifiertest.Answer {
		if q.Path == "/v2/change/enqueue" {
			return notifiertest.JSON(400, `{"status":"invalid event","message":"Event object is invalid","errors":["no key `+routingKey+`"]}`)
		}
		return p.answer(q)
	})
	k.All(semconv.EventTypeIncidentOpened)
	assert.Equal(t, 1, p.opened)
	// A message that is nothing else is a dead letter, which names no key.
	err := k.Deliver(notifiertest.Message(semconv.EventTypeRemediationStarted))
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Reason, "no key [routing_key]")
}

// TestUnclear retries what is no answer of PagerDuty.
func TestUnclear(t *testing.T) {
	for name, a := range map[string]notifiertest.Answer{
		"200 with an error": notifiertest.JSON(200, `{"status":"error","message":"`+routingKey+`"}`),
		"202 of a proxy":    {Status: 202, Body: "<html>"},
		"204":               {Status: 204},
	} {
		k := beginWith(t, nil, func(*notifiertest.Request) notifiertest.Answer { return a })
		err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened))
		var busy *notifier.Busy
		require.ErrorAs(t, err, &busy, name)
		assert.NotContains(t, err.Error(), routingKey, name)
		assert.Empty(t, k.Memory, name)
	}
}

func TestSettings(t *testing.T) {
	t.Run("updates", func(t *testing.T) {
		k := begin(t, func(c *pagerduty.Config) { c.Updates = false })
		k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated)
		assert.Len(t, k.alert().triggers, 1)
	})
	t.Run("severities", func(t *testing.T) {
		k := begin(t, func(c *pagerduty.Config) {
			c.Severities = driver.BySeverity[string]{Critical: "error", Major: "info", Minor: "info"}
		})
		k.All(semconv.EventTypeIncidentOpened)
		assert.Equal(t, "info", k.alert().triggers[0].Payload.Severity)
	})
	t.Run("each severity", func(t *testing.T) {
		for severity, want := range map[semconv.Severity]string{
			semconv.SeverityCritical: "critical", semconv.SeverityMajor: "error", semconv.SeverityMinor: "warning",
		} {
			k := begin(t)
			m := notifiertest.Message(semconv.EventTypeIncidentOpened)
			m.Incident.Severity = severity
			require.NoError(t, k.Deliver(m))
			assert.Equal(t, want, k.alert().triggers[0].Payload.Severity)
		}
	})
	t.Run("group", func(t *testing.T) {
		k := begin(t, func(c *pagerduty.Config) { c.Group = "shop" })
		k.All(semconv.EventTypeIncidentOpened)
		assert.Equal(t, "shop", k.alert().triggers[0].Payload.Group)
	})
	t.Run("deployments", func(t *testing.T) {
		k := begin(t, func(c *pagerduty.Config) { c.ChangeEvents.Deployments = false })
		k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeRemediationStarted)
		require.Len(t, k.p.changes, 1)
		assert.Contains(t, k.p.changes[0].Payload.Summary, "Playbook restart started")
	})
	t.Run("remediations", func(t *testing.T) {
		k := begin(t, func(c *pagerduty.Config) { c.ChangeEvents.Remediations = false })
		k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeRemediationStarted)
		require.Len(t, k.p.changes, 1)
		assert.Contains(t, k.p.changes[0].Payload.Summary, "version 1.4 to 1.5")
	})
}

// TestBoundary cuts a summary at its limit by runes.
func TestBoundary(t *testing.T) {
	for _, n := range []int{1022, 1023, 1024, 1025, 3000} {
		k := begin(t)
		m := notifiertest.Message(semconv.EventTypeRemediationStarted)
		m.Remediation.Detail = strings.Repeat("😀", n)
		require.NoError(t, k.Deliver(m))
		assert.LessOrEqual(t, len([]rune(k.p.changes[0].Payload.Summary)), 1024)
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pagerduty.Config)
		want   string
	}{
		"default":  {func(c *pagerduty.Config) { c.RoutingKey = "" }, "routing_key must be an integration key of 32 characters, got 0; copy it from the service's integration Events API v2"},
		"spaces":   {func(c *pagerduty.Config) { c.RoutingKey = " 123456789abcdef0123456789abcdef" }, "routing_key must be an integration key of 32 characters, got 32; copy it from the service's integration Events API v2"},
		"severity": {func(c *pagerduty.Config) { c.Severities.Major = "sev2" }, `severities::major must be one of critical, error, warning, info, got "sev2"`},
		"ruleset": {
			func(c *pagerduty.Config) { c.RoutingKey = "R123456789abcdef0123456789abcdef" },
			"change_events must be false with this routing_key, of a ruleset or event orchestration, which takes no change events; switch remediations and deployments off or use the key of a service",
		},
		"endpoint": {func(c *pagerduty.Config) { c.Endpoint = "ftp://x" }, "endpoint must be an http or https URL with a host"},
	} {
		cfg := pagerduty.DefaultConfig()
		cfg.RoutingKey = routingKey
		c.change(&cfg)
		assert.EqualError(t, errors.Join(cfg.Validate()), c.want, name)
	}
	cfg := pagerduty.DefaultConfig()
	cfg.RoutingKey = "R123456789abcdef0123456789abcdef"
	cfg.ChangeEvents = pagerduty.ChangeEvents{}
	assert.NoError(t, cfg.Validate())
	assert.Equal(t, []string{"https://events.pagerduty.com"}, cfg.Endpoints())
}
