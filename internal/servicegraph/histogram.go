package servicegraph

import "math"

const (
	// maxScale is the finest scale of an exponential histogram; the range of the values makes it coarser.
	maxScale = 20
	// tableScale is the finest scale at which a bucket is looked up and not computed.
	tableScale = 5
	tableSize  = 1 << tableScale
	// growth is the number of exponential buckets by which room is made for more: few histograms need many.
	growth = 8
	// guessBits of the mantissa lead to the first bucket that comes into question.
	guessBits = 6
)

// bucketBounds are the bounds of the buckets of tableScale from 1 to 2, and guesses the number of them that are below all
// numbers with the same first bits.
var bucketBounds, guesses = bucketTable()

func bucketTable() (bounds [tableSize + 1]float64, first [1 << guessBits]uint8) {
	for i := range bounds {
		bounds[i] = math.Exp2(float64(i) / tableSize)
	}
	for slot := range first {
		low := 1 + float64(slot)/float64(len(first))
		for bounds[first[slot]] < low {
			first[slot]++
		}
	}
	return bounds, first
}

// Histogram is a distribution of durations in seconds, with explicit or exponential buckets.
type Histogram struct {
	Count uint64
	Sum   float64
	// Buckets are the counts of explicit buckets, the last without an upper bound, or, for an exponential histogram,
	// room for the buckets from Offset on, of which the first Len are in use. They are made with the first value.
	Buckets []uint64
	// Zero, Scale, Offset and Len belong to exponential histograms.
	Zero        uint64
	Scale       int32
	Offset, Len int32
	// size is the greatest number of exponential buckets, finest their finest scale.
	size   int32
	finest int8
}

func newHistogram(cfg *Config) Histogram {
	if len(cfg.Bounds) > 0 {
		return Histogram{}
	}
	return newExponential(cfg.MaxSize, maxScale)
}

func newExponential(size int, finest int8) Histogram {
	return Histogram{Scale: int32(finest), size: int32(size), finest: finest}
}

// observe adds n equal durations.
func (h *Histogram) observe(bounds []float64, seconds float64, n uint64) {
	h.Count += n
	h.Sum += seconds * float64(n)
	if len(bounds) == 0 {
		h.observeExponential(seconds, n)
		return
	}
	if h.Buckets == nil {
		h.Buckets = make([]uint64, len(bounds)+1)
	}
	// A linear search beats a binary one for so few bounds, most calls being fast.
	i := 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	h.Buckets[i] += n
}

func (h *Histogram) observeExponential(v float64, n uint64) {
	if v <= 0 {
		h.Zero += n
		return
	}
	h.add(exponentialIndex(v, h.Scale), n, v)
}

// add counts n in the bucket at index of the current scale, and makes the scale coarser first where there is no room.
func (h *Histogram) add(index int32, n uint64, v float64) {
	if at := uint32(index - h.Offset); at < uint32(h.Len) {
		h.Buckets[at] += n
		return
	}
	low, high := index, index
	if h.Len > 0 {
		low, high = min(low, h.Offset), max(high, h.Offset+h.Len-1)
	}
	if high-low >= h.size {
		shift := shiftToFit(low, high, int(h.size))
		h.downscale(shift)
		// From the value and not from the index, so that no error of the finer scale is carried over.
		if index = index >> shift; v > 0 {
			index = exponentialIndex(v, h.Scale)
		}
	}
	h.extend(index)
	h.Buckets[index-h.Offset] += n
}

// extend makes the used range include index, which must fit.
func (h *Histogram) extend(index int32) {
	switch {
	case h.Len == 0:
		h.grow(1)
		h.Offset, h.Len = index, 1
	case index < h.Offset:
		by := h.Offset - index
		h.grow(h.Len + by)
		copy(h.Buckets[by:], h.Buckets[:h.Len])
		clear(h.Buckets[:by])
		h.Offset, h.Len = index, h.Len+by
	case index >= h.Offset+h.Len:
		h.grow(index - h.Offset + 1)
		h.Len = index - h.Offset + 1
	}
}

// grow makes room for the given number of exponential buckets.
func (h *Histogram) grow(need int32) {
	if int(need) <= len(h.Buckets) {
		return
	}
	larger := make([]uint64, min((need+growth-1)/growth*growth, h.size))
	copy(larger, h.Buckets[:h.Len])
	h.Buckets = larger
}

// downscale halves the resolution the given number of times.
func (h *Histogram) downscale(shift int32) {
	h.Scale -= shift
	if h.Len == 0 {
		return
	}
	offset := h.Offset >> shift
	length := (h.Offset+h.Len-1)>>shift - offset + 1
	for i := range h.Len {
		n := h.Buckets[i]
		h.Buckets[i] = 0
		h.Buckets[(h.Offset+i)>>shift-offset] += n
	}
	h.Offset, h.Len = offset, length
}

// merge adds the counts of o, which has the same kind and size.
func (h *Histogram) merge(o *Histogram, explicit bool) {
	if o.Count == 0 {
		return
	}
	h.Count += o.Count
	h.Sum += o.Sum
	if explicit {
		if h.Buckets == nil {
			h.Buckets = make([]uint64, len(o.Buckets))
		}
		for i, n := range o.Buckets {
			h.Buckets[i] += n
		}
		return
	}
	h.Zero += o.Zero
	if o.Scale > h.Scale {
		o.downscale(o.Scale - h.Scale)
	} else {
		h.downscale(h.Scale - o.Scale)
	}
	for i := range o.Len {
		if o.Buckets[i] == 0 {
			continue
		}
		// Adding may have made h coarser than o in the meantime.
		h.add((o.Offset+i)>>(o.Scale-h.Scale), o.Buckets[i], 0)
	}
}

// reset forgets the counts and keeps the memory.
func (h *Histogram) reset() {
	clear(h.Buckets)
	*h = Histogram{Buckets: h.Buckets, Scale: int32(h.finest), size: h.size, finest: h.finest}
}

// shiftToFit returns how often the resolution must be halved for the indexes low to high to fit into size buckets.
func shiftToFit(low, high int32, size int) int32 {
	var shift int32
	for int(high>>shift)-int(low>>shift) >= size {
		shift++
	}
	return shift
}

// exponentialIndex returns the bucket (base^index, base^(index+1)] of v > 0, with base = 2^(2^-scale).
func exponentialIndex(v float64, scale int32) int32 {
	bits := math.Float64bits(v)
	exponent := int32(bits>>52) - 1023
	if scale > tableScale || exponent == -1023 {
		return computeIndex(v, scale)
	}
	mantissa := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	below := int32(guesses[bits>>(52-guessBits)&(1<<guessBits-1)])
	for bucketBounds[below] < mantissa {
		below++
	}
	return (exponent<<tableScale + below - 1) >> (tableScale - scale)
}

func computeIndex(v float64, scale int32) int32 {
	frac, exp := math.Frexp(v) // v = frac * 2^exp, frac in [0.5, 1)
	if scale <= 0 {
		if frac == 0.5 { // an exact power of two is the inclusive upper end of its bucket
			exp--
		}
		return int32(exp-1) >> -scale
	}
	if frac == 0.5 {
		return int32(exp-1)<<scale - 1
	}
	return int32(math.Ceil((math.Log2(frac)+float64(exp))*math.Ldexp(1, int(scale)))) - 1
}
