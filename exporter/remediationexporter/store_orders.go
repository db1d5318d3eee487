package remediationexporter

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

const (
	// maxSilences bounds the silences that are looked at for each incident.
	maxSilences = 1000
	// orderPause is how long what people want is left alone after it was asked for, however much changes.
	orderPause = 100 * time.Millisecond
	// acknowledgmentInterval is how often acknowledgments are asked for though nothing tells of one.
	acknowledgmentInterval = 30 * time.Second
)

// followOrders asks for the pause, the silences and the acknowledgments, again and again and whenever one changes.
func (e *remediationExporter) followOrders(ctx context.Context) {
	ticker := time.NewTicker(e.cfg.Store.PollInterval)
	defer ticker.Stop()
	var acknowledged time.Time
	for {
		changed := false
		select {
		case <-e.stop:
			return
		case <-ticker.C:
		case <-e.incidents.changes:
			changed = true
		}
		e.hearOrders(ctx)
		if now := time.Now(); changed || now.Sub(acknowledged) >= acknowledgmentInterval {
			acknowledged = now
			e.hearAcknowledgments(ctx)
		}
		if !e.waitFor(orderPause, nil) {
			return
		}
	}
}

// hearOrders asks the store for the pause and the silences. While it does not answer, those that it told of last stay.
func (e *remediationExporter) hearOrders(ctx context.Context) {
	var heard orders
	now := time.Now()
	err := e.call(ctx, storeOrders, e.cfg.Store.Timeout, func(ctx context.Context) error {
		var err error
		if heard.Pause, err = e.incidents.memory.Paused(ctx, now); err != nil {
			return err
		}
		heard.Silences, err = e.incidents.memory.Silences(ctx, true, now)
		return err
	})
	if err != nil {
		return
	}
	slices.SortFunc(heard.Silences, func(a, b incidentstore.Silence) int { return strings.Compare(a.ID, b.ID) })
	heard.Silences = slices.Clone(head(heard.Silences, maxSilences))
	e.mu.Lock()
	if reflect.DeepEqual(heard, e.incidents.orders) {
		e.mu.Unlock()
		return
	}
	before := e.incidents.orders
	e.incidents.orders = heard
	e.keep(ordersKey, heard)
	by := ""
	if heard.Pause != nil {
		by = heard.Pause.By
	}
	e.lookFor(by, now)
	if n := len(heard.Silences); n != len(before.Silences) {
		e.after(func() { e.logger.Info("silences have changed", zap.Int("active", n)) })
	}
	e.settleAndUnlock(context.WithoutCancel(ctx))
}

// byStore follows the name of who paused by the store.
const byStore = " by the incident store"

// paused names who paused automation by the store; it is empty when nobody has. The exporter's mu is held.
func (s *store) paused(now time.Time) string {
	if s == nil || s.orders.Pause == nil {
		return ""
	}
	p := s.orders.Pause
	if !p.Until.IsZero() && !now.Before(p.Until) {
		return ""
	}
	text := p.By + byStore
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return plainText(text, maxDetail)
}

// silenceOf returns the silence that covers such an incident, or nil: one of maintenance before others. The exporter's mu is held.
func (s *store) silenceOf(t *incidentstore.Trouble, now time.Time) *incidentstore.Silence {
	if s == nil || t == nil {
		return nil
	}
	var found *incidentstore.Silence
	for i := range s.orders.Silences {
		silence := &s.orders.Silences[i]
		if !silence.Active(now) || !silence.Covers(t) {
			continue
		}
		if silence.Kind == incidentstore.SilenceMaintenance {
			return silence
		}
		if found == nil {
			found = silence
		}
	}
	return found
}

// maintained says what keeps an incident from being acted on; it is empty when nothing does. e.mu is held.
func (e *remediationExporter) maintained(incident string) string {
	if !slices.ContainsFunc(e.incidents.orders.Silences, func(s incidentstore.Silence) bool { return s.Kind == incidentstore.SilenceMaintenance }) {
		return ""
	}
	s := e.incidents.silenceOf(decodeMemo(e.ledger.Incident(incident)).Trouble, time.Now())
	if s == nil || s.Kind != incidentstore.SilenceMaintenance {
		return ""
	}
	return plainText(fmt.Sprintf("maintenance by %s until %s: %s (silence %s)", s.By, s.End.UTC().Format(time.RFC3339), s.Comment, s.ID), maxDetail)
}
