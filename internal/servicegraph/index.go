package servicegraph

import (
	"unsafe"

	"github.com/paramedic-otel/paramedic/internal/prefetch"
)

const (
	// waitBit marks a cell that leads to the first of the records that wait for a key.
	waitBit   = uint32(1) << 31
	minGroups = 1024
	// A block's reference has its class above its number.
	classShift = 26
	classes    = 64
	// Blocks share chunks of at least this number of cells, as long as they are not larger.
	chunkBits = 12
	// Below countedClass nobody counts the cells in use of a block: it is a single line.
	countedClass = 6
	// Below tracedClass groups do not remember their trace, which would take more room than they do.
	tracedClass = 2
)

// sizeOf is the number of cells of the blocks of a class: 1, 2, 3, 4, 6, 8, 12, 16 and so on. perChunk is the logarithm of
// the number of them in a chunk.
var sizeOf, perChunk = blockSizes()

func blockSizes() (size [classes]int, per [classes]uint32) {
	size[0], per[0] = 1, chunkBits
	for class := 1; class < classes; class++ {
		exponent := (class + 1) / 2
		size[class] = 1 << exponent
		if class%2 == 0 {
			size[class] = 3 << (exponent - 1)
		}
		per[class] = uint32(max(chunkBits-exponent, 0))
	}
	return size, per
}

// index leads from keys to records. The keys of a trace, or of a few that share 32 bits of their hash, are a group, and the
// cells of a group are next to each other in a block of some more than there are, so that the spans of a trace, which mostly
// come and leave together, need few lines of memory. Blocks are hash tables with linear probing; so is the table of groups.
//
// A cell of a block is 0, or has half of the key above the record's index + 1, so that most cells are told apart without a
// look at their records. A cell of a group has the group above the reference of its block + 1.
type index struct {
	groups  []uint64
	nGroups int
	blocks  [classes]blocks
	// last is the group looked up last, if there is any: lastAt is the place of its cell, lastCells are those of its block.
	last      uint32
	lastAt    int
	lastCells []uint64
	// expected is the number of cells that are about to be added to the group at hand, as far as is known, and trace its trace.
	expected int
	trace    TraceID
	// keepTraces is set when groups remember their trace, for examples.
	keepTraces bool
}

// blocks are those of one class.
type blocks struct {
	chunks [][]uint64
	// used are the numbers of cells in use, for the classes for which they are counted.
	used []uint32
	// traces are those of the groups, for the classes for which they are known; none where several share one.
	traces []TraceID
	free   []uint32
	n      uint32
}

func newIndex(keepTraces bool) index {
	return index{groups: make([]uint64, minGroups), keepTraces: keepTraces}
}

// expect says what comes next: n spans of a trace.
func (x *index) expect(group uint32, trace TraceID, n int) {
	x.expected = n
	if !x.keepTraces {
		return
	}
	x.trace = trace
	if x.block(group) != nil {
		if known := x.traceOf(uint32(x.groups[x.lastAt]) - 1); known != nil && *known != trace {
			*known = TraceID{}
		}
	}
}

// traceOf returns where a block's trace is, nil when it is not known.
func (x *index) traceOf(ref uint32) *TraceID {
	if !x.keepTraces || ref>>classShift < tracedClass {
		return nil
	}
	return &x.blocks[ref>>classShift].traces[ref&(1<<classShift-1)]
}

// traceOfGroup returns the trace of a group, none when it is not known.
func (x *index) traceOfGroup(group uint32) TraceID {
	if !x.keepTraces || x.block(group) == nil {
		return TraceID{}
	}
	if known := x.traceOf(uint32(x.groups[x.lastAt]) - 1); known != nil {
		return *known
	}
	return TraceID{}
}

func half(key uint64) uint32 { return uint32(key >> 32) }

func cellOf(key uint64, i int32, waiting bool) uint64 {
	low := uint32(i) + 1
	if waiting {
		low |= waitBit
	}
	return key&^(1<<32-1) | uint64(low)
}

func indexOf(cell uint64) int32 { return int32(uint32(cell)&^waitBit) - 1 }

func waiting(cell uint64) bool { return uint32(cell)&waitBit != 0 }

// home is the first choice for a group's cell. It grows with the group, so that the table grows in order.
func (x *index) home(group uint32) int { return int(uint64(group) * uint64(len(x.groups)) >> 32) }

// group returns the place of a group's cell, or that of an empty one where it belongs.
func (x *index) group(group uint32) int {
	at := x.home(group)
	for c := x.groups[at]; c != 0 && uint32(c>>32) != group; c = x.groups[at] {
		if at++; at == len(x.groups) {
			at = 0
		}
	}
	return at
}

