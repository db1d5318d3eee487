package story_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/story"
	"github.com/paramedic-otel/paramedic/semconv"
)

// check wants lines of printable characters within bounds, and no empty lists.
func check(t *testing.T, s *story.Story) {
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
		s := story.Tell(notifiertest.Message(typ))
		check(t, s)
		if typ != semconv.EventTypeIncidentUpdated && typ != semconv.EventTypeDeliveryDestinationDisabled {
			assert.False(t, seen[s.Headline], "%s must not be told like another: %s", typ, s.Headline)
		}
		seen[s.Headline] = true
		for _, text := range []string{"", "a\x00\x1b[31m\nb\u202e", "\xff\xfe", strings.Repeat("😀", 1000)} {
			check(t, story.Tell(notifiertest.Hostile(typ, text, 8)))
		}
	}
	unknown := notifiertest.Message(semconv.EventTypeIncidentOpened)
	unknown.Incident, unknown.Type = nil, "io.example.other.v1"
	check(t, story.Tell(unknown))
}

func TestHeadlines(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	m.Occurrence = 3
	assert.Equal(t, "MAJOR · latency of shop/gateway, caused by shop/payment (#3)", story.Tell(m).Headline)
	m.Test = true
	assert.Contains(t, story.Tell(m).Headline, "TEST, nothing is wrong")
	m = notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	assert.Equal(t, "APPROVAL NEEDED · restart: rollout_restart on Deployment shop/payment", story.Tell(m).Headline)
	assert.Equal(t, "STORM · 3 more events in 1m0s", story.Tell(notifiertest.Message(semconv.EventTypeIncidentStorm)).Headline)
	m = notifiertest.Message(semconv.EventTypeIncidentResolved)
	assert.Equal(t, story.Good, story.Tell(m).Level)
	m.Incident.Resolution = semconv.ResolutionNoData
	assert.Equal(t, story.Neutral, story.Tell(m).Level, "nobody knows whether it is over")
}

func TestButtons(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	require.Len(t, story.Buttons(m), 3)
	m.Links = notifier.Links{Incident: "javascript:alert(1)", Approve: "https://x.example.com/" + strings.Repeat("a", 2000), Deny: "//x.example.com"}
	assert.Empty(t, story.Buttons(m))
}

// TestGist changes with what is worth telling again, and with nothing else.
func TestGist(t *testing.T) {
	of := func(change func(*notifier.Message)) string {
		m := notifiertest.Message(semconv.EventTypeIncidentUpdated)
		change(m)
		return story.Gist(m)
	}
	same := of(func(*notifier.Message) {})
	assert.Equal(t, same, of(func(m *notifier.Message) { m.Incident.Revision, m.Incident.Causes[0].Confidence = 9, 0.5 }))
	for name, change := range map[string]func(*notifier.Message){
		"severity":     func(m *notifier.Message) { m.Incident.Severity = semconv.SeverityCritical },
		"status":       func(m *notifier.Message) { m.Incident.Status = semconv.StatusResolved },
		"cause":        func(m *notifier.Message) { m.Incident.Causes[0].Entity.Name = "other" },
		"entry points": func(m *notifier.Message) { m.Incident.EntryPoints = []string{"other"} },
		"acknowledged": func(m *notifier.Message) { m.Acknowledged = "ann" },
		"reopened":     func(m *notifier.Message) { m.Incident.Reopened = 1 },
	} {
		assert.NotEqual(t, same, of(change), name)
	}
}
