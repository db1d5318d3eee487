package excess

import "math"

const (
	// Cells is the number of buckets that a Track holds, those ahead of the newest closed one included.
	Cells = 64
	// Lookahead is how many buckets past the newest closed one can already be counted.
	Lookahead = 32
	// Lookback is how many closed buckets a Track can show.
	Lookback = Cells - Lookahead

	// dispersionBlock is the least number of cells whose sum is compared with the expectation.
	dispersionBlock  = 4
	dispersionWeight = 0.05
	// maxDispersionStep bounds what a single block can say about the dispersion.
	maxDispersionStep = 16
)

// Counts are counts by bucket, in a ring that a [Timeline] maps buckets to.
type Counts [Cells]float32

// Timeline is the position in time that all tracks of a model share: which buckets are held.
type Timeline struct {
	// next is the first bucket that is not closed yet.
	next    int64
	started bool
}

// Next returns the first bucket that is not closed yet.
func (t *Timeline) Next() int64 { return t.next }

// Started reports whether a first bucket is known.
func (t *Timeline) Started() bool { return t.started }

// Start sets the first bucket.
func (t *Timeline) Start(bucket int64) { t.next, t.started = bucket, true }

// Slot returns where a bucket's counts are held. A bucket that was closed already counts into the first open one, and
// one too far ahead into the last that is held.
func (t *Timeline) Slot(bucket int64) int {
	return SlotOf(min(max(bucket, t.next), t.next+Lookahead-1))
}

// Close closes the bucket Next and calls retire with the slot whose counts leave the ring to make room.
func (t *Timeline) Close(retire func(slot int)) {
	retire(SlotOf(t.next + Lookahead))
	t.next++
}

// Jump skips buckets without any counts: it moves to bucket as if all before it had been closed, and calls retire for
// each slot that this empties.
func (t *Timeline) Jump(bucket int64, retire func(slot int)) {
	for i := int64(0); i < Cells && t.next < bucket; i++ {
		t.Close(retire)
	}
	t.next = max(t.next, bucket)
}

// SlotOf returns the place of a bucket in a ring of counts.
func SlotOf(bucket int64) int { return int(((bucket % Cells) + Cells) % Cells) }

// Rewind makes an earlier bucket the first open one. The caller clears all counts.
func (t *Timeline) Rewind(bucket int64) { t.next = min(t.next, bucket) }

// Window is scratch space for the closed buckets of one track, the newest last.
type Window struct {
	cells  [Lookback]Cell
	usable [Lookback]bool
	next   int64
}

// Track learns how many events happen on an exposure, and remembers the last buckets.
type Track struct {
	Events Counts
	// Clustered is what variance over mean is taken to be until it is learnt: more than 1 for events that come in
	// clusters, as calls of one user's visit do. 0 means 1.
	Clustered float64

	past Cell
	// abnormal has a bit for each slot that must not be learnt from.
	abnormal uint64
	// dispersion is what was learnt of variance over mean, less Clustered.
	dispersion float64
	block      Cell
	blockCells int
	// settled is the first bucket that may still speak for an abnormality.
	settled int64
	// flagged counts the buckets for which the track has been abnormal without a break.
	flagged int64
	habit   habit
}

// Learning says how a Track forgets.
type Learning struct {
	// HalfLife is the number of buckets with exposure after which a past count weighs half.
	HalfLife float64
	// NormalAfter is the number of buckets after which what was abnormal all along is learnt as the new normal.
	NormalAfter int64
}

// Past returns what was learnt from buckets that have left the ring.
func (t *Track) Past() Cell { return t.past }

// Dispersion returns the learnt variance over mean, at least 1.
func (t *Track) Dispersion() float64 { return max(1, t.Clustered+t.dispersion) }

// Retire learns the counts of a slot that leaves the ring, unless they were abnormal, and clears it.
func (t *Track) Retire(slot int, exposure float64, l Learning) {
	events := float64(t.Events[slot])
	t.Events[slot] = 0
	bit := uint64(1) << slot
	abnormal := t.abnormal&bit != 0
	t.abnormal &^= bit
	if exposure <= 0 {
		return
	}
	keep := math.Exp2(-1 / l.HalfLife)
	t.habit.age(keep)
	if abnormal {
		return
	}
	t.learnDispersion(events, exposure)
	t.past.Events = t.past.Events*keep + events
	t.past.Exposure = t.past.Exposure*keep + exposure
}

