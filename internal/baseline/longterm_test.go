package baseline

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var calmSeries = flag.Int("series", 12, "calm series of each kind that the long-term detector is shown")

// workday is a load that is high from nine to five, in UTC, a point every step.
func workday(step time.Duration, seed uint64) func(i int) float64 {
	value := noise(seed, 0, 2)
	return func(i int) float64 {
		at := time.Duration(i) * step % (24 * time.Hour)
		if at >= 9*time.Hour && at < 17*time.Hour {
			return 100 + value()
		}
		return 20 + value()
	}
}

func midnight(step time.Duration) *player {
	p := newPlayer(step)
	p.now = 24*time.Hour*365 - step
	return p
}

func opened(all []Verdict) int {
	n := 0
	for _, v := range all {
		if v.Opened {
			n++
		}
	}
	return n
}

// A jump that comes at the same time every day is no news after a week, whatever the pace of the points. The same jump at
// another time is, and, to slow series, one that does not come.
func TestTimesOfTheDayAreLearnt(t *testing.T) {
	for _, step := range []time.Duration{10 * time.Second, 5 * time.Minute, 30 * time.Minute} {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			p := midnight(step)
			load := workday(step, 1)
			perDay := int(24 * time.Hour / step)
			i := 0
			play := func(n int, value func(int) float64) []Verdict {
				all := make([]Verdict, n)
				for k := range all {
					all[k] = p.play(value(i))
					i++
				}
				return all
			}
			play(14*perDay, load)
			assert.LessOrEqual(t, opened(play(7*perDay, load)), 1, "a week like all others")
			night := *p
			require.Zero(t, opened(play(perDay/8, load)))
			assert.Positive(t, opened([]Verdict{p.play(100), p.play(100), p.play(100)}), "work at three in the morning")
			*p, i = night, i-perDay/8
			if step < time.Minute {
				return // the dense series' long-term threshold is too high for what only profiles know
			}
			holiday := noise(2, 20, 2)
			got := play(perDay, func(int) float64 { return holiday() })
			require.Positive(t, opened(got), "a day without work")
			first := 0
			for !got[first].Opened {
				first++
			}
			assert.InDelta(t, 9*60, (time.Duration(first) * step).Minutes(), 150, "minutes after midnight")
		})
	}
}

// With a zone, what happens at nine goes on happening at nine when the clocks change; in UTC it comes an hour early.
func TestDaylightSaving(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	first := time.Date(2026, 3, 1, 0, 0, 0, 0, berlin)
	change := time.Date(2026, 3, 29, 0, 0, 0, 0, berlin)
	deviation := func(zone *time.Location) float64 {
		p := newPlayer(30 * time.Minute)
		p.Zone = zone
		value := noise(1, 0, 2)
		worst := 0.0
		for at := first; at.Before(change.AddDate(0, 0, 2)); at = at.Add(30 * time.Minute) {
			level := 20.0
			if at.Hour() >= 6 && at.Hour() < 17 {
				level = 100
			}
			v := p.Observe(&p.Series, at.UnixNano(), level+value(), &p.Limits, 0)
			if at.After(change.Add(3*time.Hour)) && at.Hour() >= 7 && at.Hour() < 16 {
				worst = max(worst, math.Abs(v.Deviation))
			}
		}
		return worst
	}
	assert.Less(t, deviation(berlin), deviation(time.UTC))
}

func TestSlowSeries(t *testing.T) {
	for name, tc := range map[string]struct {
		fault func(i int, normal float64) float64
		by    []Statistic // one of which must have the largest share
	}{
		"spike":               {func(_ int, v float64) float64 { return v + 60 }, []Statistic{Record, SeasonRecord, LongLevel, Season}},
		"dip":                 {func(_ int, v float64) float64 { return v - 60 }, []Statistic{Record, SeasonRecord, LongLevel, Season}},
		"shift":               {func(_ int, v float64) float64 { return v + 15 }, nil},
		"leak":                {func(i int, v float64) float64 { return v + 0.3*float64(i) }, nil},
		"becomes restless":    {func(i int, v float64) float64 { return 50 + 5*(v-50) }, nil},
		"a little, for hours": {func(_ int, v float64) float64 { return v + 8 }, []Statistic{ShiftedLevel, ShiftedSeason, ShiftedRecord}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(5 * time.Minute)
			value := noise(3, 50, 3)
			p.playN(3000, value)
			onset := p.now
			var got Verdict
			for i := range 200 {
				if got = p.play(tc.fault(i, value())); got.Opened {
					break
				}
			}
			require.True(t, got.Opened)
			t.Logf("after %s: %.2f", p.now-onset, got.Contributions)
			sum, largest := float32(0), Statistic(0)
			for i, share := range got.Contributions {
				sum += share
				if share > got.Contributions[largest] {
					largest = Statistic(i)
				}
			}
			assert.InDelta(t, 1, sum, 1e-5)
			if tc.by != nil {
				assert.Contains(t, tc.by, largest, largest.String())
			}
		})
	}
}

