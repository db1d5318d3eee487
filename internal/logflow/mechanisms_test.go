package logflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBranchesAreNoMissingSteps lets the requests take, for a while, only the branch that they seldom take.
func TestBranchesAreNoMissingSteps(t *testing.T) {
	m := New(limits, learning)
	for b := range int64(150) {
		visit(m, b, 9, "begin", "domestic", "ship")
		m.Observe(Record{Service: "shop", Bucket: b, Message: "begin", Context: span(int(b)*20 + 10)})
		m.Observe(Record{Service: "shop", Bucket: b, Message: "abroad", Context: span(int(b)*20 + 10)})
		m.NoteRequests("shop", b, 10)
		require.Empty(t, m.Close(b, 4), b)
	}
	for b := int64(150); b < 170; b++ {
		visit(m, b, 10, "begin", "abroad")
		m.NoteRequests("shop", b, 10)
		require.Empty(t, m.Close(b, 4), "each of the steps is usual")
	}
	found := false
	for b := int64(170); b < 180; b++ {
		visit(m, b, 10, "begin", "refused")
		m.NoteRequests("shop", b, 10)
		for _, f := range m.Close(b, 4) {
			found = true
			assert.Equal(t, MissingStep, f.Kind)
			assert.Equal(t, "begin", f.After)
			assert.Equal(t, "domestic", f.Template, "the step that is missed most")
		}
	}
	assert.True(t, found, "a step that is not usual instead")
}

// TestMissingRecord tells requests for which nothing is written any more from requests of another kind.
func TestMissingRecord(t *testing.T) {
	before := 0.0
	requests := func(m *Model, b int64, single, batch, counted int) {
		for i := range single + batch {
			message := "query one"
			if i >= single {
				message = "query many"
			}
			m.Observe(Record{Service: "shop", Bucket: b, Message: message, Context: span(int(b)*20 + i)})
		}
		// Requests are counted when they are over, one bucket later.
		m.NoteRequests("shop", b, before)
		before = float64(counted)
	}
	for name, c := range map[string]struct {
		single, batch, counted int
		missing                string
	}{
		"as ever":                   {4, 6, 10, ""},
		"the other kind of request": {10, 0, 10, ""},
		"fewer requests":            {1, 1, 2, ""},
		"one kind writes nothing":   {4, 0, 10, "query many"},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(limits, learning)
			before = 0
			for b := range int64(150) {
				requests(m, b, 4, 6, 10)
				require.Empty(t, m.Close(b, 4), b)
			}
			missing := ""
			for b := int64(150); b < 165; b++ {
				requests(m, b, c.single, c.batch, c.counted)
				for _, f := range m.Close(b, 4) {
					assert.Equal(t, MissingRecord, f.Kind)
					missing = f.Template
				}
			}
			assert.Equal(t, c.missing, missing)
		})
	}
}

// TestErrorsOfManyServices lets a service log an error that several others have logged too: that of their framework.
func TestErrorsOfManyServices(t *testing.T) {
	surprise := func(others ...string) (of map[FindingKind]float64) {
		of = map[FindingKind]float64{}
		m := New(limits, learning)
		for b := range int64(150) {
			visit(m, b, 10, "begin", "charge", "ship")
			m.NoteRequests("shop", b, 10)
			require.Empty(t, m.Close(b, 4), b)
		}
		for _, other := range others {
			m.Observe(Record{Service: other, Bucket: 150, Message: "servlet threw an exception", Error: true})
		}
		for b := int64(150); b < 153; b++ {
			for i := range 4 {
				for _, r := range []Record{{Message: "begin"}, {Message: "servlet threw an exception", Error: true}} {
					r.Service, r.Bucket, r.Context = "shop", b, span(int(b)*20+i)
					m.Observe(r)
				}
			}
			m.NoteRequests("shop", b, 4)
			for _, f := range m.Close(b, 1) {
				of[f.Kind] = max(of[f.Kind], f.Verdict.Surprise)
			}
		}
		return of
	}
	alone, common := surprise(), surprise("bank", "post", "stock")
	assert.Greater(t, alone[NewError], 4.0)
	assert.Greater(t, alone[MissingStep], 4.0, "what comes instead is its own error")
	assert.Less(t, common[NewError], alone[NewError]/2)
	assert.Zero(t, common[MissingStep], "that a request has failed is not a step of its own")

	m := New(limits, learning)
	m.Observe(Record{Service: "bank", Bucket: 1, Message: "servlet threw an exception", Error: true})
	m.Observe(Record{Service: "shop", Bucket: 5, Message: "servlet threw an exception", Error: true})
	assert.InDelta(t, 0.5, m.specific("servlet threw an exception"), 0)
	m.Forget(4)
	assert.InDelta(t, 1, m.specific("servlet threw an exception"), 0, "who is forgotten does not count")
	m.Forget(9)
	assert.Empty(t, m.writers)
}

// TestCertaintyIsShared lets a young step profit from how certain all others are.
func TestCertaintyIsShared(t *testing.T) {
	first := func(m *Model, from int64) int64 {
		for b := from; b < from+40; b++ {
			m.Observe(Record{Service: "shop", Bucket: b, Message: "charge", Context: span(int(b)*20 + 1)})
			for _, f := range m.Close(b, 4) {
				if f.Kind == MissingStep && f.After == "charge" {
					return b - from
				}
			}
		}
		return 40
	}
	m := New(limits, learning)
	for b := range int64(60) {
		visit(m, b, 1, "charge", "ship")
		m.Close(b, 4)
	}
	delay := first(m, 60)
	assert.LessOrEqual(t, delay, int64(3), "three to four times missing are enough")
	assert.GreaterOrEqual(t, delay, int64(2))
}
