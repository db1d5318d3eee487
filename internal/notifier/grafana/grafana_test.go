package grafana

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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

const testToken = "glsa_s3crett0ken"

// server plays Grafana.
type server struct {
	annotations map[int64]*annotation
	last        int64
}

func newServer() *server { return &server{annotations: map[int64]*annotation{}} }

var okHTML = regexp.MustCompile(`^(<a href="https://[^"<>]+">[^<>"]*</a>)?([^<>"]|<br>)*$`)

// check enforces what Grafana does, and that nothing but our link is HTML.
func check(a *annotation) error {
	b, err := json.Marshal(a.Tags)
	switch {
	case err != nil || len(b) > 500:
		return fmt.Errorf("tags length (%d) exceeds the maximum allowed (500)", len(b))
	case a.Text == "":
		return fmt.Errorf("text field should not be empty")
	case !utf8.ValidString(a.Text) || !okHTML.MatchString(a.Text):
		return fmt.Errorf("text holds HTML that is not ours: %.300q", a.Text)
	case a.Time <= 1e12:
		return fmt.Errorf("time %d is not in milliseconds", a.Time)
	case a.TimeEnd != 0 && a.TimeEnd < a.Time:
		return fmt.Errorf("a region must not end before it begins")
	}
	for i, t := range a.Tags {
		if t == "" || len(t) > 100 || slices.Contains(a.Tags[:i], t) {
			return fmt.Errorf("tag %.200q is empty, too long or twice there", t)
		}
	}
	return nil
}

