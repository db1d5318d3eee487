package openinference_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/openinference"
	"github.com/paramedic-otel/paramedic/internal/openinference/openinferencetest"
)

// model is a model within the test's bubble.
type model struct {
	mu      sync.Mutex
	delay   time.Duration
	err     error
	short   bool
	batches []int
}

func (m *model) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *model) Score(ctx context.Context, vectors [][]float64) ([]float64, error) {
	m.mu.Lock()
	delay, err, short := m.delay, m.err, m.short
	m.batches = append(m.batches, len(vectors))
	m.mu.Unlock()
	if delay > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay):
		}
	}
	if err != nil || short {
		return nil, err
	}
	scores := make([]float64, len(vectors))
	for i, v := range vectors {
		scores[i] = sum(v)
	}
	return scores, nil
}

// answers collects what comes back.
type answers struct {
	mu      sync.Mutex
	scores  []float64
	reasons map[openinference.Reason]int
}

func (a *answers) done(score float64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed(err)
		return
	}
	a.scores = append(a.scores, score)
}

func (a *answers) failed(err error) {
	if a.reasons == nil {
		a.reasons = map[openinference.Reason]int{}
	}
	a.reasons[openinference.ReasonOf(err)]++
}

func (a *answers) counts() map[openinference.Reason]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.reasons)
}

func (a *answers) submit(s *openinference.Scorer, vectors ...[]float64) {
	for _, v := range vectors {
		if err := s.Submit(v, a.done); err != nil {
			a.mu.Lock()
			a.failed(err)
			a.mu.Unlock()
		}
	}
}

func scorer(m openinference.Model, change ...func(*openinference.ScorerConfig)) *openinference.Scorer {
	cfg := openinference.ScorerConfig{Timeout: time.Second, MaxBatch: 4, MaxInFlight: 1, MaxQueued: 8, BreakerFailures: 3, BreakerPause: time.Minute}
	for _, f := range change {
		f(&cfg)
	}
	return openinference.NewScorer(m, cfg)
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: 100 * time.Millisecond}
		s := scorer(m)
		defer s.Close()
		var a answers
		a.submit(s, []float64{1})
		synctest.Wait()
		a.submit(s, []float64{2}, []float64{3}, []float64{1, 3}, []float64{2, 3}, []float64{6})
		assert.Equal(t, 6, s.Waiting())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, []float64{1, 2, 3, 4, 5, 6}, a.scores)
		assert.Equal(t, []int{1, 2, 2, 1}, m.batches, "what waits goes out together, but only vectors of one length")
		assert.Zero(t, s.Waiting())
	})
}

func TestSubmitNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: time.Hour}
		s := scorer(m, func(c *openinference.ScorerConfig) { c.BreakerFailures = 100 })
		defer s.Close()
		var a answers
		before := time.Now()
		a.submit(s, []float64{1})
		synctest.Wait()
		for range 20 {
			a.submit(s, []float64{1})
		}
		assert.Equal(t, before, time.Now())
		assert.Equal(t, map[openinference.Reason]int{openinference.ReasonQueueFull: 12}, a.counts())
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, 8, a.counts()[openinference.ReasonExpired], "what waited through a time-out is too old to be asked for")
		assert.Equal(t, 21, a.counts()[openinference.ReasonQueueFull]+a.counts()[openinference.ReasonExpired]+a.counts()[openinference.ReasonTimeout])
	})
}

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: 100 * time.Millisecond}
		s := scorer(m, func(c *openinference.ScorerConfig) { c.MaxInFlight, c.MaxBatch = 3, 1 })
		defer s.Close()
		var a answers
		a.submit(s, []float64{1}, []float64{1}, []float64{1}, []float64{1})
		synctest.Wait()
		m.set(func() { assert.Len(t, m.batches, 3) })
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Len(t, a.scores, 4)
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{err: errors.New("no connection")}
		var states []string
		s := scorer(m, func(c *openinference.ScorerConfig) {
			c.OnBreaker = func(state string) { states = append(states, state) }
		})
		defer s.Close()
		var a answers
		for range 3 {
			a.submit(s, []float64{1})
			synctest.Wait()
		}
		assert.Equal(t, []string{"open"}, states)
		a.submit(s, []float64{1})
		synctest.Wait()
		assert.Len(t, m.batches, 3, "an open breaker asks nobody")
		assert.Equal(t, map[openinference.Reason]int{openinference.ReasonTransport: 3, openinference.ReasonBreakerOpen: 1}, a.counts())

		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		a.submit(s, []float64{1})
		synctest.Wait()
		assert.Equal(t, []string{"open", "half-open", "open"}, states, "one failed trial opens it again")

		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		m.set(func() { m.err = nil })
		a.submit(s, []float64{7})
		synctest.Wait()
		assert.Equal(t, []string{"open", "half-open", "open", "half-open", "closed"}, states)
		assert.Equal(t, []float64{7}, a.scores)
	})
}

// A request that we cannot even ask says nothing about the server.
func TestInvalidInputLeavesTheBreakerClosed(t *testing.T) {
	server := &openinferencetest.Server{}
	s := scorer(serve(t, server))
	defer s.Close()
	for range 10 {
		done := make(chan error, 1)
		require.NoError(t, s.Submit([]float64{1e39}, func(_ float64, err error) { done <- err }))
		assert.Equal(t, openinference.ReasonInvalidInput, openinference.ReasonOf(<-done))
	}
	assert.Zero(t, server.Requests())
	var a answers
	a.submit(s, nil, []float64{}, []float64{1, math.Inf(1)})
	assert.Equal(t, map[openinference.Reason]int{openinference.ReasonInvalidInput: 3}, a.counts())
}

func TestWrongNumberOfScores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scorer(&model{short: true})
		defer s.Close()
		var a answers
		a.submit(s, []float64{1})
		synctest.Wait()
		assert.Equal(t, map[openinference.Reason]int{openinference.ReasonMalformed: 1}, a.counts())
	})
}

func TestCloseAnswersAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: time.Hour}
		s := scorer(m, func(c *openinference.ScorerConfig) { c.Timeout = 2 * time.Hour })
		var a answers
		a.submit(s, []float64{1})
		synctest.Wait()
		a.submit(s, []float64{1}, []float64{1}, []float64{1})
		s.Close()
		s.Close()
		synctest.Wait()
		a.submit(s, []float64{1})
		assert.Equal(t, map[openinference.Reason]int{openinference.ReasonStopped: 5}, a.counts(), "nobody waits for ever")
		assert.Zero(t, s.Waiting())
	})
}

// Over a real connection: the server fails, and comes back.
func TestFailAndRecover(t *testing.T) {
	server := &openinferencetest.Server{Answer: status(http.StatusServiceUnavailable, "")}
	c := serve(t, server)
	s := scorer(c, func(cfg *openinference.ScorerConfig) { cfg.BreakerPause = time.Nanosecond })
	defer s.Close()
	ask := func() (float64, error) {
		type result struct {
			score float64
			err   error
		}
		done := make(chan result, 1)
		if err := s.Submit([]float64{1, 2}, func(score float64, err error) { done <- result{score, err} }); err != nil {
			return 0, err
		}
		r := <-done
		return r.score, r.err
	}
	for range 5 {
		_, err := ask()
		assert.Equal(t, openinference.ReasonServer, openinference.ReasonOf(err))
	}
	server.Answer = nil
	score, err := ask()
	require.NoError(t, err)
	assert.InDelta(t, 3, score, 0)
}

func TestReasonsAreSorted(t *testing.T) {
	assert.IsIncreasing(t, openinference.Reasons())
}
