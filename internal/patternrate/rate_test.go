package patternrate

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/excess"
)

var settings = Settings{MinRatio: 4, MinRecords: 20, MinSurprise: 15, Learning: excess.Learning{HalfLife: 180, NormalAfter: 360}}

func TestSketch(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	var s Sketch
	assert.Zero(t, s.Estimate())
	for _, n := range []int{1, 10, 100, 1000, 10_000, 300_000} {
		s.Reset()
		for range n {
			hash := rng.Uint64()
			s.Add(hash)
			s.Add(hash)
		}
		assert.InEpsilon(t, n, s.Estimate(), 0.1)
	}
	s.Add(0)
	s.Add(^uint64(0))
}

// shop is a service with templates that are written so many times a bucket, on average.
type shop struct {
	rng     *rand.Rand
	service Service
	rates   []*Rate
	bucket  int64
}

func newShop(templates int) *shop {
	s := &shop{rng: rand.New(rand.NewSource(3))}
	for range templates {
		s.rates = append(s.rates, &Rate{})
	}
	return s
}

// play closes buckets in which each template is written as often as its mean says, times the traffic.
func (s *shop) play(n int, traffic float64, means ...float64) (findings []Finding) {
	for range n {
		b := Bucket{Index: s.bucket}
		for i, mean := range means {
			k := uint64(0)
			for range int(10 * mean * traffic) {
				if s.rng.Float64() < 0.1 {
					k++
				}
			}
			b.Records += k
			b.Counts = append(b.Counts, Count{s.rates[i], k})
		}
		findings = append(findings, s.service.Close(b, &settings)...)
		s.bucket++
	}
	return findings
}

func TestNothingToTell(t *testing.T) {
	s := newShop(4)
	assert.Empty(t, s.play(1000, 1, 50, 20, 5, 0.2))
	assert.Empty(t, s.play(100, 3, 50, 20, 5, 0.2), "more traffic")
	assert.Empty(t, s.play(100, 0.2, 50, 20, 5, 0.2), "less")
	assert.Empty(t, s.play(100, 0, 50, 20, 5, 0.2), "none")
}

func TestSurgeAndVanished(t *testing.T) {
	s := newShop(5)
	s.play(200, 1, 50, 20, 20, 5, 1)
	got := s.play(5, 1, 50, 20, 20, 50, 1)
	require.Len(t, got, 1)
	assert.Equal(t, Surge, got[0].Kind)
	assert.Same(t, s.rates[3], got[0].Rate)
	assert.Greater(t, got[0].Observed, 4*got[0].Expected)
	assert.Empty(t, s.play(50, 1, 50, 20, 20, 5, 1))
	got = s.play(20, 1, 50, 0, 20, 5, 1)
	require.Len(t, got, 1, "one event for an episode")
	assert.Equal(t, Vanished, got[0].Kind)
	assert.Same(t, s.rates[1], got[0].Rate)
	assert.Zero(t, got[0].Observed)
	assert.GreaterOrEqual(t, got[0].Expected, settings.MinRecords)
}

// TestSettings turns each of them.
func TestSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Settings)
		want   int
	}{
		"standard":     {func(*Settings) {}, 1},
		"min ratio":    {func(s *Settings) { s.MinRatio = 20 }, 0},
		"min records":  {func(s *Settings) { s.MinRecords = 10_000 }, 0},
		"min surprise": {func(s *Settings) { s.MinSurprise = 299 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			was := settings
			defer func() { settings = was }()
			tc.change(&settings)
			s := newShop(4)
			s.play(200, 1, 50, 20, 20, 5)
			assert.Len(t, s.play(3, 1, 50, 20, 20, 50), tc.want)
		})
	}
}

// TestHalfLife forgets soon, or late, that a template was written more often in the past.
func TestHalfLife(t *testing.T) {
	for halfLife, want := range map[float64]int{5: 1, 180: 0} {
		was := settings
		settings.Learning.HalfLife = halfLife
		s := newShop(4)
		s.play(400, 1, 50, 20, 20, 30)
		assert.Empty(t, s.play(100, 1, 50, 20, 20, 10))
		assert.Len(t, s.play(5, 1, 50, 20, 20, 60), want, "%v", halfLife)
		settings = was
	}
}

// TestFlood has one template be written so often that it is nearly all that there is: the others have not vanished.
func TestFlood(t *testing.T) {
	s := newShop(4)
	s.play(200, 1, 10, 10, 10, 1)
	got := s.play(300, 1, 10, 10, 10, 300)
	require.Len(t, got, 1)
	assert.Equal(t, Surge, got[0].Kind)
	assert.Same(t, s.rates[3], got[0].Rate)
}

