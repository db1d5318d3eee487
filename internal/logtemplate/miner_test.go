package logtemplate

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMatch(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b string
		same bool
		text string
	}{
		"numbers vary":          {"order 17 paid", "order 18 paid", true, "order <*> paid"},
		"identifiers vary":      {"user 8a533bf9-bd12-4608 in", "user 17ad-44 in", true, "user <*> in"},
		"digits in words vary":  {"trip Z1234 left", "trip Z77 left", true, "trip Z<*> left"},
		"key=value":             {"took ms=12 for id=7", "took ms=9 for id=8", true, "took ms <*> for id <*>"},
		"words do not vary":     {"order paid", "order refused", false, "order paid"},
		"code locations differ": {"INFO c.s.Orders#451 [get]", "INFO c.s.Orders#457 [get]", false, "INFO c.s.Orders#451 [get]"},
		"source files differ":   {"at Order.java:17: x", "at Order.java:18: x", false, "at Order.java:17: x"},
		"addresses vary":        {"from 10.0.0.1:4317 refused", "from 10.0.0.2:80 refused", true, "from <*> refused"},
		"times vary":            {"16:42:09.486 INFO up", "16:42:10.001 INFO up", true, "<*> INFO up"},
		"long messages are cut": {strings.Repeat("word ", 12) + "a", strings.Repeat("word ", 12) + "b", true, strings.TrimSpace(strings.Repeat("word ", 12)) + " <*>"},
		"identifiers in brackets vary": {
			"[create][OrderId:e33fe0b1-17c2-4a0b-9d1e-aa0ffe11c001]", "[create][OrderId:abc01234-ffff-4a0b-9d1e-0d6f5a2b9c11]",
			true, "[create][OrderId:<*>]",
		},
		"empty": {"", "  ", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMiner(DefaultLimits())
			a, b := m.Match(tc.a), m.Match(tc.b)
			assert.Equal(t, tc.same, a == b)
			assert.Equal(t, tc.text, m.Text(a))
			assert.Equal(t, a, m.Match(tc.a), "a template is stable")
		})
	}
}

func TestMatchStatement(t *testing.T) {
	m := NewMiner(DefaultLimits())
	shanghai := m.MatchStatement("16:42:09 INFO b.s.Stations#360 [check][name: shanghai] of user 7")
	assert.Equal(t, "<*> INFO b.s.Stations#360 [check][name: shanghai] of user <*>", m.Text(shanghai))
	assert.Equal(t, shanghai, m.MatchStatement("16:42:10 INFO b.s.Stations#360 [check][name: nanjing] of user 8"))
	assert.Equal(t, "<*> INFO b.s.Stations#360 [check][name: <*> of user <*>", m.Text(shanghai), "what varies is a wildcard")
	assert.Equal(t, shanghai, m.MatchStatement("16:42:10 INFO b.s.Stations#360 [check][name: wuxi]"))
	assert.Equal(t, "<*> INFO b.s.Stations#360 [check][name: <*>", m.Text(shanghai))
	assert.Equal(t, shanghai, m.MatchStatement("16:42:11 INFO b.s.Stations#360 [check][name: shanghai] of user 7"))
	assert.Equal(t, "<*> INFO b.s.Stations#360 [check][name: <*>", m.Text(shanghai), "a wildcard stays one")

	assert.NotEqual(t, shanghai, m.MatchStatement("16:42:09 INFO b.s.Stations#391 [check][name: shanghai] of user 7"), "another statement")
	assert.NotEqual(t, shanghai, m.Match("16:42:09 INFO b.s.Stations#360 [check][name: shanghai] of user 7"), "Match tells words apart")
	assert.Equal(t, m.Match("order 17 paid"), m.MatchStatement("order 18 paid"), "without a place it is the same")
}

func TestMatchStatementKeepsLimits(t *testing.T) {
	m := NewMiner(Limits{MaxTemplates: 3, MaxChildren: 10, MaxTokens: 4, MaxBytes: 64})
	for i := range 100 {
		m.MatchStatement(fmt.Sprintf("Orders#%d done", i))
	}
	assert.Equal(t, 3, m.Len())
	assert.Equal(t, Overflow, m.MatchStatement("Orders#99 done"))
	assert.Equal(t, m.MatchStatement("Orders#1 a b c d e"), m.MatchStatement("Orders#1 a b c d f"))
}

func TestManyWordsInOnePlaceBecomeAWildcard(t *testing.T) {
	limits := DefaultLimits()
	limits.MaxChildren = 8
	m := NewMiner(limits)
	for i := range 100 {
		m.Match("login of " + strings.Repeat("x", i+1) + " done")
	}
	assert.LessOrEqual(t, m.Len(), 10)
	assert.Equal(t, "login of <*> done", m.Text(m.Match("login of somebody done")))
}

func TestLimits(t *testing.T) {
	m := NewMiner(Limits{MaxTemplates: 10, MaxChildren: 1000, MaxTokens: 3, MaxBytes: 20})
	for i := range 1000 {
		m.Match("word" + strings.Repeat("y", i%18) + strings.Repeat("z", i/18))
	}
	assert.Equal(t, 10, m.Len())
	assert.Zero(t, m.Match("another one"), "what finds no room shares template 0")
	m = NewMiner(Limits{MaxTemplates: 10, MaxChildren: 10, MaxTokens: 2, MaxBytes: 10})
	assert.Equal(t, m.Match("a b c"), m.Match("a b d"))
	assert.Equal(t, m.Match("aaaaaaaaaaX"), m.Match("aaaaaaaaaaY"))
}

func TestMatchDoesNotAllocate(t *testing.T) {
	m := NewMiner(DefaultLimits())
	msg := "16:42:09.486 INFO t.s.TravelServiceImpl#260 [getTickets] trips 17 of user8"
	m.Match(msg)
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.Match(msg) }))
	m.MatchStatement(msg)
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.MatchStatement(msg) }))
}

func FuzzMatch(f *testing.F) {
	f.Add("order 17 paid", 3)
	f.Add("at Order.java:17: \xff\xfe", 1)
	f.Fuzz(func(t *testing.T, message string, n int) {
		m := NewMiner(Limits{MaxTemplates: 5, MaxChildren: 2, MaxTokens: 4, MaxBytes: 64})
		for i := range n & 15 {
			m.Match(fmt.Sprint(message, i))
			m.MatchStatement(fmt.Sprint(message, i))
		}
		require.Equal(t, m.MatchStatement(message), m.MatchStatement(message), "a template is stable")
		id := m.Match(message)
		require.Less(t, id, m.Len())
		require.LessOrEqual(t, m.Len(), 5)
		require.True(t, utf8.ValidString(m.Text(id)))
	})
}

func BenchmarkMatch(b *testing.B) {
	m := NewMiner(DefaultLimits())
	msg := "16:42:09.486 INFO t.s.TravelServiceImpl#260 [getTickets] trips 17 of user8"
	b.ReportAllocs()
	for b.Loop() {
		m.Match(msg)
	}
}
