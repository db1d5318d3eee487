package auditchain

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

var usual = Limits{MaxRecords: 100, MaxBytes: 1000, MaxFields: 10}

func chain(t testing.TB, l Limits) *Chain {
	t.Helper()
	require.NoError(t, l.Validate())
	return New(l)
}

// filled returns a chain of so many records, and all of them.
func filled(t testing.TB, l Limits, n int) (*Chain, []Record) {
	c := chain(t, l)
	var all []Record
	for i := range n {
		all = append(all, c.Append(epoch.Add(time.Duration(i)*time.Second), Entry{
			Kind: "action.started", Incident: fmt.Sprint("incident ", i), Fields: map[string]string{"uid": fmt.Sprint(i), "node": "a"},
		}))
	}
	return c, all
}

// TestKnownHashes: the hashes were computed with Python's hashlib from the description in the package comment.
func TestKnownHashes(t *testing.T) {
	c := chain(t, usual)
	c.Append(epoch.Add(5), Entry{
		Kind: "action.started", Incident: "i-1", Intent: "n-1", Playbook: "restart", Actor: "executor",
		Text: "restart of shop/cart", Fields: map[string]string{"uid": "7", "b": "ü"},
	})
	c.Append(epoch.Add(time.Minute).In(time.FixedZone("", 3600)), Entry{Kind: "action.skipped"})
	c.Append(time.Time{}, Entry{Kind: "odd", Text: "<&>\u2028"})
	var got []string
	for _, r := range c.Records(0, 10) {
		got = append(got, r.Hash)
	}
	assert.Equal(t, []string{
		"37111e11dcdd043b3d36f0ae60999f2459e6df81d02359c5753e416a37cba971",
		"7cfa8fea68a097b2e240b72a8841b9a854c840db17c0ec10b977ea0d233f2b7a",
		"8f1051ac9d014593312af94f225d36d95de1961c860c3eba890b8e7048f71ff8",
	}, got)
	require.NoError(t, Verify(c.Records(0, 10), Genesis()))
	assert.Equal(t, Anchor{3, got[2]}, c.Head())
}

// TestEveryChangeShows changes each part of each record, and their number and order, and is told which record it was.
func TestEveryChangeShows(t *testing.T) {
	_, all := filled(t, usual, 5)
	require.NoError(t, Verify(all, Genesis()))
	other := strings.Repeat("ab", 32)
	changes := map[string]func(*Record){
		"seq":             func(r *Record) { r.Seq++ },
		"time":            func(r *Record) { r.Time = r.Time.Add(1) },
		"kind":            func(r *Record) { r.Kind = "action.skipped" },
		"incident":        func(r *Record) { r.Incident = "" },
		"intent":          func(r *Record) { r.Intent = "x" },
		"playbook":        func(r *Record) { r.Playbook = "x" },
		"actor":           func(r *Record) { r.Actor = "x" },
		"text":            func(r *Record) { r.Text = "x" },
		"field":           func(r *Record) { r.Fields = map[string]string{"uid": "x", "node": "a"} },
		"field's name":    func(r *Record) { r.Fields = map[string]string{"id": r.Fields["uid"], "node": "a"} },
		"no fields":       func(r *Record) { r.Fields = nil },
		"one field more":  func(r *Record) { r.Fields = map[string]string{"uid": r.Fields["uid"], "node": "a", "": ""} },
		"prev":            func(r *Record) { r.Prev = other },
		"hash":            func(r *Record) { r.Hash = other },
		"no hash":         func(r *Record) { r.Hash = "" },
		"hash in capital": func(r *Record) { r.Hash = strings.ToUpper(r.Hash) },
		"moved text":      func(r *Record) { r.Kind, r.Incident = r.Kind+r.Incident, "" },
	}
	for name, change := range changes {
		for i := range all {
			records := append([]Record{}, all...)
			change(&records[i])
			var broken *BrokenError
			require.ErrorAs(t, Verify(records, Genesis()), &broken, "%s of %d", name, i)
			assert.Equal(t, i, broken.Index, "%s: %s", name, broken)
			if name == "text" {
				// With a hash that fits the change it is the next one that does not follow.
				records[i].Hash = records[i].hash()
				err := Verify(records, Genesis())
				if i == len(all)-1 {
					require.NoError(t, err, "the end of a log can be forged: that is what a head kept elsewhere is for")
					continue
				}
				require.ErrorAs(t, err, &broken)
				assert.Equal(t, i+1, broken.Index)
			}
		}
	}
	for i := range all[:4] {
		var broken *BrokenError
		require.ErrorAs(t, Verify(append(append([]Record{}, all[:i]...), all[i+1:]...), Genesis()), &broken)
		assert.Equal(t, i, broken.Index, "left out")
		assert.Contains(t, broken.Reason, "left out")
		require.ErrorAs(t, Verify(append(append([]Record{}, all[:i+1]...), all[i:]...), Genesis()), &broken)
		assert.Equal(t, i+1, broken.Index, "twice")
		swapped := append([]Record{}, all...)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		require.ErrorAs(t, Verify(swapped, Genesis()), &broken)
		assert.Equal(t, i, broken.Index, "swapped")
	}
}

