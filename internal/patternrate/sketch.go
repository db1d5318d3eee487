package patternrate

import (
	"math"
	"math/bits"
)

// sketchBits is the logarithm of the number of registers: 1024 have a standard error of 3 %.
const sketchBits = 10

// Sketch estimates how many different things there were, in constant space: P. Flajolet et al., "HyperLogLog: the analysis of
// a near-optimal cardinality estimation algorithm", AofA 2007, with linear counting for small numbers.
type Sketch struct {
	registers [1 << sketchBits]uint8
	empty     int
	used      bool
}

// Add adds a thing by its hash, whose bits must be evenly distributed.
func (s *Sketch) Add(hash uint64) {
	if !s.used {
		s.empty, s.used = len(s.registers), true
	}
	r := &s.registers[hash>>(64-sketchBits)]
	rank := uint8(bits.LeadingZeros64(hash<<sketchBits|1<<(sketchBits-1)) + 1) //nolint:gosec // 55 at most
	if rank > *r {
		if *r == 0 {
			s.empty--
		}
		*r = rank
	}
}

// Estimate returns about how many different things were added.
func (s *Sketch) Estimate() float64 {
	if !s.used {
		return 0
	}
	m := float64(len(s.registers))
	sum := 0.0
	for _, r := range s.registers {
		sum += 1 / float64(uint64(1)<<r)
	}
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 2.5*m && s.empty > 0 {
		return m * math.Log(m/float64(s.empty))
	}
	return estimate
}

// Reset forgets all.
func (s *Sketch) Reset() {
	if s.used {
		*s = Sketch{}
	}
}
