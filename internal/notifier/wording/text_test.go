package wording_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestLinks(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeRemediationApprovalRequested)
	require.Len(t, wording.Links(m), 3)
	m.Links = notifier.Links{Incident: "javascript:alert(1)", Approve: "https://x.example.com/" + strings.Repeat("a", 2000), Deny: "//x.example.com"}
	assert.Empty(t, wording.Links(m))
}

// TestTextKeepsLinks cuts what stands before them.
func TestTextKeepsLinks(t *testing.T) {
	m := notifiertest.Hostile(semconv.EventTypeIncidentOpened, strings.Repeat("😀 ", 300), 50)
	for _, n := range []int{0, 1, 20, 59, 60, 200, 4000} {
		s := wording.Text(m, n)
		assert.LessOrEqual(t, utf8.RuneCountInString(s), n)
		assert.Equal(t, n >= 60, strings.HasSuffix(s, "\nOpen incident: https://paramedic.example.com/incidents/i-1"), "%d: %s", n, s)
	}
}

// TestDetailsFit holds the sizes to what is said of them.
func TestDetailsFit(t *testing.T) {
	limits := []int{150_000, 7000, 2500}
	for i, size := range wording.Sizes {
		for _, typ := range notifiertest.Types {
			b, err := json.Marshal(wording.NewDetails(notifiertest.Hostile(typ, strings.Repeat("x", 2000), 60), size))
			require.NoError(t, err)
			assert.LessOrEqual(t, len(b), limits[i], "size %d of %s", i, typ)
		}
	}
	d := wording.NewDetails(notifiertest.Hostile(semconv.EventTypeIncidentOpened, "x", 60), wording.Sizes[0])
	assert.True(t, d.Truncated)
	assert.Len(t, d.Causes, 10)
	assert.False(t, wording.NewDetails(notifiertest.Message(semconv.EventTypeIncidentOpened), wording.Sizes[0]).Truncated)
}

// FuzzTexts holds that whatever telemetry says, what is told has the promised length and is clean text.
func FuzzTexts(f *testing.F) {
	f.Add("a\x00b\u202e\xff😀", uint16(130), uint8(3))
	f.Add(strings.Repeat("é", 500), uint16(1), uint8(0))
	f.Fuzz(func(t *testing.T, text string, limit uint16, n uint8) {
		for _, typ := range notifiertest.Types {
			m := notifiertest.Hostile(typ, text, int(n%20)+1)
			clean(t, wording.Text(m, int(limit)))
			if got := utf8.RuneCountInString(wording.Text(m, int(limit))); got > int(limit) {
				t.Fatalf("%d characters, more than %d", got, limit)
			}
			clean(t, wording.Title(m))
			clean(t, wording.News(m))
			if strings.ContainsRune(wording.Title(m), '\n') || wording.Place(m) == "" {
				t.Fatal("a title is one line, and a place has a name")
			}
			for _, field := range wording.Fields(m, 100) {
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
