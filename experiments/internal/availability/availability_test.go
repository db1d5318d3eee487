package availability

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/bubble"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestMain(m *testing.M) {
	bubble.Main()
	os.Exit(m.Run())
}

func TestPlan(t *testing.T) {
	plan := newPlan(3, false)
	assert.Equal(t, plan, newPlan(3, false), "drawn from the seed alone")
	assert.InDelta(t, 60, len(plan), 25, "two a day")
	for i, e := range plan {
		assert.Less(t, e.At, month)
		if i > 0 {
			assert.Greater(t, e.At, plan[i-1].At)
		}
		switch e.Trouble {
		case Blind:
			assert.Empty(t, e.Faults)
		case Pair:
			assert.Len(t, e.Faults, 2)
		default:
			assert.Len(t, e.Faults, 1)
		}
	}
	sorts := map[Trouble]bool{}
	for _, e := range newPlan(1, true) {
		sorts[e.Trouble] = true
	}
	assert.Len(t, sorts, len(troubles), "the quick subset has one of each")
}

func TestHarm(t *testing.T) {
	act := ActionTaken{After: 40 * time.Second, Name: "restart", Service: "cart"}
	account := func(impact ...float64) *Account { return &Account{Impact: impact, Actions: []ActionTaken{act}} }
	ill := []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}
	grew := []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.6, 0.6, 0.6, 0.6}
	assert.Empty(t, harm(account(ill...), account(ill...)))
	assert.Len(t, harm(account(grew...), account(ill...)), 1)
	assert.Empty(t, harm(account(grew...), account(grew...)), "it would have grown anyway")
	assert.Empty(t, harm(account(ill...), account(grew...)))
}

func TestTally(t *testing.T) {
	var sum tally
	sum.add(&Account{
		Episode: episode{Trouble: Plain, Faults: []shop.Fault{{Kind: shop.Crash}}}, Detected: 9 * time.Second, Down: time.Minute, Recovered: 70 * time.Second,
		Actions: []ActionTaken{{After: 9 * time.Second, Right: true}, {After: -1}},
	})
	sum.add(&Account{Episode: episode{Trouble: Runaway, Faults: []shop.Fault{{Lasting: true}}}, Detected: -1, Down: 11 * time.Minute, ByPeople: true, Actions: []ActionTaken{{Right: true}}})
	sum.add(&Account{Episode: episode{Trouble: Blind}, Detected: -1})
	assert.Equal(t, 2, sum.failures)
	assert.InDelta(t, 0.1, sum.mttr(), 1e-9)
	assert.InDelta(t, (month-12*time.Minute).Hours()/2, sum.mtbf(1), 1e-9)
	assert.InDelta(t, 1-12/month.Minutes(), sum.availability(1), 1e-9)
	assert.Equal(t, []int{3, 1, 1, 1, 1, 1}, []int{sum.actions, sum.right, sum.incurable, sum.inCalm, sum.byPeople, sum.undetected})
}

// TestMonthIsTheSameAgain also shows that the whole loop closes in a bubble.
func TestMonthIsTheSameAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("a month takes a while")
	}
	first, err := watched(t.Context(), order{Seed: 1, Quick: true})
	require.NoError(t, err)
	again, err := watched(t.Context(), order{Seed: 1, Quick: true})
	require.NoError(t, err)
	require.Equal(t, first, again)
	without, err := live(t.Context(), order{Seed: 1, Quick: true}, false)
	require.NoError(t, err)
	plain := 0
	for i, e := range first.Episodes {
		if e.Episode.Trouble == Plain {
			plain++
			assert.Less(t, e.Down, without.Episodes[i].Down)
			assert.False(t, e.ByPeople)
		}
	}
	assert.Positive(t, plain)
	assert.LessOrEqual(t, first.MostActions, 20, "the budget of the example")
}
