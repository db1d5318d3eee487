package remediationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

const (
	recordsKey = "records"
	// maxRecordBytes bounds one record; the incident in a larger one is shortened.
	maxRecordBytes = 256 << 10
)

// The reasons for which a record never reaches the store, as in metadata.yaml.
const (
	unrecordedFull       = "full"
	unrecordedRefused    = "refused"
	unrecordedUnreadable = "unreadable"
)

func recordKey(n uint64) string { return "record/" + strconv.FormatUint(n, 10) }

// recordQueue holds what the store has not yet confirmed, oldest first. What is noted belongs to it once it is stored, in the
// transaction of the decision that it is about.
type recordQueue struct {
	maxRecords, maxBytes int
	// items are encoded records, bytes their size, and first the number of the oldest.
	items [][]byte
	bytes int
	first uint64
	// pending is noted and not yet stored; pendingBytes is its size.
	pending [][]byte
	// lost is how many of pending were given up while storage failed for long.
	lost int
	// moved is set when the bounds are not stored as they are.
	moved bool
}

// note appends a record, to be stored with the next commit.
func (q *recordQueue) note(r incidentstore.Record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	if len(q.pending) >= q.maxRecords {
		q.pending = append(q.pending[:0:0], q.pending[1:]...)
		q.lost++
	}
	q.pending = append(q.pending, b)
	return nil
}

func (q *recordQueue) end() uint64 { return q.first + uint64(len(q.items)) }

// excess is how many of the oldest have to go so that what is pending finds room.
func (q *recordQueue) excess() int {
	n, size := len(q.items)+len(q.pending), q.bytes
	for _, b := range q.pending {
		size += len(b)
	}
	drop := 0
	for n-drop > q.maxRecords || size > q.maxBytes && drop < n {
		size -= len(q.at(drop))
		drop++
	}
	return drop
}

// at is the i-th of the items and what is pending.
func (q *recordQueue) at(i int) []byte {
	if i < len(q.items) {
		return q.items[i]
	}
	return q.pending[i-len(q.items)]
}

// ops are the operations that store what is pending. They change nothing here.
func (q *recordQueue) ops() []*storage.Operation {
	drop := q.excess()
	var ops []*storage.Operation
	for i := range min(drop, len(q.items)) {
		ops = append(ops, storage.DeleteOperation(recordKey(q.first+uint64(i))))
	}
	for i, b := range q.pending {
		if at := len(q.items) + i; at >= drop {
			ops = append(ops, storage.SetOperation(recordKey(q.first+uint64(at)), b))
		}
	}
	if len(ops) > 0 || q.moved {
		ops = append(ops, boundsOfRecords(q.first+uint64(drop), q.end()+uint64(len(q.pending))))
	}
	return ops
}

func boundsOfRecords(first, end uint64) *storage.Operation {
	b, _ := json.Marshal(storedBounds{storedVersion, first, end}) // cannot fail: three numbers
	return storage.SetOperation(recordsKey, b)
}

// settle makes what was pending a part of the queue, since it is stored, and returns how many records were given up.
func (q *recordQueue) settle() (dropped int) {
	drop := q.excess()
	for _, b := range q.pending {
		q.items = append(q.items, b)
		q.bytes += len(b)
	}
	q.pending = nil
	q.remove(drop)
	dropped, q.lost, q.moved = drop+q.lost, 0, false
	return dropped
}

// remove takes the n oldest away.
func (q *recordQueue) remove(n int) {
	for i := range n {
		q.bytes -= len(q.items[i])
		q.items[i] = nil
	}
	q.items = q.items[n:]
	q.first += uint64(n)
}

// taken removes what was sent up to a number, as far as it was not dropped meanwhile, and returns the operations that store this.
func (q *recordQueue) taken(end uint64) []*storage.Operation {
	if end <= q.first {
		return nil
	}
	n := min(int(end-q.first), len(q.items))
	ops := make([]*storage.Operation, 0, n)
	for i := range n {
		ops = append(ops, storage.DeleteOperation(recordKey(q.first+uint64(i))))
	}
	q.remove(n)
	q.moved = true
	return ops
}

// batch returns the oldest records, at most so many and so many bytes but at least one if there is one, and the number behind them.
func (q *recordQueue) batch(most, bytes int) (records []incidentstore.Record, end uint64) {
	size := 0
	end = q.first
	for _, b := range q.items {
		if len(records) == most || size+len(b) > bytes && size > 0 {
			break
		}
		size += len(b)
		end++
		if r, err := decodeRecord(b); err == nil { // they were read, or written, here
			records = append(records, r)
		}
	}
	return records, end
}

// load restores the queue. Records that cannot be understood are given to broken; the rest is kept.
func (q *recordQueue) load(ctx context.Context, client storage.Client, broken func(error)) error {
	b, err := client.Get(ctx, recordsKey)
	if err != nil || b == nil {
		return err
	}
	var bounds storedBounds
	readable := json.Unmarshal(b, &bounds) == nil && bounds.Version == storedVersion && bounds.End >= bounds.First && bounds.End-bounds.First <= maxStoredItems
	if !readable {
		broken(fmt.Errorf("decode the queue of records: %.80q makes no sense", b))
		return nil
	}
	q.first = bounds.First
	for first := bounds.First; first < bounds.End; first += loadBatch {
		var ops []*storage.Operation
		for n := first; n < min(first+loadBatch, bounds.End); n++ {
			ops = append(ops, storage.GetOperation(recordKey(n)))
		}
		if err := client.Batch(ctx, ops...); err != nil {
			return err
		}
		for _, op := range ops {
			if _, err := decodeRecord(op.Value); err != nil {
				broken(err)
				op.Value = nil // keeps its number, and is passed over
			}
			q.items = append(q.items, op.Value)
			q.bytes += len(op.Value)
		}
	}
	return nil
}

// decodeRecord reads a stored record.
func decodeRecord(b []byte) (incidentstore.Record, error) {
	var r incidentstore.Record
	if len(b) == 0 {
		return r, errors.New("record is missing")
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("decode record: %w", err)
	}
	n := 0
	for _, set := range []bool{r.Incident != nil, r.Intent != nil, r.Delivery != nil, r.Audit != nil} {
		if set {
			n++
		}
	}
	if r.ID == "" || n != 1 {
		return r, errors.New("decode record: it must have an id and be about one thing")
	}
	return r, nil
}
