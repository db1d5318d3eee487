// Package auditchain keeps a record of everything that was decided and done, and of what was not done and why, in a way in
// which later changes show.
//
// It is item 10 of the executor contract of the safety design: records are only appended, and each carries the hash of the one
// before it, so that changing, leaving out, inserting or reordering any of them breaks the chain from there on (S. Haber, W. S.
// Stornetta, "How to Time-Stamp a Digital Document", Journal of Cryptology 3, 1991). Who can rewrite the whole log can compute
// all hashes anew, and cutting off its end leaves a shorter chain that is whole: both show only to who has kept a later hash
// elsewhere, such as in the exported log records. See [Chain.Head].
//
// The hash of a record is SHA-256 over: "paramedic.audit.v1" and a zero byte; the 32 bytes of the hash before; the sequence
// number; the time as seconds since 1970 and nanoseconds; kind, incident, intent, playbook, actor and text; the number of
// fields and for each, sorted by name, name and value. Numbers are 64 bits, most significant first, signed ones in two's
// complement; strings are their length in bytes, as such a number, and their bytes in UTF-8. Before the first record stands a
// hash of zeros.
//
// A log is one JSON object per line, as [Write] writes it.
//
// Secrets do not belong into a record: nothing is taken out here. Time is an argument, and may go backwards: the order is that of
// the sequence numbers. A [Chain] is not safe for concurrent use.
package auditchain

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is what a record says.
type Entry struct {
	// Kind is what happened, such as "action.started" or "action.skipped".
	Kind     string `json:"kind"`
	Incident string `json:"incident,omitempty"`
	Intent   string `json:"intent,omitempty"`
	Playbook string `json:"playbook,omitempty"`
	// Actor is who did it: the executor, or the person who approved.
	Actor  string            `json:"actor,omitempty"`
	Text   string            `json:"text,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
}

// Record is an entry in its place.
type Record struct {
	// Seq counts records from 1.
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	Entry
	// Prev is the hash of the record before, and Hash that of this one, in hexadecimal digits.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Anchor is a place in a chain: behind the record of that number and hash.
type Anchor struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// Genesis is the place before the first record.
func Genesis() Anchor { return Anchor{Hash: strings.Repeat("0", 2*sha256.Size)} }

// Limits bound a chain. What is longer is cut, and the record then has the field "audit.cut".
type Limits struct {
	// MaxRecords are retained; older ones have to be read where they were written to.
	MaxRecords int
	// MaxBytes bounds each string, and MaxFields the fields.
	MaxBytes, MaxFields int
}

// Validate names everything that is wrong with the limits.
func (l Limits) Validate() error {
	var errs []error
	if l.MaxRecords < 1 {
		errs = append(errs, fmt.Errorf("max_records must be greater than 0, got %d; it bounds memory", l.MaxRecords))
	}
	if l.MaxBytes < 64 {
		errs = append(errs, fmt.Errorf("max_bytes must be at least 64, got %d", l.MaxBytes))
	}
	if l.MaxFields < 0 {
		errs = append(errs, fmt.Errorf("max_fields must not be negative, got %d", l.MaxFields))
	}
	return errors.Join(errs...)
}

// Chain is the end of a log that is being written.
type Chain struct {
	limits  Limits
	anchor  Anchor
	records []Record
}

// New returns a chain before its first record. The limits must be valid.
func New(limits Limits) *Chain { return &Chain{limits: limits, anchor: Genesis()} }

// Append adds a record and returns it. Text that is not UTF-8 is mended.
func (c *Chain) Append(now time.Time, e Entry) Record {
	head := c.Head()
	r := Record{Seq: head.Seq + 1, Time: storable(now), Entry: c.limits.apply(e), Prev: head.Hash}
	r.Hash = r.hash()
	c.records = append(c.records, r)
	if n := len(c.records) - c.limits.MaxRecords; n > 0 {
		c.anchor = c.records[n-1].place()
		c.records = slices.Delete(c.records, 0, n)
	}
	r.Fields = maps.Clone(r.Fields)
	return r
}

// Head is the place behind the last record. Kept elsewhere, it is what a log can be checked against later.
func (c *Chain) Head() Anchor {
	if n := len(c.records); n > 0 {
		return c.records[n-1].place()
	}
	return c.anchor
}

// Anchor is the place before the first record that is retained.
func (c *Chain) Anchor() Anchor { return c.anchor }

// Len returns how many records are retained.
func (c *Chain) Len() int { return len(c.records) }

// Records returns up to most of the retained records from a number on, oldest first.
func (c *Chain) Records(from uint64, most int) []Record {
	first := 0
	if from > c.anchor.Seq {
		first = int(min(from-c.anchor.Seq-1, uint64(len(c.records))))
	}
	out := slices.Clone(c.records[first:min(len(c.records), first+min(max(0, most), len(c.records)))])
	for i := range out {
		out[i].Fields = maps.Clone(out[i].Fields)
	}
	return out
}

func (r Record) place() Anchor { return Anchor{Seq: r.Seq, Hash: r.Hash} }

// hash returns what the record's Hash should be.
func (r Record) hash() string {
	h := sha256.New()
	number := func(n uint64) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		_, _ = h.Write(b[:])
	}
	text := func(s string) {
		number(uint64(len(s)))
		_, _ = h.Write([]byte(s))
	}
	_, _ = h.Write([]byte("paramedic.audit.v1\x00"))
	prev, err := hex.DecodeString(r.Prev)
	if err != nil || len(prev) != sha256.Size || r.Prev != hex.EncodeToString(prev) {
		return ""
	}
	_, _ = h.Write(prev)
	number(r.Seq)
	number(uint64(r.Time.Unix()))
	number(uint64(r.Time.Nanosecond()))
	for _, s := range []string{r.Kind, r.Incident, r.Intent, r.Playbook, r.Actor, r.Text} {
		text(s)
	}
	number(uint64(len(r.Fields)))
	for _, k := range slices.Sorted(maps.Keys(r.Fields)) {
		text(k)
		text(r.Fields[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// cutField tells that something of the record was too long.
const cutField = "audit.cut"

// apply returns a copy of the entry that is within the limits, and in UTF-8.
func (l Limits) apply(e Entry) Entry {
	cut := false
	fit := func(s string) string {
		s = strings.ToValidUTF8(s, "\uFFFD")
		if len(s) <= l.MaxBytes {
			return s
		}
		cut = true
		const mark = "…"
		end := l.MaxBytes - len(mark)
		for !utf8.RuneStart(s[end]) {
			end--
		}
		return s[:end] + mark
	}
	for _, s := range []*string{&e.Kind, &e.Incident, &e.Intent, &e.Playbook, &e.Actor, &e.Text} {
		*s = fit(*s)
	}
	var fields map[string]string
	for _, k := range slices.Sorted(maps.Keys(e.Fields)) {
		if len(fields) >= l.MaxFields {
			cut = true
			break
		}
		if fields == nil {
			fields = map[string]string{}
		}
		fields[fit(k)] = fit(e.Fields[k])
	}
	if cut {
		if fields == nil {
			fields = map[string]string{}
		}
		fields[cutField] = "true"
	}
	e.Fields = fields
	return e
}

// storable returns a time that JSON can hold and that is the same after it was read again.
func storable(t time.Time) time.Time {
	t = t.UTC().Round(0)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
