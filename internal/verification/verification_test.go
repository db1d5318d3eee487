package verification

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var begun = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time {
	return begun.Add(time.Duration(seconds * float64(time.Second)))
}

func settings(names ...string) *Settings {
	s := &Settings{
		Settle: 10 * time.Second, Hold: 20 * time.Second, FailHold: 10 * time.Second, StaleAfter: 15 * time.Second, MaxSeries: 4,
	}
	for _, name := range names {
		s.Signals = append(s.Signals, Signal{Name: name})
	}
	return s
}

// play is what is told of one signal, in a line: the seconds at which it says G(ood), N(eutral), B(ad) or L(ost).
type said struct {
	at float64
	r  Reading
}

func play(v *Verification, signal int, series string, readings ...said) {
	for _, x := range readings {
		v.Observe(signal, series, after(x.at), after(x.at), x.r, after(x.at))
	}
}

func TestJudgeOneSignal(t *testing.T) {
	for name, tc := range map[string]struct {
		readings []said
		now      float64
		want     Verdict
		detail   string
	}{
		"nothing":                 {nil, 60, Unknown, "a is unknown: nothing has been heard of it"},
		"settling":                {[]said{{0, Good}, {9, Good}}, 9, Unknown, "nothing is judged for another 1s"},
		"failure while settling":  {[]said{{1, Bad}, {9, Bad}}, 10, Unknown, "a is unknown: nothing has been heard of it"},
		"held":                    {[]said{{10, Good}, {20, Good}, {30, Good}}, 30, Met, ""},
		"held, and still fresh":   {[]said{{10, Good}, {20, Good}, {30, Good}}, 45, Met, ""},
		"held, and stale":         {[]said{{10, Good}, {20, Good}, {30, Good}}, 46, Unknown, "a is unknown: it is stale, last heard of 16s ago"},
		"not for long enough":     {[]said{{10, Good}, {20, Good}, {29, Good}}, 40, Unknown, "a is unknown: it has been good for 19s of 20s"},
		"begun before the end":    {[]said{{9, Good}, {20, Good}, {29, Good}}, 30, Unknown, "a is unknown: it has been good for 9s of 20s"},
		"gap":                     {[]said{{10, Good}, {26, Good}, {36, Good}}, 36, Unknown, "a is unknown: it has been good for 10s of 20s"},
		"no gap":                  {[]said{{10, Good}, {25, Good}, {40, Good}}, 40, Met, ""},
		"neutral":                 {[]said{{10, Good}, {30, Neutral}}, 30, Unmet, "a is unmet: 1 of 1 series are not as they should be"},
		"neutral not long ago":    {[]said{{10, Neutral}, {20, Good}, {25, Good}}, 29, Unmet, "a is unmet: it was not as it should be within the last 20s"},
		"neutral before the hold": {[]said{{10, Neutral}, {20, Good}, {25, Good}}, 30, Unknown, "a is unknown: it has been good for 5s of 20s"},
		"held after neutral":      {[]said{{10, Neutral}, {20, Good}, {30, Good}, {40, Good}}, 40, Met, ""},
		"lost":                    {[]said{{10, Good}, {20, Good}, {30, Lost}}, 30, Unknown, "a is unknown: 1 of 1 series have no value"},
		"lost in the middle":      {[]said{{10, Good}, {20, Lost}, {25, Good}, {35, Good}}, 35, Unknown, "a is unknown: it has been good for 10s of 20s"},
		"bad":                     {[]said{{10, Bad}, {19, Bad}}, 19, Unmet, "a is unmet: 1 of 1 series are not as they should be"},
		"worse":                   {[]said{{10, Bad}, {20, Bad}}, 20, Worse, "a is worse: it has shown failure for 10s"},
		"worse, but stale":        {[]said{{10, Bad}, {20, Bad}}, 36, Unknown, "a is unknown: it is stale, last heard of 16s ago"},
		"bad, interrupted":        {[]said{{10, Bad}, {15, Neutral}, {20, Bad}, {29, Bad}}, 29, Unmet, "a is unmet: 1 of 1 series are not as they should be"},
		"bad, with a gap":         {[]said{{10, Bad}, {26, Bad}}, 26, Unmet, "a is unmet: 1 of 1 series are not as they should be"},
	} {
		t.Run(name, func(t *testing.T) {
			v := New(settings("a"), begun)
			play(v, 0, "x", tc.readings...)
			got := v.Judge(after(tc.now))
			assert.Equal(t, tc.want, got.Verdict, "%s: %s", got.Verdict, got.Detail)
			assert.Equal(t, tc.detail, got.Detail)
		})
	}
}

