package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

// silenced has one silence, between two buckets.
func silenced(from, to int, m MatchersConfig) func(*Config) {
	return func(c *Config) {
		c.Silences = []SilenceConfig{{
			Name: "release", Matchers: m, Start: at(from).Format(time.RFC3339), End: at(to).Format(time.RFC3339),
		}}
	}
}

var stockOnly = MatchersConfig{Entities: []string{"sto*"}}

func TestSilence(t *testing.T) {
	t.Parallel()
	play := func(from, to int) []semconv.IncidentEvent {
		w := newWorld(t, silenced(from, to, stockOnly))
		w.play(0, 240, calm)
		w.play(240, 280, stockFails)
		w.play(280, 340, calm)
		assert.Equal(t, to > 240 && from < 280, w.count("silenced_events", "") > 0)
		w.stop()
		checkLives(t, w.events())
		return w.events()
	}
	t.Run("it covers the whole incident", func(t *testing.T) {
		assert.Empty(t, play(230, 340))
	})
	t.Run("it is over before", func(t *testing.T) {
		assert.Equal(t, semconv.EventIncidentOpened, play(100, 200)[0].Name)
	})
	t.Run("it ends while the fault is still there", func(t *testing.T) {
		events := play(230, 265)
		require.NotEmpty(t, events)
		opened := events[0]
		assert.Equal(t, semconv.EventIncidentOpened, opened.Name)
		assert.Equal(t, int64(1), opened.Incident.Revision)
		assert.WithinDuration(t, at(265), opened.Time, 2*step, "it is told of then")
		assert.WithinDuration(t, at(240), opened.Incident.StartedAt, 3*step, "but it began before")
		assert.WithinDuration(t, at(240), opened.Incident.DetectedAt, 6*step)
		assert.Equal(t, "release", opened.Incident.SilencedBy)
		assert.Equal(t, semconv.EventIncidentResolved, events[len(events)-1].Name)
	})
	t.Run("it begins while the incident is open", func(t *testing.T) {
		events := play(262, 340)
		assert.Equal(t, semconv.EventIncidentOpened, events[0].Name)
		for _, e := range events {
			assert.False(t, e.Name == semconv.EventIncidentUpdated && e.Time.After(at(263)), "no more updates")
		}
		assert.Equal(t, semconv.EventIncidentResolved, events[len(events)-1].Name, "who was told of it is told of its end")
		assert.Empty(t, events[0].Incident.SilencedBy)
	})
}

// TestSilenceMatchers turns each condition.
func TestSilenceMatchers(t *testing.T) {
	t.Parallel()
	opened := func(m MatchersConfig) bool {
		w := newWorld(t, silenced(200, 400, m))
		w.feed(score(at(0), at(0), map[string]string{semconv.AttrServiceName: "stock", semconv.AttrK8sNamespaceName: "shop"}, "x", 0, 0, 0))
		w.play(1, 240, calm)
		w.play(240, 270, stockFails)
		w.stop()
		return len(w.events()) > 0
	}
	for name, c := range map[string]struct {
		yes, no MatchersConfig
	}{
		"entities":     {MatchersConfig{Entities: []string{"a", "*ock"}}, MatchersConfig{Entities: []string{"orders"}}},
		"entity_types": {MatchersConfig{EntityTypes: []string{"service"}}, MatchersConfig{EntityTypes: []string{"database"}}},
		"kinds":        {MatchersConfig{Kinds: []string{"errors"}}, MatchersConfig{Kinds: []string{"cpu"}}},
		"severities": {
			MatchersConfig{Severities: []string{"critical"}},
			MatchersConfig{Severities: []string{"minor"}},
		},
		"resource": {
			MatchersConfig{Resource: map[string]string{"k8s.namespace.name": "sh*"}},
			MatchersConfig{Resource: map[string]string{"k8s.namespace.name": "other"}},
		},
		"all of them": {
			MatchersConfig{Entities: []string{"stock"}, Kinds: []string{"errors"}},
			MatchersConfig{Entities: []string{"stock"}, Kinds: []string{"latency"}},
		},
	} {
		assert.False(t, opened(c.yes), name)
		assert.True(t, opened(c.no), name)
	}
}

