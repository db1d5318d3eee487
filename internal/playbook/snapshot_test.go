package playbook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEncodeDecode(t *testing.T) {
	l := begin(t, planned(nil))
	ref := act(t, l, "restart", start)
	l.Observe("b", 1, start)
	mustDecide(t, l, "restart", seen("b", 1), start)
	fresh := restart(t, l, planned(nil))
	require.Len(t, fresh.Open(), 2)
	assert.Equal(t, l.Open(), fresh.Open())
	assert.Equal(t, Duplicate, fresh.Observe("a", 1, start))
	require.Equal(t, Succeeded, one(t, fresh.Resolve("a", start, true, start)).Play.Outcome)
	assert.Equal(t, 1, spent(fresh, start))
	_, ok := fresh.At(ref)
	assert.True(t, ok)
	// The cooldown holds over the restart.
	fresh.Observe("c", 1, start)
	o := seen("c", 1)
	o.Target = "service:a"
	assert.Equal(t, ReasonCooldown, mustDecide(t, fresh, "restart", o, start).Play.Reason)
}

// TestCrashBetweenIntentAndOutcome: what was handed out before a crash is neither lost nor done twice.
func TestCrashBetweenIntentAndOutcome(t *testing.T) {
	l := begin(t, planned(nil))
	c := mustDecide(t, l, "restart", seen("a", 1), start)
	admit(t, l, c.Ref, aPlan(nil), start)
	fresh := restart(t, l, planned(nil))
	open := fresh.Open()
	require.Len(t, open, 1)
	assert.Equal(t, Dispatched, open[0].Play.Outcome)
	assert.Equal(t, c.Intent(), open[0].Intent(), "the executor knows it by this")
	_, ok := fresh.Admit(c.Ref, aPlan(nil), start)
	assert.False(t, ok)
	_, ok = fresh.Decide("restart", seen("a", 2), start)
	assert.False(t, ok)
	goOn, _ := fresh.Dispatch(c.Ref, start)
	assert.True(t, goOn, "the same attempt is made again")
	assert.Equal(t, 1, spent(fresh, start))
}

func TestDecodeErrors(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"no json":        {"x", "decode incident: "},
		"no id":          {`{}`, "decode incident: it has no id"},
		"null play":      {`{"id":"a","plays":{"p":null}}`, "decode incident a: the play of p is null"},
		"no outcome":     {`{"id":"a","plays":{"p":{}}}`, `decode incident a: the play of p has the unknown outcome ""`},
		"negative step":  {`{"id":"a","plays":{"p":{"outcome":"pending","step":-1}}}`, "decode incident a: the play of p is at step -1"},
		"negative time":  {`{"id":"a","plays":{"p":{"outcome":"pending","within":-1}}}`, "decode incident a: the play of p has -1ns, less than no time"},
		"another's type": {`{"id":"a","plays":[]}`, "decode incident: "},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t)
			before := encodeAll(t, l)
			_, err := l.DecodeIncident([]byte(tc.in))
			require.ErrorContains(t, err, tc.want)
			assert.Equal(t, before, encodeAll(t, l), "what was there stays")
		})
	}
	for name, tc := range map[string]struct{ in, want string }{
		"no json": {"x", "decode guards: "},
		"version": {`{"version":1}`, "decode guards: version must be 2, got 1"},
		"budget":  {`{"version":2,"budget":{"spent":[{"key":"a","weight":-1}]}}`, "decode guards: restore charge 0: "},
		"breaker": {`{"version":2,"fleet_breaker":{"breakers":{"fleet":null}}}`, `decode guards: restore breaker "fleet": it is null`},
		"storm":   {`{"version":2,"storm":{"storm":true}}`, "decode guards: restore storm gate: "},
		"outcome": {`{"version":2,"outcomes":{"pairs":[{"kind":"k","playbook":"p","recovered":-1}]}}`, "decode guards: restore outcomes of "},
	} {
		t.Run("common "+name, func(t *testing.T) {
			l := begin(t, auto)
			actOn(t, l, "b", "x")
			before := encodeAll(t, l)
			require.ErrorContains(t, l.DecodeCommon([]byte(tc.in)), tc.want)
			assert.Equal(t, before, encodeAll(t, l), "what was there stays")
		})
	}
}

