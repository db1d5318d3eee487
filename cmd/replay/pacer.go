package main

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// pacer says when an event time is due. Its schedule is fixed by the first one, so that a slow
// receiver delays what follows but does not stretch it: what is overdue goes out at once.
type pacer struct {
	speed float64 // 0 never waits
	begun bool
	start time.Time
	first pcommon.Timestamp
}

// wait returns when t is due. A time of 0 is none and due at once.
func (p *pacer) wait(ctx context.Context, t pcommon.Timestamp) error {
	if p.speed == 0 || t == 0 {
		return ctx.Err()
	}
	if !p.begun {
		p.begun, p.start, p.first = true, time.Now(), t
	}
	if t <= p.first {
		return ctx.Err()
	}
	after := float64(t-p.first) / p.speed
	if after > math.MaxInt64/2 {
		after = math.MaxInt64 / 2 // longer than anybody waits, and still a Duration
	}
	return sleep(ctx, time.Duration(after)-time.Since(p.start))
}