func TestSilenceHolds(t *testing.T) {
	moment := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return at
	}
	for name, c := range map[string]struct {
		cfg     SilenceConfig
		on, off []string
	}{
		"fixed": {
			SilenceConfig{Start: "2026-03-02T10:00:00Z", End: "2026-03-02T11:00:00+01:00"},
			nil,
			[]string{"2026-03-02T10:00:00Z"},
		},
		"fixed, the end is excluded": {
			SilenceConfig{Start: "2026-03-02T10:00:00Z", End: "2026-03-02T12:00:00+01:00"},
			[]string{"2026-03-02T10:00:00Z", "2026-03-02T10:59:59Z"},
			[]string{"2026-03-02T09:59:59Z", "2026-03-02T11:00:00Z"},
		},
		"every day, over midnight": {
			SilenceConfig{At: "23:30", Duration: time.Hour},
			[]string{"2026-03-02T23:30:00Z", "2026-03-03T00:29:59Z", "2026-03-03T23:45:00Z"},
			[]string{"2026-03-02T23:29:59Z", "2026-03-03T00:30:00Z", "2026-03-03T12:00:00Z"},
		},
		"on Mondays, which last until Tuesday": {
			SilenceConfig{At: "23:30", Duration: time.Hour, Weekdays: []string{"mon"}},
			[]string{"2026-03-02T23:30:00Z", "2026-03-03T00:15:00Z"},
			[]string{"2026-03-03T23:45:00Z", "2026-03-02T00:15:00Z"},
		},
		"for a week from Monday": {
			SilenceConfig{At: "00:00", Duration: 7 * 24 * time.Hour, Weekdays: []string{"mon"}},
			[]string{"2026-03-02T00:00:00Z", "2026-03-08T23:59:59Z", "2026-03-09T00:00:00Z"},
			nil,
		},
		"local time, before and after summer time begins": {
			SilenceConfig{At: "02:30", Duration: time.Hour, TimeZone: "Europe/Berlin"},
			[]string{"2026-03-28T01:45:00Z", "2026-03-30T00:45:00Z"},
			[]string{"2026-03-28T00:45:00Z", "2026-03-30T01:45:00Z"},
		},
		"on Sundays, on one of which the clocks skip that time at midnight": {
			SilenceConfig{At: "00:30", Duration: time.Hour, TimeZone: "America/Santiago", Weekdays: []string{"sun"}},
			[]string{"2026-08-30T04:30:00Z", "2026-09-06T04:30:00Z", "2026-09-06T05:29:59Z", "2026-09-13T03:30:00Z"},
			[]string{"2026-09-05T04:30:00Z", "2026-09-06T03:30:00Z", "2026-09-06T04:29:59Z", "2026-09-06T05:30:00Z", "2026-09-07T03:30:00Z"},
		},
		"local time that summer time skips or has twice": {
			SilenceConfig{At: "02:30", Duration: time.Hour, TimeZone: "Europe/Berlin"},
			[]string{"2026-03-29T01:30:00Z", "2026-03-29T02:29:59Z", "2026-10-25T00:30:00Z", "2026-10-25T01:29:59Z"},
			[]string{"2026-03-29T01:29:59Z", "2026-03-29T02:30:00Z", "2026-10-25T00:29:59Z", "2026-10-25T01:30:00Z"},
		},
		"recurring within bounds": {
			SilenceConfig{At: "10:00", Duration: time.Hour, Start: "2026-03-03T00:00:00Z", End: "2026-03-04T00:00:00Z"},
			[]string{"2026-03-03T10:30:00Z"},
			[]string{"2026-03-02T10:30:00Z", "2026-03-04T10:30:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSilences([]SilenceConfig{c.cfg})[0]
			for _, at := range c.on {
				assert.True(t, s.holds(moment(at)), at)
			}
			for _, at := range c.off {
				assert.False(t, s.holds(moment(at)), at)
			}
		})
	}
}

func FuzzGlobs(f *testing.F) {
	f.Add("shop/*", "shop/cart")
	f.Add("*", "")
	f.Add("a*b*c", "a\nb.c")
	f.Add("[", "[")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g := newGlobs([]string{pattern})
		g.match(name)
		if pattern == name {
			assert.True(t, g.match(name), "a name matches itself")
		}
		assert.True(t, newGlobs([]string{"*"}).match(name))
	})
}
