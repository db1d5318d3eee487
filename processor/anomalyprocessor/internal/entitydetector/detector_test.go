package entitydetector

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/evidence"
)

const signals = 6

func params() Params {
	return Params{
		Signals: signals, Interval: 10 * time.Second, EpisodesPerDay: 0.3, WarmUp: 100, Memory: time.Hour, AdoptAfter: 30 * time.Minute, Seed: 1,
	}
}

// service makes vectors of signals that follow one load; the first third is off by what is given.
type service struct {
	r  *rand.Rand
	at int64
}

func (s *service) next(off float64) *Vector {
	s.at += int64(10 * time.Second)
	v := &Vector{At: s.at, Values: make([]float64, signals), Sources: make([]evidence.Source, signals)}
	load := 1 + 0.5*math.Sin(s.r.Float64()*2*math.Pi)
	for i := range v.Values {
		at := load
		if i < signals/3 {
			at += off
		}
		noise := s.r.NormFloat64()
		v.Values[i] = 100 * (at + 0.03*noise)
		// Each series by itself sees noise, and a little of what is off.
		z := noise
		if i < signals/3 {
			z += 3 * math.Min(1, off)
		}
		v.Sources[i] = evidence.Source{Chance: math.Erfc(math.Abs(z) / math.Sqrt2), Size: z}
	}
	return v
}

func newDetector(t testing.TB, kind Type, others int) Detector {
	t.Helper()
	d, err := New(kind, params(), others)
	require.NoError(t, err)
	return d
}

var local = []Type{IsolationForest, Autoencoder, Fusion}

func TestDetectors(t *testing.T) {
	for _, kind := range local {
		t.Run(string(kind), func(t *testing.T) {
			s := &service{r: rand.New(rand.NewPCG(1, 1))}
			d := newDetector(t, kind, 0)
			shares := make([]float64, signals)
			high := 0
			for i := range 1500 {
				v := d.Observe(s.next(0), shares)
				if i < 100 {
					require.False(t, v.Ready && kind != IsolationForest)
					require.Zero(t, v.Score)
				}
				if v.Score >= 0.95 {
					high++
				}
			}
			assert.LessOrEqual(t, high, 1)
			found, first := 0, 0.0
			for range 12 {
				v := d.Observe(s.next(0.9), shares)
				require.True(t, v.Ready)
				if v.Score >= 0.95 {
					found++
					first += shares[0] + shares[1]
				}
			}
			require.Greater(t, found, 4)
			assert.Greater(t, first/float64(found), 0.5, "the signals that are off contribute most")
			var v Verdict
			for range 60 {
				v = d.Observe(s.next(0), shares)
			}
			assert.Less(t, v.Score, 0.5, "it ends")
		})
	}
}

// A change that stays is learnt after AdoptAfter.
func TestAdoption(t *testing.T) {
	for _, kind := range []Type{IsolationForest, Autoencoder} {
		t.Run(string(kind), func(t *testing.T) {
			s := &service{r: rand.New(rand.NewPCG(2, 2))}
			d := newDetector(t, kind, 0)
			shares := make([]float64, signals)
			for range 800 {
				d.Observe(s.next(0), shares)
			}
			var v Verdict
			for range 1500 {
				v = d.Observe(s.next(2), shares)
			}
			assert.Less(t, v.Score, 0.5)
		})
	}
}

func TestState(t *testing.T) {
	for _, kind := range local {
		t.Run(string(kind), func(t *testing.T) {
			s := &service{r: rand.New(rand.NewPCG(3, 3))}
			d := newDetector(t, kind, 0)
			shares := make([]float64, signals)
			for range 600 {
				d.Observe(s.next(0), shares)
			}
			state, err := d.AppendBinary(nil)
			require.NoError(t, err)
			back := newDetector(t, kind, 0)
			require.NoError(t, back.UnmarshalBinary(state))
			v := back.Observe(s.next(0), shares)
			assert.True(t, v.Ready, "it goes on where it was")
			assert.Less(t, v.Score, 0.5)
			again, err := newDetector(t, kind, 0).AppendBinary(nil)
			require.NoError(t, err)
			for cut := 0; cut < len(state); cut += 1 + len(state)/200 {
				require.Error(t, back.UnmarshalBinary(state[:cut]))
			}
			require.Error(t, back.UnmarshalBinary(append(slices.Clone(state), 0)))
			state[0] = 99
			require.ErrorContains(t, back.UnmarshalBinary(state), "version 99")
			require.NoError(t, back.UnmarshalBinary(again))
		})
	}
}

func TestFusionHearsOtherDetectors(t *testing.T) {
	s := &service{r: rand.New(rand.NewPCG(4, 4))}
	d := newDetector(t, Fusion, 1)
	shares := make([]float64, signals)
	for range 800 {
		v := s.next(0)
		z := s.r.NormFloat64()
		v.Sources = append(v.Sources, evidence.Source{Chance: math.Erfc(math.Abs(z) / math.Sqrt2), Size: z})
		d.Observe(v, shares)
	}
	v := s.next(0)
	v.Sources = append(v.Sources, evidence.Source{Chance: 1e-12, Size: 9})
	assert.Greater(t, d.Observe(v, shares).Score, 0.95)
	gainer, ok := d.(Gainer)
	require.True(t, ok)
	for i := range signals {
		assert.GreaterOrEqual(t, gainer.Gain(i), 0.0)
	}
}

func TestMissingValues(t *testing.T) {
	for _, kind := range local {
		s := &service{r: rand.New(rand.NewPCG(5, 5))}
		d := newDetector(t, kind, 0)
		shares := make([]float64, signals)
		for n := range 1000 {
			v := s.next(0)
			for i := range v.Values {
				if s.r.IntN(3) == 0 || n%100 == 99 {
					v.Values[i] = math.NaN()
					v.Sources[i].Chance = math.NaN()
				}
			}
			got := d.Observe(v, shares)
			require.True(t, got.Score >= 0 && got.Score <= 1)
		}
	}
}

func TestUnknownType(t *testing.T) {
	_, err := New("oracle", params(), 0)
	require.ErrorContains(t, err, "oracle")
	var kind Type
	require.ErrorContains(t, kind.UnmarshalText([]byte("oracle")), "must be one of")
	require.NoError(t, kind.UnmarshalText([]byte("fusion")))
	assert.Equal(t, Fusion, kind)
}

func FuzzUnmarshalBinary(f *testing.F) {
	p := params()
	p.Signals = 2
	for i, kind := range local {
		d, err := New(kind, p, 0)
		require.NoError(f, err)
		state, err := d.AppendBinary(nil)
		require.NoError(f, err)
		f.Add(i, state)
	}
	f.Fuzz(func(t *testing.T, kind int, state []byte) {
		d, err := New(local[uint(kind)%uint(len(local))], p, 0) //nolint:gosec // any will do
		require.NoError(t, err)
		_ = d.UnmarshalBinary(state)
		for n := range 3 {
			v := d.Observe(&Vector{At: int64(n) * 1e9, Values: []float64{1, 2}, Sources: make([]evidence.Source, 2)}, make([]float64, 2))
			require.True(t, v.Score >= 0 && v.Score <= 1)
		}
	})
}