func TestHoldAndFailHoldOfZero(t *testing.T) {
	s := settings("a")
	s.Settle, s.Hold, s.FailHold = 0, 0, 0
	v := New(s, begun)
	play(v, 0, "x", said{0, Good})
	assert.Equal(t, Met, v.Judge(after(0)).Verdict)
	play(v, 0, "x", said{1, Bad})
	assert.Equal(t, Worse, v.Judge(after(1)).Verdict)
}

func TestStretches(t *testing.T) {
	v := New(settings("a"), begun)
	assert.False(t, v.Observe(0, "x", after(9), after(24), Good, after(24)), "it reaches back before the end of settling")
	require.True(t, v.Observe(0, "x", after(10), after(24), Good, after(24)))
	require.True(t, v.Observe(0, "x", after(24), after(36), Good, after(36)))
	assert.Equal(t, Met, v.Judge(after(36)).Verdict, "a stretch counts from its begin")

	v = New(settings("a"), begun)
	require.True(t, v.Observe(0, "x", after(10), after(60), Good, after(60)))
	assert.Equal(t, Unknown, v.Judge(after(60)).Verdict, "an average over an outage holds for no time")
}

func TestClockAhead(t *testing.T) {
	v := New(settings("a"), begun)
	for s := 10.0; s <= 30; s += 10 {
		v.Observe(0, "x", after(s+1e6), after(s+1e6), Good, after(s))
	}
	assert.Equal(t, Met, v.Judge(after(30)).Verdict)
	assert.Equal(t, Unknown, v.Judge(after(46)).Verdict, "a clock that runs ahead keeps nothing fresh")
}

func TestLateReadings(t *testing.T) {
	good := []said{{10, Good}, {20, Good}, {30, Good}}
	for name, tc := range map[string]struct {
		late   said
		counts bool
		want   Verdict
	}{
		"agrees":                  {said{15, Good}, false, Met},
		"contradicts":             {said{15, Neutral}, true, Unmet},
		"lost":                    {said{15, Lost}, true, Unknown},
		"again":                   {said{30, Good}, false, Met},
		"the same time, and else": {said{30, Bad}, true, Unmet},
		"settling":                {said{9, Bad}, false, Met},
	} {
		t.Run(name, func(t *testing.T) {
			v := New(settings("a"), begun)
			play(v, 0, "x", good...)
			assert.Equal(t, tc.counts, v.Observe(0, "x", after(tc.late.at), after(tc.late.at), tc.late.r, after(31)))
			assert.Equal(t, tc.want, v.Judge(after(31)).Verdict)
		})
	}
}

