package restapi

import (
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxGlobs bounds the services of a silence.
const maxGlobs = 100

// endOf reads when something is to end: at a time, or a while from now on. Without either it is zero.
func (a *API) endOf(field string, at *time.Time, duration string, start, now time.Time) (time.Time, error) {
	var end time.Time
	switch {
	case at != nil && duration != "":
		return end, refuse(http.StatusBadRequest, field, "%s and duration must not both be set", field)
	case at != nil:
		end = at.UTC()
	case duration != "":
		d, err := time.ParseDuration(duration)
		if err != nil || d <= 0 || d > a.settings.MaxSilence {
			return end, refuse(http.StatusBadRequest, field, "duration must be more than 0s and at most %s, such as 2h30m, got %.40q", a.settings.MaxSilence, duration)
		}
		end = start.Add(d)
	default:
		return end, nil
	}
	if !end.After(now) || !end.After(start) || end.After(now.Add(a.settings.MaxSilence)) {
		return end, refuse(http.StatusBadRequest, field, "%s must be in the future, after the start, and at most %s from now", field, a.settings.MaxSilence)
	}
	return end, nil
}

func (a *API) silences(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "active")
	if err != nil {
		return nil, err
	}
	active, err := q.boolean("active")
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	found, err := a.memory.Silences(ctx, active != nil && *active, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	return map[string][]incidentstore.Silence{"silences": list(found)}, nil
}

// silence begins a silence or a maintenance window.
func (a *API) silence(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	var body struct {
		Kind        incidentstore.SilenceKind `json:"kind"`
		Start       *time.Time                `json:"start"`
		End         *time.Time                `json:"end"`
		Duration    string                    `json:"duration"`
		Comment     string                    `json:"comment"`
		Services    []string                  `json:"services"`
		CauseKinds  []semconv.CauseKind       `json:"cause_kinds"`
		MaxSeverity semconv.Severity          `json:"max_severity"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	start := now
	if body.Start != nil {
		start = body.Start.UTC()
	}
	end, err := a.endOf("end", body.End, body.Duration, start, now)
	if err != nil {
		return nil, err
	}
	comment := notifier.Line(body.Comment, maxComment)
	switch {
	case body.Kind != incidentstore.SilenceNotifications && body.Kind != incidentstore.SilenceMaintenance:
		return nil, refuse(http.StatusBadRequest, "kind", "kind must be %s or %s, got %.40q", incidentstore.SilenceNotifications, incidentstore.SilenceMaintenance, string(body.Kind))
	case end.IsZero():
		return nil, refuse(http.StatusBadRequest, "end", "end or duration must be set; what never ends is forgotten")
	case start.Before(now.Add(-time.Hour)):
		return nil, refuse(http.StatusBadRequest, "start", "start must not be more than 1h ago")
	case comment == "":
		return nil, refuse(http.StatusBadRequest, "comment", "comment must say why")
	case len(body.Services) > maxGlobs:
		return nil, refuse(http.StatusBadRequest, "services", "services must be at most %d, got %d", maxGlobs, len(body.Services))
	}
	for i, glob := range body.Services {
		if _, err := path.Match(glob, ""); err != nil || !isName(glob, maxIDLen) {
			return nil, refuse(http.StatusBadRequest, "services", "services::%d must be the name of a service, or a pattern such as shop/*, got %.80q", i, glob)
		}
	}
	for _, kind := range body.CauseKinds {
		if !slices.Contains(semconv.CauseKinds, kind) {
			return nil, refuse(http.StatusBadRequest, "cause_kinds", "cause_kinds must be of %v, got %.40q", semconv.CauseKinds, string(kind))
		}
	}
	if len(body.CauseKinds) > len(semconv.CauseKinds) {
		return nil, refuse(http.StatusBadRequest, "cause_kinds", "cause_kinds must not be repeated")
	}
	if _, err := oneOf("max_severity", body.MaxSeverity, severities); err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	added, err := a.memory.AddSilence(ctx, incidentstore.Silence{
		Kind: body.Kind, Start: start, End: end, By: c.by, Comment: comment, Services: body.Services, CauseKinds: body.CauseKinds,
		MaxSeverity: body.MaxSeverity, CreatedAt: now,
	})
	if err != nil {
		return nil, err
	}
	return located{http.StatusCreated, "/v1/silences", added}, nil
}

// ended is the answer to what has nothing more to say.
type endedView struct {
	ID    string `json:"id,omitempty"`
	Ended bool   `json:"ended"`
}

func (a *API) endSilence(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	if err := a.memory.EndSilence(ctx, id, c.by, time.Now().UTC()); err != nil {
		return nil, err
	}
	return endedView{ID: id, Ended: true}, nil
}

// pauseView says whether people have paused automation by the store.
type pauseView struct {
	Paused bool                 `json:"paused"`
	Pause  *incidentstore.Pause `json:"pause,omitempty"`
}

func (a *API) paused(c *call) (any, error) {
	ctx, cancel := a.within(c)
	defer cancel()
	pause, err := a.memory.Paused(ctx, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	return pauseView{pause != nil, pause}, nil
}

// pause throws the kill switch of all executors.
func (a *API) pause(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	var body struct {
		Reason   string     `json:"reason"`
		Until    *time.Time `json:"until"`
		Duration string     `json:"duration"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	until, err := a.endOf("until", body.Until, body.Duration, now, now)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	if err := a.memory.SetPause(ctx, incidentstore.Pause{By: c.by, At: now, Reason: notifier.Line(body.Reason, maxComment), Until: until}); err != nil {
		return nil, err
	}
	return a.paused(c)
}

func (a *API) resume(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	if err := a.memory.EndPause(ctx, c.by, time.Now().UTC()); err != nil {
		return nil, err
	}
	return a.paused(c)
}
