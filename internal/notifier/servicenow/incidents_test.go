package servicenow_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/servicenow"
	"github.com/paramedic-otel/paramedic/semconv"
)

func newIncidents(t testing.TB, url string, client *http.Client, change ...func(*servicenow.IncidentsConfig)) notifier.Destination {
	t.Helper()
	cfg := servicenow.DefaultIncidentsConfig()
	cfg.Endpoint, cfg.Username, cfg.Password = url, username, password
	for _, f := range change {
		f(&cfg)
	}
	require.NoError(t, cfg.Validate())
	d, err := servicenow.NewIncidents(&cfg, client)
	require.NoError(t, err)
	return d
}

func incidentsSuite() *notifiertest.Suite {
	return &notifiertest.Suite{
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			s := newTable()
			return s.answer, s.open
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			return newIncidents(t, url, client)
		},
		Traits:  servicenow.IncidentsTraits,
		Secrets: []string{password},
	}
}

func TestIncidentsSuite(t *testing.T) { incidentsSuite().Run(t) }

func FuzzIncidents(f *testing.F) { incidentsSuite().Fuzz(f) }

func beginIncidents(t *testing.T, change ...func(*servicenow.IncidentsConfig)) (*notifiertest.Talk, *table) {
	s := newTable()
	return notifiertest.NewTalk(t, s.answer, func(url string, client *http.Client) notifier.Destination {
		return newIncidents(t, url, client, change...)
	}), s
}

// TestIncidentsGolden shows what is sent for each type of event of an incident that has a record.
func TestIncidentsGolden(t *testing.T) {
	for _, typ := range notifiertest.Types {
		t.Run(notifiertest.Name(typ), func(t *testing.T) {
			k, _ := beginIncidents(t)
			n := 0
			if typ != semconv.EventTypeIncidentOpened {
				k.All(semconv.EventTypeIncidentOpened)
				n = len(k.Server.Requests())
			}
			k.All(typ)
			notifiertest.Golden(t, "incidents/"+notifiertest.Name(typ), k.Server.Requests()[n:], "Authorization")
		})
	}
}

// TestRecord follows one record.
func TestRecord(t *testing.T) {
	k, s := beginIncidents(t)
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged)
	require.Len(t, s.rows, 1)
	r := s.rows[0]
	assert.Equal(t, "2", r.fields["state"], "in progress, since a person has taken it on")
	k.All(semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationSucceeded, semconv.EventTypeIncidentResolved)
	assert.Equal(t, "6", r.fields["state"])
	assert.Equal(t, "Solution provided", r.fields["close_code"])
	assert.Equal(t, "Resolved: the symptoms are gone.", r.fields["close_notes"])
	assert.Len(t, r.notes, 5)
	assert.Equal(t, notifier.Memory{"sys_id": r.fields["sys_id"], "number": "INC0000001", "severity": "major"}, k.Memory)
	// What comes late leaves the record alone, and opens none.
	k.All(semconv.EventTypeRemediationRolledBack)
	assert.Len(t, r.notes, 5)
	require.Len(t, s.rows, 1)
	// The trouble is back: a record of its own, with the same correlation.
	again := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	again.ID, again.Incident.Reopened, again.Occurrence = "e-9", 1, 2
	require.NoError(t, k.Deliver(again))
	require.Len(t, s.rows, 2)
	assert.Equal(t, s.rows[1].fields["sys_id"], k.Memory["sys_id"])
	assert.Equal(t, r.fields["correlation_id"], s.rows[1].fields["correlation_id"])
	assert.Contains(t, s.rows[1].fields["short_description"], "again (#2): ")
}

// TestClosedByHand opens a new record when a person closed the one of an incident that goes on.
func TestClosedByHand(t *testing.T) {
	for _, state := range []string{"6", "7", "8"} {
		k, s := beginIncidents(t)
		k.All(semconv.EventTypeIncidentOpened)
		s.rows[0].fields["state"] = state
		k.All(semconv.EventTypeRemediationStarted)
		assert.Len(t, s.rows, 1, "an action is no reason for a record")
		k.All(semconv.EventTypeIncidentUpdated)
		assert.Len(t, s.rows, 2)
		k.All(semconv.EventTypeIncidentResolved)
		assert.Equal(t, state, s.rows[0].fields["state"])
		assert.Equal(t, "6", s.rows[1].fields["state"])
	}
}

