package playbook

import (
	"container/heap"
	"time"
)

// queue has keys by time, the earliest first, and keys of the same time in their own order. What has changed since it was
// put in stays in: whoever takes an entry out checks whether it still holds, so that nothing needs to be searched for.
type queue[K any] struct {
	entries []entry[K]
	compare func(a, b K) int
}

type entry[K any] struct {
	at  time.Time
	key K
}

func (q *queue[K]) add(at time.Time, key K) { heap.Push(q, entry[K]{at, key}) }

// next returns the earliest entry; ok is false when there is none.
func (q *queue[K]) next() (e entry[K], ok bool) {
	if len(q.entries) == 0 {
		return e, false
	}
	return q.entries[0], true
}

// take removes the earliest entry, which must be there, and returns it.
func (q *queue[K]) take() entry[K] { return heap.Pop(q).(entry[K]) }

// crowded reports whether so many entries no longer hold that it is worth making the queue anew, when live do.
func (q *queue[K]) crowded(live int) bool { return len(q.entries) > 2*live+64 }

// Len is part of [heap.Interface], as are the methods below.
func (q *queue[K]) Len() int { return len(q.entries) }

// Less orders by time, then by key.
func (q *queue[K]) Less(i, j int) bool {
	a, b := q.entries[i], q.entries[j]
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return q.compare(a.key, b.key) < 0
}

// Swap exchanges two entries.
func (q *queue[K]) Swap(i, j int) { q.entries[i], q.entries[j] = q.entries[j], q.entries[i] }

// Push appends an entry.
func (q *queue[K]) Push(x any) { q.entries = append(q.entries, x.(entry[K])) }

// Pop removes the last entry.
func (q *queue[K]) Pop() any {
	n := len(q.entries) - 1
	e := q.entries[n]
	q.entries[n] = entry[K]{}
	q.entries = q.entries[:n]
	return e
}
