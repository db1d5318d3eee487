package wording_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// check wants lines of printable characters within bounds, and no empty lists.
func check(t *testing.T, s *wording.Story) {
	t.Helper()
	line := func(text string, limit int) {
		assert.NotEmpty(t, text)
		assert.LessOrEqual(t, utf8.RuneCountInString(text), limit)
		assert.True(t, utf8.ValidString(text))
		assert.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
	}
	line(s.Headline, 300)
	line(s.Footer, 500)
	for _, f := range s.Facts {
		line(f.Name, 50)
		line(f.Value, 500)
	}
	for _, l := range s.Lists {
		line(l.Title, 50)
		require.NotEmpty(t, l.Items)
		assert.LessOrEqual(t, len(l.Items), 6)
		for _, item := range l.Items {
			line(item, 500)
		}
	}
}

func TestTell(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range notifiertest.Types {
		s := wording.Tell(notifiertest.Message(typ))
		check(t, s)
		if typ != semconv.EventTypeIncidentUpdated {
			assert.False(t, seen[s.Headline], "%s must not be told like another: %s", typ, s.Headline)
		}
		seen[s.Headline] = true
		for _, text := range []string{"", "a\x00\x1b[31m\nb\u202e", "\xff\xfe", strings.Repeat("😀", 1000)} {
			check(t, wording.Tell(notifiertest.Hostile(typ, text, 8)))
		}
	}
	unknown := notifiertest.Message(semconv.EventTypeIncidentOpened)
	unknown.Incident, unknown.Type = nil, "io.example.other.v1"
	check(t, wording.Tell(unknown))
}

func TestHeadlines(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	m.Occurrence = 3
	assert.Equal(t, "MAJOR · again (#3): latency of shop/gateway, caused by shop/payment", wording.Tell(m).Headline)
	m.Test = true
	assert.Contains(t, wording.Tell(m).Headline, "TEST, nothing is wrong")
	m = notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	assert.Equal(t, "APPROVAL NEEDED · restart: rollout_restart on Deployment shop/payment", wording.Tell(m).Headline)
	assert.Equal(t, "STORM · 3 more events in 1m, 1 incident opened, most often: latency of service shop/payment",
		wording.Tell(notifiertest.Message(semconv.EventTypeIncidentStorm)).Headline)
	m = notifiertest.Message(semconv.EventTypeIncidentResolved)
	assert.Equal(t, wording.Good, wording.Tell(m).Level)
	m.Incident.Resolution = semconv.ResolutionNoData
	assert.Equal(t, wording.Neutral, wording.Tell(m).Level, "nobody knows whether it is over")
}

func fact(s *wording.Story, name string) string {
	for _, f := range s.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func items(s *wording.Story, title string) []string {
	for _, l := range s.Lists {
		if l.Title == title {
			return l.Items
		}
	}
	return nil
}

// TestCause names what is known of a cause, and no more.
func TestCause(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	c := &m.Incident.Causes[0]
	for _, tt := range []struct {
		kind   semconv.CauseKind
		entity eventdata.Entity
		want   string
	}{
		{semconv.CauseMemory, eventdata.Entity{Type: semconv.EntityService, Name: "shop/cart"}, "memory of service shop/cart (93 % sure)"},
		{semconv.CauseUnknown, eventdata.Entity{Type: semconv.EntityService, Name: "shop/cart"}, "service shop/cart (93 % sure)"},
		{"", eventdata.Entity{Type: semconv.EntityService, Name: "\u202e"}, "unnamed service (93 % sure)"},
		{semconv.CauseCPU, eventdata.Entity{}, "cpu of unnamed entity (93 % sure)"},
	} {
		c.Kind, c.Entity = tt.kind, tt.entity
		assert.Equal(t, tt.want, fact(wording.Tell(m), "Cause"))
	}
	m.Incident.Causes = nil
	assert.Equal(t, "not known", fact(wording.Tell(m), "Cause"))
}

// TestChanges tells of the change before the cause once.
func TestChanges(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "deployment of service shop/payment: version 1.4 to 1.5 (2026-03-01 10:14:03 UTC)", fact(wording.Tell(m), "Changed before"))
	assert.Empty(t, items(wording.Tell(m), "Changes"))
	other := m.Incident.Changes[0]
	other.Summary, other.Time, other.Kind = "flag new_cart on", nil, ""
	m.Incident.Changes = append(m.Incident.Changes, other)
	assert.Equal(t, []string{"service shop/payment: flag new_cart on"}, items(wording.Tell(m), "Changes"))
}

// TestSimilar tells what was done about the same trouble before, and what people thought of it.
func TestSimilar(t *testing.T) {
	started := time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC)
	for _, typ := range []semconv.EventType{semconv.EventTypeIncidentOpened, semconv.EventTypeRemediationApprovalRequested} {
		m := notifiertest.Message(typ)
		m.Similar = []eventdata.Similar{
			{
				ID: "i-0", Score: 0.91, StartedAt: &started, Cause: &eventdata.CauseSummary{Kind: semconv.CauseLatency, Entity: eventdata.Entity{Type: semconv.EntityService, Name: "shop/payment"}},
				Actions:  []eventdata.SimilarAction{{Playbook: "restart", Action: "rollout_restart", Target: "Deployment shop/payment", Outcome: "succeeded"}},
				Feedback: []string{"right_cause"},
			},
			{ID: "i-x", Score: 0.5, Title: "errors of shop/cart"},
		}
		first := "incident i-0 of 2026-02-01 09:00:00 UTC, 91 % alike: latency of service shop/payment; " +
			"then rollout_restart on Deployment shop/payment succeeded; people called it right cause"
		assert.Equal(t, []string{first, "incident i-x, 50 % alike: errors of shop/cart"}, items(wording.Tell(m), "Seen before"))
		assert.Contains(t, wording.NewDetails(m, wording.Sizes[0]).SeenBefore, first)
		assert.Contains(t, wording.Fields(m, 500), wording.Field{Name: "seen_before", Value: first})
	}
}

func TestObjectives(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	m.Incident.Impact.Objectives = []eventdata.Objective{{Objective: "availability", Service: "shop/gateway", BurnRate: 14.42, BudgetConsumed: 0.3}}
	want := "availability of shop/gateway burns 14.4 times too fast, 30 % used up"
	assert.Equal(t, []string{want}, items(wording.Tell(m), "Error budgets"))
	assert.Equal(t, []string{want}, wording.NewDetails(m, wording.Sizes[0]).ErrorBudgets)
	assert.Contains(t, wording.Fields(m, 500), wording.Field{Name: "error_budget", Value: want})
}

// TestRisk says what cannot be taken back.
func TestRisk(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	for want, plan := range map[string]eventdata.Plan{
		"":                                      {Undoable: true},
		"cannot be undone":                      {},
		"destroys something, and can be undone": {Destructive: true, Undoable: true},
		"destroys something, and cannot be undone": {Destructive: true},
	} {
		m.Remediation.Plan = &plan
		assert.Equal(t, want, fact(wording.Tell(m), "Risk"))
		assert.Equal(t, want != "", strings.Contains(wording.News(m), "Risk: "+want))
	}
}
