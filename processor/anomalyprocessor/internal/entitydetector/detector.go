// Package entitydetector judges the signals of one entity together: a vector of values, one for each signal, at even
// intervals. Each detector stands in a file of its own behind one interface, and says how probable it is that a calm entity looks as odd.
package entitydetector

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/evidence"
)

// Type names a detector.
type Type string

// The detectors.
const (
	IsolationForest Type = "isolation_forest"
	Autoencoder     Type = "autoencoder"
	Remote          Type = "remote"
	Fusion          Type = "fusion"
)

// Types lists the detectors in the order in which they are asked.
var Types = []Type{IsolationForest, Autoencoder, Remote, Fusion}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Type) UnmarshalText(text []byte) error {
	if !slices.Contains(Types, Type(text)) {
		return fmt.Errorf("detector must be one of %v, got %q", Types, text)
	}
	*t = Type(text)
	return nil
}

// Params are shared by the detectors of an entity.
type Params struct {
	// Signals is the length of the vectors.
	Signals int
	// Interval is the time between two vectors.
	Interval time.Duration
	// EpisodesPerDay is how many abnormal episodes a day one expects of an entity.
	EpisodesPerDay float64
	// WarmUp is the number of vectors learnt before one is judged.
	WarmUp int
	// Memory is the time that an autoencoder remembers vectors to learn them again.
	Memory time.Duration
	// AdoptAfter is the time after which a change that stays is learnt.
	AdoptAfter time.Duration
	// Seed is the only source of randomness.
	Seed uint64
	// Remote is the model of a remote detector, nil when there is none.
	Remote *RemoteModel
}

// adoptAfter is Params.AdoptAfter as a number of vectors.
func (p *Params) adoptAfter() int { return p.vectors(p.AdoptAfter) }

// vectors is the number of vectors in a time.
func (p *Params) vectors(d time.Duration) int {
	return int(math.Max(1, math.Min(1e6, d.Seconds()/math.Max(1e-3, p.Interval.Seconds()))))
}

// Vector is what an entity looks like at one time.
type Vector struct {
	// At is the time in nanoseconds.
	At int64
	// Values are those of the signals; NaN is missing.
	Values []float64
	// Sources are what the series' own detector says of each signal.
	Sources []evidence.Source
}

// Verdict is what a detector says of a vector.
type Verdict struct {
	// Ready says that enough was learnt to judge; else the score is 0.
	Ready bool
	// Score is the probability that the entity is abnormal.
	Score float64
	// Source is what the detector says to a fusion.
	Source evidence.Source
}

// Detector judges the vectors of one entity and learns from them.
type Detector interface {
	// Observe judges a vector, then learns from it. contributions receives the share of each signal in what was said.
	Observe(v *Vector, contributions []float64) Verdict
	// AppendBinary and UnmarshalBinary are for the durable state.
	AppendBinary([]byte) ([]byte, error)
	UnmarshalBinary([]byte) error
}

// New returns a detector that has seen nothing. others are the detectors asked before it, for a fusion.
func New(t Type, p Params, others int) (Detector, error) {
	switch t {
	case IsolationForest:
		return newForest(p)
	case Autoencoder:
		return newAutoencoder(p)
	case Remote:
		return newRemote(p)
	case Fusion:
		return newFusion(p, others)
	default:
		return nil, fmt.Errorf("unknown detector %q", t)
	}
}

// lasting turns the p-values of one detector into the probability that the entity is abnormal, as evidence.Fusion does with several: one odd
// vector is a suspicion, a second one in a row more than that.
func lasting(p *Params) (*evidence.Fusion, error) {
	e := evidence.DefaultParams(1)
	e.EpisodesPerDay, e.Share = p.EpisodesPerDay, 0.9
	return evidence.New(e)
}