// block returns the cells of a group's block, none when there is no such group.
func (x *index) block(group uint32) []uint64 {
	if group == x.last && x.lastCells != nil {
		return x.lastCells
	}
	return x.find(group)
}

func (x *index) find(group uint32) []uint64 {
	at := x.group(group)
	x.lastCells = nil
	if c := x.groups[at]; c != 0 {
		x.last, x.lastAt, x.lastCells = group, at, x.cells(uint32(c)-1)
	}
	return x.lastCells
}

func (x *index) cells(ref uint32) []uint64 {
	class, n := ref>>classShift, ref&(1<<classShift-1)
	size, per := sizeOf[class], perChunk[class]
	in := int(n & (1<<per - 1))
	return x.blocks[class].chunks[n>>per][in*size:][:size:size]
}

// add gives a group a cell; its key must not have one.
func (x *index) add(group uint32, cell uint64) {
	cells := x.block(group)
	if cells == nil {
		cells = x.create(group)
	}
	expected := max(x.expected, 1)
	x.expected--
	ref := uint32(x.groups[x.lastAt]) - 1
	class := ref >> classShift
	if class >= countedClass {
		if used := &x.blocks[class].used[ref&(1<<classShift-1)]; int(*used) < room(class) {
			*used++
			place(cells, cell)
			return
		}
	} else if place(cells, cell) {
		return
	}
	next := class + 1
	for used := x.used(ref, cells); room(next) < used+expected; {
		next++
	}
	larger := x.take(next)
	to := x.cells(larger)
	n := uint32(1)
	for _, c := range cells {
		if c != 0 {
			place(to, c)
			n++
		}
	}
	place(to, cell)
	if next >= countedClass {
		x.blocks[next].used[larger&(1<<classShift-1)] = n
	}
	if to := x.traceOf(larger); to != nil {
		if *to = x.trace; class >= tracedClass {
			*to = *x.traceOf(ref)
		}
	}
	x.giveBack(ref)
	x.groups[x.lastAt] = uint64(group)<<32 | uint64(larger+1)
	x.lastCells = to
}

// addAt is add for a group that is known and an empty cell that search passed last.
func (x *index) addAt(group uint32, cells []uint64, free int, cell uint64) {
	if group != x.last || free < 0 {
		x.add(group, cell)
		return
	}
	ref := uint32(x.groups[x.lastAt]) - 1
	if class := ref >> classShift; class >= countedClass {
		used := &x.blocks[class].used[ref&(1<<classShift-1)]
		if int(*used) >= room(class) {
			x.add(group, cell)
			return
		}
		*used++
	}
	x.expected--
	cells[free] = cell
}

// room is the number of cells of a block that may be in use.
func room(class uint32) int {
	n := sizeOf[class]
	if class >= countedClass {
		n -= n / 8
	}
	return n
}

// create adds a group with an empty block.
func (x *index) create(group uint32) []uint64 {
	if 5*(x.nGroups+1) > 4*len(x.groups) {
		x.grow()
	}
	class := uint32(0)
	for room(class) < x.expected {
		class++
	}
	x.last, x.lastAt = group, x.group(group)
	ref := x.take(class)
	x.groups[x.lastAt] = uint64(group)<<32 | uint64(ref+1)
	x.nGroups++
	if to := x.traceOf(ref); to != nil {
		*to = x.trace
	}
	x.lastCells = x.cells(ref)
	return x.lastCells
}

// filled says that n cells were placed in the group that was created last.
func (x *index) filled(n int) {
	x.expected -= n
	if ref := uint32(x.groups[x.lastAt]) - 1; ref>>classShift >= countedClass {
		x.blocks[ref>>classShift].used[ref&(1<<classShift-1)] += uint32(n)
	}
}

// first is the first choice for a cell in a block of the given size.
func first(half uint32, size int) int { return int(uint64(half) * uint64(size) >> 32) }

// place puts a cell into a block unless that is full.
func place(cells []uint64, cell uint64) bool {
	at := first(uint32(cell>>32), len(cells))
	for range cells {
		if cells[at] == 0 {
			cells[at] = cell
			return true
		}
		if at++; at == len(cells) {
			at = 0
		}
	}
	return false
}

// behind returns how far a place is behind another in a ring.
func behind(at, from, size int) int {
	if at -= from; at < 0 {
		at += size
	}
	return at
}

