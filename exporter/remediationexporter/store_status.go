package remediationexporter

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// reportStatus tells the store from time to time how this executor is.
func (e *remediationExporter) reportStatus(ctx context.Context) {
	for {
		e.mu.Lock()
		s := e.status(time.Now())
		e.mu.Unlock()
		_ = e.call(ctx, storeReport, e.cfg.Store.Timeout, func(ctx context.Context) error { return e.incidents.memory.Report(ctx, s) }) // the next is due soon
		if !e.waitFor(e.cfg.Store.ReportInterval, nil) {
			return
		}
	}
}

// status is what the api tells of this executor. e.mu is held.
func (e *remediationExporter) status(now time.Time) incidentstore.ExecutorStatus {
	encode := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			return nil // it is left out, as by the api
		}
		return b
	}
	return incidentstore.ExecutorStatus{
		Name: e.incidents.name, At: now.UTC(), Leads: !e.standby, Status: encode(e.statusView(now)), Breakers: encode(e.breakersView(now)),
		Budget: encode(e.budgetView(now)), Outcomes: encode(e.outcomesView(now)),
	}
}
