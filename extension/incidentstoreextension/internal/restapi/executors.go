package restapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

func (a *API) executors(c *call) (any, error) {
	ctx, cancel := a.within(c)
	defer cancel()
	found, err := a.memory.Executors(ctx)
	if err != nil {
		return nil, err
	}
	return map[string][]incidentstore.ExecutorStatus{"executors": list(found)}, nil
}

// breakerView is a breaker as its executor tells of it.
type breakerView struct {
	// Executor tells of it, as of At.
	Executor string    `json:"executor"`
	At       time.Time `json:"at"`
	Leads    bool      `json:"leads"`
	breakerState
}

type breakerState struct {
	Guard          string    `json:"guard"`
	Key            string    `json:"key"`
	State          string    `json:"state"`
	Reason         string    `json:"reason,omitempty"`
	Since          time.Time `json:"since,omitzero"`
	Until          time.Time `json:"until,omitzero"`
	Failures       int       `json:"failures"`
	RecentFailures int       `json:"recent_failures"`
	RecentOutcomes int       `json:"recent_outcomes"`
	RecentActions  int       `json:"recent_actions"`
	Probing        bool      `json:"probing,omitempty"`
}

// breakers lists those of all executors.
func (a *API) breakers(c *call) (any, error) {
	ctx, cancel := a.within(c)
	defer cancel()
	found, err := a.memory.Executors(ctx)
	if err != nil {
		return nil, err
	}
	out := []breakerView{}
	for _, e := range found {
		states, err := breakersOf(e.Breakers)
		if err != nil {
			a.observer.Failed("read the breakers of an executor", err)
			continue
		}
		for _, s := range states {
			out = append(out, breakerView{e.Name, e.At, e.Leads, s})
		}
	}
	return map[string][]breakerView{"breakers": out}, nil
}

// breakersOf reads what an executor tells: the list, or the object of its own API that holds it.
func breakersOf(told json.RawMessage) ([]breakerState, error) {
	told = bytes.TrimSpace(told)
	var list []breakerState
	if len(told) == 0 {
		return nil, nil
	}
	if told[0] == '{' {
		var object struct {
			Breakers []breakerState `json:"breakers"`
		}
		err := json.Unmarshal(told, &object)
		return object.Breakers, err
	}
	err := json.Unmarshal(told, &list)
	return list, err
}

// resetBreaker closes a breaker on a person's word.
func (a *API) resetBreaker(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	if err := c.read(&struct{}{}); err != nil {
		return nil, err
	}
	guard, key := c.PathValue("guard"), c.PathValue("key")
	if !isName(guard, maxIDLen) || len(key) > 5*maxIDLen || !printable(key) {
		return nil, refuse(http.StatusBadRequest, "breaker", "guard and key must be those of a breaker; see /v1/breakers")
	}
	return a.ask(c, incidentstore.CommandResetBreaker, incidentstore.ResetBreakerArguments{Guard: guard, Key: key})
}

// statusView is everything at a glance.
type statusView struct {
	// Person is who asks, and ReadOnly says that nobody may change anything.
	Person   string    `json:"person,omitempty"`
	Operator bool      `json:"operator"`
	ReadOnly bool      `json:"read_only"`
	At       time.Time `json:"at"`
	pauseView
	Silences  []incidentstore.Silence        `json:"active_silences"`
	Executors []incidentstore.ExecutorStatus `json:"executors"`
	// Awaiting are the intents that wait for people, at most 200.
	Awaiting int `json:"awaiting_approval"`
}

func (a *API) status(c *call) (any, error) {
	ctx, cancel := a.within(c)
	defer cancel()
	now := time.Now().UTC()
	v := statusView{Person: c.by, ReadOnly: !a.settings.Authenticated, At: now}
	v.Operator = a.settings.Authenticated && a.operator(c) == nil
	var err error
	if v.Pause, err = a.memory.Paused(ctx, now); err != nil {
		return nil, err
	}
	v.Paused = v.Pause != nil
	if v.Silences, err = a.memory.Silences(ctx, true, now); err != nil {
		return nil, err
	}
	if v.Executors, err = a.memory.Executors(ctx); err != nil {
		return nil, err
	}
	waiting, _, err := a.memory.Intents(ctx, incidentstore.IntentFilter{Awaiting: true}, incidentstore.Page{Limit: maxPage})
	if err != nil {
		return nil, err
	}
	v.Silences, v.Executors, v.Awaiting = list(v.Silences), list(v.Executors), len(waiting)
	return v, nil
}
