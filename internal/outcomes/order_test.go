package outcomes

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var three = []Candidate{{Playbook: "a"}, {Playbook: "b"}, {Playbook: "c"}}

func names(c Choice) []string {
	var out []string
	for _, r := range c.Order {
		out = append(out, r.Playbook)
	}
	return out
}

func TestTheGivenOrderStays(t *testing.T) {
	tr := tracker(t, Settings{MinOutcomes: 10})
	record(t, tr, "a", 0, 5, epoch)
	record(t, tr, "c", 4, 0, epoch)
	require.NoError(t, tr.Record("traffic", "c", Recovered, epoch))
	c := tr.Order("change", three, "i", epoch)
	assert.False(t, c.Learned)
	assert.Equal(t, []string{"a", "b", "c"}, names(c))
	assert.Equal(t, "the given order stays: 9.0 verified outcomes are known, 10 are needed", c.Detail)
	assert.Zero(t, c.Order[0].Odds)

	record(t, tr, "c", 1, 0, epoch)
	c = tr.Order("change", three, "i", epoch)
	assert.True(t, c.Learned)
	assert.Equal(t, "ordered by 10.0 verified outcomes", c.Detail)

	off := tracker(t, Settings{})
	record(t, off, "c", 1000, 0, epoch)
	c = off.Order("change", three, "i", epoch)
	assert.Equal(t, []string{"a", "b", "c"}, names(c))
	assert.Equal(t, "the given order stays: learning is off", c.Detail)
}

func TestExplanation(t *testing.T) {
	tr := tracker(t, Settings{MinOutcomes: 1, Floor: 0.3, FloorOutcomes: 4})
	record(t, tr, "a", 8, 2, epoch)
	record(t, tr, "b", 0, 4, epoch)
	c := tr.Order("change", []Candidate{{Playbook: "b"}, {Playbook: "a"}}, "i", epoch)
	require.Equal(t, []string{"a", "b"}, names(c))
	a, b := c.Order[0], c.Order[1]
	assert.True(t, a.Eligible)
	assert.InDelta(t, 1, a.Odds, 1e-12)
	assert.Equal(t, fmt.Sprintf("8.0 of 10.0 verified actions helped, 0.0 were inconclusive: 75 %% expected, 53 to 92 %%; drew %.0f %%, and comes first with 100 %%", 100*a.Sampled), a.Detail)
	assert.False(t, b.Eligible)
	assert.Equal(t, "0.0 of 4.0 verified actions helped, 0.0 were inconclusive: 17 % expected, 1 to 45 %; below the floor of 30 %, it does not act by itself", b.Detail)
}

// TestFloor: Beta(1, 4) has the mean 0.2.
func TestFloor(t *testing.T) {
	for name, c := range map[string]struct {
		floor    float64
		enough   int
		eligible bool
	}{
		"below":                    {0.21, 3, false},
		"not below":                {0.2, 3, true},
		"not enough is known":      {0.21, 4, true},
		"no floor":                 {0, 3, true},
		"also before it is learnt": {0.5, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tracker(t, Settings{Floor: c.floor, FloorOutcomes: c.enough, MinOutcomes: 100, HalfLife: week})
			record(t, tr, "a", 0, 3, epoch)
			choice := tr.Order("change", three, "i", epoch)
			i := slices.IndexFunc(choice.Order, func(r Ranked) bool { return r.Playbook == "a" })
			assert.Equal(t, c.eligible, choice.Order[i].Eligible)
			assert.Equal(t, c.eligible, i == 0, "what is not eligible is last")
			choice = tr.Order("change", three, "i", epoch.Add(10*week))
			assert.True(t, choice.Order[0].Eligible, "failures fade")
		})
	}
}

// TestDestructiveStaysBehind: a destructive playbook that helps more often waits for its interval to be clear of the milder one's.
func TestDestructiveStaysBehind(t *testing.T) {
	candidates := []Candidate{{Playbook: "mild"}, {Playbook: "drain", Destructive: true}}
	tr := tracker(t, Settings{MinOutcomes: 1})
	record(t, tr, "mild", 2, 3, epoch)
	record(t, tr, "drain", 9, 1, epoch)
	m, d := tr.Statistics("change", "mild", epoch), tr.Statistics("change", "drain", epoch)
	require.Greater(t, d.Mean, m.Mean)
	require.LessOrEqual(t, d.Low, m.High)
	for i := range 100 {
		c := tr.Order("change", candidates, fmt.Sprint(i), epoch)
		require.Equal(t, []string{"mild", "drain"}, names(c))
		require.InDelta(t, 1, c.Order[0].Odds, 1e-12)
		require.Zero(t, c.Order[1].Odds)
		require.Equal(t, "mild", tr.Order("change", []Candidate{candidates[1], candidates[0]}, fmt.Sprint(i), epoch).Order[0].Playbook)
	}

	record(t, tr, "mild", 2, 20, epoch)
	record(t, tr, "drain", 9, 1, epoch)
	m, d = tr.Statistics("change", "mild", epoch), tr.Statistics("change", "drain", epoch)
	require.Greater(t, d.Low, m.High)
	first := 0
	for i := range 100 {
		if names(tr.Order("change", candidates, fmt.Sprint(i), epoch))[0] == "drain" {
			first++
		}
	}
	assert.Greater(t, first, 98)
}