// TestDeletedByHand goes on with what it finds.
func TestDeletedByHand(t *testing.T) {
	k, s := beginIncidents(t)
	k.All(semconv.EventTypeIncidentOpened)
	s.rows = nil
	k.All(semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentUpdated)
	assert.Len(t, s.rows, 1)
	s.rows = nil
	k.All(semconv.EventTypeIncidentResolved)
	assert.Empty(t, s.rows)
}

// TestTimeoutOfCreate finds the record that an attempt made whose answer was lost, and adds no second note.
func TestTimeoutOfCreate(t *testing.T) {
	k, s := beginIncidents(t)
	s.noneIs404 = true
	k.All(semconv.EventTypeIncidentOpened)
	k.Memory = nil
	k.All(semconv.EventTypeIncidentOpened)
	require.Len(t, s.rows, 1)
	assert.Empty(t, s.rows[0].notes)
	assert.Equal(t, s.rows[0].fields["sys_id"], k.Memory["sys_id"])
	memory := k.Memory
	k.All(semconv.EventTypeIncidentUpdated)
	k.Memory = memory
	k.All(semconv.EventTypeIncidentUpdated)
	assert.Len(t, s.rows[0].notes, 1)
}

// TestForeignRecord is never touched: an instance that does not understand a query answers with any record.
func TestForeignRecord(t *testing.T) {
	k, s := beginIncidents(t)
	s.ignoresQuery = true
	s.rows = []*tableRow{{fields: map[string]string{"sys_id": strings.Repeat("a", 32), "state": "2"}}}
	err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened))
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Reason, "the table does not know correlation_id")
	assert.Len(t, s.rows, 1)
	assert.Empty(t, s.rows[0].notes)
}

// TestStateKept is told: the platform leaves out what the user must not write without a word.
func TestStateKept(t *testing.T) {
	k, s := beginIncidents(t)
	k.All(semconv.EventTypeIncidentOpened)
	s.keepsState = true
	err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentResolved))
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Reason, "record INC0000001 was not resolved")
}

// TestCloseCode shows the instance's own words when it does not know the code.
func TestCloseCode(t *testing.T) {
	k, s := beginIncidents(t, func(c *servicenow.IncidentsConfig) { c.CloseCode = "Healed" })
	k.All(semconv.EventTypeIncidentOpened)
	err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentResolved))
	require.ErrorContains(t, err, "Data Policy Exception")
	assert.Equal(t, 1, s.open())
	k, s = beginIncidents(t, func(c *servicenow.IncidentsConfig) { c.CloseCode = "Fixed" })
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentResolved)
	assert.Equal(t, "Fixed", s.rows[0].fields["close_code"])
}

// TestGrade changes impact and urgency only with the severity: people may have set others.
func TestGrade(t *testing.T) {
	k, s := beginIncidents(t)
	k.All(semconv.EventTypeIncidentOpened)
	s.rows[0].fields["impact"] = "3"
	k.All(semconv.EventTypeIncidentUpdated)
	assert.Equal(t, "3", s.rows[0].fields["impact"])
	m := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	m.ID, m.Incident.Severity = "e-9", semconv.SeverityCritical
	require.NoError(t, k.Deliver(m))
	assert.Equal(t, "1", s.rows[0].fields["impact"])
	assert.Equal(t, "1", s.rows[0].fields["urgency"])
}

func TestIncidentsSettings(t *testing.T) {
	k, s := beginIncidents(t, func(c *servicenow.IncidentsConfig) {
		c.Fields = map[string]string{"category": "software", "assignment_group": strings.Repeat("b", 32)}
		c.Severities.Major = servicenow.Grade{Impact: "3", Urgency: "3"}
		c.States.InProgress = "3"
		c.Username, c.Password, c.APIKey = "", "", apiKey
	})
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentAcknowledged)
	f := s.rows[0].fields
	assert.Equal(t, "software", f["category"])
	assert.Equal(t, "3", f["impact"])
	assert.Equal(t, "3", f["state"])
	// Another table, and states of its own.
	var paths []string
	server := notifiertest.NewServer(t, func(q *notifiertest.Request) notifiertest.Answer {
		paths = append(paths, q.Path+" "+q.Query)
		return notifiertest.JSON(200, `{"result":[]}`)
	})
	d := newIncidents(t, server.URL, server.HTTPClient(), func(c *servicenow.IncidentsConfig) {
		c.Table, c.States.Resolved, c.States.Closed = "u_incident", "10", []string{"10", "11"}
	})
	_, err := d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentResolved))
	require.NoError(t, err)
	assert.Contains(t, paths[0], "/api/now/table/u_incident ")
	assert.Contains(t, paths[0], "stateNOT+IN10%2C11")
}