// cut empties a cell of a group and closes the gap.
func (x *index) cut(group uint32, cells []uint64, gap int) {
	size := len(cells)
	for at := gap; ; {
		if at++; at == size {
			at = 0
		}
		c := cells[at]
		if c == 0 || at == gap {
			break
		}
		// A cell may move back unless its first choice lies behind the gap.
		if behind(at, first(uint32(c>>32), size), size) >= behind(at, gap, size) {
			cells[gap] = c
			gap = at
		}
	}
	cells[gap] = 0
	x.block(group)
	ref := uint32(x.groups[x.lastAt]) - 1
	if ref>>classShift >= countedClass {
		x.blocks[ref>>classShift].used[ref&(1<<classShift-1)]--
	}
	if x.used(ref, cells) == 0 {
		x.drop()
	}
}

// used returns the number of cells in use of a block.
func (x *index) used(ref uint32, cells []uint64) int {
	if class := ref >> classShift; class >= countedClass {
		return int(x.blocks[class].used[ref&(1<<classShift-1)])
	}
	n := 0
	for _, c := range cells {
		if c != 0 {
			n++
		}
	}
	return n
}

// drop forgets the group looked up last with all that its block has.
func (x *index) drop() {
	x.giveBack(uint32(x.groups[x.lastAt]) - 1)
	x.cutGroup(x.lastAt)
}

// dropAll forgets a group if it has exactly n cells.
func (x *index) dropAll(group uint32, n int) bool {
	cells := x.block(group)
	if x.used(uint32(x.groups[x.lastAt])-1, cells) != n {
		return false
	}
	x.drop()
	return true
}

// cutGroup empties a cell of the table of groups and closes the gap.
func (x *index) cutGroup(gap int) {
	size := len(x.groups)
	at := gap
	for {
		if at++; at == size {
			at = 0
		}
		c := x.groups[at]
		if c == 0 {
			break
		}
		if behind(at, x.home(uint32(c>>32)), size) >= behind(at, gap, size) {
			x.groups[gap] = c
			gap = at
		}
	}
	x.groups[gap] = 0
	x.nGroups--
	x.lastCells = nil
}

// grow makes the table of groups larger by a fifth.
func (x *index) grow() {
	old := x.groups
	x.lastCells = nil
	x.groups = make([]uint64, len(old)/5*6+8)
	for _, c := range old {
		if c != 0 {
			x.groups[x.group(uint32(c>>32))] = c
		}
	}
}

// take returns an empty block of a class.
func (x *index) take(class uint32) uint32 {
	b := &x.blocks[class]
	if last := len(b.free) - 1; last >= 0 {
		n := b.free[last]
		b.free = b.free[:last]
		return class<<classShift | n
	}
	n := b.n
	b.n++
	if per := perChunk[class]; n&(1<<per-1) == 0 {
		b.chunks = append(b.chunks, make([]uint64, sizeOf[class]<<per))
	}
	if class >= countedClass {
		b.used = append(b.used, 0)
	}
	if x.keepTraces && class >= tracedClass {
		b.traces = append(b.traces, TraceID{})
	}
	return class<<classShift | n
}

// giveBack takes back a block.
func (x *index) giveBack(ref uint32) {
	b, n := &x.blocks[ref>>classShift], ref&(1<<classShift-1)
	clear(x.cells(ref))
	if ref>>classShift >= countedClass {
		b.used[n] = 0
	}
	b.free = append(b.free, n)
}

// ask has the cell of a group on its way into the caches, askBlock, later, its block if there is one.
func (x *index) ask(group uint32) { prefetch.Lines(unsafe.Pointer(&x.groups[x.home(group)]), 1) }

func (x *index) askBlock(group uint32) bool {
	cells := x.block(group)
	if cells == nil {
		return false
	}
	prefetch.Lines(unsafe.Pointer(&cells[0]), min(len(cells)*8/prefetch.Line+1, 8))
	return true
}

// search returns where a block has a key, or -1 and where there is an empty cell for it, if there is any.
func search(st *store, cells []uint64, key uint64) (found, free int) {
	h := half(key)
	at := first(h, len(cells))
	for range cells {
		cell := cells[at]
		if cell == 0 {
			return -1, at
		}
		if uint32(cell>>32) == h {
			r := st.rec(indexOf(cell))
			if waiting(cell) {
				if r.parent == key && r.waits() {
					return at, -1
				}
			} else if r.key == key {
				return at, -1
			}
		}
		if at++; at == len(cells) {
			at = 0
		}
	}
	return -1, -1
}

// locate returns where a block has a cell.
func locate(cells []uint64, cell uint64) int {
	at := first(uint32(cell>>32), len(cells))
	for cells[at] != cell {
		if at++; at == len(cells) {
			at = 0
		}
	}
	return at
}
