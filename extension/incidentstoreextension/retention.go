package incidentstoreextension

import (
	"context"
	"time"
)

// keepBounds removes what is too old or too much, again and again until ctx ends.
func (e *incidentStore) keepBounds(ctx context.Context) {
	ticker := time.NewTicker(e.cfg.Retention.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := e.store.Prune(ctx); err != nil && ctx.Err() == nil {
			e.telemetry.Failed("remove what is too old or too much", err)
		}
	}
}