// TestBoundary cuts at the limits, by runes.
func TestBoundary(t *testing.T) {
	for _, n := range []int{159, 160, 161, 399} {
		k, s := beginIncidents(t)
		m := notifiertest.Message(semconv.EventTypeIncidentOpened)
		m.Incident.Title, m.Incident.Causes = strings.Repeat("😀", n), nil
		require.NoError(t, k.Deliver(m))
		assert.Len(t, []rune(s.rows[0].fields["short_description"]), min(n, 160))
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*servicenow.IncidentsConfig){
		"one of username with password, api_key and auth must be set, got 0 of them":                           func(c *servicenow.IncidentsConfig) { c.Username, c.Password = "", "" },
		"one of username with password, api_key and auth must be set, got 2 of them":                           func(c *servicenow.IncidentsConfig) { c.APIKey = apiKey },
		"username and password must be set together":                                                           func(c *servicenow.IncidentsConfig) { c.Password = "" },
		"username must not hold a colon, which ends it in a header":                                            func(c *servicenow.IncidentsConfig) { c.Username = "a:b" },
		"endpoint must be an http or https URL with a host":                                                    func(c *servicenow.IncidentsConfig) { c.Endpoint = "" },
		`table must be the name of a table, such as incident, got "../x"`:                                      func(c *servicenow.IncidentsConfig) { c.Table = "../x" },
		"close_code must be set to one of the instance's, got nothing; records cannot be resolved without":     func(c *servicenow.IncidentsConfig) { c.CloseCode = " " },
		`severities::minor must have an impact and an urgency of 1, 2 or 3, got "0" and "2"`:                   func(c *servicenow.IncidentsConfig) { c.Severities.Minor.Impact = "0" },
		`states must be numbers, got "x"`:                                                                      func(c *servicenow.IncidentsConfig) { c.States.New = "x" },
		`states::closed must hold states::resolved, "6"; else a resolved record would be found as an open one`: func(c *servicenow.IncidentsConfig) { c.States.Closed = []string{"7"} },
		"states::closed must hold neither states::new nor states::in_progress":                                 func(c *servicenow.IncidentsConfig) { c.States.Closed = []string{"6", "1"} },
		"fields must not set state, which the driver sets":                                                     func(c *servicenow.IncidentsConfig) { c.Fields = map[string]string{"state": "1"} },
		`fields must be named like columns of the table, such as assignment_group, got "A b"`:                  func(c *servicenow.IncidentsConfig) { c.Fields = map[string]string{"A b": "1"} },
		"fields::category must have at most 4000 characters, got 4001": func(c *servicenow.IncidentsConfig) {
			c.Fields = map[string]string{"category": strings.Repeat("x", 4001)}
		},
	} {
		cfg := servicenow.DefaultIncidentsConfig()
		cfg.Endpoint, cfg.Username, cfg.Password = "https://example.service-now.com", username, password
		change(&cfg)
		assert.ErrorContains(t, cfg.Validate(), want)
	}
	for want, change := range map[string]func(*servicenow.EventsConfig){
		"source must have 1 to 100 characters, got 0":                                func(c *servicenow.EventsConfig) { c.Source = "" },
		`severities::major must be one of 1, 2, 3, 4, 5, got "0"; 0 clears an alert`: func(c *servicenow.EventsConfig) { c.Severities.Major = "0" },
		"node_attributes must have at most 20 entries, got 21":                       func(c *servicenow.EventsConfig) { c.NodeAttributes = make([]string, 21) },
	} {
		cfg := servicenow.DefaultEventsConfig()
		cfg.Endpoint, cfg.Username, cfg.Password = "https://example.service-now.com", username, password
		change(&cfg)
		assert.ErrorContains(t, cfg.Validate(), want)
	}
}
