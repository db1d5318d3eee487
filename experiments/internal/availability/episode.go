package availability

import (
	"context"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/stage"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// learn is how long the shop runs before its first episode.
	learn = 10 * time.Minute
	// settled is how long users must be well before an episode is over, and longest when it is given up.
	settled, longest = time.Minute, 4 * time.Hour
	// flapOn of each flapEvery a flapping fault is there.
	flapOn, flapEvery = 20 * time.Second, time.Minute
	// patience is how long people wait for automation after an incident has opened.
	patience = 10 * time.Minute
	// bucket is the time over which it is judged whether the shop is up.
	bucket = 10 * time.Second
	// The shop is down while more than downShare of all requests, or more than downKind of one kind, are bad.
	downShare, downKind = 0.05, 0.2
	// leastSent is how many requests of a kind there must be in a bucket.
	leastSent = 5
)

// ActionTaken is what automation did in an episode.
type ActionTaken struct {
	// After is the time since the injection.
	After   time.Duration
	Name    string
	Service string
	Refused string
	// Right says that it is what cures such a fault, of an incurable one what would cure it if anything did.
	Right bool
}

// Account is what became of an episode.
type Account struct {
	Episode episode
	// Detected and Called are when the first incident or alert came and when people were called, since the injection; negative if never.
	Detected, Called time.Duration
	// Fixed is when the last fault was gone, and ByPeople whether they had to do it.
	Fixed    time.Duration
	ByPeople bool
	// Down is for how long the shop was down from the injection on, Recovered when it was so for the last time.
	Down, Recovered time.Duration
	// Beforehand is for how long it was down in the calm before.
	Beforehand time.Duration
	// Impact is the share of bad requests of users in each bucket since the injection.
	Impact []float64
	// Bad and Sent count requests of users.
	Bad, Sent int
	Actions   []ActionTaken
	// Verdicts count the exporter's own: succeeded, failed, inconclusive, escalated.
	Verdicts map[string]int
	// Titles are those of the incidents, the ones of the calm before first.
	Titles []string
	// Incidents counts what was opened, or came back, FalseIncidents what was opened in the calm before.
	Incidents, FalseIncidents int
}

// Month is all episodes of a run.
type Month struct {
	Episodes []Account
	// Calm is how much time between episodes was simulated, CalmDown for how long of it the shop was down.
	Calm, CalmDown time.Duration
	// MostActions is the highest number of actions within the window of the budget.
	MostActions int
}

// arm is a run of the month, with the loop or without.
type arm struct {
	stage  *stage.Stage
	healer *healer // nil without the loop
	// wait lets the wall clock follow after each simulated second.
	wait          func()
	lost, broken  bool
	sizes         map[string]int
	opened        map[string]int64 // how often each incident had come back when it was last told of
	ofEpisode     map[string]bool  // incidents that were opened, or came back, in it
	called        time.Time
	firstOpen     time.Time
	firstAlert    time.Time
	actionTimes   []time.Time
	perKind       map[string]stage.Fared
	seconds       int
	bucketsDown   time.Duration
	lastDown      time.Time
	impact        []float64
	totalBad, all int
	account       *Account
}

// tick lets a second pass and takes note.
func (a *arm) tick(ctx context.Context) error {
	n, err := a.stage.Tick(ctx)
	if err != nil {
		return err
	}
	if a.healer != nil {
		if err := a.healer.tell(ctx, n.Events); err != nil {
			return err
		}
	}
	for _, e := range n.Events {
		before, known := a.opened[e.Incident.ID]
		a.opened[e.Incident.ID] = e.Incident.Reopened
		if e.Incident.Status == semconv.StatusOpen && (!known || e.Incident.Reopened > before) {
			a.account.Incidents++
			a.account.Titles = append(a.account.Titles, e.Incident.Title)
			a.ofEpisode[e.Incident.ID] = true
			if a.firstOpen.IsZero() {
				a.firstOpen = n.Now
			}
		}
	}
	if len(n.Alerts) > 0 && a.firstAlert.IsZero() {
		a.firstAlert = n.Now
	}
	a.fare(n.Now)
	if a.wait != nil {
		a.wait()
	}
	return nil
}

// fare adds up how users fared, and judges each bucket.
func (a *arm) fare(now time.Time) {
	fared := a.stage.Users.Take()
	for kind, f := range fared {
		sum := a.perKind[kind]
		sum.Add(f)
		a.perKind[kind] = sum
	}
	if a.seconds++; a.seconds*int(time.Second) < int(bucket) {
		return
	}
	all := a.stage.Users.Requests(a.perKind)
	down := all.Bad() > downShare
	for kind, f := range a.perKind {
		down = down || f.Sent >= leastSent && f.Bad() > downKind && !a.stage.Users.Message(kind)
	}
	if down {
		a.bucketsDown += bucket
		a.lastDown = now
	}
	a.impact = append(a.impact, all.Bad())
	a.all += all.Sent
	a.totalBad += all.Failed + all.Hollow + all.Slow
	a.seconds = 0
	clear(a.perKind)
}

// begin forgets what was noted so far.
func (a *arm) begin() {
	a.called, a.firstOpen, a.firstAlert, a.lastDown = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	a.bucketsDown, a.impact, a.totalBad, a.all, a.seconds = 0, nil, 0, 0, 0
	clear(a.perKind)
	clear(a.ofEpisode)
}

