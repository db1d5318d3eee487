package playbook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRollbackIsByteEqual(t *testing.T) {
	l := begin(t, planned(nil), rule(func(r *Rule) { r.Name = "webhook" }))
	act(t, l, "restart", start)
	l.Observe("b", 1, start)
	l.Policy().Opened("b", "service:b", start)
	l.TakeChanged()
	l.Changed([]string{"b"})
	require.True(t, l.TakeCommonChanged())
	before := encodeAll(t, l)

	require.NoError(t, l.Begin())
	require.Error(t, l.Begin(), "one at a time")
	later := start.Add(5 * time.Minute)
	l.Resolve("a", start, true, later)
	_, _ = l.Reopen("a", 2, later)
	l.Observe("c", 1, later)
	l.Policy().Opened("c", "service:c", later)
	mustDecide(t, l, "webhook", seen("b", 1), later)
	l.Expire(later.Add(time.Hour))
	l.Forget(later.Add(5 * time.Hour))
	l.Policy().Tick(later)
	l.Policy().CatchUp("it is over", later)
	l.Policy().Usage(later.Add(time.Hour))
	assert.NotEqual(t, before, encodeAll(t, l))
	require.NoError(t, l.Rollback())
	assert.Equal(t, before, encodeAll(t, l))
	assert.Equal(t, []string{"b"}, l.TakeChanged(), "as it was")
	assert.False(t, l.TakeCommonChanged())
	assert.Empty(t, l.Policy().TakeNotes())

	require.Error(t, l.Rollback(), "nothing was begun")
	assert.Equal(t, Succeeded, one(t, l.Resolve("a", start, true, start)).Play.Outcome, "it goes on from there")
}

func TestCommit(t *testing.T) {
	l := begin(t, auto)
	require.NoError(t, l.Begin())
	mustDecide(t, l, "restart", seen("a", 1), start)
	l.Commit()
	require.Error(t, l.Rollback())
	require.Len(t, l.Open(), 1)
}

func TestChanges(t *testing.T) {
	l := begin(t, auto)
	assert.Equal(t, []string{"a"}, l.TakeChanged())
	assert.Empty(t, l.TakeChanged())
	l.Observe("a", 1, start)
	assert.Empty(t, l.TakeChanged(), "a duplicate changes nothing")
	assert.False(t, l.TakeCommonChanged())
	mustDecide(t, l, "restart", seen("a", 1), start)
	assert.Equal(t, []string{"a"}, l.TakeChanged())
	assert.True(t, l.TakeCommonChanged(), "it was charged")
	assert.False(t, l.TakeCommonChanged())
	l.Changed([]string{"a"})
	l.CommonChanged()
	assert.Equal(t, []string{"a"}, l.TakeChanged())
	assert.True(t, l.TakeCommonChanged())
	l.Expire(start.Add(time.Hour))
	l.Forget(start.Add(time.Hour))
	assert.Equal(t, []string{"a"}, l.TakeChanged(), "what was forgotten is removed from the storage too")
	b, err := l.EncodeIncident("a")
	require.NoError(t, err)
	assert.Nil(t, b)
}

func TestNotesAreBounded(t *testing.T) {
	p := NewPolicy(calm())
	for range 2 * maxNotes {
		p.add(Note{Guard: "storm"})
	}
	assert.Len(t, p.TakeNotes(), maxNotes)
	assert.Empty(t, p.TakeNotes())
}
