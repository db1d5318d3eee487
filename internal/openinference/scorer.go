package openinference

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Model scores vectors of equal length; Client is one.
type Model interface {
	Score(ctx context.Context, vectors [][]float64) ([]float64, error)
}

// ScorerConfig bounds what a Scorer does. All fields must be greater than 0, but OnBreaker, which may be nil.
type ScorerConfig struct {
	// Timeout is how long a vector may wait for its turn, and how long a request may then take.
	Timeout time.Duration
	// MaxBatch is the most vectors in one request.
	MaxBatch int
	// MaxInFlight is the most requests at once.
	MaxInFlight int
	// MaxQueued is the most vectors that wait for their turn.
	MaxQueued int
	// BreakerFailures is how many requests in a row must fail for the breaker to open; BreakerPause is how long it then
	// stays open, before one request at a time tries whether the server is back.
	BreakerFailures int
	BreakerPause    time.Duration
	// OnBreaker is told of every change of the breaker: open, half-open, closed. It must not block.
	OnBreaker func(state string)
}

// Scorer asks a model beside the data path: Submit never waits, the answer comes by a call. What waits while requests are
// under way goes out together with the next one, so an idle server is asked at once and a busy one in batches.
type Scorer struct {
	model   Model
	cfg     ScorerConfig
	breaker *gobreaker.CircuitBreaker[[]float64]
	queue   chan job
	ctx     context.Context //nolint:containedctx // of the workers; Close ends it
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	// mu makes that nothing is put into the queue after Close has emptied it.
	mu      sync.RWMutex
	closed  bool
	waiting atomic.Int64
}

type job struct {
	vector   []float64
	deadline time.Time
	done     func(score float64, err error)
}

// NewScorer starts the workers. Close ends them.
func NewScorer(model Model, cfg ScorerConfig) *Scorer {
	s := &Scorer{model: model, cfg: cfg, queue: make(chan job, cfg.MaxQueued)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.breaker = gobreaker.NewCircuitBreaker[[]float64](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     cfg.BreakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return int64(c.ConsecutiveFailures) >= int64(cfg.BreakerFailures)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if cfg.OnBreaker != nil {
				cfg.OnBreaker(to.String())
			}
		},
		IsSuccessful: func(err error) bool { return err == nil || !telling(ReasonOf(err)) },
	})
	for range cfg.MaxInFlight {
		s.wg.Go(s.work)
	}
	return s
}

// telling reports whether a failure says something about the server, not about one request or about us.
func telling(r Reason) bool {
	switch r {
	case ReasonInvalidInput, ReasonStopped:
		return false
	default:
		return true
	}
}

// Submit asks for the score of a vector, which must not be changed before done was called. done is called once, from
// another goroutine, with a finite score or an *Error, and must not block. When Submit itself returns an error, done is
// not called.
func (s *Scorer) Submit(vector []float64, done func(score float64, err error)) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fail(ReasonStopped, "closed")
	}
	if len(vector) == 0 {
		return fail(ReasonInvalidInput, "the vector is empty")
	}
	for i, v := range vector {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fail(ReasonInvalidInput, "value %d is %v", i, v)
		}
	}
	if s.breaker.State() == gobreaker.StateOpen {
		return fail(ReasonBreakerOpen, "the last %d requests failed", s.cfg.BreakerFailures)
	}
	s.waiting.Add(1)
	select {
	case s.queue <- job{vector: vector, deadline: time.Now().Add(s.cfg.Timeout), done: done}:
		return nil
	default:
		s.waiting.Add(-1)
		return fail(ReasonQueueFull, "%d vectors wait", s.cfg.MaxQueued)
	}
}

// Waiting is how many vectors wait or are under way.
func (s *Scorer) Waiting() int { return int(s.waiting.Load()) }

// Close interrupts what is under way, answers everything that waits with ReasonStopped, and returns when all workers
// have ended. It may be called more than once.
func (s *Scorer) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	for {
		select {
		case j := <-s.queue:
			s.answer(j, 0, fail(ReasonStopped, "closed"))
		default:
			return
		}
	}
}

func (s *Scorer) work() {
	batch := make([]job, 0, s.cfg.MaxBatch)
	for {
		select {
		case <-s.ctx.Done():
			return
		case j := <-s.queue:
			batch = append(batch[:0], j)
		}
		for len(batch) > 0 {
			var next []job
			batch, next = s.fill(batch)
			s.ask(batch)
			clear(batch)
			batch = append(batch[:0], next...)
		}
	}
}

// fill adds what waits to a batch. A vector of another length begins the next request: it cannot be put back.
func (s *Scorer) fill(batch []job) (full, next []job) {
	for len(batch) < s.cfg.MaxBatch {
		select {
		case j := <-s.queue:
			if len(j.vector) != len(batch[0].vector) {
				return batch, []job{j}
			}
			batch = append(batch, j)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// ask sends one request for the vectors that are still in time, and answers all.
func (s *Scorer) ask(batch []job) {
	now := time.Now()
	vectors := make([][]float64, 0, len(batch))
	live := batch[:0]
	for _, j := range batch {
		if !j.deadline.After(now) {
			s.answer(j, 0, fail(ReasonExpired, "waited longer than %s", s.cfg.Timeout))
			continue
		}
		live, vectors = append(live, j), append(vectors, j.vector)
	}
	if len(live) == 0 {
		return
	}
	scores, err := s.breaker.Execute(func() ([]float64, error) {
		ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
		defer cancel()
		scores, err := s.model.Score(ctx, vectors)
		if err == nil && len(scores) != len(vectors) {
			err = fail(ReasonMalformed, "%d scores for %d vectors", len(scores), len(vectors))
		}
		return scores, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = &Error{Reason: ReasonBreakerOpen, err: err}
	}
	for i, j := range live {
		if err != nil {
			s.answer(j, 0, err)
			continue
		}
		s.answer(j, scores[i], nil)
	}
}

func (s *Scorer) answer(j job, score float64, err error) {
	s.waiting.Add(-1)
	j.done(score, err)
}
