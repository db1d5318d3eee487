package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Trial is what became of one test message.
type Trial struct {
	// Destination is its name, Kind the driver or webhook.
	Destination, Kind string
	Type              semconv.EventType
	Took              time.Duration
	// Err is nil when it was taken, a [notifier.Refused] or [notifier.Busy] when the system has said no, and else what came in between.
	Err error
	// Skipped says that it was not sent, since the destination does not want such events, or did not take the one before.
	Skipped string
}

// Try sends a test incident's beginning and end, marked as a test, to the destinations that are named, or to all, one after the other,
// through the same drivers as the exporter, without its queue: each is tried once. The configuration must be valid. Extensions of the
// collector do not run: of a destination whose client uses one, the trial says so and sends nothing.
func Try(ctx context.Context, set exporter.Settings, cfg *Config, names ...string) ([]Trial, error) {
	all := newDestinations(set, cfg)
	for _, name := range names {
		if !slices.ContainsFunc(all, func(h *destination) bool { return h.name == name }) {
			return nil, fmt.Errorf("destination must be one of webhooks or notifiers, got %.80q", name)
		}
	}
	id := "test-" + uuid.NewString()
	var out []Trial
	for _, h := range all {
		if len(names) > 0 && !slices.Contains(names, h.name) {
			continue
		}
		kind := "webhook"
		if c, ok := cfg.Notifiers[h.name]; ok {
			kind = c.driver().name
		}
		for _, t := range h.try(ctx, cfg, id) {
			t.Destination, t.Kind = h.name, kind
			out = append(out, t)
		}
	}
	return out, nil
}

// noHost is a collector without extensions.
type noHost struct{}

// GetExtensions implements component.Host.
func (noHost) GetExtensions() map[component.ID]component.Component { return nil }

// needsExtensions is why a destination cannot be tried outside of the collector.
type needsExtensions struct{ ids []string }

func (e *needsExtensions) Error() string {
	return "extensions " + strings.Join(e.ids, ", ") + " do not run outside of the collector"
}

// extensions names those of the collector that the destination's client uses.
func (h *destination) extensions() []string {
	var ids []string
	c := h.config.HTTP()
	if c.Auth.HasValue() {
		ids = append(ids, c.Auth.Get().AuthenticatorID.String())
	}
	for _, m := range c.Middlewares {
		ids = append(ids, m.ID.String())
	}
	return ids
}

func (h *destination) try(ctx context.Context, cfg *Config, id string) []Trial {
	opened, resolved := Trial{Type: semconv.EventTypeIncidentOpened}, Trial{Type: semconv.EventTypeIncidentResolved}
	if ids := h.extensions(); len(ids) > 0 {
		opened.Err, resolved.Skipped = &needsExtensions{ids}, "the beginning was not sent"
		return []Trial{opened, resolved}
	}
	if opened.Err = h.start(ctx, noHost{}); opened.Err != nil {
		resolved.Skipped = "the beginning was not sent"
		return []Trial{opened, resolved}
	}
	defer h.base.close()
	var memory notifier.Memory
	for _, t := range []*Trial{&opened, &resolved} {
		switch {
		case !h.wants(t.Type):
			t.Skipped = "its events do not include this"
			continue
		case t == &resolved && opened.Err != nil:
			t.Skipped = "the beginning was not taken"
			continue
		}
		m, err := testMessage(cfg, t.Type, id, time.Now())
		if err != nil {
			t.Err = err
			continue
		}
		m.Memory = memory
		start := time.Now()
		kept, err := h.send(ctx, m)
		t.Took, t.Err = time.Since(start), err
		if kept != nil {
			memory = kept
		}
		if errors.Is(err, errGone) {
			t.Err = fmt.Errorf("it takes nothing any more: %w", err)
		}
	}
	return []Trial{opened, resolved}
}

