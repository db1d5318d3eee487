package labelled

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/stage"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// learn is how long a shop runs before its first case.
	learn = 10 * time.Minute
	// gap is the time without a fault before each case, window that of the case: long enough for thresholds with a for-duration of five
	// minutes.
	gap, window = 3 * time.Minute, 7 * time.Minute
	// aftermath is the time after the end of a fault, and after the demand has fallen again, that belongs to it: what waited is worked off,
	// pods and traffic change.
	aftermath = time.Minute
	// rise is how long the demand takes to overload the shop, and to fall again.
	rise = time.Minute
	// harmful is the share of the requests of one kind that must go wrong, or take longer than the 99th percentile of calm, beyond what
	// does in calm.
	harmful = 0.02
	// flat is the period of the load curve: so long that a level stays what it is while a shop is watched.
	flat = 31 * 24 * time.Hour
)

// outcome is what became of a case.
type outcome struct {
	Case
	// harm is the excess share of bad requests of the kind that was hurt most, hurt is that kind.
	harm float64
	hurt string
	// ours and theirs are the first incident and the first static alert in the window; nil if none came.
	ours, theirs *detection
	// incidents and alerts count all of the window, and falsely those of the gap before it.
	incidents, alerts           int
	falseIncidents, falseAlerts int
	// calm is the part of the gap before the window that is no aftermath, after counts what was raised in the aftermath.
	calm                        time.Duration
	afterIncidents, afterAlerts int
	// wrong are the incidents outside of all faults, those of aftermaths included.
	wrong []wrongIncident
}

// wrongIncident is one where nothing was wrong: how long after the end of the last fault, or of none, what, and where.
type wrongIncident struct {
	title string
	level string
	// before is the case that had ended then, and ago when that was.
	before string
	ago    time.Duration
}

// detection is when a case was detected, and what was named.
type detection struct {
	after time.Duration
	// first and among say whether the service was the first cause, or among the first three, of the opening event, last whether it was the
	// first cause of the last event in the window.
	first, among, last bool
}

// faulty reports whether the case is labelled as a fault: something was injected and users felt it.
func (o *outcome) faulty() bool { return o.Kind() != "" && o.harm >= harmful }

// quiet reports whether the case is labelled as none: nothing was injected.
func (o *outcome) quiet() bool { return o.Kind() == "" }

// play runs a chain.
func (c *chain) play(ctx context.Context) (outcomes []outcome, err error) {
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Start, cfg.Period = c.seed, c.start, flat
	st, err := stage.New(ctx, stage.Config{Shop: cfg})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close(ctx)) }()
	if err := st.Run(ctx, shop.TickLength, nil); err != nil {
		return nil, err
	}
	curve := st.Shop.State().Load / cfg.Rate
	load := func(l Level, within time.Duration) error { return st.Shop.SetLoad(l.Factor/curve, within) }
	if err := load(c.level, 0); err != nil {
		return nil, err
	}
	if err := st.Run(ctx, learn, nil); err != nil {
		return nil, err
	}
	st.Users.Learnt(1)
	calm := map[string]stage.Fared{}
	told := newTold()
	for _, k := range c.cases {
		o, err := c.playCase(ctx, st, k, load, told, calm)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", k, err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

func (c *chain) playCase(ctx context.Context, st *stage.Stage, k Case, load func(Level, time.Duration) error, told *told, calm map[string]stage.Fared) (outcome, error) {
	o := outcome{Case: k}
	if err := st.Run(ctx, gap, func(n stage.News) {
		after := !n.Now.After(told.over)
		if !after {
			o.calm += shop.TickLength
			o.falseAlerts += len(n.Alerts)
		} else {
			o.afterAlerts += len(n.Alerts)
		}
		for _, e := range n.Events {
			if !told.opens(e) {
				continue
			}
			o.wrong = append(o.wrong, told.wrong(e, k, n.Now))
			if after {
				o.afterIncidents++
			} else {
				o.falseIncidents++
			}
		}
	}); err != nil {
		return o, err
	}
	for kind, f := range st.Users.Take() {
		sum := calm[kind]
		sum.Add(f)
		calm[kind] = sum
	}
	began := st.Shop.Now()
	if err := begin(st.Shop, k, load); err != nil {
		return o, err
	}
	if err := st.Run(ctx, window, func(n stage.News) { o.note(n, began, told) }); err != nil {
		return o, err
	}
	o.hurt, o.harm = stage.Worst(st.Users.Take(), calm)
	st.Shop.Clear("")
	if k.Kind() != "" {
		told.before, told.ended = k.String(), st.Shop.Now()
		told.over = told.ended.Add(aftermath)
	}
	if k.Overload {
		told.over = told.over.Add(rise)
		return o, load(c.level, rise)
	}
	return o, nil
}

// begin makes the case happen.
func begin(s *shop.Simulation, k Case, load func(Level, time.Duration) error) error {
	if k.Overload {
		return load(Overload, rise)
	}
	if k.Fault.Kind == "" {
		return nil
	}
	_, err := s.Inject(k.Fault)
	return err
}

// note takes down what a second of the window brought.
func (o *outcome) note(n stage.News, began time.Time, told *told) {
	for _, e := range n.Events {
		if told.opens(e) {
			o.incidents++
			if o.quiet() {
				o.wrong = append(o.wrong, told.wrong(e, o.Case, n.Now))
			}
			if o.ours == nil {
				o.ours = &detection{after: n.Now.Sub(began), first: named(e, o.Fault.Service, 1), among: named(e, o.Fault.Service, 3)}
			}
		}
		if o.ours != nil {
			o.ours.last = named(e, o.Fault.Service, 1)
		}
	}
	o.alerts += len(n.Alerts)
	if o.theirs == nil && len(n.Alerts) > 0 {
		o.theirs = &detection{after: n.Now.Sub(began)}
	}
}

// told remembers how often each incident was told of as opened, and which fault was the last.
type told struct {
	reopened map[string]int64
	before   string
	ended    time.Time
	// over is when its aftermath is.
	over time.Time
}

func (t *told) wrong(e semconv.IncidentEvent, k Case, now time.Time) wrongIncident {
	w := wrongIncident{title: e.Incident.Title, level: k.Level.Name, before: t.before}
	if t.before != "" {
		w.ago = now.Sub(t.ended)
	}
	return w
}

func newTold() *told { return &told{reopened: map[string]int64{}} }

// opens reports whether an event tells of an incident that was not there before, or has come back.
func (t *told) opens(e semconv.IncidentEvent) bool {
	if e.Incident.Status != semconv.StatusOpen {
		return false
	}
	before, known := t.reopened[e.Incident.ID]
	t.reopened[e.Incident.ID] = e.Incident.Reopened
	return !known || e.Incident.Reopened > before
}

// named reports whether the service, or a part of it, is among the first causes.
func named(e semconv.IncidentEvent, service string, first int) bool {
	for _, c := range e.Incident.Causes[:min(first, len(e.Incident.Causes))] {
		if bare(c.Entity.Name) == service || c.Resource[semconv.AttrServiceName] == service {
			return true
		}
	}
	return false
}

func bare(name string) string { return name[strings.LastIndexAny(name, "/:")+1:] }
