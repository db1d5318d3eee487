package incidentconnector

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxGaps bounds the gaps that are remembered: the newest count.
const maxGaps = 16

// gap is a time of which nothing is known, because the collector did not run.
type gap struct{ from, to time.Time }

// gaps are the newest ones, the oldest first.
type gaps []gap

func (g *gaps) add(from, to time.Time) {
	if !to.After(from) {
		return
	}
	if len(*g) >= maxGaps {
		*g = slices.Delete(*g, 0, 1)
	}
	*g = append(*g, gap{from, to})
}

// elapsed returns how much time of which something could be known lies between two times.
func (g gaps) elapsed(from, to time.Time) time.Duration {
	d := to.Sub(from)
	for _, gap := range g {
		start, end := gap.from, gap.to
		if start.Before(from) {
			start = from
		}
		if end.After(to) {
			end = to
		}
		if overlap := end.Sub(start); overlap > 0 {
			d -= overlap
		}
	}
	return d
}

// recovering reports whether what a judgement looks back over is not all known again after a gap.
func (e *engine) recovering(now time.Time) bool {
	return len(e.gaps) > 0 && now.Sub(e.gaps[len(e.gaps)-1].to) < excess.MaxWindow*e.cfg.Bucket
}

// blind reports whether too little is known of the time from which an incident is diagnosed to do that again: it began before
// a gap, its cause was clear, and the time that a diagnosis looks back over is not over yet.
func (e *engine) blind(i *incident, now time.Time) bool {
	return e.recovering(now) && i.state.Cause().Confidence >= sureEnough && i.since.Before(e.gaps[len(e.gaps)-1].to)
}

// resumption is what is known of a restart until the first data have come.
type resumption struct {
	pending bool
	// watermark is the event time that was stored, and written when it was, on the clock on the wall.
	watermark, written time.Time
}

// plausible reports whether the first data after a restart may be as new as they say: they come from the time in which
// nobody listened.
func (r *resumption) plausible(newest, now time.Time, skew time.Duration) bool {
	return !newest.Before(r.watermark.Add(-skew)) && !newest.After(r.watermark.Add(now.Sub(r.written)+skew))
}

// resume goes on where the first data after a restart are: the time between was not observed, so that in it nothing has
// ended and nothing has fallen silent. What lasted longer than may be is over.
func (e *engine) resume(newest time.Time) (events []semconv.IncidentEvent) {
	if !e.resumption.plausible(newest, time.Now(), e.cfg.MaxClockSkew) {
		return nil
	}
	e.resumption.pending = false
	if newest.Sub(e.clock.watermark) <= e.cfg.Lateness+2*e.cfg.Bucket {
		return nil
	}
	if newest.Sub(e.clock.watermark) > e.cfg.State.MaxIncidentAge {
		events = e.abandon()
	}
	for last := e.bucketOf(e.clock.watermark); e.next <= last; e.next++ {
		events = append(events, e.judgeBucket(e.next)...)
	}
	from := e.endOf(e.next - 1)
	e.clock.watermark = newest
	e.next = max(e.next, e.bucketOf(newest)-1)
	to := e.endOf(e.next - 1)
	e.gaps.add(from, to)
	if e.warmingUp(from) {
		e.warmFrom = e.warmFrom.Add(to.Sub(from))
	}
	e.edges.Pause(e.next)
	e.flow.Pause(e.next)
	e.flow.Deaf(e.next + excess.MaxWindow)
	e.directory.pause(to.Sub(from))
	e.logger.Info("going on after a gap", zap.Time("from", from), zap.Time("to", to))
	return events
}

// abandon ends what goes on without a verdict, and forgets what was counted lately. What was learnt is kept.
func (e *engine) abandon() []semconv.IncidentEvent {
	events := e.closeAll(semconv.ResolutionNoData)
	e.edges.Rewind(e.next)
	e.flow.Rewind(e.next)
	e.signals.clear()
	clear(e.symptoms)
	return events
}
