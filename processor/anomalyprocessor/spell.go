package anomalyprocessor

import "encoding/binary"

// spell appends a description with all its words spelt out: what anomalystate.Stream.Describe reads.
func (w *words) spell(b, text []byte) []byte {
	r := wordReader{words: w, text: text}
	b = r.spell(b)
	n := r.uvarint()
	b = binary.AppendUvarint(b, n)
	for range n {
		b = r.spell(b)
		kind := r.byte()
		b = append(b, kind)
		switch kind {
		case wordString:
			b = r.spell(b)
		case wordInt:
			b = binary.AppendVarint(b, r.varint())
		case wordDouble:
			b = append(b, r.bytes(8)...)
		case wordOther:
			size := r.uvarint()
			b = append(binary.AppendUvarint(b, size), r.bytes(size)...)
		}
	}
	return b
}

// spell appends the string at hand, spelt out.
func (r *wordReader) spell(b []byte) []byte {
	b = append(b, 0)
	if n := r.uvarint(); n > 0 {
		word := r.words.all[n-1]
		return append(binary.AppendUvarint(b, uint64(len(word))), word...)
	}
	size := r.uvarint()
	return append(binary.AppendUvarint(b, size), r.bytes(size)...)
}

// appendTo appends a text.
func (x *texts) appendTo(b []byte, handle uint32) []byte {
	at := x.blocks.at(handle - 1)
	left := int(binary.LittleEndian.Uint16(at.data[:]))
	for part := at.data[2:]; ; part = at.data[:] {
		n := min(left, len(part))
		b = append(b, part[:n]...)
		if left -= n; left == 0 {
			return b
		}
		at = x.blocks.at(at.next - 1)
	}
}
