// Package anomalystate is the durable form of what the anomaly processor has learnt: records of streams, packed into
// shards, which are kept in a storage extension while the collector runs and in portable files elsewhere.
//
// # Format, version 1
//
// All numbers are little-endian. A shard is
//
//	magic      4 bytes  "PAS" and 0x01, the version of the format
//	model      u32      version of the detector's state
//	identity   u64      fingerprint of how streams are identified
//	written    i64      wall clock, nanoseconds since 1970
//	shard      u32      number of the shard; 0 in files
//	records    u32
//	length     u32      bytes of the records
//	records
//	checksum   u64      XXH3 of everything before
//
// A record is its length as u32, then a byte that says what it is. Byte strings stand behind their length as a varint.
//
//	1, a resource: key 2 × u64, last i64, restarted i64, text as the rest
//	0, a stream: key 2 × u64, workload u64, kind u8, arrived i64, last i64, start i64, number of its resource among
//	those before as u32 or 2³²-1, text, rest, number of signals as a varint, signals
//	a signal: length of its name u8, name, quantile f64, turned i64, state, shadow
//
// A stream's text is the name of the metric, the number of attributes as a varint, and each one's name, type (u8) and
// value: 0 a string, 1 an integer as a signed varint, 2 a double as f64, 3 true, 4 false, 5 nothing, 6 anything else as
// a byte string of OTLP metrics with a resource that has this attribute. A string is a byte 0, then a byte string.
//
// A portable file is the eight bytes "PARANOM" and 0x01, then shards, each behind its length as u32, then a length of 0,
// and the number of shards as u32: a file that ends early is known as such, and what precedes the end can be used.
package anomalystate

import "errors"

// Why a shard, or a record, cannot be used.
var (
	// ErrCorrupt: the bytes are not what was written: a wrong checksum, an early end, an impossible length.
	ErrCorrupt = errors.New("corrupt")
	// ErrForeign: this is no learnt state, or one of another version of the format.
	ErrForeign = errors.New("foreign")
	// ErrModel: learnt by another version of the detector.
	ErrModel = errors.New("other model version")
	// ErrIdentity: its streams are identified in another way, so that none would ever be found.
	ErrIdentity = errors.New("other identity of streams")
)
