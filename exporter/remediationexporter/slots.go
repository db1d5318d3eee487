package remediationexporter

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// slots gives each of some things, such as incidents, a place in storage, since storage cannot list its keys. Places are reused, the lowest first,
// so that as many are read at the start as there ever were incidents at the same time.
type slots struct {
	// countKey is where their number is stored, and prefix what the keys of the places begin with.
	countKey, prefix string
	of               map[string]int
	// free are places below count that hold nothing.
	free  []int
	count int
}

func newSlots(countKey, prefix string) slots {
	return slots{countKey: countKey, prefix: prefix, of: map[string]int{}}
}

func (s *slots) clone() slots {
	return slots{s.countKey, s.prefix, maps.Clone(s.of), slices.Clone(s.free), s.count}
}

func (s *slots) key(n int) string { return fmt.Sprintf("%s/%d", s.prefix, n) }

// put returns the operations that store an incident's encoding, or, when it is nil, forget the incident.
func (s *slots) put(id string, encoded []byte) []*storage.Operation {
	n, known := s.of[id]
	switch {
	case encoded == nil && !known:
		return nil
	case encoded == nil:
		delete(s.of, id)
		s.free = append(s.free, n)
		slices.SortFunc(s.free, func(a, b int) int { return b - a })
		return []*storage.Operation{storage.DeleteOperation(s.key(n))}
	case known:
		return []*storage.Operation{storage.SetOperation(s.key(n), encoded)}
	}
	var ops []*storage.Operation
	if last := len(s.free) - 1; last >= 0 {
		n = s.free[last]
		s.free = s.free[:last]
	} else {
		n = s.count
		s.count++
		b, _ := json.Marshal(s.count) // cannot fail: a number
		ops = append(ops, storage.SetOperation(s.countKey, b))
	}
	s.of[id] = n
	return append(ops, storage.SetOperation(s.key(n), encoded))
}

// load reads all places. What decode cannot understand is given to broken and its place freed.
func (s *slots) load(ctx context.Context, client storage.Client, limit int, decode func([]byte) (id string, err error), broken func(error)) error {
	*s = newSlots(s.countKey, s.prefix)
	b, err := client.Get(ctx, s.countKey)
	if err != nil || b == nil {
		return err
	}
	readable := json.Unmarshal(b, &s.count) == nil && s.count >= 0 && s.count <= limit
	if !readable {
		broken(fmt.Errorf("decode how many there are: %.40q makes no sense", b))
		s.count = 0
		return nil
	}
	for first := 0; first < s.count; first += loadBatch {
		var ops []*storage.Operation
		for n := first; n < min(first+loadBatch, s.count); n++ {
			ops = append(ops, storage.GetOperation(s.key(n)))
		}
		if err := client.Batch(ctx, ops...); err != nil {
			return err
		}
		for i, op := range ops {
			if op.Value != nil {
				id, err := decode(op.Value)
				if err == nil {
					s.of[id] = first + i
					continue
				}
				broken(err)
			}
			s.free = append(s.free, first+i)
		}
	}
	slices.SortFunc(s.free, func(a, b int) int { return b - a })
	return nil
}
