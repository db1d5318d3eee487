package logtemplate

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate/statetest"
)

func small() Limits { return Limits{MaxTemplates: 40, MaxChildren: 5, MaxTokens: 6, MaxBytes: 80} }

func save(m *Miner) []byte {
	w := binarystate.NewWriter(nil)
	m.Code(w)
	return w.Written()
}

func restore(limits Limits, data []byte) (*Miner, error) {
	r := binarystate.NewCodecReader(data)
	m := NewMiner(limits)
	m.Code(r)
	return m, r.Close()
}

// The codec knows every field. When this fails for a new one, add it to Miner.Code or node.code, and raise ModelVersion.
func TestCodeKnowsEveryField(t *testing.T) {
	want := NewMiner(DefaultLimits())
	statetest.Fill(want, func(field string) bool {
		return field == "Miner.limits" || field == "Miner.buf" || field == "Miner.frozen" || field == "node.template"
	})
	want.root.template = 1
	got, err := restore(DefaultLimits(), save(want))
	require.NoError(t, err)
	got.buf, got.frozen = want.buf, want.frozen
	assert.Empty(t, statetest.Lost(*want, *got), "fields that the codec of a miner does not know")
}

func message(rng *rand.Rand) string {
	words := make([]string, 1+rng.Intn(8))
	for i := range words {
		words[i] = [...]string{"order", "paid", "12", "user=7", "a\xffb", "at X.java:4", "x", fmt.Sprint("w", strings.Repeat("q", rng.Intn(9)))}[rng.Intn(8)]
	}
	return strings.Join(words, " ")
}

// A miner that was restored finds the same templates for all that follows.
func TestStateSurvives(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	for range 30 {
		a := NewMiner(small())
		for range rng.Intn(60) {
			a.Match(message(rng))
		}
		b, err := restore(small(), save(a))
		require.NoError(t, err)
		for range 100 {
			text := message(rng)
			id := a.Match(text)
			require.Equal(t, id, b.Match(text), text)
			require.Equal(t, a.Text(id), b.Text(id))
		}
		require.Equal(t, a.Len(), b.Len())
	}
}

func TestStateThatCannotBeIsRefused(t *testing.T) {
	m := NewMiner(small())
	m.Match("order 17 paid")
	m.Match("order 17 refused by bank")
	good := save(m)
	for n := range good {
		_, err := restore(small(), good[:n])
		require.Error(t, err)
	}
	limits := small()
	limits.MaxTemplates = 2
	_, err := restore(limits, good)
	require.ErrorIs(t, err, binarystate.ErrInvalid, "more templates than there may be")
	limits = small()
	limits.MaxTokens = 2
	_, err = restore(limits, good)
	require.ErrorIs(t, err, binarystate.ErrInvalid, "deeper than it may be")
	_, err = restore(small(), []byte{0, 0, 0, 0})
	require.ErrorIs(t, err, binarystate.ErrInvalid, "without the template for what found no room")
}

func FuzzCode(f *testing.F) {
	rng := rand.New(rand.NewSource(6))
	m := NewMiner(small())
	for range 50 {
		m.Match(message(rng))
	}
	f.Add(save(m))
	f.Add(save(NewMiner(small())))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := restore(small(), data)
		if err != nil {
			return
		}
		assert.LessOrEqual(t, m.Len(), small().MaxTemplates)
		m.Text(m.Match("order 17 paid"))
		_, err = restore(small(), save(m))
		require.NoError(t, err)
	})
}