func TestAnchors(t *testing.T) {
	_, all := filled(t, usual, 5)
	require.NoError(t, Verify(all[2:], all[1].place()))
	require.NoError(t, Verify(all[2:], Anchor{}), "the first record's word is taken")
	require.Error(t, Verify(all[2:], Genesis()))
	require.Error(t, Verify(all[2:], all[2].place()))
	require.NoError(t, Verify(nil, Genesis()))
	forged := append([]Record{}, all...)
	forged[0].Prev = strings.Repeat("ab", 32)
	forged[0].Hash = forged[0].hash()
	assert.EqualError(t, Verify(forged[:1], Anchor{}), `record 0 (seq 1): prev of the first record must be zeros, got "`+forged[0].Prev+`"`)
	odd := Record{Seq: 2, Prev: "zz"}
	assert.EqualError(t, Verify([]Record{odd}, Anchor{}), `record 0 (seq 2): prev must be 64 hexadecimal digits, got "zz"`)
	assert.EqualError(t, Verify([]Record{{}}, Anchor{}), `record 0 (seq 0): seq must be between 1 and 4611686018427387904`)
}

func TestRetained(t *testing.T) {
	l := usual
	l.MaxRecords = 3
	c, _ := filled(t, l, 3)
	assert.Equal(t, Genesis(), c.Anchor())
	c, all := filled(t, l, 10)
	assert.Equal(t, 3, c.Len())
	assert.Equal(t, all[7:], c.Records(0, 100))
	assert.Equal(t, all[6].place(), c.Anchor())
	assert.Equal(t, all[9].place(), c.Head())
	require.NoError(t, Verify(c.Records(0, 100), c.Anchor()))
	assert.Equal(t, all[8:9], c.Records(9, 1))
	assert.Equal(t, all[7:8], c.Records(8, 1))
	assert.Empty(t, c.Records(11, 10))
	assert.Empty(t, c.Records(1<<63, 10))
	assert.Empty(t, c.Records(1, -1))
}

func TestRecordsAreCopies(t *testing.T) {
	c := chain(t, usual)
	fields := map[string]string{"a": "1"}
	r := c.Append(epoch, Entry{Kind: "k", Fields: fields})
	fields["a"] = "2"
	r.Fields["a"] = "3"
	c.Records(0, 1)[0].Fields["a"] = "4"
	s := c.Snapshot()
	s.Records[0].Fields["a"] = "5"
	assert.Equal(t, "1", c.Records(0, 1)[0].Fields["a"])
	require.NoError(t, Verify(c.Records(0, 1), Genesis()))
}

func TestLimits(t *testing.T) {
	c := chain(t, Limits{MaxRecords: 10, MaxBytes: 64, MaxFields: 2})
	long := strings.Repeat("ü", 100)
	r := c.Append(epoch, Entry{Kind: long, Text: "broken \xff text", Fields: map[string]string{"c": "", "b": long, "a": "1"}})
	assert.Equal(t, strings.Repeat("ü", 30)+"…", r.Kind)
	assert.Equal(t, "broken \uFFFD text", r.Text)
	assert.Equal(t, map[string]string{"a": "1", "b": strings.Repeat("ü", 30) + "…", "audit.cut": "true"}, r.Fields)
	r = c.Append(epoch, Entry{Kind: strings.Repeat("x", 64)})
	assert.Nil(t, r.Fields, "as long as may be")
	none := chain(t, Limits{MaxRecords: 10, MaxBytes: 64})
	assert.Equal(t, map[string]string{"audit.cut": "true"}, none.Append(epoch, Entry{Fields: map[string]string{"a": ""}}).Fields)
	assert.EqualError(t, Limits{MaxFields: -1}.Validate(), `max_records must be greater than 0, got 0; it bounds memory
max_bytes must be at least 64, got 0
max_fields must not be negative, got -1`)
}

