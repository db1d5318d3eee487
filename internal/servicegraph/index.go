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
	classShift = 27
	classes    = 32
	// Blocks share chunks of this number of cells as long as they are not larger.
	chunkBits = 13
	// Below countedClass nobody counts the cells in use of a block: it is a single line.
	countedClass = 4
)

// index leads from keys to records. The keys of a trace, or of a few that share 32 bits of their hash, are a group, and the
// cells of a group are next to each other in a block of a power of two of them, so that the spans of a trace, which mostly
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
	// expected is the number of cells that a new group is going to have, as far as is known, and trace its trace.
	expected int
	trace    TraceID
	// keepTraces is set when groups remember their trace, for examples.
	keepTraces bool
}

// blocks are those of one class, which have 2^class cells.
type blocks struct {
	chunks [][]uint64
	// used are the numbers of cells in use, for the classes for which they are counted.
	used []uint32
	// traces are those of the groups; none where several share one.
	traces []TraceID
	free   []uint32
	n    uint32
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
		if known := x.traceOf(uint32(x.groups[x.lastAt]) - 1); *known != trace {
			*known = TraceID{}
		}
	}
}

func (x *index) traceOf(ref uint32) *TraceID {
	return &x.blocks[ref>>classShift].traces[ref&(1<<classShift-1)]
}

// traceOfGroup returns the trace of a group, none when it is not known.
func (x *index) traceOfGroup(group uint32) TraceID {
	if !x.keepTraces || x.block(group) == nil {
		return TraceID{}
	}
	return *x.traceOf(uint32(x.groups[x.lastAt]) - 1)
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
	if class >= chunkBits {
		return x.blocks[class].chunks[n]
	}
	in := n & (1<<(chunkBits-class) - 1)
	return x.blocks[class].chunks[n>>(chunkBits-class)][in<<class:][:1<<class]
}

// add gives a group a cell; its key must not have one.
func (x *index) add(group uint32, cell uint64) {
	cells := x.block(group)
	if cells == nil {
		cells = x.create(group)
	}
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
	larger := x.take(class + 1)
	to := x.cells(larger)
	n := uint32(1)
	for _, c := range cells {
		if c != 0 {
			place(to, c)
			n++
		}
	}
	place(to, cell)
	if class+1 >= countedClass {
		x.blocks[class+1].used[larger&(1<<classShift-1)] = n
	}
	if x.keepTraces {
		*x.traceOf(larger) = *x.traceOf(ref)
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
	cells[free] = cell
}

// room is the number of cells of a block that may be in use.
func room(class uint32) int {
	n := 1 << class
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
	if x.keepTraces {
		*x.traceOf(ref) = x.trace
	}
	x.lastCells = x.cells(ref)
	return x.lastCells
}

// place puts a cell into a block unless that is full.
func place(cells []uint64, cell uint64) bool {
	mask := len(cells) - 1
	at := int(cell>>32) & mask
	for range cells {
		if cells[at] == 0 {
			cells[at] = cell
			return true
		}
		at = (at + 1) & mask
	}
	return false
}

// cut empties a cell of a group and closes the gap.
func (x *index) cut(group uint32, cells []uint64, gap int) {
	mask := len(cells) - 1
	for at := (gap + 1) & mask; cells[at] != 0 && at != gap; at = (at + 1) & mask {
		// A cell may move back unless its first choice lies behind the gap.
		if first := int(cells[at]>>32) & mask; (at-first)&mask >= (at-gap)&mask {
			cells[gap] = cells[at]
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
		fromHome, fromGap := at-x.home(uint32(c>>32)), at-gap
		if fromHome < 0 {
			fromHome += size
		}
		if fromGap < 0 {
			fromGap += size
		}
		if fromHome >= fromGap {
			x.groups[gap] = c
			gap = at
		}
	}
	x.groups[gap] = 0
	x.nGroups--
	x.lastCells = nil
}

// grow makes the table of groups larger by two fifths.
func (x *index) grow() {
	old := x.groups
	x.lastCells = nil
	x.groups = make([]uint64, len(old)/5*7+8)
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
	if class >= chunkBits {
		b.chunks = append(b.chunks, make([]uint64, 1<<class))
	} else if n&(1<<(chunkBits-class)-1) == 0 {
		b.chunks = append(b.chunks, make([]uint64, 1<<chunkBits))
	}
	if class >= countedClass {
		b.used = append(b.used, 0)
	}
	if x.keepTraces {
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

// ask has the cell of a group on its way into the caches, askBlock, later, its block.
func (x *index) ask(group uint32) { prefetch.Lines(unsafe.Pointer(&x.groups[x.home(group)]), 1) }

func (x *index) askBlock(group uint32) []uint64 {
	cells := x.block(group)
	if cells != nil {
		prefetch.Lines(unsafe.Pointer(&cells[0]), min(max(len(cells)*8/prefetch.Line, 1), 8))
	}
	return cells
}

// search returns where a block has a key, or -1 and where there is an empty cell for it, if there is any.
func search(st *store, cells []uint64, key uint64) (found, free int) {
	mask := len(cells) - 1
	h := half(key)
	at := int(h) & mask
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
		at = (at + 1) & mask
	}
	return -1, -1
}

// locate returns where a block has a cell.
func locate(cells []uint64, cell uint64) int {
	mask := len(cells) - 1
	at := int(cell>>32) & mask
	for cells[at] != cell {
		at = (at + 1) & mask
	}
	return at
}
