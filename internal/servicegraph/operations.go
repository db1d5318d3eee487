package servicegraph

import (
	"cmp"
	"slices"
	"strings"
)

// sketchScale is the finest scale of an operation's sketches: buckets 9 % wide, so that a quantile is off by 4.5 % at most.
const sketchScale = 3

// OperationsConfig bounds what is kept of the operations of each edge.
type OperationsConfig struct {
	// MaxPerEdge bounds the operations of an edge; 0 keeps none.
	MaxPerEdge int
	// MaxTotal bounds those of all edges together.
	MaxTotal int
	// MaxVariants bounds the combinations of a kind of failure and a version of the callee of one operation.
	MaxVariants int
	// MaxSize is the greatest number of buckets of a sketch.
	MaxSize int
}

// Operation is an operation of an edge as it is handed out when an interval closes. It is valid only during the call.
type Operation struct {
	Name string
	// First and Last are when the first and the last of its calls ended.
	First, Last int64
	// Start is the time from which the sketches count.
	Start          int64
	Variants       []Variant
	Client, Server *Histogram
}

// Variant counts the calls of an operation that failed in one way, or did not, in one version of the callee.
type Variant struct {
	// Failure is the kind of failure, empty for success. Version is empty when it is not known.
	Failure, Version string
	// Start is the time from which Count counts.
	Start, Count int64
}

type variantKey struct {
	failure, version LabelID
}

type variant struct {
	key         variantKey
	start, last int64
	count       int64
}

type operation struct {
	id                 LabelID
	start, first, last int64
	variants           []variant
	client, server     Histogram
}

// operations are those of an edge: so few that looking at each is the fastest way to find one.
type operations []operation

func (o operations) find(id LabelID) *operation {
	for i := range o {
		if o[i].id == id {
			return &o[i]
		}
	}
	return nil
}

// add makes room for an operation, in the memory of one that left if there is any.
func (o *operations) add(id LabelID, start int64, cfg *OperationsConfig) *operation {
	n := len(*o)
	if n < cap(*o) {
		*o = (*o)[:n+1]
	} else {
		*o = append(*o, operation{})
	}
	op := &(*o)[n]
	*op = operation{id: id, start: start, variants: op.variants[:0], client: op.client, server: op.server}
	for _, h := range []*Histogram{&op.client, &op.server} {
		if h.size == 0 {
			*h = newExponential(cfg.MaxSize, sketchScale)
		}
		h.reset()
	}
	return op
}

// variant returns the counts of a kind of failure and a version; those past the limit share theirs.
func (op *operation) variant(failure, version LabelID, start int64, limit int) (v *variant, refused bool) {
	for i := range op.variants {
		if k := &op.variants[i].key; k.version == version && k.failure == failure {
			return &op.variants[i], false
		}
	}
	key := variantKey{failure: failure, version: version}
	if len(op.variants) >= limit {
		other := variantKey{failure: min(key.failure, LabelOther), version: min(key.version, LabelOther)}
		if key != other {
			v, _ = op.variant(other.failure, other.version, start, limit)
			return v, true
		}
	}
	op.variants = append(op.variants, variant{key: key, start: start})
	return &op.variants[len(op.variants)-1], false
}

func (op *operation) seen(first, last int64) {
	if op.first == 0 || first < op.first {
		op.first = first
	}
	op.last = max(op.last, last)
}

// forget drops the variants without a call since the given time.
func (op *operation) forget(before int64) {
	op.variants = slices.DeleteFunc(op.variants, func(v variant) bool { return v.last < before })
}

// restart makes the counts start anew, and keeps what is known of the time before.
func (op *operation) restart(start int64) {
	op.start = start
	op.client.reset()
	op.server.reset()
	for i := range op.variants {
		op.variants[i].count, op.variants[i].start = 0, start
	}
}

// operation returns the operation of an edge's list; past a limit, the one that stands for the others.
func (e *edges) operation(list *operations, id LabelID, start int64) *operation {
	cfg := &e.cfg.Operations
	if id == 0 {
		id = LabelOther
	}
	if op := list.find(id); op != nil {
		return op
	}
	if id != LabelOther && (len(*list) >= cfg.MaxPerEdge || e.operations >= cfg.MaxTotal) {
		e.refusedOperations++
		if op := list.find(LabelOther); op != nil {
			return op
		}
		id = LabelOther
	}
	e.operations++
	return list.add(id, start, cfg)
}

// addOperation counts n equal calls with their durations in seconds.
func (e *edges) addOperation(list *operations, c *call, n, start int64, clientSeconds, serverSeconds float64) {
	op := e.operation(list, c.operation, start)
	v, refused := op.variant(c.failure, c.version, start, e.cfg.Operations.MaxVariants)
	if refused {
		e.refusedVariants++
	}
	v.count += n
	v.last = max(v.last, c.at)
	op.seen(c.at, c.at)
	if c.client >= 0 {
		op.client.observe(nil, clientSeconds, uint64(n))
	}
	if c.server >= 0 {
		op.server.observe(nil, serverSeconds, uint64(n))
	}
}

// mergeOperations adds the counts of another list, and empties that.
func (e *edges) mergeOperations(list, from *operations) {
	for i := range *from {
		o := &(*from)[i]
		op := e.operation(list, o.id, o.start)
		for _, ov := range o.variants {
			v, refused := op.variant(ov.key.failure, ov.key.version, ov.start, e.cfg.Operations.MaxVariants)
			if refused {
				e.refusedVariants++
			}
			v.count += ov.count
			v.last = max(v.last, ov.last)
		}
		op.seen(o.first, o.last)
		op.client.merge(&o.client, false)
		op.server.merge(&o.server, false)
	}
	e.dropOperations(from)
}

// dropOperations empties a list and keeps its memory.
func (e *edges) dropOperations(list *operations) {
	e.operations -= len(*list)
	*list = (*list)[:0]
}

// sweepOperations drops the operations of an edge, and variants of them, without a call since the given time.
func (e *edges) sweepOperations(list *operations, before int64) {
	kept := 0
	for i := range *list {
		op := &(*list)[i]
		if op.last < before {
			continue
		}
		op.forget(before)
		if kept != i {
			(*list)[kept], (*list)[i] = (*list)[i], (*list)[kept]
		}
		kept++
	}
	e.operations -= len(*list) - kept
	*list = (*list)[:kept]
}

// OtherLabel is the name of whatever found no room: operations, versions. Kinds of failure have the name that the semantic
// conventions give to those that are not known.
const (
	OtherLabel   = "_other"
	OtherFailure = "_OTHER"
)

// rows lists the operations of an edge in the order of their names.
func (g *Graph) operationRows(list operations) []Operation {
	out := make([]Operation, 0, len(list))
	for i := range list {
		op := &list[i]
		row := Operation{
			Name: g.Operations.Value(op.id), First: op.first, Last: op.last, Start: op.start,
			Client: &op.client, Server: &op.server, Variants: make([]Variant, 0, len(op.variants)),
		}
		for _, v := range op.variants {
			row.Variants = append(row.Variants, Variant{
				Failure: g.Failures.Value(v.key.failure), Version: g.Versions.Value(v.key.version),
				Start: v.start, Count: v.count,
			})
		}
		slices.SortFunc(row.Variants, func(a, b Variant) int {
			return cmp.Or(strings.Compare(a.Failure, b.Failure), strings.Compare(a.Version, b.Version))
		})
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b Operation) int { return strings.Compare(a.Name, b.Name) })
	return out
}
