package servicegraph

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// LabelID stands for a string that comes with spans; 0 is none, and LabelOther what found no room.
type LabelID uint32

// LabelOther stands for all strings that found no room.
const LabelOther LabelID = 1

// NumLabels is the number of the Labels of a Graph.
const NumLabels = 4

// labelLife is for how many epochs a string is kept without being used. Two are as long as whatever refers to it can live:
// a span for PairTimeout, and then a count for EdgeTTL, neither longer than an epoch.
const labelLife = 3

// Labels gives strings small numbers. It is safe for concurrent use, so that spans can be read side by side.
//
// A number is good for at least labelLife epochs after it was asked for last; an epoch is at least EdgeTTL long. So who
// remembers numbers must forget them when the epoch is another.
type Labels struct {
	max, maxLength int
	other          string
	epoch          atomic.Uint32

	mu sync.Mutex // mu guards everything below.

	ids     map[string]LabelID
	entries []labelEntry
	free    []LabelID
	refused int64
}

type labelEntry struct {
	value string
	epoch uint32
}

// newLabels returns a table of at most limit strings, of which it keeps maxLength bytes; other stands for the rest.
func newLabels(limit, maxLength int, other string) *Labels {
	return &Labels{
		max: limit, maxLength: maxLength, other: other, ids: map[string]LabelID{},
		entries: make([]labelEntry, LabelOther+1),
	}
}

// Epoch returns the current epoch.
func (l *Labels) Epoch() uint32 { return l.epoch.Load() }

// ID returns the number of a string and what is kept of it; LabelOther when there is no room for a new one.
func (l *Labels) ID(value []byte) (LabelID, string) {
	if len(value) == 0 {
		return 0, ""
	}
	value = cut(value, l.maxLength)
	if string(value) == l.other {
		return LabelOther, l.other
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.ids[string(value)]; ok {
		l.entries[id].epoch = l.epoch.Load()
		return id, l.entries[id].value
	}
	if len(l.ids) >= l.max {
		l.refused++
		return LabelOther, l.other
	}
	var id LabelID
	if last := len(l.free) - 1; last >= 0 {
		id, l.free = l.free[last], l.free[:last]
	} else {
		id = LabelID(len(l.entries))
		l.entries = append(l.entries, labelEntry{})
	}
	kept := string(value)
	l.ids[kept] = id
	l.entries[id] = labelEntry{value: kept, epoch: l.epoch.Load()}
	return id, kept
}

// cut returns as many of the bytes of a text as are allowed, and no part of a character.
func cut[T ~string | ~[]byte](text T, length int) T {
	if len(text) <= length {
		return text
	}
	for length > 0 && !utf8.RuneStart(text[length]) {
		length--
	}
	return text[:length]
}

// Value returns the string of a number.
func (l *Labels) Value(id LabelID) string {
	switch id {
	case 0:
		return ""
	case LabelOther:
		return l.other
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[id].value
}

// touch keeps a number good for as long as if it had been asked for now.
func (l *Labels) touch(id LabelID) {
	if id <= LabelOther {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id].epoch = l.epoch.Load()
}

// refusals returns how often a string found no room.
func (l *Labels) refusals() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// next begins an epoch and forgets the strings that were not used for long enough.
func (l *Labels) next() {
	epoch := l.epoch.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for value, id := range l.ids {
		if e := &l.entries[id]; epoch-e.epoch >= labelLife {
			delete(l.ids, value)
			*e = labelEntry{}
			l.free = append(l.free, id)
		}
	}
}