// TestByRequests has fewer records of a step for each request.
func TestByRequests(t *testing.T) {
	var s Service
	var a, b Rate
	play := func(n int, from int64, traces, steps uint64) (findings []Finding) {
		for i := range n {
			findings = append(findings, s.Close(Bucket{
				Index: from + int64(i), Records: traces + steps, Traced: traces + steps, Traces: float64(traces),
				Counts: []Count{{&a, traces}, {&b, steps}},
			}, &settings)...)
		}
		return findings
	}
	assert.Empty(t, play(100, 0, 40, 40))
	assert.True(t, s.perRequest)
	assert.Empty(t, play(50, 100, 400, 400))
	assert.Empty(t, play(50, 150, 4, 4))
	got := play(50, 200, 40, 3)
	require.Len(t, got, 1)
	assert.Equal(t, Vanished, got[0].Kind)
	assert.Same(t, &b, got[0].Rate)
	// A template that is there for the first time has no past that could surge.
	var c Rate
	assert.Empty(t, s.Close(Bucket{Index: 250, Records: 500, Traced: 500, Traces: 40, Counts: []Count{{&a, 40}, {&b, 40}, {&c, 420}}}, &settings))
}

// TestNoMoreTraces has records name their traces no more: what was learnt for each request is of no use then.
func TestNoMoreTraces(t *testing.T) {
	var s Service
	var rates [3]Rate
	play := func(from, n int64, traced uint64, last uint64) (findings []Finding) {
		for i := range n {
			findings = append(findings, s.Close(Bucket{
				Index: from + i, Records: 100, Traced: traced, Traces: float64(traced) / 3,
				Counts: []Count{{&rates[0], 40}, {&rates[1], 40}, {&rates[2], last}},
			}, &settings)...)
		}
		return findings
	}
	assert.Empty(t, play(0, 100, 100, 20))
	assert.True(t, s.perRequest)
	assert.Empty(t, play(100, 200, 0, 20))
	assert.False(t, s.perRequest)
	assert.Len(t, play(300, 10, 0, 200), 1)
}

func TestGapsAndReturns(t *testing.T) {
	s := newShop(3)
	s.play(100, 1, 50, 20, 5)
	s.bucket += 1_000_000
	assert.Empty(t, s.play(100, 1, 50, 20, 5), "after a long silence")
	s.bucket -= 500
	assert.Empty(t, s.play(100, 1, 50, 20, 5), "after time went back")
	assert.Len(t, s.play(10, 1, 50, 20, 100), 1)
}

func TestMerge(t *testing.T) {
	s := newShop(3)
	s.play(100, 1, 50, 20, 5)
	want := s.rates[0].mean() + s.rates[1].mean()
	s.rates[1].Merge(s.rates[0])
	assert.InDelta(t, want, s.rates[1].mean(), 1e-9)
	s.rates = s.rates[1:]
	assert.Empty(t, s.play(100, 1, 70, 5))
}

// TestCode has a service that is stored and read go on as if nothing had been.
func TestCode(t *testing.T) {
	a := newShop(4)
	a.play(200, 1, 50, 20, 20, 5)
	code := func(c *binarystate.Codec, s *shop) {
		s.service.Code(c)
		for _, r := range s.rates {
			r.Code(c)
		}
	}
	w := binarystate.NewWriter(nil)
	code(w, a)
	b := newShop(4)
	c := binarystate.NewCodecReader(w.Written())
	code(c, b)
	require.NoError(t, c.Close())
	b.bucket = a.bucket
	a.rng, b.rng = rand.New(rand.NewSource(9)), rand.New(rand.NewSource(9))
	for range 3 {
		x, y := a.play(20, 1, 50, 20, 20, 50), b.play(20, 1, 50, 20, 20, 50)
		require.Len(t, y, len(x))
		for i := range x {
			assert.InDelta(t, x[i].Expected, y[i].Expected, 1e-3)
		}
	}
}

func FuzzCode(f *testing.F) {
	s := newShop(1)
	s.play(50, 1, 20)
	w := binarystate.NewWriter(nil)
	s.service.Code(w)
	s.rates[0].Code(w)
	f.Add(w.Written())
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := binarystate.NewCodecReader(data)
		s := newShop(1)
		s.service.Code(c)
		s.rates[0].Code(c)
		if c.Close() == nil {
			s.bucket = s.service.timeline.Next()
			s.play(3, 1, 10)
		}
	})
}
