package otlpjsonl

import (
	"cmp"
	"container/heap"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// window puts the lines of one file in order, as far as its bounds allow.
type window struct {
	maxLines, maxBytes int
	waiting            byTime
	bytes              int
	released           pcommon.Timestamp // the latest time released so far
}

func (w *window) add(b Batch) {
	heap.Push(&w.waiting, b)
	w.bytes += b.Bytes
}

// over says whether a line has to be released.
func (w *window) over() bool {
	return len(w.waiting) > w.maxLines || w.bytes > w.maxBytes
}

func (w *window) release() Batch {
	b := heap.Pop(&w.waiting).(Batch)
	w.bytes -= b.Bytes
	b.Late = b.Time < w.released
	w.released = max(w.released, b.Time)
	return b
}

// byTime is a heap of batches: by event time, then in the order of files, then of lines.
type byTime []Batch

func compare(a, b *Batch) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
}

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return compare(&h[i], &h[j]) < 0 }
func (h byTime) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byTime) Push(x any)        { *h = append(*h, x.(Batch)) }

func (h *byTime) Pop() any {
	last := len(*h) - 1
	b := (*h)[last]
	(*h)[last] = Batch{} // or the array would keep its data alive
	*h = (*h)[:last]
	return b
}
