package servicegraph

import "encoding/binary"

// Dimension is the value of a configured dimension on one side of an edge. Index is the dimension's place in the configuration.
type Dimension struct {
	Index int
	Value string
}

// AppendDimension adds a value, of which it keeps maxLength bytes, to the key of a set of dimensions, for Labels.ID of
// Graph.Dimensions. Values are to be added in the order of their indexes, each at most once.
func AppendDimension(key []byte, index int, value string, maxLength int) []byte {
	value = cut(value, maxLength)
	key = binary.AppendUvarint(key, uint64(index))
	key = binary.AppendUvarint(key, uint64(len(value)))
	return append(key, value...)
}

// dimensionsOf returns the values of a set by its key.
func dimensionsOf(key string) []Dimension {
	var out []Dimension
	for rest := []byte(key); len(rest) > 0; {
		index, n := binary.Uvarint(rest)
		length, m := binary.Uvarint(rest[n:])
		rest = rest[n+m:]
		out = append(out, Dimension{Index: int(index), Value: string(rest[:length])})
		rest = rest[length:]
	}
	return out
}