func (t *Track) learnDispersion(events, exposure float64) {
	t.block.Events += events
	t.block.Exposure += exposure
	t.blockCells++
	expected := Expected(t.block.Exposure, t.past)
	if t.blockCells < dispersionBlock || expected < 1 {
		return
	}
	d := t.block.Events - expected
	step := min(d*d/expected, maxDispersionStep)
	t.dispersion += dispersionWeight * (step - t.Clustered - t.dispersion)
	t.block, t.blockCells = Cell{}, 0
}

// Clear forgets the counts of all buckets in the ring, but not what was learnt from earlier ones.
func (t *Track) Clear() {
	t.Events, t.abnormal = Counts{}, 0
	t.block, t.blockCells, t.flagged, t.settled = Cell{}, 0, 0, 0
	t.habit.interrupt()
}

// Load fills w with the closed buckets of the track, given its exposure.
func (t *Track) Load(w *Window, tl *Timeline, exposure *Counts) {
	w.next = tl.next
	for i := range Lookback {
		slot := SlotOf(tl.next - Lookback + int64(i))
		w.cells[i] = Cell{Events: float64(t.Events[slot]), Exposure: float64(exposure[slot])}
		w.usable[i] = t.abnormal&(1<<slot) == 0
	}
}

// Settle says that what was counted so far has been dealt with: it is no evidence for anything new.
func (t *Track) Settle(tl *Timeline) { t.settled, t.flagged = tl.next, 0 }

// options completes the options of a scan by what the track knows.
func (t *Track) options(w *Window, o Options) Options {
	o.Dispersion = t.Dispersion()
	o.MaxCells = int(min(max(w.next-t.settled, 0), Lookback))
	return o
}

// Above scans the loaded window for an excess; see [ScanAbove].
func (t *Track) Above(w *Window, o Options) Verdict {
	return ScanAbove(w.cells[:], w.usable[:], t.past, t.options(w, o))
}

// AboveTail scans like [Track.Above], with a past that the caller keeps.
func (t *Track) AboveTail(w *Window, past Cell, o Options) Verdict {
	return ScanAbove(w.cells[:], w.usable[:], past, t.options(w, o))
}

// Usable reports whether a slot may be learnt from.
func (t *Track) Usable(slot int) bool { return t.abnormal&(1<<slot) == 0 }

// Below scans the loaded window for a lack; see [ScanBelow].
func (t *Track) Below(w *Window, o Options) Verdict {
	return ScanBelow(w.cells[:], w.usable[:], t.past, t.options(w, o))
}

// Trend says whether what a Verdict found still goes on.
type Trend int

// The trends. Unknown means that there was too little exposure lately to tell.
const (
	Unknown Trend = iota
	Persisting
	Subsided
)

// Trend compares the newest closed buckets, as many as are needed to tell, with both sides of a verdict.
func (t *Track) Trend(tl *Timeline, exposure *Counts, v Verdict) Trend {
	if v.Now.Exposure <= 0 || v.Past.Exposure <= 0 {
		return Unknown
	}
	now, past := v.Now.Events/v.Now.Exposure, v.Past.Events/v.Past.Exposure
	var recent Cell
	for i := range int64(trendCells) {
		slot := SlotOf(tl.next - 1 - i)
		recent.Events += float64(t.Events[slot])
		recent.Exposure += float64(exposure[slot])
		// Two events' worth of difference tells the two sides apart.
		if i > 0 && recent.Exposure*math.Abs(now-past) >= 2 {
			nearer := math.Abs(recent.Events/recent.Exposure-now) < math.Abs(recent.Events/recent.Exposure-past)
			if nearer || (now > past) == (recent.Events/recent.Exposure > now) {
				return Persisting
			}
			return Subsided
		}
	}
	return Unknown
}

// trendCells is how far back a Trend looks.
const trendCells = 8

// Flag keeps the buckets of a verdict from being learnt, unless the track has been abnormal for so long that this is the
// new normal, and returns how surprising it is in view of what has come and gone before; see [habit].
func (t *Track) Flag(tl *Timeline, v Verdict, l Learning) (surprise float64) {
	surprise = t.habit.surprise(tl.next, v)
	t.habit.goOn(tl.next, v)
	if t.flagged++; t.flagged > l.NormalAfter {
		return surprise
	}
	for i := range min(v.Window, Lookback) {
		t.abnormal |= 1 << SlotOf(tl.next-1-int64(i))
	}
	return surprise
}

// Calm notes that the newest closed bucket ended without an abnormality.
func (t *Track) Calm(tl *Timeline) {
	t.flagged = 0
	t.habit.calm(tl.next)
}
