package incidentstore

import (
	"encoding/base64"
	"encoding/binary"
)

// cursor is a place in a list: behind the item of these numbers.
type cursor struct{ at, num int64 }

const cursorVersion = 1

func (c cursor) String() string {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(c.at))  //nolint:gosec // all bits are kept
	b = binary.BigEndian.AppendUint64(b, uint64(c.num)) //nolint:gosec // all bits are kept
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads what String wrote.
func parseCursor(s string) (cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 17 || b[0] != cursorVersion {
		return cursor{}, ErrBadCursor
	}
	return cursor{at: int64(binary.BigEndian.Uint64(b[1:])), num: int64(binary.BigEndian.Uint64(b[9:]))}, nil //nolint:gosec // all bits are kept
}

// page is where a list begins, and how many it returns.
func (p Page) open() (from *cursor, limit int, err error) {
	limit = min(max(p.Limit, 1), maxItems)
	if p.Cursor == "" {
		return nil, limit, nil
	}
	c, err := parseCursor(p.Cursor)
	return &c, limit, err
}
