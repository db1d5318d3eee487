package anomalystate

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"
)

// Header says what the records of a shard are.
type Header struct {
	// Model is the version of the detector's state.
	Model uint32
	// Identity is a fingerprint of how streams are identified.
	Identity uint64
	// Written is when the shard was written, in nanoseconds, by the clock of the writer.
	Written int64
	// Shard is the number of the shard.
	Shard uint32
}

const (
	magic       = "PAS\x01"
	headerBytes = 4 + 4 + 8 + 8 + 4 + 4 + 4
	sumBytes    = 8
	// recordsAt is where the number of records stands.
	recordsAt = headerBytes - 8
	// MaxShard is the largest size of a shard in bytes.
	MaxShard = 64 << 20
)

// ShardWriter encodes one shard after the other into a buffer that it keeps.
type ShardWriter struct {
	buf     []byte
	streams uint32
	// resources are the numbers of those that stand before.
	resources map[Key]uint32
}

// Begin starts a shard.
func (w *ShardWriter) Begin(h Header) {
	w.buf = append(w.buf[:0], magic...)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, h.Model)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, h.Identity)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(h.Written)) //nolint:gosec // taken back unchanged
	w.buf = binary.LittleEndian.AppendUint32(w.buf, h.Shard)
	w.buf = append(w.buf, 0, 0, 0, 0, 0, 0, 0, 0)
	w.streams = 0
	clear(w.resources)
}

// Knows says that a resource stands in the shard, so that its text need not be given again.
func (w *ShardWriter) Knows(resource Key) bool {
	_, ok := w.resources[resource]
	return ok
}

// Add appends a stream, and says whether it could: it is within the bounds of a record, and the shard within its own.
func (w *ShardWriter) Add(s *Stream) bool {
	if !s.fits() {
		return false
	}
	before := len(w.buf)
	number, known := uint32(noResource), true
	if s.Resource != nil {
		if number, known = w.resources[s.Resource.Key]; !known {
			number = uint32(len(w.resources)) //nolint:gosec // bounded by MaxShard
			w.buf = appendResource(w.buf, s.Resource)
		}
	}
	w.buf = appendStream(w.buf, s, number)
	if len(w.buf)+sumBytes > MaxShard {
		w.buf = w.buf[:before]
		return false
	}
	if !known {
		if w.resources == nil {
			w.resources = map[Key]uint32{}
		}
		w.resources[s.Resource.Key] = number
	}
	w.streams++
	return true
}

// Streams returns the number of streams added.
func (w *ShardWriter) Streams() int { return int(w.streams) }

// Size returns the bytes that the shard has so far.
func (w *ShardWriter) Size() int { return len(w.buf) + sumBytes }

// End completes the shard and returns it; it is valid until the next Begin.
func (w *ShardWriter) End() []byte {
	binary.LittleEndian.PutUint32(w.buf[recordsAt:], w.streams+uint32(len(w.resources))) //nolint:gosec // bounded by MaxShard
	binary.LittleEndian.PutUint32(w.buf[recordsAt+4:], uint32(len(w.buf)-headerBytes))   //nolint:gosec // at most MaxShard
	w.buf = binary.LittleEndian.AppendUint64(w.buf, xxh3.Hash(w.buf))
	return w.buf
}

// DecodeShard checks a shard as a whole, then shows visit its header and each of its streams. The streams passed to visit
// are valid during the call only. The error is, or wraps, ErrCorrupt or ErrForeign, or is what visit returned. Visit is
// never called when the shard is not as it was written.
func DecodeShard(data []byte, visit func(*Header, *Stream) error) (Header, error) {
	var h Header
	if len(data) < headerBytes+sumBytes {
		return h, fmt.Errorf("%w shard: %d bytes are too few", ErrCorrupt, len(data))
	}
	if string(data[:4]) != magic {
		return h, fmt.Errorf("%w: this is no shard of format 1", ErrForeign)
	}
	body, sum := data[:len(data)-sumBytes], data[len(data)-sumBytes:]
	if binary.LittleEndian.Uint64(sum) != xxh3.Hash(body) {
		return h, fmt.Errorf("%w shard: the checksum differs", ErrCorrupt)
	}
	r := reader{rest: body[4:]}
	h = Header{Model: r.u32(), Identity: r.u64(), Written: r.i64(), Shard: r.u32()}
	records, length := r.u32(), r.u32()
	if uint64(length) != uint64(len(r.rest)) {
		return h, fmt.Errorf("%w shard: %d bytes of records, not %d", ErrCorrupt, len(r.rest), length)
	}
	var s Stream
	var resources []*Resource
	for range records {
		record := r.bytes(uint64(r.u32()))
		if r.bad || len(record) == 0 {
			return h, fmt.Errorf("%w shard: fewer records than %d", ErrCorrupt, records)
		}
		switch record[0] {
		case recordResource:
			resource := &Resource{}
			if err := resource.decode(record[1:]); err != nil {
				return h, err
			}
			resources = append(resources, resource)
			continue
		case recordStream:
		default:
			return h, fmt.Errorf("%w record of kind %d", ErrCorrupt, record[0])
		}
		if err := s.decode(record[1:], resources); err != nil {
			return h, err
		}
		if err := visit(&h, &s); err != nil {
			return h, err
		}
	}
	if len(r.rest) > 0 {
		return h, fmt.Errorf("%w shard: more records than %d", ErrCorrupt, records)
	}
	return h, nil
}

// Accept says whether records under this header can be used by a detector with that model and that identity.
func (h *Header) Accept(model uint32, identity uint64) error {
	switch {
	case h.Model != model:
		return fmt.Errorf("%w: %d, not %d", ErrModel, h.Model, model)
	case h.Identity != identity:
		return fmt.Errorf("%w: %016x, not %016x", ErrIdentity, h.Identity, identity)
	default:
		return nil
	}
}