func TestClockSetBack(t *testing.T) {
	c := chain(t, usual)
	for _, at := range []time.Time{epoch, epoch.Add(-time.Hour), {}, time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), time.Now()} {
		c.Append(at, Entry{Kind: "k"})
	}
	c = restart(t, c)
	require.NoError(t, Verify(c.Records(0, 10), Genesis()))
	assert.True(t, c.Records(4, 1)[0].Time.IsZero(), "a year that cannot be written")
}

func restart(t *testing.T, c *Chain) *Chain {
	t.Helper()
	b, err := json.Marshal(c.Snapshot())
	require.NoError(t, err)
	var s Snapshot
	require.NoError(t, json.Unmarshal(b, &s))
	fresh := New(c.limits)
	require.NoError(t, fresh.Restore(s))
	require.Equal(t, c, fresh)
	return fresh
}

// TestRestarts: with restarts in between, random records make the same chain as without.
func TestRestarts(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	l := Limits{MaxRecords: 7, MaxBytes: 100, MaxFields: 3}
	a, b := chain(t, l), chain(t, l)
	for range 200 {
		text := make([]byte, rng.Intn(150))
		rng.Read(text)
		e := Entry{Kind: "k", Text: string(text), Fields: map[string]string{string(text[:len(text)/2]): string(text[len(text)/2:])}}
		at := epoch.Add(time.Duration(rng.Int63()))
		require.Equal(t, a.Append(at, e), b.Append(at, e))
		require.True(t, utf8.ValidString(a.records[len(a.records)-1].Text))
		if rng.Intn(5) == 0 {
			b = restart(t, b)
		}
	}
	assert.Equal(t, uint64(200), b.Head().Seq)
}

func TestRestoreIntoLess(t *testing.T) {
	c, all := filled(t, usual, 5)
	less := chain(t, Limits{MaxRecords: 2, MaxBytes: 64})
	require.NoError(t, less.Restore(c.Snapshot()))
	assert.Equal(t, all[3:], less.Records(0, 10))
	assert.Equal(t, all[2].place(), less.Anchor())
	empty := chain(t, usual)
	require.NoError(t, empty.Restore(Snapshot{}))
	assert.Equal(t, Genesis(), empty.Head())
}

func TestBrokenState(t *testing.T) {
	_, all := filled(t, usual, 3)
	for want, s := range map[string]Snapshot{
		"restore audit: records must have an anchor":                                                                                                                     {Records: all},
		"restore audit: record 0 (seq 2): seq must be 1: a record was left out, inserted or moved":                                                                       {Anchor: Genesis(), Records: all[1:]},
		`restore audit: the anchor must be a number up to 4611686018427387904 and 64 hexadecimal digits, zeros for 0, got 3 and "x"`:                                     {Anchor: Anchor{3, "x"}},
		`restore audit: the anchor must be a number up to 4611686018427387904 and 64 hexadecimal digits, zeros for 0, got 0 and "` + all[0].Hash + `"`:                   {Anchor: Anchor{0, all[0].Hash}},
		`restore audit: the anchor must be a number up to 4611686018427387904 and 64 hexadecimal digits, zeros for 0, got 9223372036854775808 and "` + all[0].Hash + `"`: {Anchor: Anchor{1 << 63, all[0].Hash}},
	} {
		c, _ := filled(t, usual, 1)
		head := c.Head()
		require.EqualError(t, c.Restore(s), want)
		assert.Equal(t, head, c.Head())
	}
}

func FuzzRestore(f *testing.F) {
	c, _ := filled(f, usual, 3)
	b, err := json.Marshal(c.Snapshot())
	require.NoError(f, err)
	f.Add(b, "kind", "text")
	f.Add([]byte(`{"anchor":{"seq":4611686018427387903,"hash":"`+strings.Repeat("ab", 32)+`"}}`), "\xff", "")
	f.Fuzz(func(t *testing.T, in []byte, kind, text string) {
		var s Snapshot
		if json.Unmarshal(in, &s) != nil {
			return
		}
		c := New(Limits{MaxRecords: 2, MaxBytes: 64, MaxFields: 1})
		if c.Restore(s) != nil {
			require.Equal(t, Genesis(), c.Head())
			return
		}
		c.Append(epoch, Entry{Kind: kind, Text: text, Fields: map[string]string{text: kind}})
		require.LessOrEqual(t, c.Len(), 2)
		require.NoError(t, Verify(c.Records(0, 10), c.Anchor()))
		restart(t, c)
	})
}
