package alertmanager

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica plays an Alertmanager, which knows alerts by their labels.
type replica struct {
	alerts map[string]alert
	now    time.Time
}

func newReplica() *replica {
	return &replica{alerts: map[string]alert{}, now: notifiertest.Start.Add(2 * time.Minute)}
}

func (r *replica) answer(q *notifiertest.Request) notifiertest.Answer {
	if q.Method != http.MethodPost || !strings.HasSuffix(q.Path, "/api/v2/alerts") || q.Header.Get("Content-Type") != "application/json" {
		return notifiertest.Violation("not a POST of JSON to /api/v2/alerts")
	}
	var alerts []alert
	decoder := json.NewDecoder(strings.NewReader(string(q.Body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&alerts); err != nil {
		return notifiertest.Violation("not an array of alerts: %v", err)
	}
	for _, a := range alerts {
		if err := check(&a); err != nil {
			return notifiertest.Violation("%v", err)
		}
		r.alerts[fmt.Sprint(a.Labels)] = a // maps are printed in order
	}
	return notifiertest.Answer{}
}

// check is what Alertmanager's Validate and its OpenAPI document demand.
func check(a *alert) error {
	switch {
	case a.Labels["alertname"] == "":
		return fmt.Errorf("alertname is required")
	case a.StartsAt.IsZero() || a.EndsAt.IsZero():
		return fmt.Errorf("start or end time missing")
	case a.EndsAt.Before(a.StartsAt):
		return fmt.Errorf("start time must be before end time")
	case a.GeneratorURL != "" && !strings.HasPrefix(a.GeneratorURL, "https://"):
		return fmt.Errorf("generatorURL must be a URI")
	}
	for _, set := range []map[string]string{a.Labels, a.Annotations} {
		for name, value := range set {
			if !labelName.MatchString(name) || !utf8.ValidString(value) || value == "" {
				return fmt.Errorf("invalid label %q=%q", name, value)
			}
		}
	}
	return nil
}

func (r *replica) firing(name string) int {
	n := 0
	for _, a := range r.alerts {
		if a.Labels["alertname"] == name && a.EndsAt.After(r.now) {
			n++
		}
	}
	return n
}

func newDestination(t testing.TB, client *http.Client, urls ...string) *alertmanager {
	c := DefaultConfig()
	c.Replicas = urls
	require.NoError(t, c.Validate())
	d, err := New(&c, client)
	require.NoError(t, err)
	return d.(*alertmanager)
}

var suite = notifiertest.Suite{
	System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
		r := newReplica()
		return r.answer, func() int { return r.firing("ParamedicIncident") }
	},
	New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
		return newDestination(t, client, url+"/prefix/")
	},
	Traits: Traits,
}

func TestAlertmanager(t *testing.T) { suite.Run(t) }
func FuzzAlertmanager(f *testing.F) { suite.Fuzz(f) }

// incident is a delivery of an incident as it stands at a time.
func incident(severity semconv.Severity, resolved bool, at time.Duration, memory notifier.Memory) *notifier.Message {
	typ := semconv.EventTypeIncidentUpdated
	if resolved {
		typ = semconv.EventTypeIncidentResolved
	}
	m := notifiertest.Message(typ)
	m.Incident.Severity, m.Now, m.Memory = severity, notifiertest.Start.Add(at), memory
	return m
}

// TestTiming sends what fires with an end ahead, and an end for five minutes.
func TestTiming(t *testing.T) {
	r := newReplica()
	s := notifiertest.NewServer(t, r.answer)
	a := newDestination(t, s.HTTPClient(), s.URL)
	var memory notifier.Memory
	deliver := func(m *notifier.Message) time.Duration {
		m.Memory = memory
		after, err := a.Deliver(t.Context(), m)
		require.NoError(t, err)
		if after != nil {
			memory = after
		}
		m.Memory = memory
		return a.Repeat(m)
	}
	only := func() alert {
		require.Len(t, r.alerts, 1, "labels must not change")
		for _, a := range r.alerts {
			return a
		}
		return alert{}
	}
	for at := time.Minute; at < 5*time.Minute; at += time.Minute {
		m := incident(semconv.SeverityMajor, false, at, nil)
		m.Incident.Causes[0].Entity.Name = fmt.Sprint("cause-", at) // which may change
		assert.Equal(t, time.Minute, deliver(m))
		assert.Equal(t, m.Now.Add(3*time.Minute), only().EndsAt)
		assert.Equal(t, m.Incident.StartedAt.UTC(), only().StartsAt)
	}
	assert.Equal(t, "cause-1m0s", only().Labels["service"], "that of the first delivery")

	end := incident(semconv.SeverityMajor, true, 6*time.Minute, nil)
	assert.Equal(t, time.Minute, deliver(end))
	for at := 7 * time.Minute; at < 11*time.Minute; at += time.Minute {
		assert.Equal(t, time.Minute, deliver(incident(semconv.SeverityMajor, true, at, nil)))
		assert.Equal(t, end.Now, only().EndsAt, "the end does not move")
	}
	assert.Zero(t, deliver(incident(semconv.SeverityMajor, true, 11*time.Minute, nil)), "five minutes are enough")

	assert.Equal(t, time.Minute, deliver(incident(semconv.SeverityMajor, false, 12*time.Minute, nil)), "it has been reopened")
	assert.Equal(t, notifiertest.Start.Add(15*time.Minute), only().EndsAt)

	// What was never told of is not repeated, whatever became of it.
	memory = nil
	assert.Zero(t, deliver(incident(semconv.SeverityMajor, true, 6*time.Minute, nil)))
	assert.Zero(t, a.Repeat(notifiertest.Message(semconv.EventTypeRemediationStarted)))
}

