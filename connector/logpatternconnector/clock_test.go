package logpatternconnector

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestSparseStream has records come more seldom than max_clock_skew.
func TestSparseStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 20 {
			w.consume(rec{text: "tick", at: time.Duration(i) * 5 * time.Minute})
			time.Sleep(2 * time.Minute)
			w.consume(rec{text: "straggler", at: time.Duration(i)*5*time.Minute - time.Minute})
			time.Sleep(3 * time.Minute)
		}
		assert.Zero(t, w.value("adjusted_records", "clock_skew"), "as much time has passed on the wall")
		w.consume(rec{text: "tick", at: 3 * time.Hour})
		assert.Equal(t, int64(1), w.value("adjusted_records", "clock_skew"))
		w.stop()
	})
}

// TestWrongClockKeepsWhatWasLearnt has a single sender be a year ahead and believed while nobody else writes.
func TestWrongClockKeepsWhatWasLearnt(t *testing.T) {
	w := newWorld(t, quick)
	at := func(from time.Duration, i int) time.Duration { return from + time.Duration(i*10)*second }
	for i := range 20 {
		w.consume(rec{text: "cannot save", severity: fault, at: at(0, i)})
	}
	for i := range 2 * jumpAfter {
		w.consume(rec{text: "of another time", svc: "wrong", at: at(365*24*time.Hour, i)})
	}
	assert.Zero(t, w.value("forgotten_patterns", ""))
	for i := range 2 * jumpAfter {
		w.consume(rec{text: "cannot save", severity: fault, at: at(0, 20+i)})
	}
	assert.Equal(t, int64(1), w.value("watermark_jumps", ""))
	assert.Empty(t, w.told(), "it was learnt before")
	w.stop()
}
