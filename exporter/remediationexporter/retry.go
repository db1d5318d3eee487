package remediationexporter

import (
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/config/configretry"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// defaultRetry tries again after about 1 s, 4 s, 16 s, 1 min, 4 min, 17 min, and then every hour for a day, each time somewhere
// between at once and twice as late, so that those who fail together do not come back together.
func defaultRetry() configretry.BackOffConfig {
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = time.Second
	retry.Multiplier = 4
	retry.RandomizationFactor = 1
	retry.MaxInterval = time.Hour
	retry.MaxElapsedTime = 24 * time.Hour
	return retry
}

// maxPause bounds how long a destination that fails for every incident is left alone for all of them.
const maxPause = time.Minute

// backoff returns how long to wait after so many failures, 1 or more; random is in [0, 1).
func backoff(c *configretry.BackOffConfig, failures int, random float64) time.Duration {
	d := float64(c.InitialInterval) * math.Pow(math.Max(c.Multiplier, 1), float64(failures-1))
	if limit := float64(c.MaxInterval); limit > 0 {
		d = math.Min(d, limit)
	}
	d *= 1 - c.RandomizationFactor + 2*c.RandomizationFactor*random
	return time.Duration(math.Min(d, float64(24*time.Hour)))
}

// retryAt returns when an event that failed is tried again; ok is false when it no longer is. The deadline is that of an action.
func retryAt(c *configretry.BackOffConfig, d *queued, err error, deadline, now time.Time) (at time.Time, ok bool) {
	if !c.Enabled {
		return time.Time{}, false
	}
	wait := backoff(c, d.attempts, rand.Float64()) //nolint:gosec // it only spreads attempts
	var busy *notifier.Busy
	if errors.As(err, &busy) {
		wait = max(wait, busy.After)
	}
	at = now.Add(wait)
	if c.MaxElapsedTime > 0 && at.Sub(d.began) > c.MaxElapsedTime || !deadline.IsZero() && !at.Before(deadline) {
		return time.Time{}, false
	}
	return at, true
}

// hold leaves a destination alone for a while after a failure, for all incidents: as long as it asks for, or longer with each
// failure in a row, up to a minute. One incident that always fails so delays others by a minute at most.
func (h *destination) hold(err error, now time.Time) {
	h.failures++
	pause := min(backoff(&h.retry, h.failures, 0.5), maxPause)
	var busy *notifier.Busy
	if errors.As(err, &busy) {
		pause = max(pause, busy.After)
	}
	h.resume = now.Add(pause)
}