// TestEscalation ends the alert with the lesser severity when it begins one with the graver.
func TestEscalation(t *testing.T) {
	r := newReplica()
	s := notifiertest.NewServer(t, r.answer)
	a := newDestination(t, s.HTTPClient(), s.URL)
	var memory notifier.Memory
	for _, step := range []struct {
		severity semconv.Severity
		at       time.Duration
		ends     map[string]time.Duration
	}{
		{semconv.SeverityMinor, 1, map[string]time.Duration{"minor": 4}},
		{semconv.SeverityCritical, 2, map[string]time.Duration{"minor": 2, "critical": 5}},
		{semconv.SeverityCritical, 3, map[string]time.Duration{"minor": 2, "critical": 6}},
		{semconv.SeverityMajor, 4, map[string]time.Duration{"minor": 2, "critical": 7}},
		{semconv.SeverityCritical, 7, map[string]time.Duration{"critical": 10}},
	} {
		clear(r.alerts)
		after, err := a.Deliver(t.Context(), incident(step.severity, false, step.at*time.Minute, memory))
		require.NoError(t, err)
		memory = after
		ends := map[string]time.Duration{}
		for _, a := range r.alerts {
			ends[a.Labels["severity"]] = a.EndsAt.Sub(notifiertest.Start) / time.Minute
			assert.Equal(t, string(step.severity), a.Annotations["current_severity"])
		}
		assert.Equal(t, step.ends, ends, "at %d min", step.at)
	}
}

// TestReplicas tells every replica, and is content with one.
func TestReplicas(t *testing.T) {
	var servers []*notifiertest.Server
	var urls []string
	for range 3 {
		s := notifiertest.NewServer(t, newReplica().answer)
		servers, urls = append(servers, s), append(urls, s.URL)
	}
	a := newDestination(t, servers[0].HTTPClient(), urls...)
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	_, err := a.Deliver(t.Context(), m)
	require.NoError(t, err)
	for _, s := range servers {
		assert.Len(t, s.Requests(), 1)
	}
	faults := map[string]notifiertest.Fault{}
	for _, f := range notifiertest.Faults() {
		faults[f.Name] = f
	}
	refuses, fails := faults["status 400"], faults["status 500"]
	servers[0].Fail(&refuses)
	servers[1].Fail(&fails)
	_, err = a.Deliver(t.Context(), m)
	require.NoError(t, err, "one that took it is enough")
	servers[2].Fail(&refuses)
	_, err = a.Deliver(t.Context(), m)
	var busy *notifier.Busy
	require.ErrorAs(t, err, &busy, "one of them may take it later")
	servers[1].Fail(&refuses)
	_, err = a.Deliver(t.Context(), m)
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
}

// TestApproval fires until somebody has decided.
func TestApproval(t *testing.T) {
	r := newReplica()
	s := notifiertest.NewServer(t, r.answer)
	a := newDestination(t, s.HTTPClient(), s.URL)
	asked := notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	memory, err := a.Deliver(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, 1, r.firing("ParamedicApprovalNeeded"))
	for _, alert := range r.alerts {
		assert.Equal(t, asked.Remediation.ApproveUntil.UTC(), alert.EndsAt)
		assert.Equal(t, "restart", alert.Labels["playbook"])
	}
	assert.NotContains(t, string(s.Requests()[0].Body), notifiertest.Secret, "everybody reads annotations")
	denied := notifiertest.Message(semconv.EventTypeRemediationDenied)
	denied.Memory = memory
	memory, err = a.Deliver(t.Context(), denied)
	require.NoError(t, err)
	assert.Zero(t, r.firing("ParamedicApprovalNeeded"))
	assert.Len(t, r.alerts, 1)
	assert.Empty(t, memory)

	// Much that is asked for does not fill the memory.
	full := notifier.Memory{}
	for i := range maxMemory {
		full[fmt.Sprint(keyAsked, i)] = "x"
	}
	asked.Memory = full
	memory, err = a.Deliver(t.Context(), asked)
	require.NoError(t, err)
	assert.Len(t, memory, maxMemory)
}