// TestDestructiveBehindTheMilderOnesThatAreLeft: it may come before one milder playbook and not before another.
func TestDestructiveBehindTheMilderOnesThatAreLeft(t *testing.T) {
	tr := tracker(t, Settings{MinOutcomes: 1})
	record(t, tr, "good", 30, 3, epoch)
	record(t, tr, "bad", 1, 30, epoch)
	record(t, tr, "drain", 30, 3, epoch)
	for i := range 50 {
		c := tr.Order("change", []Candidate{{Playbook: "bad"}, {Playbook: "good"}, {Playbook: "drain", Destructive: true}}, fmt.Sprint(i), epoch)
		require.Equal(t, []string{"good", "drain", "bad"}, names(c))
	}
	// When the milder one may not act any more, it holds nobody back.
	tr.settings.Floor, tr.settings.FloorOutcomes = 0.95, 1
	record(t, tr, "drain", 1000, 0, epoch)
	c := tr.Order("change", []Candidate{{Playbook: "good"}, {Playbook: "drain", Destructive: true}}, "i", epoch)
	assert.Equal(t, []string{"drain", "good"}, names(c))
	assert.InDelta(t, 1, c.Order[0].Odds, 1e-12)
}

func TestTheSameIncidentIsDecidedAlike(t *testing.T) {
	tr := tracker(t, Settings{MinOutcomes: 1})
	record(t, tr, "a", 5, 5, epoch)
	record(t, tr, "b", 5, 5, epoch)
	orders := map[string]bool{}
	for i := range 50 {
		id := fmt.Sprint("incident", i)
		c := tr.Order("change", three, id, epoch)
		require.Equal(t, c, tr.Order("change", three, id, epoch))
		reversed := tr.Order("change", []Candidate{three[2], three[1], three[0]}, id, epoch)
		require.Equal(t, names(c), names(reversed), "what a playbook draws does not depend on the others")
		orders[fmt.Sprint(names(c))] = true
	}
	assert.Greater(t, len(orders), 2, "incidents differ")
}

// TestOdds compares the odds with how often each comes first over many incidents, and with what is known: two alike have
// even odds, and Beta(2, 1) beats Beta(1, 1) with 2/3.
func TestOdds(t *testing.T) {
	tr := tracker(t, Settings{MinOutcomes: 1})
	record(t, tr, "a", 1, 0, epoch)
	c := tr.Order("change", three[:2], "i", epoch)
	for _, r := range c.Order {
		assert.InDelta(t, map[string]float64{"a": 2.0 / 3, "b": 1.0 / 3}[r.Playbook], r.Odds, 1e-4)
	}
	c = tr.Order("change", []Candidate{{Playbook: "x"}, {Playbook: "y"}, {Playbook: "z"}}, "i", epoch)
	for _, r := range c.Order {
		assert.InDelta(t, 1.0/3, r.Odds, 1e-9)
	}

	record(t, tr, "a", 6, 5, epoch)
	record(t, tr, "b", 30, 20, epoch)
	record(t, tr, "c", 2, 1, epoch)
	const incidents = 2_500
	firsts, odds := map[string]float64{}, map[string]float64{}
	sum := 0.0
	for i := range incidents {
		c := tr.Order("change", three, fmt.Sprint(i), epoch)
		firsts[c.Order[0].Playbook]++
		if i == 0 {
			for _, r := range c.Order {
				odds[r.Playbook] = r.Odds
				sum += r.Odds
			}
		}
	}
	assert.InDelta(t, 1, sum, 1e-12)
	for playbook, o := range odds {
		assert.InDelta(t, o, firsts[playbook]/incidents, 4*math.Sqrt(o*(1-o)/incidents), playbook)
	}
}

// TestDraws: what is drawn has the distribution that it is drawn from.
func TestDraws(t *testing.T) {
	tr := tracker(t, Settings{MinOutcomes: 1})
	record(t, tr, "a", 3, 7, epoch)
	b := tr.Statistics("change", "a", epoch).posterior()
	var draws []float64
	for i := range 1000 {
		draws = append(draws, tr.Order("change", three[:1], fmt.Sprint(i), epoch).Order[0].Sampled)
	}
	slices.Sort(draws)
	// The distance of Kolmogorov and Smirnov is below 1.63/sqrt(n) with 99 %.
	for i, x := range draws {
		require.InDelta(t, float64(i)/1000, b.CDF(x), 1.63/math.Sqrt(1000))
	}
}

