package remediationexporter

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/verification"
	"github.com/paramedic-otel/paramedic/semconv"
)

// The values of the attributes of internal telemetry, as in metadata.yaml.
const (
	lostRefused    = "refused"
	lostExhausted  = "exhausted"
	lostDisabled   = "disabled"
	lostQueueFull  = "queue_full"
	lostStale      = "stale"
	lostUnopened   = "unopened"
	lostUnreadable = "unreadable"
	lostStandby    = "standby"
	lostElsewhere  = "elsewhere"

	ignoredOther     = "other"
	ignoredDuplicate = "duplicate"

	refusedBroken    = "broken"
	refusedLimit     = "limit"
	refusedCondition = "condition"

	resultSuccess   = "success"
	resultRetryable = "retryable"
	resultPermanent = "permanent"

	opWrite  = "write"
	opDecode = "decode"

	permitPaused   = "paused"
	permitStandby  = "standby"
	permitEnded    = "ended"
	permitLate     = "late"
	permitResolved = "resolved"
	permitRate     = "rate"

	requestSuccess    = "success"
	requestConflict   = "conflict"
	requestThrottled  = "throttled"
	requestRefused    = "refused"
	requestFailed     = "failed"
	requestUnanswered = "unanswered"
	requestUnsent     = "unsent"

	answerOK      = "ok"
	answerRefused = "refused"
	answerFailed  = "failed"

	outcomeStarted = "started"
	// outcomePlanned is that of a step which the executor looks at before it may start.
	outcomePlanned = "planned"
)

// lostReasons are all for which an event no longer reaches its destination.
var lostReasons = []string{
	lostRefused, lostExhausted, lostDisabled, lostQueueFull, lostStale, lostUnopened, lostUnreadable, lostStandby, lostElsewhere,
}

// options are kept, since making one allocates.
type options map[string][]metric.AddOption

func newOptions(key string, values ...string) options { return newOptionsOf(nil, key, values...) }

// newOptionsOf are those of something that is counted by itself.
func newOptionsOf(of []attribute.KeyValue, key string, values ...string) options {
	o := options{}
	for _, v := range values {
		o[v] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(append(slices.Clip(of), attribute.String(key, v))...))}
	}
	return o
}

type instruments struct {
	*metadata.TelemetryBuilder
	dropped, approvals, approvalRefusals, outcomes, ignored, refusals, skips, operations, points, verdicts, readings options
	unrecorded, storeCalls, permitRefusals, requestResults, answers, budgetLimits                                    options
	once                                                                                                             sync.Once
}

func newInstruments(set component.TelemetrySettings) (*instruments, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	var skips []string
	for _, r := range playbook.SkipReasons {
		skips = append(skips, string(r))
	}
	for _, r := range kubeaction.Reasons {
		skips = append(skips, string(r))
	}
	skips = append(skips, string(kubeaction.OverBudget), string(kubeaction.Full))
	return &instruments{
		TelemetryBuilder: b,
		outcomes: newOptions("outcome", outcomeStarted, outcomePlanned, string(playbook.Proposed), string(playbook.Suggested),
			string(playbook.Skipped), string(playbook.Awaiting), string(playbook.Dispatched), string(playbook.Accepted),
			string(playbook.Undoing), string(playbook.Succeeded), string(playbook.Failed), string(playbook.Inconclusive),
			string(playbook.RolledBack), string(playbook.Denied), string(playbook.Expired)),
		permitRefusals: newOptions("reason", permitPaused, permitStandby, permitEnded, permitLate, permitResolved, permitRate),
		requestResults: newOptions("result", requestSuccess, requestConflict, requestThrottled, requestRefused, requestFailed,
			requestUnanswered, requestUnsent),
		unrecorded:       newOptions("reason", unrecordedFull, unrecordedRefused, unrecordedUnreadable),
		storeCalls:       newOptions("call", storeCalls...),
		answers:          newOptions("answer", answerOK, answerRefused, answerFailed),
		budgetLimits:     newOptions("limit", string(actionbudget.Fleet), string(actionbudget.Namespace), playbook.NoScope),
		dropped:          newOptions("reason", droppedFull, droppedOld),
		approvals:        newOptions("verdict", string(semconv.ApprovalGranted), string(semconv.ApprovalDenied)),
		approvalRefusals: newOptions("reason", approvalRefusals...),
		ignored:          newOptions("reason", ignoredOther, ignoredDuplicate),
		refusals:         newOptions("reason", refusedBroken, refusedLimit, refusedCondition),
		skips:            newOptions("reason", skips...),
		operations:       newOptions("operation", opWrite, opDecode),
		points:           newOptions("reason", pointReasons[1:]...),
		verdicts: newOptions("verdict", verification.Unknown.String(), verification.Unmet.String(), verification.Met.String(),
			verification.Worse.String()),
		readings: newOptions("reading", slices.Collect(maps.Values(readingNames))...),
	}, nil
}