// TestOtherAlerts ends by themselves.
func TestOtherAlerts(t *testing.T) {
	for typ, name := range map[semconv.EventType]string{
		semconv.EventTypeIncidentStorm: "ParamedicStorm", semconv.EventTypeRemediationEscalated: "ParamedicPersonNeeded",
	} {
		r := newReplica()
		s := notifiertest.NewServer(t, r.answer)
		m := notifiertest.Message(typ)
		_, err := newDestination(t, s.HTTPClient(), s.URL).Deliver(t.Context(), m)
		require.NoError(t, err)
		assert.Equal(t, 1, r.firing(name))
		r.now = m.Now.Add(lasts)
		assert.Zero(t, r.firing(name))
	}
}

// TestSettings turns each setting.
func TestSettings(t *testing.T) {
	r := newReplica()
	s := notifiertest.NewServer(t, r.answer)
	c := DefaultConfig()
	c.Replicas, c.ResendInterval, c.Labels = []string{s.URL}, 100*time.Second, map[string]string{"team": "sre"}
	d, err := New(&c, s.HTTPClient())
	require.NoError(t, err)
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	_, err = d.Deliver(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, c.ResendInterval, d.(notifier.Repeater).Repeat(m))
	for _, a := range r.alerts {
		assert.Equal(t, "sre", a.Labels["team"])
		assert.Equal(t, m.Now.Add(5*time.Minute), a.EndsAt)
	}
}

// TestMemory reads back what it wrote, and takes what is broken for nothing.
func TestMemory(t *testing.T) {
	want := memory{
		starts: notifiertest.Start, ended: notifiertest.Start.Add(time.Hour), severity: semconv.SeverityCritical, service: "a, b@c",
		was: []formerly{{semconv.SeverityMinor, notifiertest.Start}, {semconv.SeverityMajor, notifiertest.Start.Add(time.Second)}},
	}
	beside := notifier.Memory{"asked/1": "x"}
	encoded := want.encode(beside)
	assert.Equal(t, want, decode(encoded))
	assert.Equal(t, "x", encoded["asked/1"])
	assert.Len(t, beside, 1, "what was given stays")
	assert.Empty(t, decode(notifier.Memory{keyStarts: "x", keyEnded: "y", keyWas: "minor@z,,major"}))
}

func TestGolden(t *testing.T) {
	a := &alertmanager{interval: time.Minute, labels: map[string]string{"team": "sre"}}
	for _, typ := range notifiertest.Types {
		m := notifiertest.Message(typ)
		opened, memory := a.translate(notifiertest.Message(semconv.EventTypeIncidentOpened))
		require.NotEmpty(t, opened)
		if m.Key != "" && typ != semconv.EventTypeIncidentOpened {
			m.Memory = maps.Clone(memory)
		}
		alerts, _ := a.translate(m)
		if len(alerts) == 0 {
			continue
		}
		notifiertest.GoldenJSON(t, notifiertest.Name(typ), alerts)
	}
}

func TestValidate(t *testing.T) {
	c := DefaultConfig()
	c.Endpoint, c.ResendInterval, c.Timeout = "http://am:9093", time.Second, 0
	c.Labels = map[string]string{"severity": "x", "a-b": "x", "empty": ""}
	err := c.Validate()
	for _, want := range []string{
		"endpoint must not be set", "endpoints must have between 1 and 16 URLs, got 0", "resend_interval must be between 10s and 5m, got 1s",
		"labels must not set severity", `letters, digits and _, got "a-b"`, "that of empty has 0", "timeout must be",
	} {
		assert.ErrorContains(t, err, want)
	}
	c = DefaultConfig()
	c.Replicas = []string{"http://am-0:9093/api/v2/alerts", "ftp://am-1", "http://am-2", "http://am-2"}
	c.Labels = map[string]string{}
	for i := range 21 {
		c.Labels[fmt.Sprint("l", i)] = "x"
	}
	err = c.Validate()
	for _, want := range []string{
		"endpoints[0] must not hold /api/v2/alerts", "endpoints[1] must be an http or https URL", "endpoints[3] must not be there twice",
		"labels must have at most 20 entries, got 21",
	} {
		assert.ErrorContains(t, err, want)
	}
	c.Replicas, c.Labels = []string{"http://am-0:9093", "http://am-1:9093/am"}, map[string]string{"team": "sre"}
	require.NoError(t, c.Validate())
	assert.Equal(t, c.Replicas, c.Endpoints())
	var _ driver.Config = &c
}

func TestReadme(t *testing.T) {
	notifiertest.Readme(t, "alertmanager", map[string]string{}, func() driver.Config {
		c := DefaultConfig()
		return &c
	})
}
