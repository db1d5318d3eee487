package remediationexporter

import (
	"context"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/config/configretry"
	"go.uber.org/zap"
)

const (
	// sendRecordsMost and sendBytesMost bound one transaction of the store.
	sendRecordsMost = 200
	sendBytesMost   = 1 << 20
	// maxRefusals is how often a single record is tried while the store answers otherwise.
	maxRefusals = 5
)

// sendRetry rules how soon the store is tried again.
var sendRetry = configretry.BackOffConfig{InitialInterval: 100 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: 30 * time.Second}

// sender is the worker that hands the queue of records to the store.
type sender struct {
	e *remediationExporter
	// most is how many records are tried at once: fewer after an error, so that one which cannot be taken does not stop the others.
	most int
	// refusals counts how often the oldest record alone was not taken.
	refusals int
	// failures counts those in a row.
	failures int
}

// sendRecords hands the queue of records to the store, oldest first and at least once. Without storage what is left at the end is
// tried once more.
func (e *remediationExporter) sendRecords(ctx context.Context) {
	s := &sender{e: e, most: sendRecordsMost}
	for {
		sent, err := s.send(ctx)
		switch {
		case e.stopping() && (e.persistent || !sent || ctx.Err() != nil):
			return
		case err != nil:
			s.failures++
			e.waitFor(backoff(&sendRetry, s.failures, rand.Float64()), nil) //nolint:gosec // it only spreads attempts
		case sent:
			s.failures = 0
		default:
			select {
			case <-e.stop:
			case <-e.incidents.records:
			}
		}
	}
}

// send hands the oldest records over, and reports whether there were any.
func (s *sender) send(ctx context.Context) (sent bool, err error) {
	e := s.e
	e.mu.Lock()
	records, end := e.incidents.queue.batch(s.most, sendBytesMost)
	first := e.incidents.queue.first
	e.mu.Unlock()
	if end == first {
		return false, nil
	}
	if len(records) > 0 {
		err = e.call(ctx, storeRecord, e.cfg.Store.Timeout, func(ctx context.Context) error { return e.incidents.memory.Record(ctx, records) })
	}
	switch {
	case err == nil:
		e.telemetry.ExporterRemediationRecordedRecords.Add(ctx, int64(len(records)))
		s.most, s.refusals = min(2*s.most, sendRecordsMost), 0
	case e.stopping():
		return false, err
	case len(records) > 1:
		s.most = len(records) / 2
		return false, err
	case !s.hopeless(ctx):
		return false, err
	default:
		add(ctx, e.telemetry.ExporterRemediationUnrecordedRecords, e.telemetry.unrecorded, unrecordedRefused, 1)
		e.logger.Error("the incident store refuses a record, which is lost", zap.String("record", records[0].ID), zap.Error(err))
		s.refusals = 0
	}
	e.mu.Lock()
	ops := e.incidents.queue.taken(end)
	if e.persistent {
		e.ops = append(e.ops, ops...)
	}
	e.settleAndUnlock(context.WithoutCancel(ctx))
	return true, nil
}

// hopeless reports whether the oldest record is refused time and again by a store that takes the one behind it. Which may be
// repeated, as all records.
func (s *sender) hopeless(ctx context.Context) bool {
	if s.refusals++; s.refusals < maxRefusals {
		return false
	}
	s.e.mu.Lock()
	records, _ := s.e.incidents.queue.batch(2, 2*maxRecordBytes)
	s.e.mu.Unlock()
	return len(records) == 2 && s.e.call(ctx, storeRecord, s.e.cfg.Store.Timeout, func(ctx context.Context) error {
		return s.e.incidents.memory.Record(ctx, records[1:])
	}) == nil
}
