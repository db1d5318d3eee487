package auditchain

import (
	"errors"
	"fmt"
)

// BrokenError says where a chain is broken first.
type BrokenError struct {
	// Index is that of the record among those that were verified, and Seq its number.
	Index  int
	Seq    uint64
	Reason string
}

// Error says it in words.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("record %d (seq %d): %s", e.Index, e.Seq, e.Reason)
}

// Verify reports the first record that does not follow from the one before it, as a [*BrokenError]. The anchor is the place
// before the first; an empty one takes the first record's word for it.
func Verify(records []Record, anchor Anchor) error {
	v := NewVerifier(anchor)
	for _, r := range records {
		if err := v.Add(r); err != nil {
			return err
		}
	}
	return nil
}

// Verifier verifies a chain record by record.
type Verifier struct {
	last  Anchor
	count int
}

// NewVerifier starts at a place, or, when that is empty, before whatever record comes first.
func NewVerifier(anchor Anchor) *Verifier { return &Verifier{last: anchor} }

// maxSeq keeps sequence numbers from running over.
const maxSeq = 1 << 62

// Add verifies the next record. After an error the verifier stays where it was.
func (v *Verifier) Add(r Record) error {
	last := v.last
	if last == (Anchor{}) {
		last = Anchor{Seq: r.Seq - 1, Hash: r.Prev}
	}
	broken := func(format string, args ...any) error {
		return &BrokenError{Index: v.count, Seq: r.Seq, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case r.Seq == 0 || r.Seq > maxSeq:
		return broken("seq must be between 1 and %d", uint64(maxSeq))
	case r.Seq != last.Seq+1:
		return broken("seq must be %d: a record was left out, inserted or moved", last.Seq+1)
	case r.Seq == 1 && r.Prev != Genesis().Hash:
		return broken("prev of the first record must be zeros, got %q", r.Prev)
	case r.Prev != last.Hash:
		return broken("prev must be the hash of the record before, %q, got %q", last.Hash, r.Prev)
	}
	switch want := r.hash(); {
	case want == "":
		return broken("prev must be 64 hexadecimal digits, got %q", r.Prev)
	case r.Hash != want:
		return broken("hash must be %s, got %q: the record was changed", want, r.Hash)
	}
	v.last = r.place()
	v.count++
	return nil
}

// Last is the place behind the last record that was verified.
func (v *Verifier) Last() Anchor { return v.last }

// Count is how many records were verified.
func (v *Verifier) Count() int { return v.count }

// Snapshot is the content of a chain, to be stored as JSON. The zero value is that of a chain before its first record.
type Snapshot struct {
	Anchor  Anchor   `json:"anchor"`
	Records []Record `json:"records,omitempty"`
}

// Snapshot returns a copy of the content.
func (c *Chain) Snapshot() Snapshot {
	return Snapshot{Anchor: c.anchor, Records: c.Records(0, len(c.records))}
}

// Restore replaces the content; on error it is left as it was. Of more records than can be kept the newest are.
func (c *Chain) Restore(s Snapshot) error {
	if s.Anchor == (Anchor{}) {
		if len(s.Records) > 0 {
			return errors.New("restore audit: records must have an anchor")
		}
		s.Anchor = Genesis()
	}
	if !s.Anchor.valid() {
		return fmt.Errorf("restore audit: the anchor must be a number up to %d and 64 hexadecimal digits, zeros for 0, got %d and %q", uint64(maxSeq), s.Anchor.Seq, s.Anchor.Hash)
	}
	fresh := Chain{limits: c.limits, anchor: s.Anchor, records: s.Records}
	fresh.records = fresh.Records(0, len(s.Records))
	for i := range fresh.records {
		fresh.records[i].Time = storable(fresh.records[i].Time)
	}
	if err := Verify(fresh.records, s.Anchor); err != nil {
		return fmt.Errorf("restore audit: %w", err)
	}
	if n := len(fresh.records) - c.limits.MaxRecords; n > 0 {
		fresh.anchor = fresh.records[n-1].place()
		fresh.records = fresh.records[n:]
	}
	*c = fresh
	return nil
}

func (a Anchor) valid() bool {
	if a.Seq == 0 {
		return a == Genesis()
	}
	return a.Seq < maxSeq && Record{Prev: a.Hash}.hash() != ""
}
