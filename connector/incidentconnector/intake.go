package incidentconnector

import (
	"slices"
	"sync"
	"sync/atomic"
)

// input is the signal that a view takes.
type input int

const (
	inputMetrics input = iota
	inputLogs
	inputs
)

// intake sees to it that what comes in is counted once. The collector hands the same data to each view of a connector that
// takes their signal, to the one that sends logs and the one that sends metrics alike; the first that is open takes it.
type intake struct {
	taker [inputs]atomic.Pointer[view]

	mu sync.Mutex
	// mu guards everything below.
	open [inputs][]*view
}

func (i *intake) start(v *view) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !slices.Contains(i.open[v.input], v) {
		i.open[v.input] = append(i.open[v.input], v)
	}
	i.taker[v.input].Store(i.open[v.input][0])
}

func (i *intake) stop(v *view) {
	i.mu.Lock()
	defer i.mu.Unlock()
	open := slices.DeleteFunc(i.open[v.input], func(other *view) bool { return other == v })
	i.open[v.input] = open
	if len(open) > 0 {
		i.taker[v.input].Store(open[0])
		return
	}
	i.taker[v.input].Store(nil)
}

// takes reports whether a view is the one that takes what comes in.
func (i *intake) takes(v *view) bool {
	taker := i.taker[v.input].Load()
	return taker == nil || taker == v
}
