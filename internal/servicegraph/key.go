package servicegraph

import "math/bits"

const (
	// sharedMark sets the identity of the second of two spans apart that share one, as Zipkin's may.
	sharedMark = uint64(0x5a5a_0f0f_3c3c_6969)

	mixA, unmixA = uint64(0xff51_afd7_ed55_8ccd), uint64(0x4f74_430c_22a5_4005)
	mixB, unmixB = uint64(0xc4ce_b9fe_1a85_ec53), uint64(0x9cb4_b2f8_1293_37db)
)

// seeds make the keys of a graph unpredictable.
type seeds struct{ a, b uint64 }

func newSeeds(seed uint64) seeds {
	return seeds{a: mix(seed ^ 0x9e37_79b9_7f4a_7c15), b: mix(seed ^ 0xd1b5_4a32_d192_ed03)}
}

// trace returns the hash of a trace.
func (s seeds) trace(t TraceID) uint64 {
	hi, lo := bits.Mul64(t.Lo^s.a, t.Hi^s.b)
	return mix(hi ^ lo ^ bits.RotateLeft64(t.Lo, 32))
}

// keyOf returns the key of a span in the trace of the given hash. Within a trace each span has a key of its own; two spans of
// different traces share one with a probability of 2^-64. It is never 0, which stands for no span.
func keyOf(trace, id uint64) uint64 {
	return max(mix(id^trace)^bits.RotateLeft64(trace, 32), 1)
}

// idOf returns the span's identity that keyOf was given.
func idOf(trace, key uint64) uint64 { return unmix(key^bits.RotateLeft64(trace, 32)) ^ trace }

// mix is the finalizer of Austin Appleby's MurmurHash3, a permutation; unmix undoes it.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= mixA
	x ^= x >> 33
	x *= mixB
	return x ^ x>>33
}

func unmix(x uint64) uint64 {
	x ^= x >> 33
	x *= unmixB
	x ^= x >> 33
	x *= unmixA
	return x ^ x>>33
}