func TestDecodePastTheLimits(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 2, ForgetAfter: time.Hour}, NewPolicy(calm()), auto)
	for _, id := range []string{"a", "b"} {
		_, err := l.DecodeIncident([]byte(`{"id":"` + id + `","revision":1,"seen":"2026-03-01T10:00:00Z"}`))
		require.NoError(t, err)
	}
	_, err := l.DecodeIncident([]byte(`{"id":"c"}`))
	require.ErrorContains(t, err, "decode incident c: there is no room for it")
	_, err = l.DecodeIncident([]byte(`{"id":"b","revision":7,"resolved":true}`))
	require.NoError(t, err, "it replaces what is there")
	assert.Equal(t, int64(7), l.Incident("b").Revision)
	_, err = l.DecodeIncident([]byte(`{"id":"c"}`))
	require.NoError(t, err, "the resolved one makes room")
	require.NoError(t, l.DecodeCommon([]byte(`{"version":2,"cooldowns":[
		{"playbook":"p","target":"1","until":"2026-03-01T10:01:00Z"},
		{"playbook":"p","target":"3","until":"2026-03-01T10:03:00Z"},
		{"playbook":"p","target":"2","until":"2026-03-01T10:02:00Z"}]}`)))
	assert.Len(t, l.cooldowns, 2)
	assert.NotContains(t, l.cooldowns, cooldownKey{"p", "1"}, "those that last longest are kept")
	l.Expire(start.Add(2 * time.Minute))
	assert.Len(t, l.cooldowns, 1)
}

// FuzzDecodeIncident: whatever is read is either refused or can be worked with and written as it was read.
func FuzzDecodeIncident(f *testing.F) {
	l := begin(f, planned(nil))
	act(f, l, "restart", start)
	b, err := l.EncodeIncident("a")
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"id":"a","plays":{"restart":{"outcome":"pending","step":7,"version":"v1","mode":"auto"}}}`))
	f.Add([]byte(`{"id":"a","plays":{"restart":{"outcome":"skipped","deferred":{"incident":"b","revision":1}}}}`))
	f.Add([]byte(`{"id":"a","plays":{"restart":{"outcome":"undoing","done":[{"step":3,"receipt":{}}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := NewLedger(limits, NewPolicy(calm()), planned(nil))
		id, err := l.DecodeIncident(b)
		if err != nil {
			require.Zero(t, l.Len())
			return
		}
		once, err := l.EncodeIncident(id)
		require.NoError(t, err)
		_, err = l.DecodeIncident(once)
		require.NoError(t, err)
		twice, err := l.EncodeIncident(id)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))

		for _, c := range l.Open() {
			l.Admit(c.Ref, aPlan(nil), start)
			l.Dispatch(c.Ref, start)
			l.Accept(c.Ref, receipt, start)
			_, _ = l.Approve(c.Intent(), "ann", "", start)
			l.Assess(c.Ref, Worse, start)
			l.Undone(c.Ref, 0)
		}
		l.StartUndo(id, "restart", start)
		l.Reconsider(start)
		l.Observe(id, 5, start)
		_, _ = l.Decide("restart", seen(id, 5), start)
		l.Resolve(id, start, true, start)
		_, _ = l.Reopen(id, 9, start)
		l.Expire(start.Add(time.Hour))
		l.Forget(start.Add(time.Hour))
		_ = encodeAll(t, l)
	})
}

// FuzzDecodeCommon is the same for what incidents share.
func FuzzDecodeCommon(f *testing.F) {
	l := begin(f, auto)
	actOn(f, l, "b", "service:b")
	l.Policy().Opened("b", "service:b", start)
	b, err := l.EncodeCommon()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"version":2,"cooldowns":[{"until":"9999-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := begin(t, auto)
		empty, err := l.EncodeCommon()
		require.NoError(t, err)
		if l.DecodeCommon(b) != nil {
			same, err := l.EncodeCommon()
			require.NoError(t, err)
			require.Equal(t, string(empty), string(same))
			return
		}
		once, err := l.EncodeCommon()
		require.NoError(t, err)
		require.NoError(t, l.DecodeCommon(once))
		twice, err := l.EncodeCommon()
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
		if c, ok := l.Decide("restart", seen("a", 1), start); ok && c.Play.Outcome == Pending {
			carryOut(t, l, c.Ref, start)
			l.Resolve("a", start, true, start)
		}
		l.Policy().Tick(start)
		l.Policy().Usage(start)
		l.Policy().Breakers(start)
		_ = encodeAll(t, l)
	})
}