func add(ctx context.Context, c metric.Int64Counter, o options, value string, n int) {
	if n > 0 {
		c.Add(ctx, int64(n), o[value]...)
	}
}

// destinationCounts are what is counted of one destination.
type destinationCounts struct {
	losses, results options
	delivered       []metric.AddOption
}

func newDestinationCounts(name string) destinationCounts {
	of := []attribute.KeyValue{attribute.String("destination", name)}
	return destinationCounts{
		losses: newOptionsOf(of, "reason", lostReasons...), results: newOptionsOf(of, "result", resultSuccess, resultRetryable, resultPermanent),
		delivered: []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(of...))},
	}
}

func (t *instruments) lost(ctx context.Context, h *destination, reason string, n int) {
	add(ctx, t.ExporterRemediationLostEvents, h.counts.losses, reason, n)
}

func (t *instruments) storageError(ctx context.Context, operation string) {
	add(ctx, t.ExporterRemediationStorageErrors, t.operations, operation, 1)
}

// observe registers the gauges.
func (t *instruments) observe(e *remediationExporter) error {
	gauge := func(value func() int) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			o.Observe(int64(value()))
			return nil
		}
	}
	return errors.Join(
		t.RegisterExporterRemediationQueuedRecordsCallback(gauge(func() int {
			if e.incidents == nil {
				return 0
			}
			return len(e.incidents.queue.items)
		})),
		t.RegisterExporterRemediationOpenBreakersCallback(counted(e, "guard", e.openBreakers)),
		t.RegisterExporterRemediationOpenIntentsCallback(counted(e, "state", e.openIntents)),
		t.RegisterExporterRemediationIncidentsCallback(gauge(func() int { return e.ledger.Len() })),
		t.RegisterExporterRemediationIncidentsLimitCallback(gauge(func() int { return e.cfg.MaxIncidents })),
		t.RegisterExporterRemediationQueuedEventsCallback(gauge(func() int { return e.queued() })),
		t.RegisterExporterRemediationWatchedSeriesCallback(watched(e, func(w *watcher) int { return len(w.series) })),
		t.RegisterExporterRemediationWatchedSeriesLimitCallback(watched(e, func(w *watcher) int { return w.cfg.MaxSeries })),
		t.RegisterExporterRemediationVerificationsCallback(watched(e, func(w *watcher) int { return len(w.running) })),
		t.RegisterExporterRemediationMissingPermissionsCallback(gauge(func() int { return e.lackedPermissions() })),
		t.RegisterExporterRemediationDeadLettersCallback(gauge(func() int { return len(e.dead.letters) })),
		t.RegisterExporterRemediationDisabledWebhooksCallback(gauge(func() int {
			n := 0
			for _, h := range e.destinations {
				if h.gone {
					n++
				}
			}
			return n
		})),
	)
}

// counted is a gauge of how many there are of each kind.
func counted(e *remediationExporter, key string, count func() map[string]int) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		e.mu.Lock()
		counts := count()
		e.mu.Unlock()
		for kind, n := range counts {
			o.Observe(int64(n), metric.WithAttributes(attribute.String(key, kind)))
		}
		return nil
	}
}

// openBreakers counts the breakers that are not closed. e.mu is held.
func (e *remediationExporter) openBreakers() map[string]int {
	out := map[string]int{"playbook_breaker": 0, "target_breaker": 0, "fleet_breaker": 0}
	for _, b := range e.ledger.Policy().Breakers(time.Now()) {
		if b.State != circuitbreaker.Closed {
			out[b.Guard]++
		}
	}
	return out
}

// openIntents counts what waits for something. e.mu is held.
func (e *remediationExporter) openIntents() map[string]int {
	out := map[string]int{}
	for _, o := range []playbook.Outcome{playbook.Pending, playbook.Awaiting, playbook.Dispatched, playbook.Accepted, playbook.Undoing} {
		out[string(o)] = 0
	}
	for _, c := range e.ledger.Open() {
		out[string(c.Play.Outcome)]++
	}
	return out
}

// requestResult says how the API server answered.
func requestResult(c *kubeaction.Call) string {
	switch {
	case c.Refused:
		return requestUnsent
	case c.Status == 0:
		return requestUnanswered
	case c.Status == http.StatusConflict:
		return requestConflict
	case c.Status == http.StatusTooManyRequests:
		return requestThrottled
	case c.Status >= 500:
		return requestFailed
	case c.Status >= 300:
		return requestRefused
	default:
		return requestSuccess
	}
}

// watched is a gauge of what the watcher holds.
func watched(e *remediationExporter, value func(*watcher) int) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		e.watch.mu.Lock()
		defer e.watch.mu.Unlock()
		o.Observe(int64(value(e.watch)))
		return nil
	}
}

func (t *instruments) shutdown() error {
	t.once.Do(t.Shutdown)
	return nil
}
