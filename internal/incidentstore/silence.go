package incidentstore

import (
	"path"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Trouble is what of an incident decides whether a silence covers it.
type Trouble struct {
	// Services are the name of the first cause, and the services that are affected.
	Services  []string          `json:"services,omitempty"`
	CauseKind semconv.CauseKind `json:"cause_kind,omitempty"`
	Severity  semconv.Severity  `json:"severity,omitempty"`
}

// TroubleOf returns what decides of an incident.
func TroubleOf(inc *eventdata.Incident) Trouble {
	t := Trouble{Severity: inc.Severity}
	if len(inc.Causes) > 0 {
		t.CauseKind = inc.Causes[0].Kind
		t.Services = append(t.Services, inc.Causes[0].Entity.Name)
	}
	t.Services = append(t.Services, inc.Impact.Services...)
	return t
}

// Active reports whether the silence holds at a time: from its start up to, and not at, its end.
func (s *Silence) Active(now time.Time) bool {
	return s.EndedBy == "" && !now.Before(s.Start) && now.Before(s.End)
}

// Covers reports whether the silence is about such an incident, whatever the time. A glob is one of [path.Match]: * stands for
// anything but a slash, so that shop/* names the services of a namespace. One that cannot be read names none.
func (s *Silence) Covers(t *Trouble) bool {
	if s.MaxSeverity != "" && graver(t.Severity, s.MaxSeverity) {
		return false
	}
	if len(s.CauseKinds) > 0 && !slices.Contains(s.CauseKinds, t.CauseKind) {
		return false
	}
	return len(s.Services) == 0 || slices.ContainsFunc(s.Services, func(glob string) bool {
		return slices.ContainsFunc(t.Services, func(name string) bool {
			ok, err := path.Match(glob, name)
			return ok && err == nil
		})
	})
}

// graver reports whether a is graver than b. A severity that is unknown is the gravest, so that nothing is held back by mistake.
func graver(a, b semconv.Severity) bool {
	rank := func(s semconv.Severity) int {
		switch s {
		case semconv.SeverityMinor:
			return 0
		case semconv.SeverityMajor:
			return 1
		case semconv.SeverityCritical:
			return 2
		default:
			return 3
		}
	}
	return rank(a) > rank(b)
}
