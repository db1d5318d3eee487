package excess

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
)

// ModelVersion is the version of what is learnt: state of another one means something else and must not be read.
const ModelVersion = 2

// mostLearnt is beyond all that can be learnt: a weight of one for each of many years of buckets, of the largest counts.
const mostLearnt = 1e24

// Code writes or reads a position in time.
func (t *Timeline) Code(c *binarystate.Codec) {
	c.Int64s(&t.next)
	c.Flags(&t.started)
}

// Code writes or reads what a track has learnt and the buckets that it holds, but not what it was made with. Reading
// fails the codec when something cannot be: a count or a weight below 0 or beyond all bounds.
func (t *Track) Code(c *binarystate.Codec) {
	c.Counts(t.Events[:])
	c.Float64s(&t.past.Events, &t.past.Exposure, &t.dispersion, &t.block.Events, &t.block.Exposure)
	c.Uint64s(&t.abnormal)
	c.Int64s(&t.settled, &t.flagged)
	t.blockCells = c.Count(t.blockCells, math.MaxInt32)
	t.habit.code(c)
	if c.Reading() && (!t.past.plausible() || !t.block.plausible() || math.Abs(t.dispersion) > mostLearnt || t.flagged < 0) {
		c.Fail(binarystate.ErrInvalid)
	}
}

func (h *habit) code(c *binarystate.Codec) {
	c.Float64s(&h.buckets, &h.episodes, &h.strength, &h.peak)
	c.Int64s(&h.first, &h.last)
	if c.Reading() && (!plausible(h.buckets) || !plausible(h.episodes) || !plausible(h.strength) || !plausible(h.peak)) {
		c.Fail(binarystate.ErrInvalid)
	}
}

func plausible(amount float64) bool { return amount >= 0 && amount <= mostLearnt }

func (l *Cell) plausible() bool {
	return plausible(l.Events) && plausible(l.Exposure)
}

// Drop empties a slot without learning from it.
func (t *Track) Drop(slot int) {
	t.Events[slot] = 0
	t.abnormal &^= 1 << slot
}
