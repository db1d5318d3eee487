package brief_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier/brief"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestTitle(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "latency of shop/gateway, caused by shop/payment", brief.Title(m))
	m.Incident.Title = "errors of shop/gateway"
	m.Occurrence, m.Test = 3, true
	assert.Equal(t, "[TEST] [#3] errors of shop/gateway - likely cause: shop/payment, latency (93 %)", brief.Title(m))
	m.Incident.Title, m.Incident.Causes, m.Test, m.Occurrence = "\x00", nil, false, 1
	assert.Equal(t, "incident i-1", brief.Title(m))
}

func TestService(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "prod-eu/shop/payment", brief.Place(m))
	m.Incident.Causes[0].Entity.Name = "\u202e"
	assert.Equal(t, "shop/frontend-0", brief.Service(m))
	m.Incident.EntryPoints = nil
	assert.Equal(t, "shop/checkout-0", brief.Service(m))
	m.Incident.Impact.Services, m.Cluster = nil, ""
	assert.Equal(t, "unknown", brief.Place(m))
}

// TestRemediation says what happened for every type of event.
func TestRemediation(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range notifiertest.Types {
		m := notifiertest.Message(typ)
		if m.Remediation == nil {
			continue
		}
		s := brief.Remediation(m)
		assert.NotContains(t, s, "reported", "%s must have words of its own", typ)
		assert.False(t, seen[s], s)
		seen[s] = true
		assert.Contains(t, brief.News(m), s)
	}
	m := notifiertest.Message(semconv.EventTypeRemediationFailed)
	m.Type, m.Remediation.Action, m.Remediation.Step = "io.paramedic.remediation.other.v1", "", 2
	assert.Equal(t, "Playbook restart reported failed: step 2 of Deployment shop/payment: the errors have ended", brief.Remediation(m))
}

func TestResolution(t *testing.T) {
	for resolution, want := range map[semconv.Resolution]string{
		semconv.ResolutionRecovered: "Resolved: the symptoms are gone.",
		semconv.ResolutionNoData:    "Resolved: the telemetry that showed the symptoms stopped; nobody knows whether they are gone.",
		semconv.ResolutionMerged:    "Resolved: it goes on as a part of another incident.",
		"":                          "Resolved.",
	} {
		assert.Equal(t, want, brief.Resolution(&eventdata.Incident{Resolution: resolution}))
	}
	assert.Equal(t, "Resolved: it goes on as a part of incident i-2.", brief.Resolution(&eventdata.Incident{Resolution: semconv.ResolutionMerged, MergedInto: "i-2"}))
}

// TestAbout pairs what begins with what ends it.
func TestAbout(t *testing.T) {
	for begin, end := range map[semconv.EventType]semconv.EventType{
		semconv.EventTypeRemediationBreakerOpened: semconv.EventTypeRemediationBreakerClosed,
		semconv.EventTypeRemediationStormBegan:    semconv.EventTypeRemediationStormEnded,
		semconv.EventTypeRemediationPaused:        semconv.EventTypeRemediationResumed,
	} {
		a, ok := brief.About(notifiertest.Message(begin))
		require.True(t, ok)
		b, ok := brief.About(notifiertest.Message(end))
		require.True(t, ok)
		assert.Equal(t, a.Key, b.Key, begin)
		assert.False(t, a.Ends || a.Pages || b.Pages, begin)
		assert.True(t, b.Ends, end)
	}
	s, ok := brief.About(notifiertest.Message(semconv.EventTypeIncidentStorm))
	assert.True(t, ok && s.Pages && s.Severity == semconv.SeverityCritical)
	disabled, _ := brief.About(notifiertest.Message(semconv.EventTypeDeliveryDestinationDisabled))
	assert.True(t, disabled.Pages)
	dead, _ := brief.About(notifiertest.Message(semconv.EventTypeDeliveryDeadLettered))
	assert.False(t, dead.Pages)
	assert.NotEqual(t, dead.Key, disabled.Key)
	_, ok = brief.About(notifiertest.Message(semconv.EventTypeIncidentOpened))
	assert.False(t, ok)
}

// TestTextKeepsLinks cuts what stands before them.
func TestTextKeepsLinks(t *testing.T) {
	m := notifiertest.Hostile(semconv.EventTypeIncidentOpened, strings.Repeat("😀 ", 300), 50)
	for _, n := range []int{0, 1, 20, 59, 60, 200, 4000} {
		s := brief.Text(m, n)
		assert.LessOrEqual(t, utf8.RuneCountInString(s), n)
		assert.Equal(t, n >= 60, strings.HasSuffix(s, "\nOpen incident: https://paramedic.example.com/incidents/i-1"), "%d: %s", n, s)
	}
	m.Links.Incident = "javascript:alert(1)"
	assert.Empty(t, brief.Links(m))
}

// TestDetailsFit holds the sizes to what is said of them.
func TestDetailsFit(t *testing.T) {
	limits := []int{150_000, 7000, 2500}
	for i, size := range brief.Sizes {
		for _, typ := range notifiertest.Types {
			b, err := json.Marshal(brief.NewDetails(notifiertest.Hostile(typ, strings.Repeat("x", 2000), 60), size))
			require.NoError(t, err)
			assert.LessOrEqual(t, len(b), limits[i], "size %d of %s", i, typ)
		}
	}
	d := brief.NewDetails(notifiertest.Hostile(semconv.EventTypeIncidentOpened, "x", 60), brief.Sizes[0])
	assert.True(t, d.Truncated)
	assert.Len(t, d.Causes, 10)
	assert.False(t, brief.NewDetails(notifiertest.Message(semconv.EventTypeIncidentOpened), brief.Sizes[0]).Truncated)
}

// FuzzTexts holds that whatever telemetry says, what is told has the promised length and is clean text.
func FuzzTexts(f *testing.F) {
	f.Add("a\x00b\u202e\xff😀", uint16(130), uint8(3))
	f.Add(strings.Repeat("é", 500), uint16(1), uint8(0))
	f.Fuzz(func(t *testing.T, text string, limit uint16, n uint8) {
		for _, typ := range notifiertest.Types {
			m := notifiertest.Hostile(typ, text, int(n%20)+1)
			clean(t, brief.Text(m, int(limit)))
			if got := utf8.RuneCountInString(brief.Text(m, int(limit))); got > int(limit) {
				t.Fatalf("%d characters, more than %d", got, limit)
			}
			clean(t, brief.Title(m))
			clean(t, brief.News(m))
			if strings.ContainsRune(brief.Title(m), '\n') || brief.Place(m) == "" {
				t.Fatal("a title is one line, and a place has a name")
			}
			for _, field := range brief.Fields(m, 100) {
				if utf8.RuneCountInString(field.Value) > 100 || field.Value == "" {
					t.Fatalf("%s is %q", field.Name, field.Value)
				}
			}
		}
	})
}

func clean(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("%q is not UTF-8", s)
	}
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%q has %U", s, r)
		}
	}
}

func TestTime(t *testing.T) {
	assert.Equal(t, "2026-08-22 10:15:03 UTC", brief.Time(time.Date(2026, 8, 22, 12, 15, 3, 0, time.FixedZone("", 7200))))
}
