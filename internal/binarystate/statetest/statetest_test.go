package statetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

type tree struct {
	a, b   int
	on     bool
	text   string
	f      float32
	list   []uint16
	ring   [2]float64
	more   map[string]*tree
	next   *tree
	spared []byte
}

func TestEveryFieldIsFilledAndMissed(t *testing.T) {
	var want tree
	Fill(&want, func(field string) bool { return field == "tree.spared" })
	assert.Nil(t, want.spared)
	assert.NotEqual(t, want.a, want.b)
	assert.NotNil(t, want.next)
	assert.Empty(t, Lost(want, want))
	for path, lose := range map[string]func(*tree){
		"statetest.tree.a":      func(got *tree) { got.a = 0 },
		"statetest.tree.on":     func(got *tree) { got.on = false },
		"statetest.tree.text":   func(got *tree) { got.text = "" },
		"statetest.tree.f":      func(got *tree) { got.f = 0 },
		"statetest.tree.list":   func(got *tree) { got.list = nil },
		"statetest.tree.ring":   func(got *tree) { got.ring = [2]float64{} },
		"statetest.tree.more":   func(got *tree) { got.more = map[string]*tree{"other": nil} },
		"statetest.tree.next":   func(got *tree) { got.next = nil },
		"statetest.tree.next.b": func(got *tree) { next := *got.next; next.b++; got.next = &next },
	} {
		got := want
		lose(&got)
		assert.Equal(t, []string{path}, Lost(want, got))
	}
}