// A series that becomes slower or faster goes on to be judged, by the other detector.
func TestPaceChanges(t *testing.T) {
	p := newPlayer(10 * time.Second)
	value := noise(1, 50, 3)
	p.playN(5*8640, value)
	p.step = 5 * time.Minute
	assert.LessOrEqual(t, opened(p.playN(500, value)), 4)
	assert.Positive(t, opened(p.playN(3, always(120))))
	p.playN(500, value)
	p.step = 10 * time.Second
	assert.LessOrEqual(t, opened(p.playN(3000, value)), 1)
	assert.Positive(t, opened(p.playN(3, always(120))))
}

// Slow series are judged by a threshold that fits few points: each is all the evidence there will be for minutes. The rate at
// which calm ones alarm is printed, and bounded; dense ones have to be as quiet as they are by the fast detector alone.
// For figures: go test -run LongTermCalm -v -args -series 60.
func TestLongTermCalm(t *testing.T) {
	kinds := map[string]func(r *rand.Rand, day float64) float64{
		"normal":         func(r *rand.Rand, _ float64) float64 { return 100 + 5*r.NormFloat64() },
		"log-normal 0.5": func(r *rand.Rand, _ float64) float64 { return math.Exp(0.5 * r.NormFloat64()) },
		"Poisson":        func(r *rand.Rand, _ float64) float64 { return poisson(r, 3) },
		"daily sine":     func(r *rand.Rand, day float64) float64 { return 100 + 50*math.Sin(2*math.Pi*day) + 5*r.NormFloat64() },
	}
	for _, pace := range []struct {
		step         time.Duration
		share, weeks int
		first, later float64 // most in the first week and in each later one
	}{
		{30 * time.Second, 6, 2, 0.5, 0.3},
		{5 * time.Minute, 1, 6, 4, 1.5},
		{time.Hour, 1, 6, 1, 2},
	} {
		for name, kind := range kinds {
			t.Run(pace.step.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				first, later := 0, 0
				perDay := int(24 * time.Hour / pace.step)
				series := max(1, *calmSeries/pace.share)
				for seed := range series {
					r := rand.New(rand.NewPCG(uint64(seed), 11))
					p := midnight(pace.step)
					for i := range 7 * pace.weeks * perDay {
						switch opened := p.play(kind(r, float64(i%perDay)/float64(perDay))).Opened; {
						case opened && i < 7*perDay:
							first++
						case opened:
							later++
						}
					}
				}
				inFirst := float64(first) / float64(series)
				inLater := float64(later) / float64(series*(pace.weeks-1))
				t.Logf("%.2f alarms in the first week, %.2f in a later one", inFirst, inLater)
				assert.LessOrEqual(t, inFirst, pace.first)
				assert.LessOrEqual(t, inLater, pace.later)
			})
		}
	}
}

// The rate follows what is asked for.
func TestSensitivityOfSlowSeries(t *testing.T) {
	alarms := func(perDay float64) int {
		n := 0
		for seed := range uint64(20) {
			p := newPlayer(5 * time.Minute)
			p.AnomaliesPerDay = perDay
			value := noise(seed, 100, 5)
			p.playN(7*288, value)
			n += opened(p.playN(4*7*288, value))
		}
		return n
	}
	usual, tenth := alarms(0.27), alarms(0.027)
	t.Logf("%d, and %d where a tenth is asked for", usual, tenth)
	assert.InDelta(t, 0.1, float64(tenth)/float64(usual), 0.08)
}

// A higher score is a rarer one, of slow series too.
func TestScoresOfSlowSeriesTellDegreesApart(t *testing.T) {
	alarms := func(minScore float64) int {
		n := 0
		for seed := range uint64(20) {
			p := newPlayer(5 * time.Minute)
			p.MinScore = minScore
			value := noise(seed, 100, 5)
			p.playN(7*288, value)
			n += opened(p.playN(4*7*288, value))
		}
		return n
	}
	usual, rarer, rarest := alarms(0.95), alarms(0.99), alarms(0.999)
	t.Logf("%d, %d and %d", usual, rarer, rarest)
	assert.Less(t, 2*rarer, usual)
	assert.Less(t, 2*rarest, rarer)
}

// The noise of means of many points says nothing of that of single ones: a series that becomes slow is judged anew.
func TestSeriesThatBecomesSlow(t *testing.T) {
	for seed := range uint64(10) {
		p := newPlayer(30 * time.Second)
		value := noise(seed, 50, 3)
		p.playN(4*2880, value)
		p.step = 5 * time.Minute
		assert.Zero(t, opened(p.playN(150, value)), seed)
		require.True(t, p.sparse)
		p.playN(3000, value)
		assert.Positive(t, opened(p.playN(3, always(120))), seed)
	}
}
