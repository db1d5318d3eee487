package incidentstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds of what is stored, in bytes.
const (
	maxID    = 512
	maxLine  = 1024
	maxLong  = 8 << 10
	maxBlob  = 256 << 10
	maxItems = 1000
)

// clean returns at most most bytes of text that every database stores: PostgreSQL has neither a zero byte nor what is not UTF-8.
func clean(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= most {
		return s
	}
	const mark = "…"
	end := most - len(mark)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// encode returns JSON that every database stores.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	// A raw message may hold what is not UTF-8.
	return strings.ToValidUTF8(string(b), "\uFFFD"), nil
}

// decode reads what [encode] wrote.
func decode(doc string, v any) error {
	if err := json.Unmarshal([]byte(doc), v); err != nil {
		return fmt.Errorf("what is stored cannot be read: %w", err)
	}
	return nil
}

// micros is how a time is stored, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return 0
	}
	return t.UnixMicro()
}

func microsOf(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return micros(*t)
}

// moment is what [micros] stored.
func moment(m int64) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(m).UTC()
}

func momentOf(m int64) *time.Time {
	if m == 0 {
		return nil
	}
	t := moment(m)
	return &t
}

// storable is a time after it was stored.
func storable(t time.Time) time.Time { return moment(micros(t)) }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
