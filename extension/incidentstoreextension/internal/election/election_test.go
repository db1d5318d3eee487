package election

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// database keeps one lease by the clock of the bubble.
type database struct {
	mu     sync.Mutex
	holder string
	until  time.Time
	fence  int64
	// away makes it not answer, and hung not even that it does not.
	away, hung bool
	calls      int
}

func (d *database) Lead(ctx context.Context, _, candidate string, lease time.Duration) (string, int64, error) {
	d.mu.Lock()
	hung := d.hung
	d.mu.Unlock()
	if hung {
		<-ctx.Done()
		return "", 0, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.away {
		return "", 0, errors.New("connection refused")
	}
	if d.holder != candidate && time.Now().Before(d.until) {
		return d.holder, d.fence, nil
	}
	if d.holder != candidate {
		d.fence++
	}
	d.holder, d.until = candidate, time.Now().Add(lease)
	return candidate, d.fence, nil
}

func (d *database) Resign(_ context.Context, _, candidate string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return errors.New("connection refused")
	}
	if d.holder == candidate {
		d.holder, d.until = "", time.Time{}
	}
	return nil
}

func (d *database) set(away, hung bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away, d.hung = away, hung
}

// leaseEnd is when another may begin.
func (d *database) leaseEnd() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.until
}

// replica is an elector with what its callbacks were told.
type replica struct {
	*Elector
	mu       sync.Mutex
	leads    bool
	terms    int
	ended    time.Time
	failures int
	term     context.Context
}

func (r *replica) Changed(bool, string) {}
func (r *replica) Failed(error)         { r.mu.Lock(); defer r.mu.Unlock(); r.failures++ }

func (r *replica) now() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.leads }

func newReplica(d *database, name string) *replica {
	r := &replica{}
	r.Elector = New(d, Settings{Election: "remediation", Candidate: name, Lease: 15 * time.Second, RenewDeadline: 10 * time.Second, Retry: 2 * time.Second}, r)
	r.SetCallBackFuncs(func(ctx context.Context) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.leads, r.terms, r.term = true, r.terms+1, ctx
	}, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.leads, r.ended = false, time.Now()
	})
	return r
}

func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		a, b := newReplica(d, "a"), newReplica(d, "b")
		a.Start()
		synctest.Wait()
		assert.True(t, a.now())
		assert.True(t, a.Leads())
		b.Start()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.True(t, a.now(), "a lease that is renewed does not change hands")
		assert.False(t, b.now())
		assert.Equal(t, 1, a.terms)

		require.NoError(t, a.Shutdown(t.Context()))
		assert.False(t, a.now())
		assert.Error(t, a.term.Err(), "the term's context ends with it")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.True(t, b.now(), "a lease that is given back need not be waited for")
		require.NoError(t, b.Shutdown(t.Context()))
		require.NoError(t, b.Shutdown(t.Context()), "twice")
	})
}

// TestDatabaseIsAway loses leadership before the lease ends, whether the database refuses or says nothing at all.
func TestDatabaseIsAway(t *testing.T) {
	for name, hung := range map[string]bool{"refuses": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &database{}
				a := newReplica(d, "a")
				a.Start()
				time.Sleep(7 * time.Second)
				synctest.Wait()
				require.True(t, a.now())
				d.set(!hung, hung)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.False(t, a.now())
				assert.Equal(t, 5*time.Second, d.leaseEnd().Sub(a.ended), "it stops between renew deadline and lease")
				a.mu.Lock()
				assert.Positive(t, a.failures)
				a.mu.Unlock()

				d.set(false, false)
				time.Sleep(15 * time.Second)
				synctest.Wait()
				assert.True(t, a.now(), "it leads again when the database is back")
				assert.Equal(t, 2, a.terms)
				require.NoError(t, a.Shutdown(t.Context()))
			})
		})
	}
}

// TestAnotherTakesOver never has two that lead, although the first hears of nothing.
func TestAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		wire := &wire{Ballot: d}
		a, b := newReplica(d, "a"), newReplica(d, "b")
		a.ballot = wire
		a.Start()
		synctest.Wait()
		b.Start()
		time.Sleep(4 * time.Second)
		wire.cut.Store(true)
		for range 200 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			require.False(t, a.now() && b.now(), "two lead")
		}
		assert.True(t, b.now())
		require.Error(t, a.Shutdown(t.Context()), "what it cannot give back is said")
		require.NoError(t, b.Shutdown(t.Context()))
	})
}

// wire is a replica's way to the database.
type wire struct {
	Ballot
	cut atomic.Bool
}

func (w *wire) Lead(ctx context.Context, election, candidate string, lease time.Duration) (string, int64, error) {
	if w.cut.Load() {
		return "", 0, errors.New("no route")
	}
	return w.Ballot.Lead(ctx, election, candidate, lease)
}

func (w *wire) Resign(ctx context.Context, election, candidate string) error {
	if w.cut.Load() {
		return errors.New("no route")
	}
	return w.Ballot.Resign(ctx, election, candidate)
}

func TestNobodyWantsToKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		e := New(d, Settings{Candidate: "a", Lease: 15 * time.Second, RenewDeadline: 10 * time.Second, Retry: 2 * time.Second}, &replica{})
		require.NoError(t, e.Shutdown(t.Context()), "before it was started")
		e.Start()
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, d.calls, "who does not act does not keep others from it")
		require.NoError(t, e.Shutdown(t.Context()))
	})
}

// TestLateCallback tells whoever comes late that this replica leads already.
func TestLateCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(&database{}, "a")
		a.Start()
		synctest.Wait()
		told := false
		a.SetCallBackFuncs(func(context.Context) { told = true }, func() { told = false })
		assert.True(t, told)
		require.NoError(t, a.Shutdown(t.Context()))
		assert.False(t, told)
	})
}
