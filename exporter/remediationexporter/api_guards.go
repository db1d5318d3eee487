package remediationexporter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/outcomes"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// sourceAPI is where the word of a person came from who used the api.
const sourceAPI = "api"

// pauseKey is where a pause by the api is stored.
const pauseKey = "pause"

// pauseState is a kill switch that a person has thrown by the api.
type pauseState struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

func (p *pauseState) String() string {
	s := p.By + " by the api"
	if p.Reason != "" {
		s += ": " + p.Reason
	}
	return s
}

// setPause throws or releases the kill switch of the api, to be stored with the next commit. e.mu is held.
func (e *remediationExporter) setPause(p *pauseState) {
	e.pause = p
	if !e.persistent {
		return
	}
	if p == nil {
		e.ops = append(e.ops, storage.DeleteOperation(pauseKey))
		return
	}
	b, _ := json.Marshal(p) // cannot fail: strings and a time of the wall clock
	e.ops = append(e.ops, storage.SetOperation(pauseKey, b))
}

// loadPause restores the kill switch of the api. One that cannot be read is taken for thrown.
func (e *remediationExporter) loadPause(b []byte) error {
	if b == nil {
		return nil
	}
	var p pauseState
	if err := json.Unmarshal(b, &p); err != nil {
		e.pause = &pauseState{By: "somebody", Reason: "the stored pause cannot be read"}
		return fmt.Errorf("decode pause: %w", err)
	}
	e.pause = &p
	e.world.Paused = p.String() // it was told of when it was thrown
	return nil
}

// pauseView says whether automation is paused and by what.
type pauseView struct {
	Paused bool `json:"paused"`
	// By names what pauses: the environment, a file, or a person.
	By string `json:"by,omitempty"`
	// API is the pause by the api.
	API *pauseState `json:"api,omitempty"`
}

func (e *remediationExporter) pauseView() pauseView {
	by := e.paused(time.Now())
	return pauseView{Paused: by != "", By: by, API: e.pause}
}

func (a *api) paused(*call) (any, error) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	return a.e.pauseView(), nil
}

// pause throws the kill switch. A second pause changes nothing. It holds at once, whether it can be stored or not; what could not
// is stored with whatever is next.
func (a *api) pause(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	a.e.mu.Lock()
	now := time.Now()
	a.e.look(now)
	if a.e.pause == nil {
		a.e.setPause(&pauseState{By: c.by, At: now.UTC(), Reason: plainText(body.Reason, maxComment)})
		a.e.lookFor(c.by, now)
	}
	out := a.e.pauseView()
	a.e.settleAndUnlock(context.WithoutCancel(c.Context()))
	return out, nil
}

// resume releases the kill switch of the api; the others stay as they are.
func (a *api) resume(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	var out pauseView
	err := a.e.transact(c.Context(), func(now time.Time) error {
		if a.e.pause != nil {
			a.e.setPause(nil)
			a.e.lookFor(c.by, now)
			a.e.dirty = true // the catch-up that begins
		}
		out = a.e.pauseView()
		return nil
	})
	return out, err
}

func (a *api) breakers(*call) (any, error) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	return a.e.breakersView(time.Now()), nil
}

// breakersView tells of the breakers. e.mu is held.
func (e *remediationExporter) breakersView(now time.Time) any {
	out := e.ledger.Policy().Breakers(now)
	if out == nil {
		out = []playbook.BreakerStatus{}
	}
	return map[string]any{"breakers": out}
}

// resetBreaker closes a breaker on a person's word.
func (a *api) resetBreaker(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	if err := c.read(&struct{}{}); err != nil {
		return nil, err
	}
	guard, key := c.PathValue("guard"), c.PathValue("key")
	w := word{by: c.by, source: sourceAPI}
	return a.e.answered(c.Context(), func(now time.Time) (any, error) { return a.e.resetBreaker(guard, key, w, now) })
}

// resetBreaker closes a breaker on a person's word, within a transaction. e.mu is held.
func (e *remediationExporter) resetBreaker(guard, key string, w word, now time.Time) (any, error) {
	p := e.ledger.Policy()
	known := slices.ContainsFunc(p.Breakers(now), func(b playbook.BreakerStatus) bool { return b.Guard == guard && b.Key == key })
	if !known || !p.ResetBreaker(guard, key, now) {
		return nil, refuse(http.StatusNotFound, "unknown_breaker", "there is no breaker %.40q of %.80q; see /v1/breakers", guard, key)
	}
	e.dirty = true
	w.verdict, w.comment = "reset", plainText(guard+" "+key, maxDetail)
	e.notePerson(semconv.EventRemediationCall, nil, w, now)
	e.tellNotes(now)
	return map[string]string{"guard": guard, "key": clip(key, maxDetail), "state": "closed"}, nil
}

func (a *api) budget(*call) (any, error) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	return a.e.budgetView(time.Now()), nil
}

// budgetView tells how much of the budget is used. e.mu is held.
func (e *remediationExporter) budgetView(now time.Time) any {
	out := e.ledger.Policy().Usage(now)
	if out == nil {
		out = []actionbudget.Usage{}
	}
	return map[string]any{"budget": out}
}

// outcomes returns what verified outcomes teach of every pair of cause kind and playbook.
func (a *api) outcomes(*call) (any, error) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	return a.e.outcomesView(time.Now()), nil
}

// outcomesView tells what was learnt. e.mu is held.
func (e *remediationExporter) outcomesView(now time.Time) any {
	out := e.ledger.Policy().Outcomes(now)
	if out == nil {
		out = []outcomes.Statistics{}
	}
	return map[string]any{"outcomes": out}
}

func (a *api) storm(*call) (any, error) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	return a.e.ledger.Policy().Storm(time.Now()), nil
}

// statusView is the exporter at a glance.
type statusView struct {
	Leading   bool                     `json:"leading"`
	Pause     pauseView                `json:"pause"`
	Window    string                   `json:"window,omitempty"`
	Incidents int                      `json:"incidents"`
	Intents   map[playbook.Outcome]int `json:"intents"`
	// Destinations are the webhooks and notifiers, Webhooks the same under the name that they had when all of them were webhooks.
	Destinations []destinationView `json:"destinations"`
	Webhooks     []destinationView `json:"webhooks"`
	Storm        bool              `json:"storm"`
	Breakers     int               `json:"open_breakers"`
	Durable      bool              `json:"durable"`
}

type destinationView struct {
	Name   string `json:"name"`
	Queued int    `json:"queued"`
	Gone   bool   `json:"gone,omitempty"`
}

func (a *api) status(*call) (any, error) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	return a.e.statusView(time.Now()), nil
}

// statusView tells how the exporter is. e.mu is held.
func (e *remediationExporter) statusView(now time.Time) statusView {
	w := e.look(now)
	v := statusView{
		Leading: !w.Standby, Pause: e.pauseView(), Window: w.Window, Incidents: e.ledger.Len(),
		Intents: map[playbook.Outcome]int{}, Destinations: []destinationView{}, Storm: e.ledger.Policy().Storm(now).Storm, Durable: e.persistent,
	}
	for _, c := range e.ledger.Plays() {
		v.Intents[c.Play.Outcome]++
	}
	for _, h := range e.destinations {
		v.Destinations = append(v.Destinations, destinationView{h.name, h.box.len(), h.gone})
	}
	v.Webhooks = v.Destinations
	for _, b := range e.ledger.Policy().Breakers(now) {
		if b.State != "closed" {
			v.Breakers++
		}
	}
	return v
}
