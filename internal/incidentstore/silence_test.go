package incidentstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestSilenceCovers(t *testing.T) {
	inc := &eventdata.Incident{
		Severity: semconv.SeverityMajor,
		Causes:   []eventdata.Cause{{Entity: eventdata.Entity{Name: "shop/payment"}, Kind: semconv.CauseLatency}},
		Impact:   eventdata.Impact{Services: []string{"shop/checkout", "web/frontend"}},
	}
	trouble := TroubleOf(inc)
	for name, tc := range map[string]struct {
		silence Silence
		covers  bool
	}{
		"everything":                {Silence{}, true},
		"the cause":                 {Silence{Services: []string{"shop/payment"}}, true},
		"a namespace":               {Silence{Services: []string{"other", "shop/*"}}, true},
		"an affected service":       {Silence{Services: []string{"web/front*"}}, true},
		"another service":           {Silence{Services: []string{"shop/cart", "payment"}}, false},
		"a star stops at a slash":   {Silence{Services: []string{"*payment"}}, false},
		"a broken glob":             {Silence{Services: []string{"[shop"}}, false},
		"the kind":                  {Silence{CauseKinds: []semconv.CauseKind{semconv.CauseCPU, semconv.CauseLatency}}, true},
		"another kind":              {Silence{CauseKinds: []semconv.CauseKind{semconv.CauseCPU}}, false},
		"as grave":                  {Silence{MaxSeverity: semconv.SeverityMajor}, true},
		"less grave than the worst": {Silence{MaxSeverity: semconv.SeverityCritical}, true},
		"graver":                    {Silence{MaxSeverity: semconv.SeverityMinor}, false},
		"all must match":            {Silence{Services: []string{"shop/*"}, CauseKinds: []semconv.CauseKind{semconv.CauseCPU}}, false},
	} {
		assert.Equal(t, tc.covers, tc.silence.Covers(&trouble), name)
	}
	assert.False(t, (&Silence{MaxSeverity: semconv.SeverityCritical}).Covers(&Trouble{}), "what is unknown may be grave")
}

func TestSilenceIsActive(t *testing.T) {
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	s := Silence{Start: start, End: start.Add(time.Hour)}
	assert.False(t, s.Active(start.Add(-time.Second)))
	assert.True(t, s.Active(start))
	assert.True(t, s.Active(start.Add(time.Hour-1)))
	assert.False(t, s.Active(start.Add(time.Hour)))
	s.EndedBy = "ann"
	assert.False(t, s.Active(start))
}
