package anomalystate

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Key is the 128-bit identity of a stream.
type Key struct{ Hi, Lo uint64 }

// String returns the 32 hexadecimal digits of the key.
func (k Key) String() string { return fmt.Sprintf("%016x%016x", k.Hi, k.Lo) }

// Stream is what is kept of one stream. The byte slices belong to whoever made it; those of a decoded one are parts of
// the shard.
type Stream struct {
	Key Key
	// Workload identifies the same stream of any instance of its workload; 0 when it has none.
	Workload uint64
	// Kind is the kind of metric that the stream is of.
	Kind uint8
	// Arrived is when the last new point came, by our clock; Last and Start are the times of that point. Nanoseconds.
	Arrived, Last, Start int64
	// Resource is what the stream belongs to; nil when that is not known.
	Resource *Resource
	// Text describes metric and attributes, as Describe reads it; empty when nobody needed it yet.
	Text []byte
	// Rest is what else its owner keeps of it, such as running totals, in the owner's encoding.
	Rest []byte
	// Signals are the scored series of the stream.
	Signals []Signal
}

// Resource is what is kept of a resource.
type Resource struct {
	Key Key
	// Last is the time of its newest point, Restarted the latest start of a counter that began anew. Nanoseconds.
	Last, Restarted int64
	// Text describes its attributes, as OTLP; it may be empty.
	Text []byte
}

// Signal is what is kept of one scored series.
type Signal struct {
	// Name is the value of anomaly.signal.
	Name string
	// Quantile is the quantile that the signal is, or a negative number.
	Quantile float64
	// Turned is the onset of the open episode, or the end of the last one. Nanoseconds.
	Turned int64
	// State is what the detector has learnt, in its own versioned encoding, Shadow what the one in shadow has; it may be
	// empty.
	State, Shadow []byte
}

// Bounds of one record: what a decoder accepts, and an encoder must not exceed.
const (
	maxName    = 64
	maxSignals = 65_536 + 8
	maxState   = 64 << 10
	maxRest    = 2 << 20
	maxText    = 64 << 10
)

// The kinds of records.
const (
	recordStream byte = iota
	recordResource
)

// noResource is the number of a resource that is not known.
const noResource = 1<<32 - 1

// appendResource encodes the record of a resource.
func appendResource(b []byte, r *Resource) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, recordResource)
	for _, v := range [...]uint64{r.Key.Hi, r.Key.Lo, uint64(r.Last), uint64(r.Restarted)} { //nolint:gosec // taken back unchanged
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return closeRecord(append(b, r.Text...), at)
}

func closeRecord(b []byte, at int) []byte {
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // bounded by the parts
	return b
}

// appendStream encodes the record of a stream of the resource with a number.
func appendStream(b []byte, s *Stream, resource uint32) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, recordStream)
	for _, v := range [...]uint64{s.Key.Hi, s.Key.Lo, s.Workload} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, s.Kind)
	for _, v := range [...]int64{s.Arrived, s.Last, s.Start} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v)) //nolint:gosec // taken back unchanged
	}
	b = binary.LittleEndian.AppendUint32(b, resource)
	b = appendBytes(b, s.Text)
	b = appendBytes(b, s.Rest)
	b = binary.AppendUvarint(b, uint64(len(s.Signals)))
	for i := range s.Signals {
		sig := &s.Signals[i]
		b = append(b, byte(len(sig.Name)))
		b = append(b, sig.Name...)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(sig.Quantile))
		b = binary.LittleEndian.AppendUint64(b, uint64(sig.Turned)) //nolint:gosec // taken back unchanged
		b = appendBytes(b, sig.State)
		b = appendBytes(b, sig.Shadow)
	}
	return closeRecord(b, at)
}

func appendBytes(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// fits reports whether a decoder would accept the record.
func (s *Stream) fits() bool {
	if len(s.Rest) > maxRest || len(s.Text) > maxText || len(s.Signals) > maxSignals || (s.Resource != nil && len(s.Resource.Text) > maxText) {
		return false
	}
	for i := range s.Signals {
		if len(s.Signals[i].Name) > maxName || len(s.Signals[i].State) > maxState || len(s.Signals[i].Shadow) > maxState ||
			math.IsNaN(s.Signals[i].Quantile) {
			return false
		}
	}
	return true
}

// reader takes numbers from bytes; after the first failure all are 0.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) i64() int64 { return int64(r.u64()) } //nolint:gosec // as it was written

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// count takes a length that must not exceed most.
func (r *reader) count(most uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 || n > most {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *Resource) decode(data []byte) error {
	d := reader{rest: data}
	r.Key, r.Last, r.Restarted = Key{Hi: d.u64(), Lo: d.u64()}, d.i64(), d.i64()
	r.Text = d.rest
	if d.bad || len(r.Text) > maxText {
		return fmt.Errorf("%w record of a resource", ErrCorrupt)
	}
	return nil
}

// decode reads a record into s, using its memory for the signals again. The resources are those of the records before.
func (s *Stream) decode(data []byte, resources []*Resource) error {
	r := reader{rest: data}
	s.Key = Key{Hi: r.u64(), Lo: r.u64()}
	s.Workload = r.u64()
	s.Kind = r.byte()
	s.Arrived, s.Last, s.Start = r.i64(), r.i64(), r.i64()
	s.Resource = nil
	if n := r.u32(); n < uint32(len(resources)) { //nolint:gosec // at most the number of records
		s.Resource = resources[n]
	} else if n != noResource {
		r.bad = true
	}
	s.Text, s.Rest = r.bytes(r.count(maxText)), r.bytes(r.count(maxRest))
	n := r.count(maxSignals)
	s.Signals = s.Signals[:0]
	for i := uint64(0); i < n && !r.bad; i++ {
		var sig Signal
		length := r.byte()
		if length > maxName {
			r.bad = true
		}
		sig.Name = signalName(r.bytes(uint64(length)))
		sig.Quantile = math.Float64frombits(r.u64())
		sig.Turned = r.i64()
		sig.State, sig.Shadow = r.bytes(r.count(maxState)), r.bytes(r.count(maxState))
		r.bad = r.bad || math.IsNaN(sig.Quantile)
		s.Signals = append(s.Signals, sig)
	}
	if r.bad || len(r.rest) > 0 {
		return fmt.Errorf("%w record of a stream", ErrCorrupt)
	}
	return nil
}

// signalName returns a name without making a string for those that nearly all signals have.
func signalName(b []byte) string {
	switch string(b) {
	case "value":
		return "value"
	case "rate":
		return "rate"
	case "mean":
		return "mean"
	case "ratio":
		return "ratio"
	case "p50":
		return "p50"
	case "p90":
		return "p90"
	case "p99":
		return "p99"
	default:
		return string(b)
	}
}