func TestManySeries(t *testing.T) {
	good := []said{{10, Good}, {20, Good}, {30, Good}}
	s := settings("a")
	s.MaxSeries = 2
	v := New(s, begun)
	play(v, 0, "x", good...)
	play(v, 0, "y", said{10, Good}, said{20, Good}, said{30, Neutral})
	assert.Equal(t, Unmet, v.Judge(after(30)).Verdict, "the worst series decides")

	v = New(s, begun)
	play(v, 0, "x", good...)
	play(v, 0, "y", said{10, Good})
	assert.Equal(t, Met, v.Judge(after(30)).Verdict, "a series that was well may go")

	v = New(s, begun)
	play(v, 0, "y", said{10, Neutral})
	play(v, 0, "x", said{10, Good}, said{20, Good}, said{30, Good}, said{40, Good}, said{50, Good})
	assert.Equal(t, Unknown, v.Judge(after(30)).Verdict, "silence is no recovery")
	assert.Contains(t, v.Judge(after(30)).Detail, "fell silent while")
	assert.Equal(t, Met, v.Judge(after(50)).Verdict, "but it is gone at last")

	v = New(s, begun)
	play(v, 0, "x", good...)
	play(v, 0, "y", good...)
	assert.False(t, v.Observe(0, "z", after(30), after(30), Bad, after(30)))
	assert.Equal(t, Unknown, v.Judge(after(30)).Verdict, "nobody knows what there was no room for")
	assert.Equal(t, "a is unknown: it has more than 2 series", v.Judge(after(30)).Detail)

	v = New(s, begun)
	play(v, 0, "x", said{10, Good})
	play(v, 0, "y", said{11, Good})
	play(v, 0, "z", said{30, Good}, said{40, Good}, said{50, Good})
	assert.Equal(t, Met, v.Judge(after(50)).Verdict, "those that are gone make room")
}

func TestCombination(t *testing.T) {
	const u, n, m, w = Unknown, Unmet, Met, Worse
	for name, tc := range map[string]struct {
		optional  []Verdict
		mandatory []Verdict
		require   int
		want      Verdict
	}{
		"all met":                       {[]Verdict{m, m}, nil, 0, m},
		"one unmet":                     {[]Verdict{m, n}, nil, 0, n},
		"one unknown":                   {[]Verdict{m, u}, nil, 0, u},
		"unmet beats unknown":           {[]Verdict{n, u}, nil, 0, n},
		"worse beats all":               {[]Verdict{m, m, w}, nil, 1, w},
		"two of three":                  {[]Verdict{m, u, m}, nil, 2, m},
		"two of three, one unmet":       {[]Verdict{m, n, m}, nil, 2, m},
		"two of three still possible":   {[]Verdict{m, n, u}, nil, 2, u},
		"two of three out of reach":     {[]Verdict{m, n, n}, nil, 2, n},
		"one of two, none known":        {[]Verdict{u, u}, nil, 1, u},
		"workload alone":                {nil, []Verdict{m}, 0, m},
		"workload unknown":              {[]Verdict{m}, []Verdict{u}, 0, u},
		"workload not ready":            {[]Verdict{m}, []Verdict{n}, 0, n},
		"workload does not count for k": {[]Verdict{n, u}, []Verdict{m}, 1, u},
		"workload failed":               {[]Verdict{m}, []Verdict{w}, 0, w},
		"nothing to judge":              {nil, nil, 0, u},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings()
			s.Require = tc.require
			for i := range tc.optional {
				s.Signals = append(s.Signals, Signal{Name: fmt.Sprint("o", i)})
			}
			for i := range tc.mandatory {
				s.Signals = append(s.Signals, Signal{Name: fmt.Sprint("m", i), Mandatory: true})
			}
			v := New(s, begun)
			all := append(tc.optional[:len(tc.optional):len(tc.optional)], tc.mandatory...)
			for i, verdict := range all {
				switch verdict {
				case Met:
					play(v, i, "", said{10, Good}, said{20, Good}, said{30, Good})
				case Unmet:
					play(v, i, "", said{30, Neutral})
				case Worse:
					play(v, i, "", said{20, Bad}, said{30, Bad})
				}
			}
			got := v.Judge(after(30))
			assert.Equal(t, tc.want.String(), got.Verdict.String(), got.Detail)
			assert.Equal(t, all, append([]Verdict(nil), got.Signals...))
		})
	}
}