// worlds is how many are simulated.
const worlds = 4

// world has playbooks that help with a probability of their own.
type world map[string]float64

// run plays incidents, one an hour, and returns the share of those in which the best playbook was chosen, by hundreds.
func (w world) run(t *testing.T, tr *Tracker, best string, incidents int, seed int64) []float64 {
	t.Helper()
	rng := rand.New(rand.NewSource(seed))
	now := epoch
	shares := make([]float64, incidents/100)
	for i := range incidents {
		now = now.Add(time.Hour)
		c := tr.Order("change", three, fmt.Sprint(seed, "/", i), now)
		chosen := c.Order[0]
		if !chosen.Eligible {
			continue
		}
		if chosen.Playbook == best {
			shares[i/100] += 0.01
		}
		o := Ineffective
		if rng.Float64() < w[chosen.Playbook] {
			o = Recovered
		}
		require.NoError(t, tr.Record("change", chosen.Playbook, o, now))
	}
	return shares
}

// TestConverges: the given order has the worst first. Within 300 incidents the best is found, on average and also in the
// unluckiest of the worlds.
func TestConverges(t *testing.T) {
	w := world{"a": 0.2, "b": 0.5, "c": 0.9}
	mean, least := 0.0, 1.0
	for seed := range int64(worlds) {
		tr := tracker(t, Settings{HalfLife: 4 * week, MinOutcomes: 10})
		shares := w.run(t, tr, "c", 300, seed)
		mean += shares[2] / worlds
		least = min(least, shares[2])
	}
	t.Logf("share of the best in incidents 201 to 300: mean %.3f, least %.2f", mean, least)
	assert.Greater(t, mean, 0.97)
	assert.Greater(t, least, 0.9)
}

// TestRecoversFromPoisonedLuck: the worst one was lucky and the best one unlucky, ten times each.
func TestRecoversFromPoisonedLuck(t *testing.T) {
	w := world{"a": 0.2, "b": 0.5, "c": 0.9}
	mean, least := 0.0, 1.0
	for seed := range int64(worlds) {
		tr := tracker(t, Settings{HalfLife: week, MinOutcomes: 10, Floor: 0.1, FloorOutcomes: 8})
		record(t, tr, "a", 10, 0, epoch)
		record(t, tr, "c", 0, 10, epoch)
		shares := w.run(t, tr, "c", 500, seed)
		mean += shares[4] / worlds
		least = min(least, shares[4])
	}
	t.Logf("share of the best in incidents 401 to 500: mean %.3f, least %.2f", mean, least)
	assert.Greater(t, mean, 0.95)
	assert.Greater(t, least, 0.85)
}

// TestFollowsAChange: what helped for 300 incidents helps no more.
func TestFollowsAChange(t *testing.T) {
	mean := 0.0
	for seed := range int64(worlds) {
		tr := tracker(t, Settings{HalfLife: week, MinOutcomes: 10})
		world{"a": 0.9, "b": 0.5, "c": 0.2}.run(t, tr, "a", 300, seed)
		s := tr.Snapshot()
		for i := range s.Pairs {
			s.Pairs[i].At = s.Pairs[i].At.Add(-300 * time.Hour)
		}
		require.NoError(t, tr.Restore(s))
		shares := world{"a": 0.2, "b": 0.5, "c": 0.9}.run(t, tr, "c", 400, seed+100)
		mean += shares[3] / worlds
	}
	t.Logf("share of the new best 301 to 400 incidents after the change: %.3f", mean)
	assert.Greater(t, mean, 0.9)
}

// TestBeatsChance: it helps more often than choosing at random, by more than luck.
func TestBeatsChance(t *testing.T) {
	w := world{"a": 0.6, "b": 0.7, "c": 0.8}
	rng := rand.New(rand.NewSource(7))
	learned := 0.0
	for seed := range int64(worlds) {
		tr := tracker(t, Settings{MinOutcomes: 10})
		w.run(t, tr, "c", 400, seed)
		s := 0.0
		n := 0.0
		for _, p := range tr.All(epoch) {
			s += p.Recovered
			n += p.Verified()
		}
		learned += s / n / worlds
	}
	random := 0.0
	for range 10_000 {
		if rng.Float64() < w[three[rng.Intn(3)].Playbook] {
			random += 1.0 / 10_000
		}
	}
	t.Logf("helped: learned %.3f, at random %.3f", learned, random)
	assert.Greater(t, learned, random+0.03)
}

func BenchmarkOrder(b *testing.B) {
	tr := tracker(b, Settings{MinOutcomes: 1})
	var candidates []Candidate
	for i := range 10 {
		candidates = append(candidates, Candidate{Playbook: fmt.Sprint(i), Destructive: i > 7})
		record(b, tr, fmt.Sprint(i), 3*i, 2*i, epoch)
	}
	b.ReportAllocs()
	for b.Loop() {
		tr.Order("change", candidates, "i", epoch)
	}
}
