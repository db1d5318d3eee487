package logpatternconnector

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"
)

// parcel is something to send, with the numbers that telemetry counts.
type parcel[T any] struct {
	load T
	size int64
	// events are how many of it tell of what; none for metrics.
	events [eventKinds]int64
}

// outbox hands parcels to the next component in their order, and keeps those that it refuses for the time being.
type outbox[T any] struct {
	what   string
	limit  int
	logger *zap.Logger
	// sent and dropped count.
	sent    func(context.Context, *parcel[T])
	dropped func(ctx context.Context, size int64, full bool)

	// sending is held while parcels are handed over, so that they stay in order. It is locked before mu.
	sending sync.Mutex
	// refused is set while the next component refuses what it is sent; the holder of sending owns it.
	refused bool

	mu sync.Mutex
	// mu guards everything below.
	ways    []way[T]
	waiting []parcel[T]
}

type way[T any] struct {
	owner any
	send  func(context.Context, T) error
}

func (o *outbox[T]) open(owner any, send func(context.Context, T) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ways = append(o.ways, way[T]{owner, send})
}

// opened reports whether an owner's way is open.
func (o *outbox[T]) opened(owner any) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.ways, func(w way[T]) bool { return w.owner == owner })
}

// wanted reports whether there is any way.
func (o *outbox[T]) wanted() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.ways) > 0
}

// close sends what waits and closes an owner's way. What is left when it was the last one is counted as dropped.
func (o *outbox[T]) close(ctx context.Context, owner any) {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.drain(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ways = slices.DeleteFunc(o.ways, func(w way[T]) bool { return w.owner == owner })
	if len(o.ways) == 0 {
		for _, p := range o.waiting {
			o.dropped(ctx, p.size, false)
		}
		o.waiting = nil
	}
}

// add queues a parcel. When there is no room the oldest goes.
func (o *outbox[T]) add(ctx context.Context, p parcel[T]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ways) == 0 {
		return
	}
	if len(o.waiting) >= o.limit {
		o.dropped(ctx, o.waiting[0].size, true)
		o.waiting = slices.Delete(o.waiting, 0, 1)
	}
	o.waiting = append(o.waiting, p)
}

func (o *outbox[T]) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting) == 0
}

// flush hands over what waits until it is refused. Whoever finds somebody else at it leaves it to them.
func (o *outbox[T]) flush(ctx context.Context) {
	for !o.empty() && o.sending.TryLock() {
		done := o.drain(ctx)
		o.sending.Unlock()
		if !done {
			return
		}
	}
}

// drain hands over what waits and reports whether all was taken; the caller holds sending.
func (o *outbox[T]) drain(ctx context.Context) bool {
	for {
		o.mu.Lock()
		if left := len(o.waiting); left == 0 || len(o.ways) == 0 {
			o.mu.Unlock()
			return left == 0
		}
		p, send := o.waiting[0], o.ways[0].send
		o.waiting = slices.Delete(o.waiting, 0, 1)
		o.mu.Unlock()

		err := send(ctx, p.load)
		switch {
		case err == nil:
			o.sent(ctx, &p)
			if o.refused {
				o.logger.Info("next component takes what it is sent again", zap.String("what", o.what))
			}
			o.refused = false
			continue
		case consumererror.IsPermanent(err):
			o.dropped(ctx, p.size, false)
		default:
			o.putBack(ctx, p)
		}
		if !o.refused {
			o.logger.Warn("next component refuses what it is sent", zap.String("what", o.what), zap.Error(err))
		}
		o.refused = true
		if !consumererror.IsPermanent(err) {
			return false
		}
	}
}

// putBack returns a parcel to the head of the queue after a refusal that may pass.
func (o *outbox[T]) putBack(ctx context.Context, p parcel[T]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) >= o.limit {
		o.dropped(ctx, p.size, true)
		return
	}
	o.waiting = slices.Insert(o.waiting, 0, p)
}