// play plays an episode with the calm before it.
func (a *arm) play(ctx context.Context, e episode) (Account, error) {
	acc := Account{Episode: e, Detected: -1, Called: -1, Verdicts: map[string]int{}}
	a.account = &acc
	a.begin()
	for range int(e.Calm / shop.TickLength) {
		if err := a.tick(ctx); err != nil {
			return acc, err
		}
		a.listen(time.Time{}, nil)
	}
	acc.Beforehand, acc.FalseIncidents, acc.Incidents = a.bucketsDown, acc.Incidents, 0
	a.begin()
	start := a.stage.Shop.Now().Add(e.Ahead)
	var active []shop.FaultStatus // ever
	fixed := false
	for s := time.Duration(0); ; s += shop.TickLength {
		now := a.stage.Shop.Now()
		if now.Equal(start) {
			a.begin()
		}
		since := now.Sub(start)
		out := e.Outage > 0 && s < e.Outage
		a.lost, a.broken = out && e.Trouble != Mute, out && e.Trouble == Mute
		if err := a.inject(e, since, fixed, &active); err != nil {
			return acc, err
		}
		if err := a.tick(ctx); err != nil {
			return acc, err
		}
		a.listen(start, active)
		now = a.stage.Shop.Now()
		a.callPeople(now, start, e)
		there := len(a.stage.Shop.State().Faults) > 0
		if !a.called.IsZero() && !fixed && !now.Before(a.called.Add(e.People.Triage+e.People.Repair)) {
			if there || e.Trouble == Flapping {
				acc.ByPeople = true
			}
			a.stage.Shop.Clear("")
			fixed, there = true, false
		}
		if there || since < 0 || e.Trouble == Flapping && !fixed || e.Trouble == Pair && since <= e.Apart {
			acc.Fixed = max(0, now.Sub(start))
			if now.Sub(start) > longest {
				return acc, fmt.Errorf("%s: nobody has cured %v within %s", e.Trouble, e.Faults, longest)
			}
			continue
		}
		well := a.lastDown
		if f := start.Add(acc.Fixed); well.Before(f) {
			well = f
		}
		if s >= e.Outage && now.Sub(well) >= settled {
			break
		}
		if now.Sub(start) > longest {
			return acc, fmt.Errorf("%s: users are not well %s after %v", e.Trouble, longest, e.Faults)
		}
	}
	acc.Down, acc.Impact, acc.Bad, acc.Sent = a.bucketsDown, a.impact, a.totalBad, a.all
	if !a.lastDown.IsZero() {
		acc.Recovered = a.lastDown.Sub(start)
	}
	first := a.firstOpen
	if a.healer == nil {
		first = a.firstAlert
	}
	if !first.IsZero() {
		acc.Detected = first.Sub(start)
	}
	if !a.called.IsZero() {
		acc.Called = a.called.Sub(start)
	}
	a.resize()
	return acc, nil
}

// inject begins the faults of an episode when their time comes, and lets a flapping one come and go.
func (a *arm) inject(e episode, since time.Duration, fixed bool, active *[]shop.FaultStatus) error {
	for i, f := range e.Faults {
		at := time.Duration(i) * e.Apart
		begins := since == at
		if e.Trouble == Flapping && !fixed && since >= 0 {
			begins = since%flapEvery == 0
			if since%flapEvery == flapOn {
				a.stage.Shop.Clear("")
			}
		}
		if !begins {
			continue
		}
		st, err := a.stage.Shop.Inject(f)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Trouble, err)
		}
		*active = append(*active, st)
	}
	return nil
}

// listen takes note of what automation did.
func (a *arm) listen(start time.Time, faults []shop.FaultStatus) {
	if a.healer == nil {
		return
	}
	now := a.stage.Shop.Now()
	for _, n := range a.healer.listen() {
		switch n.typ {
		case semconv.EventTypeRemediationSucceeded:
			a.account.Verdicts["succeeded"]++
		case semconv.EventTypeRemediationFailed:
			a.account.Verdicts["failed"]++
		case semconv.EventTypeRemediationInconclusive:
			a.account.Verdicts["inconclusive"]++
		case semconv.EventTypeRemediationEscalated:
			a.account.Verdicts["escalated"]++
			if a.called.IsZero() && !start.IsZero() && a.ofEpisode[n.incident] {
				a.called = now
			}
		}
		if n.action == nil {
			continue
		}
		a.actionTimes = append(a.actionTimes, now)
		act := ActionTaken{After: now.Sub(start), Name: string(n.action.Name), Service: n.action.Service, Refused: n.refused, Right: len(n.cured) > 0}
		if start.IsZero() {
			act.After = -1
		}
		for _, f := range faults {
			treatment := shop.Fault{Kind: f.Kind, Service: f.Service}.Cure()
			act.Right = act.Right || f.Service == act.Service && string(treatment) == act.Name
		}
		a.account.Actions = append(a.account.Actions, act)
	}
}

// callPeople decides whether people know by now that they are needed.
func (a *arm) callPeople(now, start time.Time, e episode) {
	if !a.called.IsZero() || now.Before(start) || len(e.Faults) == 0 {
		return
	}
	switch {
	case a.healer == nil && !a.firstAlert.IsZero(),
		a.healer != nil && !a.firstOpen.IsZero() && now.Sub(a.firstOpen) >= patience,
		now.Sub(start) >= e.People.Notice:
		a.called = now
	}
}

// resize gives all services the pods back that they had at first: after a crowd has gone an autoscaler would.
func (a *arm) resize() {
	for _, s := range a.stage.Shop.State().Services {
		if s.Replicas != a.sizes[s.Name] {
			// It cannot fail: the service had this size before.
			_, _ = a.stage.Shop.Act(shop.Action{Name: shop.Scale, Service: s.Name, Replicas: a.sizes[s.Name]})
		}
	}
}
