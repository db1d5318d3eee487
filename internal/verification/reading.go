package verification

import "math"

// Reading is what a signal says at a time.
type Reading int

// The readings.
const (
	// Lost is a reading without a value: not a number, infinite, or a probe that got no answer. It ends every stretch.
	Lost Reading = iota
	// Neutral is neither as it should be nor a sign of failure.
	Neutral
	// Good is as it should be.
	Good
	// Bad is an explicit sign of failure.
	Bad
)

// Bounds say which values are good and which show failure. A nil bound is none.
type Bounds struct {
	// Below and Above must both hold for a value that is good; one of them must be set.
	Below, Above *float64
	// FailBelow or FailAbove alone shows failure.
	FailBelow, FailAbove *float64
}

// Read judges a value.
func (b *Bounds) Read(value float64) Reading { return b.ReadRange(value, value) }

// ReadRange judges a value of which is only known that it lies between low and high, such as a quantile beyond the last
// bound of a histogram. It is good, or shows failure, only when every value in the range does.
func (b *Bounds) ReadRange(low, high float64) Reading {
	if math.IsNaN(low) || math.IsNaN(high) || math.IsInf(low, 1) || math.IsInf(high, -1) || math.IsInf(low, -1) && math.IsInf(high, 1) {
		return Lost
	}
	switch {
	case b.FailAbove != nil && low > *b.FailAbove, b.FailBelow != nil && high < *b.FailBelow:
		return Bad
	case b.Below == nil && b.Above == nil, b.Below != nil && !(high < *b.Below), b.Above != nil && !(low > *b.Above):
		return Neutral
	default:
		return Good
	}
}