func TestBounds(t *testing.T) {
	below := &Bounds{Below: new(10.0), FailAbove: new(100.0)}
	between := &Bounds{Below: new(10.0), Above: new(0.0), FailBelow: new(-1.0), FailAbove: new(10.0)}
	for _, tc := range []struct {
		b         *Bounds
		low, high float64
		want      Reading
	}{
		{below, 9.9, 9.9, Good},
		{below, 10, 10, Neutral},
		{below, 100, 100, Neutral},
		{below, 100.1, 100.1, Bad},
		{below, -1e300, -1e300, Good},
		{below, math.NaN(), math.NaN(), Lost},
		{below, math.Inf(1), math.Inf(1), Lost},
		{below, math.Inf(-1), math.Inf(-1), Lost},
		{below, math.Inf(-1), math.Inf(1), Lost},
		{below, 5, math.Inf(1), Neutral},   // somewhere beyond 5
		{below, 200, math.Inf(1), Bad},     // whatever it is, it is above 100
		{below, math.Inf(-1), 5, Good},     // whatever it is, it is below 10
		{below, math.Inf(-1), 20, Neutral}, // it may be above
		{between, 5, 5, Good},
		{between, 0, 0, Neutral},
		{between, -2, -2, Bad},
		{between, 11, 11, Bad},
		{&Bounds{}, 5, 5, Neutral},
	} {
		assert.Equal(t, tc.want, tc.b.ReadRange(tc.low, tc.high), "%v to %v", tc.low, tc.high)
	}
}

// reference judges one series of one signal from everything that was ever told of it, in the order of its time.
func reference(s *Settings, all []said, now float64) Verdict {
	seconds := func(d time.Duration) float64 { return d.Seconds() }
	if now < seconds(s.Settle) {
		return Unknown
	}
	var told []said
	for _, x := range all {
		if x.at >= seconds(s.Settle) {
			told = append(told, x)
		}
	}
	if len(told) == 0 || now-told[len(told)-1].at > seconds(s.StaleAfter) {
		return Unknown
	}
	last := told[len(told)-1]
	// since is how far back the reading of now goes, without a gap.
	since := last.at
	for i := len(told) - 2; i >= 0 && told[i].r == last.r && told[i+1].at-told[i].at <= seconds(s.StaleAfter); i-- {
		since = told[i].at
	}
	poor := false
	for _, x := range told {
		poor = poor || (x.r == Neutral || x.r == Bad) && now-x.at < seconds(s.Hold)
	}
	switch {
	case last.r == Bad && last.at-since >= seconds(s.FailHold):
		return Worse
	case last.r == Bad, last.r == Neutral:
		return Unmet
	case last.r == Lost:
		return Unknown
	case last.at-since >= seconds(s.Hold):
		return Met
	case poor:
		return Unmet
	default:
		return Unknown
	}
}

// TestReference compares with the slow way, and shows that no other order of arrival makes a verdict more hopeful, nor more
// alarming.
func TestReference(t *testing.T) {
	verdicts := map[Verdict]int{}
	for seed := range uint64(20_000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := settings("a")
		s.Hold, s.FailHold = time.Duration(rng.IntN(30))*time.Second, time.Duration(rng.IntN(20))*time.Second
		s.Settle, s.StaleAfter = time.Duration(rng.IntN(15))*time.Second, time.Duration(1+rng.IntN(20))*time.Second
		var told []said
		favourite := Reading(rng.IntN(4))
		for at := 0.0; at < 80; at += float64(1 + rng.IntN(12)) {
			r := favourite
			if rng.IntN(5) == 0 {
				r = Reading(rng.IntN(4))
			}
			told = append(told, said{at, r})
		}
		now := told[len(told)-1].at + float64(rng.IntN(20))
		v := New(s, begun)
		play(v, 0, "x", told...)
		want := reference(s, told, now)
		verdicts[want]++
		got := v.Judge(after(now))
		require.Equal(t, want.String(), got.Verdict.String(), "seed %d: %v, %+v: %s", seed, told, s, got.Detail)

		mixed := New(s, begun)
		for _, i := range rng.Perm(len(told)) {
			mixed.Observe(0, "x", after(told[i].at), after(told[i].at), told[i].r, after(now))
		}
		switch mixed.Judge(after(now)).Verdict {
		case Met:
			require.Equal(t, Met, want, "seed %d", seed)
		case Worse:
			require.Equal(t, Worse, want, "seed %d", seed)
		}
	}
	for v := Unknown; v <= Worse; v++ {
		assert.Greater(t, verdicts[v], 500, v.String())
	}
}
