// Package sharedengine lets the instances that the collector makes of one component, one for each pair of signals or
// each pipeline, share one engine: the first Start starts it, the last Shutdown stops it.
package sharedengine

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
)

// Set holds the engines that are in use by their key, usually the pointer of the component's configuration, which the
// collector hands to all instances of one component ID.
type Set[K comparable, E component.Component] struct {
	mu sync.Mutex
	// mu guards everything below.
	entries map[K]*entry[K, E]
}

type entry[K comparable, E component.Component] struct {
	set    *Set[K, E]
	key    K
	engine E

	// lifecycle makes a Start or a Shutdown wait for one that is under way. It is locked before Set.mu.
	lifecycle sync.Mutex
	leases    int
	started   bool
	startErr  error
}

// Lease is one instance's share in an engine.
type Lease[K comparable, E component.Component] struct {
	entry    *entry[K, E]
	released bool
}

// Lease returns a share in the engine of a key, which create makes when there is none. Each lease must be ended by
// Shutdown.
func (s *Set[K, E]) Lease(key K, create func() (E, error)) (*Lease[K, E], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		engine, err := create()
		if err != nil {
			return nil, err
		}
		e = &entry[K, E]{set: s, key: key, engine: engine}
		if s.entries == nil {
			s.entries = map[K]*entry[K, E]{}
		}
		s.entries[key] = e
	}
	e.leases++
	return &Lease[K, E]{entry: e}, nil
}

// Engine returns the shared engine.
func (l *Lease[K, E]) Engine() E { return l.entry.engine }

// Start starts the engine unless another lease has; all leases report the same error.
func (l *Lease[K, E]) Start(ctx context.Context, host component.Host) error {
	e := l.entry
	e.lifecycle.Lock()
	defer e.lifecycle.Unlock()
	if !e.started {
		e.started = true
		e.startErr = e.engine.Start(ctx, host)
	}
	return e.startErr
}

// Shutdown ends the lease. The last one shuts the engine down and forgets it. More than one call does nothing.
func (l *Lease[K, E]) Shutdown(ctx context.Context) error {
	e := l.entry
	e.lifecycle.Lock()
	defer e.lifecycle.Unlock()
	if l.released {
		return nil
	}
	l.released = true
	if !e.release() {
		return nil
	}
	return e.engine.Shutdown(ctx)
}

// release gives one lease back and reports whether it was the last.
func (e *entry[K, E]) release() bool {
	e.set.mu.Lock()
	defer e.set.mu.Unlock()
	e.leases--
	if e.leases > 0 {
		return false
	}
	delete(e.set.entries, e.key)
	return true
}
