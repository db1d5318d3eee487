package incidentstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/postgrestest"
)

// race runs something for each store at once, several times.
func race(stores []*Store, rounds int, do func(store *Store, who, round int)) {
	var wait sync.WaitGroup
	for who, s := range stores {
		wait.Go(func() {
			for round := range rounds {
				do(s, who, round)
			}
		})
	}
	wait.Wait()
}

// several are stores of as many processes on one database; SQLite has one process.
func several(t *testing.T, d *database) []*Store {
	stores := make([]*Store, 4)
	stores[0] = d.open(t)
	for i := 1; i < len(stores); i++ {
		stores[i] = stores[0]
		if d.settings.Driver == PostgreSQL {
			stores[i] = d.open(t)
		}
	}
	return stores
}

// TestRace lets several processes race for all that only one may have.
func TestRace(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		stores := several(t, d)
		const rounds = 20
		ctx := t.Context()
		var granted, tokens, taken, answered [rounds]atomic.Int32
		var leaders sync.Map
		race(stores, rounds, func(s *Store, who, round int) {
			me := fmt.Sprint("gateway-", who)
			out, err := s.Claim(ctx, Claim{
				Key: fmt.Sprint("key-", round), Owner: me, Locks: []string{fmt.Sprint("lock-", round)}, Lease: time.Hour, Window: time.Hour,
				Total: rounds / 2, PerClass: rounds, MaxWeight: 2 * rounds,
			})
			assert.NoError(t, err)
			if out.Granted {
				granted[round].Add(1)
			}
			_, err = s.Submit(ctx, Command{Kind: CommandReplay, By: me}, fmt.Sprint("token-", round))
			if err == nil {
				tokens[round].Add(1)
			} else {
				assert.ErrorIs(t, err, ErrConflict)
			}
			leader, fence, err := s.Lead(ctx, "election", me, time.Minute)
			assert.NoError(t, err)
			if before, loaded := leaders.LoadOrStore(fence, leader); loaded {
				assert.Equal(t, before, leader, "one leader for each fence")
			}
			record := audited(round)
			assert.NoError(t, s.Record(ctx, []Record{record, opened(incident(round, round))}))
			commands, err := s.Take(ctx, me, 1, time.Hour, clockOf(t, s))
			assert.NoError(t, err)
			for _, c := range commands {
				taken[round].Add(1)
				c.State = CommandDone
				if assert.NoError(t, s.Answer(ctx, me, c)) {
					answered[round].Add(1)
				}
			}
		})
		sum := func(of *[rounds]atomic.Int32) (sum int32) {
			for i := range of {
				sum += of[i].Load()
			}
			return sum
		}
		for round := range rounds {
			assert.LessOrEqual(t, granted[round].Load(), int32(1), "claim %d", round)
			assert.EqualValues(t, 1, tokens[round].Load(), "token %d", round)
		}
		assert.EqualValues(t, rounds/2, sum(&granted), "the budget is that of all")
		assert.EqualValues(t, rounds, count(t, stores[0], "commands"))
		assert.Equal(t, sum(&taken), sum(&answered))
		assert.LessOrEqual(t, sum(&taken), int32(rounds))
		_, n := verify(t, stores[0])
		assert.EqualValues(t, rounds+rounds+int(sum(&answered)), n, "each once: notes, commands, answers")
		assert.Equal(t, rounds, count(t, stores[0], "incidents"))
	})
}

// TestFeedIsComplete follows the changes of several writers, from another process.
func TestFeedIsComplete(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		stores := several(t, d)
		const rounds = 15
		all := rounds * len(stores)
		done := make(chan []Change)
		go func() {
			var seen []Change
			after := int64(0)
			for len(seen) < all {
				found, err := stores[0].Changes(t.Context(), after, 7)
				if !assert.NoError(t, err) {
					break
				}
				seen = append(seen, found...)
				after = found[len(found)-1].Number
			}
			done <- seen
		}()
		race(stores, rounds, func(s *Store, who, round int) {
			assert.NoError(t, s.Record(t.Context(), []Record{opened(incident(100*who+round, round))}))
		})
		seen := <-done
		unique := map[string]bool{}
		for i, c := range seen {
			unique[c.ID] = true
			if i > 0 {
				assert.Greater(t, c.Number, seen[i-1].Number)
			}
		}
		assert.Len(t, unique, all, "nothing is passed over")
	})
}

// TestOpenTogether migrates once.
func TestOpenTogether(t *testing.T) {
	d := postgresDatabase(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			s, err := Open(t.Context(), d.settings)
			if assert.NoError(t, err) {
				assert.NoError(t, s.Close())
			}
		})
	}
	wait.Wait()
}

// TestRestart survives the end and the return of the server.
func TestRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a server of its own")
	}
	server := postgrestest.Start(t)
	set := DefaultSettings()
	set.Driver, set.DSN = PostgreSQL, server.Database(t)
	d := &database{settings: set, ahead: &atomic.Int64{}}
	one, two := d.open(t), d.open(t)
	record(t, one, audited(1), opened(incident(1, 0)))
	waiting := make(chan []Change)
	go func() {
		newest, err := two.Changes(t.Context(), -1, 1)
		if !assert.NoError(t, err) {
			close(waiting)
			return
		}
		waiting <- nil
		for {
			found, err := two.Changes(t.Context(), newest[0].Number, 10)
			if err == nil {
				waiting <- found
				return
			}
			if !errors.Is(err, ErrUnavailable) {
				assert.NoError(t, err)
				close(waiting)
				return
			}
		}
	}()
	<-waiting
	for n, stop := range []func() error{server.Stop, server.Kill} {
		require.NoError(t, stop())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := one.Record(ctx, []Record{audited(10 + n)})
		require.ErrorIs(t, err, ErrUnavailable, "it may be tried again")
		_, _, err = one.Incidents(ctx, IncidentFilter{}, Page{})
		require.ErrorIs(t, err, ErrUnavailable)
		cancel()
		require.NoError(t, server.Launch())
		// The first call may meet a connection that is gone, which shows only when it is used.
		for tries := 0; ; tries++ {
			err := one.Record(t.Context(), []Record{audited(10 + n)})
			if err == nil {
				break
			}
			require.ErrorIs(t, err, ErrUnavailable)
			require.Less(t, tries, 10)
		}
		_, records := verify(t, one)
		assert.EqualValues(t, 2+n, records)
	}
	record(t, one, opened(incident(2, 1)))
	found := <-waiting
	require.NotEmpty(t, found)
	assert.Equal(t, "i-2", found[0].ID)
	records, err := two.Audit(t.Context(), 0, 10)
	require.NoError(t, err)
	require.NoError(t, auditchain.Verify(records, auditchain.Genesis()))
}