func (s *server) answer(r *notifiertest.Request) notifiertest.Answer {
	const path = "/grafana/api/annotations"
	if r.Header.Get("Authorization") != "Bearer "+testToken {
		return notifiertest.Answer{Status: http.StatusUnauthorized, Violation: "no token"}
	}
	if r.Method != http.MethodGet && r.Header.Get("Content-Type") != "application/json" {
		return notifiertest.Violation("bad request data")
	}
	var a annotation
	decoder := json.NewDecoder(strings.NewReader(string(r.Body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil && r.Method != http.MethodGet {
		return notifiertest.Violation("bad request data: %v", err)
	}
	switch {
	case r.Method == http.MethodGet && r.Path == path:
		return s.search(r)
	case r.Method == http.MethodPost && r.Path == path:
		if err := check(&a); err != nil {
			return notifiertest.Violation("%v", err)
		}
		s.last++
		s.annotations[s.last] = &a
		return notifiertest.JSON(200, fmt.Sprintf(`{"message":"Annotation added","id":%d}`, s.last))
	case r.Method == http.MethodPatch && strings.HasPrefix(r.Path, path+"/"):
		id, err := strconv.ParseInt(strings.TrimPrefix(r.Path, path+"/"), 10, 64)
		if err != nil {
			return notifiertest.Violation("annotationId is invalid")
		}
		old := s.annotations[id]
		if old == nil {
			return notifiertest.JSON(404, `{"message":"Could not find annotation to update"}`)
		}
		if a.Time == 0 {
			a.Time = old.Time
		}
		if a.TimeEnd == 0 {
			a.TimeEnd = old.TimeEnd
		}
		if err := check(&a); err != nil {
			return notifiertest.Violation("%v", err)
		}
		s.annotations[id] = &a
		return notifiertest.JSON(200, `{"message":"Annotation patched"}`)
	}
	return notifiertest.Violation("no such API")
}

func (s *server) search(r *notifiertest.Request) notifiertest.Answer {
	query, err := url.ParseQuery(r.Query)
	if err != nil || len(query["tags"]) != 1 {
		return notifiertest.Violation("search by one tag")
	}
	found := []map[string]any{}
	for id := int64(1); id <= s.last; id++ {
		if a := s.annotations[id]; a != nil && slices.Contains(a.Tags, query.Get("tags")) {
			found = append(found, map[string]any{"id": id, "tags": a.Tags})
		}
	}
	b, _ := json.Marshal(found)
	return notifiertest.JSON(200, string(b))
}

// open is how many incidents have no end.
func (s *server) open() int {
	n := 0
	for _, a := range s.annotations {
		if slices.Contains(a.Tags, "incident") && a.TimeEnd <= a.Time {
			n++
		}
	}
	return n
}

func newGrafana(t testing.TB, url string, client *http.Client) notifier.Destination {
	c := DefaultConfig()
	c.Endpoint, c.Token = url+"/grafana/", testToken
	require.NoError(t, c.Validate())
	d, err := New(&c, client)
	require.NoError(t, err)
	return d
}

var suite = notifiertest.Suite{
	System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
		s := newServer()
		return s.answer, s.open
	},
	New: newGrafana, Traits: Traits, Secrets: []string{testToken},
}

func TestGrafana(t *testing.T) { suite.Run(t) }
func FuzzGrafana(f *testing.F) { suite.Fuzz(f) }

// TestRegion makes one annotation of an incident and ends it, and marks what was done.
func TestRegion(t *testing.T) {
	s := newServer()
	h := notifiertest.NewServer(t, s.answer)
	d := newGrafana(t, h.URL, h.HTTPClient())
	memory, err := d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
	require.NoError(t, err)
	assert.Equal(t, notifier.Memory{keyID: "1"}, memory)
	assert.Equal(t, notifiertest.Start.Add(-8*time.Second).UnixMilli(), s.annotations[1].Time)
	assert.Zero(t, s.annotations[1].TimeEnd)
	assert.Subset(t, s.annotations[1].Tags, []string{"paramedic", "incident", "service:shop/payment", "cluster:prod-eu", "severity:major"})

	started := notifiertest.Message(semconv.EventTypeRemediationStarted)
	started.Memory = memory
	after, err := d.Deliver(t.Context(), started)
	require.NoError(t, err)
	assert.Nil(t, after)
	assert.Contains(t, s.annotations[2].Tags, "remediation")

	resolved := notifiertest.Message(semconv.EventTypeIncidentResolved)
	resolved.Memory = memory
	_, err = d.Deliver(t.Context(), resolved)
	require.NoError(t, err)
	assert.Len(t, s.annotations, 2)
	assert.Equal(t, resolved.Incident.ResolvedAt.UnixMilli(), s.annotations[1].TimeEnd)
	assert.Contains(t, s.annotations[1].Text, "RESOLVED")

	// It has been reopened.
	updated := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	updated.Memory = memory
	_, err = d.Deliver(t.Context(), updated)
	require.NoError(t, err)
	assert.Equal(t, 1, s.open())

	// Somebody deletes it.
	delete(s.annotations, 1)
	memory, err = d.Deliver(t.Context(), resolved)
	require.NoError(t, err)
	assert.Equal(t, notifier.Memory{keyID: "3"}, memory)
}

// TestStorm is a region from its first to its last moment.
func TestStorm(t *testing.T) {
	s := newServer()
	h := notifiertest.NewServer(t, s.answer)
	d := newGrafana(t, h.URL, h.HTTPClient())
	m := notifiertest.Message(semconv.EventTypeIncidentStorm)
	for range 2 {
		_, err := d.Deliver(t.Context(), m)
		require.NoError(t, err)
	}
	require.Len(t, s.annotations, 1)
	assert.Equal(t, m.Storm.To.UnixMilli(), s.annotations[1].TimeEnd)
}

// TestMissing takes a 404 at the search for what it is: a wrong path.
func TestMissing(t *testing.T) {
	h := notifiertest.NewServer(t, func(*notifiertest.Request) notifiertest.Answer {
		return notifiertest.JSON(404, `{"message":"Not found"}`)
	})
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	m.Memory = notifier.Memory{keyID: "7"}
	_, err := newGrafana(t, h.URL, h.HTTPClient()).Deliver(t.Context(), m)
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
	assert.Len(t, h.Requests(), 2)
}

// TestSettings turns each setting.
func TestSettings(t *testing.T) {
	s := newServer()
	h := notifiertest.NewServer(t, func(r *notifiertest.Request) notifiertest.Answer {
		r.Path = strings.Replace(r.Path, "/apis/annotations.example/v1", "/api/annotations", 1)
		return s.answer(r)
	})
	c := DefaultConfig()
	c.Endpoint, c.Token, c.Path, c.Tags = h.URL+"/grafana", testToken, "/apis/annotations.example/v1", []string{"sre"}
	c.Dashboard, c.Panel = "d4sh", 3
	require.NoError(t, c.Validate())
	d, err := New(&c, h.HTTPClient())
	require.NoError(t, err)
	_, err = d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
	require.NoError(t, err)
	a := s.annotations[1]
	assert.Contains(t, a.Tags, "sre")
	assert.NotContains(t, a.Tags, "paramedic")
	assert.Equal(t, "d4sh", a.DashboardUID)
	assert.Equal(t, int64(3), a.PanelID)
}

func TestTag(t *testing.T) {
	for _, value := range []string{strings.Repeat("x", 500), strings.Repeat("😀", 200), "", "a:b", strings.Repeat("\u0301", 100)} {
		for _, name := range []string{"service", strings.Repeat("é", 90), "a:b"} {
			got := tag(name, value)
			assert.LessOrEqual(t, len(got), maxTag)
			assert.True(t, utf8.ValidString(got))
			assert.NotEmpty(t, got)
		}
	}
	assert.Equal(t, "service:shop/payment", tag("service", "shop/payment"))
	many := []string{"first"}
	for i := range 50 {
		many = append(many, tag("n", strings.Repeat("y", 40)+fmt.Sprint(i)))
	}
	b, err := json.Marshal(fit(many[:1], many))
	require.NoError(t, err)
	assert.LessOrEqual(t, len(b), maxTags)
	assert.Contains(t, string(b), `"first"`)
}

func TestGolden(t *testing.T) {
	c := DefaultConfig()
	g := &grafana{cfg: &c}
	for _, typ := range notifiertest.Types {
		a, _ := g.translate(notifiertest.Message(typ))
		notifiertest.GoldenJSON(t, notifiertest.Name(typ), a)
	}
}

func TestValidate(t *testing.T) {
	c := DefaultConfig()
	c.Timeout, c.Path, c.Tags, c.Dashboard = 0, "api?x", []string{"", strings.Repeat("t", 51), "a", "b", "c", "d"}, "d4sh"
	err := c.Validate()
	for _, want := range []string{
		"endpoint must be an http or https URL", "timeout must be", "token must be set", `path must begin with / and have neither host nor query, got "api?x"`,
		"tags must have at most 5 entries, got 6", `tags must have 1 to 50 bytes, got ""`, "dashboard_uid and panel_id must be set together",
	} {
		assert.ErrorContains(t, err, want)
	}
	c = DefaultConfig()
	c.Endpoint, c.Token = "https://grafana.example.com/grafana", testToken
	require.NoError(t, c.Validate())
	var _ driver.Config = &c
}

func TestReadme(t *testing.T) {
	notifiertest.Readme(t, "grafana", map[string]string{"GRAFANA_TOKEN": testToken}, func() driver.Config {
		c := DefaultConfig()
		return &c
	})
}
