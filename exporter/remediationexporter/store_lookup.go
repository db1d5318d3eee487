package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxSimilar bounds the past incidents that news tells of, and maxSimilarDetails what it tells of each in one list.
	maxSimilar        = 3
	maxSimilarDetails = 4
	// maxLookups bounds the incidents of one batch whose past is looked up: in a storm there are better things to do.
	maxLookups = 10
	// maxPast bounds the past incidents of the same fingerprint that are looked at for what people thought of them.
	maxPast = 5
	// lookupPause is for how long nothing is looked up after the store did not answer.
	lookupPause = 10 * time.Second
)

// past is what the store knows of an incident's past.
type past struct {
	Similar []eventdata.Similar `json:"similar,omitempty"`
	// Caution says why a playbook should ask people first; empty when nothing speaks for that.
	Caution string `json:"caution,omitempty"`
}

// lookUp asks the store for the past of incidents that are new to us, before anything is decided on them and without holding what a
// decision holds. Without an answer in time the decisions are made without it.
func (e *remediationExporter) lookUp(ctx context.Context, events []incoming) {
	if e.incidents == nil || e.cfg.Store.SimilarIncidents == 0 && e.cfg.Store.Caution == 0 {
		return
	}
	now := time.Now()
	e.mu.Lock()
	var asked []*incoming
	if !now.Before(e.incidents.lookupAfter) {
		for i := range events {
			ev := &events[i]
			if len(asked) == maxLookups {
				break
			}
			if ev.Name == semconv.EventIncidentResolved || decodeMemo(e.ledger.Incident(ev.Incident.ID)).Past != nil {
				continue
			}
			if s := e.incidents.silenceOf(troubleOf(&ev.Incident), now); s != nil && ev.Incident.SilencedBy == "" {
				ev.Incident.SilencedBy = s.ID // so that it is recorded as it will be
			}
			asked = append(asked, ev)
		}
	}
	e.mu.Unlock()
	if len(asked) == 0 {
		return
	}
	err := e.call(ctx, storeLookup, e.cfg.Store.LookupTimeout, func(ctx context.Context) error {
		// What is looked up has to be there. That it is recorded again with the decision changes nothing.
		records := make([]incidentstore.Record, 0, len(asked))
		for _, ev := range asked {
			records = append(records, incidentRecord(&ev.IncidentEvent))
		}
		if err := e.incidents.memory.Record(ctx, records); err != nil {
			return err
		}
		for _, ev := range asked {
			p, err := e.pastOf(ctx, &ev.Incident, now)
			if err != nil {
				return err
			}
			ev.past = p
		}
		return nil
	})
	if err != nil {
		e.mu.Lock()
		e.incidents.lookupAfter = time.Now().Add(lookupPause)
		e.mu.Unlock()
	}
}

func (e *remediationExporter) pastOf(ctx context.Context, inc *semconv.Incident, now time.Time) (*past, error) {
	p := &past{}
	if n := e.cfg.Store.SimilarIncidents; n > 0 {
		found, err := e.incidents.memory.Similar(ctx, inc.ID, n)
		if err != nil && !errors.Is(err, incidentstore.ErrNotFound) {
			return nil, err
		}
		for i := range head(found, n) {
			p.Similar = append(p.Similar, newSimilar(&found[i]))
		}
	}
	var err error
	if e.cfg.Store.Caution > 0 && inc.Fingerprint != "" {
		p.Caution, err = e.caution(ctx, inc, now)
	}
	return p, err
}

// caution looks for what people thought last of incidents with the same fingerprint, and returns why to be careful, if they thought
// that there was nothing, or something else.
func (e *remediationExporter) caution(ctx context.Context, inc *semconv.Incident, now time.Time) (string, error) {
	since := now.Add(-e.cfg.Store.Caution)
	found, _, err := e.incidents.memory.Incidents(ctx, incidentstore.IncidentFilter{Fingerprint: inc.Fingerprint}, incidentstore.Page{Limit: maxPast + 1})
	if err != nil {
		return "", err
	}
	var last *incidentstore.Feedback
	where := ""
	for i := range found {
		feedback := found[i].Feedback
		if found[i].ID == inc.ID {
			continue
		}
		if len(feedback) == 0 { // lists may leave it out
			whole, err := e.incidents.memory.Incident(ctx, found[i].ID)
			if errors.Is(err, incidentstore.ErrNotFound) {
				continue
			}
			if err != nil {
				return "", err
			}
			feedback = whole.Feedback
		}
		for j := range feedback {
			if f := &feedback[j]; f.At.After(since) && (last == nil || f.At.After(last.At)) {
				last, where = f, found[i].ID
			}
		}
	}
	if last == nil {
		return "", nil
	}
	var what string
	switch last.Verdict {
	case incidentstore.FeedbackFalseAlarm:
		what = "a false alarm"
	case incidentstore.FeedbackWrongCause:
		what = "wrongly diagnosed"
	default:
		return "", nil
	}
	return plainText(fmt.Sprintf("asks first, since %s called incident %s, of the same fingerprint, %s at %s", last.By, where, what,
		last.At.UTC().Format(time.RFC3339)), maxDetail), nil
}

// newSimilar is as much of a past incident as fits into news.
func newSimilar(s *incidentstore.Similar) eventdata.Similar {
	b := bounds{text: 120}
	out := eventdata.Similar{
		ID: clip(s.ID, maxIDLen), Score: s.Score, Title: clip(s.Title, b.text), Severity: s.Severity, StartedAt: s.StartedAt,
		ResolvedAt: s.ResolvedAt, Resolution: s.Resolution,
	}
	for _, why := range head(s.Why, maxSimilarDetails) {
		out.Why = append(out.Why, clip(why, b.text))
	}
	if c := s.Cause; c != nil {
		out.Cause = &eventdata.CauseSummary{
			Entity: eventdata.Entity{Type: c.Entity.Type, Name: clip(c.Entity.Name, b.text)}, Kind: c.Kind, Confidence: c.Confidence,
		}
	}
	for _, a := range head(s.Actions, maxSimilarDetails) {
		out.Actions = append(out.Actions, eventdata.SimilarAction{
			Playbook: clip(a.Playbook, b.text), Action: clip(a.Action, b.text), Target: clip(a.Target, b.text), Outcome: clip(a.Outcome, b.text),
		})
	}
	for _, f := range s.Feedback {
		if !slices.Contains(out.Feedback, string(f)) && len(out.Feedback) < maxSimilarDetails {
			out.Feedback = append(out.Feedback, clip(string(f), b.text))
		}
	}
	return out
}

// similarFor returns the past incidents that an event tells of: one by which people begin, or decide.
func similarFor(typ semconv.EventType, m *memo) []eventdata.Similar {
	if m.Past == nil {
		return nil
	}
	switch typ {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationSuggested,
		semconv.EventTypeRemediationEscalated:
		return m.Past.Similar
	default:
		return nil
	}
}
