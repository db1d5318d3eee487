// Package election lets one of several replicas act, by a lease in a database that all of them share.
//
// Its shape is that of client-go's leader election: a leader renews its lease again and again, and stops acting a while before the
// lease ends when it cannot, so that no other has begun by then. The lease itself runs by the clock of the database; only spans of
// time are measured here, so clocks of the replicas need not agree.
package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Ballot is where the lease is kept; see incidentstore.Executors.
type Ballot interface {
	Lead(ctx context.Context, election, candidate string, lease time.Duration) (leader string, fence int64, err error)
	Resign(ctx context.Context, election, candidate string) error
}

// Settings say how an election is held.
type Settings struct {
	// Election names it, and Candidate is this replica, unlike any other.
	Election, Candidate string
	// Lease is how long a leader that is not heard of remains it.
	Lease time.Duration
	// RenewDeadline is how long after its last success a leader gives up, less than Lease.
	RenewDeadline time.Duration
	// Retry is the time between two attempts, less than RenewDeadline.
	Retry time.Duration
}

// Observer hears of what happens. It must not block, nor call back.
type Observer interface {
	// Changed says whether this replica leads from now on, and who else does, empty when nobody is known to.
	Changed(leads bool, leader string)
	// Failed says that the database did not answer an attempt.
	Failed(err error)
}

// Elector takes part in one election once somebody wants to know of it.
type Elector struct {
	ballot   Ballot
	settings Settings
	observer Observer

	cancel  context.CancelFunc
	running sync.WaitGroup
	wanted  chan struct{}

	// mu guards everything below. Callbacks run under it, so that they come in order.
	mu       sync.Mutex
	started  []func(context.Context)
	stopped  []func()
	leads    bool
	over     bool
	term     context.Context
	endTerm  context.CancelFunc
	watchdog *time.Timer
}

// New returns an elector that takes no part yet.
func New(b Ballot, s Settings, o Observer) *Elector {
	return &Elector{ballot: b, settings: s, observer: o, wanted: make(chan struct{}, 1)}
}

// SetCallBackFuncs has one function called whenever this replica begins to lead, with a context that ends with its term, and the
// other when it no longer does. It may be called at any time; the functions must not call back.
func (e *Elector) SetCallBackFuncs(onStartedLeading func(context.Context), onStoppedLeading func()) {
	e.mu.Lock()
	e.started, e.stopped = append(e.started, onStartedLeading), append(e.stopped, onStoppedLeading)
	if e.leads {
		onStartedLeading(e.term)
	}
	e.mu.Unlock()
	select {
	case e.wanted <- struct{}{}:
	default:
	}
}

// Leads reports whether this replica leads now.
func (e *Elector) Leads() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leads
}

// Start begins to take part, as soon as there is a callback.
func (e *Elector) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.running.Go(func() { e.run(ctx) })
}

// Shutdown gives up leadership, and gives the lease back within ctx so that another replica need not wait for its end.
func (e *Elector) Shutdown(ctx context.Context) error {
	if e.cancel == nil {
		return nil
	}
	e.cancel()
	e.running.Wait()
	e.end("")
	e.mu.Lock()
	tookPart := len(e.started) > 0 && !e.over
	e.over = true
	e.mu.Unlock()
	if !tookPart {
		return nil
	}
	// An attempt that was cut short may have won, so it is given back whether this replica knew of it or not.
	ctx, cancel := context.WithTimeout(ctx, e.settings.RenewDeadline)
	defer cancel()
	if err := e.ballot.Resign(ctx, e.settings.Election, e.settings.Candidate); err != nil {
		return fmt.Errorf("resign leadership: %w", err)
	}
	return nil
}

func (e *Elector) run(ctx context.Context) {
	select {
	case <-e.wanted:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(e.settings.Retry)
	defer tick.Stop()
	for {
		e.try(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// try asks once for the lease. However long the answer takes, what counts is when it was asked for.
func (e *Elector) try(ctx context.Context) {
	asked := time.Now()
	limited, cancel := context.WithTimeout(ctx, e.settings.RenewDeadline)
	defer cancel()
	leader, _, err := e.ballot.Lead(limited, e.settings.Election, e.settings.Candidate, e.settings.Lease)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		if !errors.Is(err, context.Canceled) {
			e.observer.Failed(err)
		}
	case leader == e.settings.Candidate:
		e.renew(asked.Add(e.settings.RenewDeadline))
	default:
		e.end(leader)
	}
}

// renew begins a term or prolongs it, until a point of time unless it is prolonged again.
func (e *Elector) renew(until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := time.Until(until)
	if e.over || left <= 0 {
		return // the answer came so late that it may be another's by now
	}
	if e.leads {
		if e.watchdog.Stop() {
			e.watchdog.Reset(left)
		}
		return
	}
	e.leads = true
	e.term, e.endTerm = context.WithCancel(context.Background())
	e.watchdog = time.AfterFunc(left, func() { e.end("") })
	e.observer.Changed(true, e.settings.Candidate)
	for _, f := range e.started {
		f(e.term)
	}
}

// end ends the term if there is one.
func (e *Elector) end(leader string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.leads {
		return
	}
	e.leads = false
	e.watchdog.Stop()
	e.endTerm()
	e.observer.Changed(false, leader)
	for _, f := range e.stopped {
		f()
	}
}
