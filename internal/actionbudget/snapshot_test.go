package actionbudget

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRestart(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 1})
	require.Nil(t, l.Spend(at(0), Charge{Key: "a", Class: "restart", Namespace: "shop", Pool: "pods", Weight: 1, Population: 3, Destructive: true}))
	l = restart(t, l)
	require.NotNil(t, l.Spend(at(59), Charge{Key: "b"}))
	require.Nil(t, l.Spend(at(59), Charge{Key: "a"}), "the same action again")
	require.Nil(t, l.Spend(at(60), Charge{Key: "b"}))
}

func TestSnapshotIsACopy(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 3})
	l.Record(at(0), Charge{Key: "a"})
	s := l.Snapshot()
	require.NoError(t, l.Restore(s))
	s.Spent[0].Key = "b"
	assert.True(t, l.Refund("a"))
}

func TestRestoreIntoLess(t *testing.T) {
	l := ledger(t, Limit{MaxActions: 10})
	for i, key := range []string{"a", "b", "c"} {
		l.Record(at(float64(i)), Charge{Key: key})
	}
	less := New(l.limits, 2)
	require.NoError(t, less.Restore(l.Snapshot()))
	assert.False(t, less.Refund("a"))
	assert.True(t, less.Refund("b"))
	assert.True(t, less.Refund("c"))
}

func TestBrokenState(t *testing.T) {
	for in, want := range map[string]string{
		`{"spent":[{"key":"a"},{"key":"a"}]}`:       `restore charge 1: its key "a" is there twice`,
		`{"spent":[{"key":"a","weight":-3}]}`:       `restore charge 0: weight, population and healthy must be between 0 and 1000000000, got -3, 0, 0 and 0`,
		`{"spent":[{"key":"a","population":-3}]}`:   `restore charge 0: weight, population and healthy must be between 0 and 1000000000, got 0, -3, 0 and 0`,
		`{"spent":[{"key":"a"}, {"weight":-9223}]}`: `restore charge 1: weight, population and healthy must be between 0 and 1000000000, got -9223, 0, 0 and 0`,
	} {
		l := ledger(t, Limit{MaxActions: 1})
		l.Record(at(0), Charge{Key: "kept"})
		var s Snapshot
		require.NoError(t, json.Unmarshal([]byte(in), &s))
		require.EqualError(t, l.Restore(s), want)
		require.NotNil(t, l.Check(at(1), Charge{Key: "new"}), "what was there stays")
	}
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"spent":[{"key":"a","class":"restart","weight":1,"population":3,"at":"2026-03-02T10:00:00Z"}]}`), 1, 10)
	f.Add([]byte(`{"spent":[{"key":"","weight":9223372036854775807,"at":"9999-12-31T23:59:59Z"},{"key":"b","weight":9223372036854775807,"at":"0001-01-01T00:00:00Z"}]}`), 9223372036854775807, 9223372036854775807)
	f.Fuzz(func(t *testing.T, in []byte, weight, population int) {
		var s Snapshot
		if json.Unmarshal(in, &s) != nil {
			return
		}
		l := New([]Limit{{Scope: Namespace, MaxActions: 2, MaxPercent: 10, MinHealthyPercent: 50, Window: time.Hour}}, 3)
		if l.Restore(s) != nil {
			require.Empty(t, l.spent)
			return
		}
		for _, key := range []string{"", "a", "b", "c"} {
			l.Spend(at(0), Charge{Key: key, Weight: weight, Population: population, Healthy: population})
			require.LessOrEqual(t, len(l.spent), 3)
		}
		for _, u := range l.Usage(at(0)) {
			require.GreaterOrEqual(t, u.Objects, 0)
		}
		_, err := json.Marshal(l.Snapshot())
		require.NoError(t, err)
	})
}
