package stlesd

import (
	"fmt"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
)

const stateVersion = 1

// AppendBinary appends the state: the window and the distribution of the deviations. The decomposition follows from them.
func (d *Detector) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, stateVersion)
	b = binarystate.AppendUint32(b, uint32(d.held)) //nolint:gosec // MaxWindow at most
	start := 0
	if d.held == d.params.Window {
		start = d.at
	}
	for i := range d.held {
		b = binarystate.AppendFloat64(b, d.window[(start+i)%d.params.Window])
	}
	return d.surprise.AppendBinary(b)
}

// UnmarshalBinary replaces the state; of a longer window than this one the latest points are taken. A broken one changes
// nothing; the error says why.
func (d *Detector) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != stateVersion && r.Err() == nil {
		return fmt.Errorf("STL state has version %d, want %d", v, stateVersion)
	}
	held := r.Count(MaxWindow)
	rest := r.Bytes(8 * held)
	tail := r.Bytes(evidence.SurpriseBytes)
	if err := r.Close(); err != nil {
		return fmt.Errorf("read STL state: %w", err)
	}
	window := make([]float64, held)
	numbers := binarystate.NewReader(rest)
	numbers.Float64s(window)
	for _, v := range window {
		if v > largest || v < -largest {
			numbers.Fail(binarystate.ErrInvalid)
		}
	}
	if err := numbers.Err(); err != nil {
		return fmt.Errorf("read STL state: %w", err)
	}
	var surprise evidence.Surprise
	if err := surprise.UnmarshalBinary(tail); err != nil {
		return fmt.Errorf("read STL state: %w", err)
	}
	if over := held - d.params.Window; over > 0 {
		window = window[over:]
	}
	d.missAt, d.missed = 0, 0
	d.held = copy(d.window, window)
	d.at = d.held % d.params.Window
	d.surprise, d.since, d.badly, d.ready, d.period, d.season = surprise, 0, 0, false, 0, d.season[:0]
	if d.held >= max(fewest, cycles*d.params.Period) {
		d.decompose()
	}
	return nil
}
