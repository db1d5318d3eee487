package entitydetector

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
	"github.com/paramedic-otel/paramedic/internal/openinference"
)

// Scorer asks a model for the score of a vector and never waits; openinference.Scorer is one.
type Scorer interface {
	Submit(vector []float64, done func(score float64, err error)) error
}

// The results of asking a model that are no openinference.Reason.
const (
	// RemoteAnswered: a score came.
	RemoteAnswered = "answered"
	// RemoteLate: it came too late to say anything of the present.
	RemoteLate = "late"
	// RemotePending: the model was not asked, since the last answer had not come yet.
	RemotePending = "pending"
)

// RemoteModel is what the remote detectors of all entities share.
type RemoteModel struct {
	scorer atomic.Value
	// Count is told of the result of each vector. It is called from any goroutine.
	Count func(result string)
}

// Use sets who is asked. Until then, nobody is.
func (m *RemoteModel) Use(s Scorer) { m.scorer.Store(&s) }

func (m *RemoteModel) submit(vector []float64, done func(float64, error)) error {
	s, ok := m.scorer.Load().(*Scorer)
	if !ok {
		return fmt.Errorf("nobody to ask")
	}
	return (*s).Submit(vector, done)
}

// answerAge is how many intervals old the vector may be that an answer is about.
const answerAge = 2.5

// remote is a model on a server. It is asked about each vector beside the data path, and what it says is heard with the
// next one: one interval late. Its scores may be of any scale, a higher one being odder: what is usual is learnt here.
// When no answer is there in time, what the detectors before it say stands in.
type remote struct {
	params   Params
	surprise evidence.Surprise
	lasting  *evidence.Fusion
	learnt   int
	badly    int
	// values are the latest of each signal.
	values  []float64
	inbox   atomic.Pointer[remoteAnswer]
	waiting atomic.Bool
}

type remoteAnswer struct {
	at    int64
	score float64
}

func newRemote(p Params) (*remote, error) {
	if p.Remote == nil {
		return nil, fmt.Errorf("no remote model is configured")
	}
	l, err := lasting(&p)
	if err != nil {
		return nil, err
	}
	return &remote{params: p, lasting: l, values: make([]float64, p.Signals)}, nil
}

// Observe knows nothing of the contributions.
func (r *remote) Observe(v *Vector, contributions []float64) Verdict {
	clear(contributions)
	answer := r.inbox.Swap(nil)
	r.ask(v)
	if answer != nil && float64(v.At-answer.at) > answerAge*float64(r.params.Interval) {
		r.params.Remote.Count(RemoteLate)
		answer = nil
	}
	if answer == nil {
		return r.local(v)
	}
	chance, size := r.surprise.Judge(answer.score)
	rate := 1.0
	out := Verdict{Source: evidence.Source{Chance: 1}}
	if r.learnt >= r.params.WarmUp {
		out = Verdict{Ready: true, Source: evidence.Source{Chance: chance, Size: size}}
		out.Score = r.lasting.Observe(v.At, []evidence.Source{out.Source}, nil).Probability
		r.badly++
		if chance >= abnormal {
			r.badly = 0
		}
		if r.badly > 0 && r.badly <= r.params.adoptAfter() {
			rate = 0
		}
	}
	r.surprise.Learn(answer.score, rate)
	if rate > 0 {
		r.learnt++
	}
	return out
}

// local is what the detectors before this one say, the most alarming of them. It is no evidence of its own.
func (r *remote) local(v *Vector) Verdict {
	source := evidence.Source{Chance: math.NaN()}
	for _, s := range v.Sources[min(len(v.Values), len(v.Sources)):] {
		if !(s.Chance >= source.Chance) && !math.IsNaN(s.Chance) {
			source = s
		}
	}
	out := Verdict{Ready: r.learnt >= r.params.WarmUp, Source: evidence.Source{Chance: math.NaN()}}
	if out.Ready {
		out.Score = r.lasting.Observe(v.At, []evidence.Source{source}, nil).Probability
	}
	return out
}

func (r *remote) ask(v *Vector) {
	for i, x := range v.Values {
		if !math.IsNaN(x) {
			r.values[i] = x
		}
	}
	model := r.params.Remote
	if r.waiting.Swap(true) {
		model.Count(RemotePending)
		return
	}
	at := v.At
	err := model.submit(append([]float64(nil), r.values...), func(score float64, err error) {
		if err == nil {
			r.inbox.Store(&remoteAnswer{at: at, score: score})
			model.Count(RemoteAnswered)
		} else {
			model.Count(string(openinference.ReasonOf(err)))
		}
		r.waiting.Store(false)
	})
	if err != nil {
		r.waiting.Store(false)
		model.Count(string(openinference.ReasonOf(err)))
	}
}

const remoteVersion = 1

func (r *remote) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, remoteVersion)
	b = binarystate.AppendUint32(b, uint32(min(r.learnt, 1<<30))) //nolint:gosec // not negative
	return appendParts(b, &r.surprise, r.lasting)
}

func (r *remote) UnmarshalBinary(data []byte) error {
	in := binarystate.NewReader(data)
	if v := in.Byte(); v != remoteVersion && in.Err() == nil {
		return fmt.Errorf("state of remote detector has version %d, want %d", v, remoteVersion)
	}
	learnt := in.Count(1 << 30)
	var surprise evidence.Surprise
	l, err := lasting(&r.params)
	if err != nil {
		return err
	}
	if err := readParts(in, &surprise, l); err != nil {
		return err
	}
	r.learnt, r.surprise, r.lasting = learnt, surprise, l
	return nil
}