// testMessage is about an incident that is none.
func testMessage(cfg *Config, typ semconv.EventType, id string, now time.Time) (*notifier.Message, error) {
	inc := semconv.Incident{
		ID: id, Revision: 1, Fingerprint: "test", Status: semconv.StatusOpen, Severity: semconv.SeverityMinor, StartedAt: now, DetectedAt: now,
		Title: "TEST: Paramedic tries whether this destination is told of incidents; nothing is wrong",
		Causes: []semconv.Cause{{
			Entity: semconv.Entity{Type: semconv.EntityService, Name: "paramedic/test"}, Kind: semconv.CauseErrors, Confidence: 1, Share: 1,
			Evidence: []semconv.Evidence{{Signal: "test", Onset: now, Deviation: 1, Score: 1, Summary: "somebody ran remediation-notify"}},
		}},
		EntryPoints: []string{"paramedic/test"}, Impact: semconv.Impact{Services: []string{"paramedic/test"}},
	}
	if typ == semconv.EventTypeIncidentResolved {
		inc.Revision, inc.Status, inc.Resolution, inc.ResolvedAt = 2, semconv.StatusResolved, semconv.ResolutionRecovered, now
	}
	text, number := logSeverity(inc.Severity)
	ev := &cloudevents.Event{
		ID: deliveryID(typ, "test", id, inc.Revision, ""), Source: cfg.Source, Type: string(typ), Subject: "incident/" + id, Time: now,
		SeverityText: text, SeverityNumber: number, CorrelationID: id,
	}
	body, _, err := shorten(ev, &eventdata.Data{}, &inc, cfg.MaxBodySize)
	if err != nil {
		return nil, err
	}
	decoded, err := eventdata.Decode(body)
	if err != nil {
		return nil, err
	}
	return &notifier.Message{
		Event: decoded, Body: body, Key: notifier.Key(cfg.Cluster, id), Occurrence: 1, Cluster: cfg.Cluster, Now: now, Test: true,
	}, nil
}

// Explain says in plain words why a test message was not taken, and what to do; empty when it was.
func (t *Trial) Explain() string {
	var refused *notifier.Refused
	var busy *notifier.Busy
	var needs *needsExtensions
	switch err := t.Err; {
	case t.Skipped != "":
		return t.Skipped
	case err == nil:
		return ""
	case errors.As(err, &needs):
		return "it cannot be tried from here, since its client uses " + strings.Join(needs.ids, ", ") + ", which runs in the collector only: " +
			"try a copy of it with the credentials in headers, or look at delivery_attempts of the collector"
	case errors.Is(err, errPrivateRange) || strings.Contains(err.Error(), errPrivateRange.Error()):
		return "its address is a private one: set allow_private_ranges: true if that is meant"
	case errors.As(err, &refused) && (refused.Status == 401 || refused.Status == 403):
		return "it does not accept our credentials: " + refused.Error()
	case errors.As(err, &refused) && refused.Status == 404:
		return "there is nothing at this address: look at endpoint and at what the URL names: " + refused.Error()
	case errors.As(err, &refused) && refused.Gone:
		return "it says that it is gone: make a new address in that system: " + refused.Error()
	case errors.As(err, &refused) && refused.Status >= 300 && refused.Status < 400:
		return "it sends us elsewhere, which is never followed: use the address itself: " + refused.Error()
	case errors.As(err, &refused):
		return "it does not take this message: " + refused.Error()
	case errors.As(err, &busy):
		return "it is busy or broken, so an event would be tried again: " + busy.Error()
	case errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "Client.Timeout"):
		return "it does not answer in time: look at the network between, and at timeout: " + err.Error()
	case strings.Contains(err.Error(), "no such host"):
		return "its name does not resolve: " + err.Error()
	case strings.Contains(err.Error(), "x509") || strings.Contains(err.Error(), "tls:"):
		return "its certificate is not trusted, or it wants one of ours: look at tls: " + err.Error()
	default:
		return "it could not be reached: " + err.Error()
	}
}
