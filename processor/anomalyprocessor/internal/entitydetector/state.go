package entitydetector

import (
	"encoding"
	"encoding/binary"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
)

// appendParts appends the states of the parts of a detector, each behind its length.
func appendParts(b []byte, parts ...encoding.BinaryAppender) ([]byte, error) {
	for _, p := range parts {
		at := len(b)
		b = append(b, 0, 0, 0, 0)
		var err error
		if b, err = p.AppendBinary(b); err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // all states are bounded
	}
	return b, nil
}

// readParts reads what appendParts wrote, to the end.
func readParts(r *binarystate.Reader, parts ...encoding.BinaryUnmarshaler) error {
	for _, p := range parts {
		state := r.Bytes(r.Count(math.MaxInt32))
		if err := r.Err(); err != nil {
			return err
		}
		if err := p.UnmarshalBinary(state); err != nil {
			return err
		}
	}
	return r.Close()
}
