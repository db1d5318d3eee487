package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/cloudevent"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// errGone is in the error of an attempt to which the destination answered that it takes nothing any more.
var errGone = errors.New("destination is gone")

// destination is a webhook or a notifier: a queue, and the driver that delivers one event after the other.
type destination struct {
	name  string
	types map[semconv.EventType]bool
	retry configretry.BackOffConfig
	// timeout bounds an attempt; 0 leaves that to the client.
	timeout time.Duration
	// maxPerMinute is how much news is told one by one.
	maxPerMinute int
	driver       notifier.Destination
	// create makes the driver, once there is a client for config.
	create func(*http.Client) (notifier.Destination, error)
	config driver.Config
	base   *baseTransport
	set    component.TelemetrySettings
	host   component.Host
	wake   chan struct{}
	counts destinationCounts

	// The exporter's mu guards everything below.
	box outbox
	// digest is the news that is told in one event; digested is set when it is not stored as it is.
	digest   digest
	digested bool
	gone     bool
	// failures counts those in a row since the last success, and resume is when the destination is tried again after them.
	failures int
	resume   time.Time
	// unsaid is the newest dead letter that the others were not told of; nothing is told of any before quietUntil.
	unsaid     *eventdata.Delivery
	quietUntil time.Time
	// repeats are what a driver that repeats itself tells again; nil for one that does not.
	repeats *repeats
}

// newDestinations makes all of them in the order of their names.
func newDestinations(set exporter.Settings, cfg *Config) []*destination {
	var out []*destination
	for name, c := range cfg.Webhooks {
		out = append(out, newWebhook(set, cfg, name, c))
	}
	for name, c := range cfg.Notifiers {
		out = append(out, newNotifier(set, cfg, name, &c))
	}
	slices.SortFunc(out, func(a, b *destination) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out
}

func newDestination(set exporter.Settings, name string, events []Event, allowPrivate bool) *destination {
	d := &destination{
		name: name, types: map[semconv.EventType]bool{}, set: set.TelemetrySettings, wake: make(chan struct{}, 1), box: outbox{name: name},
		base: &baseTransport{allowPrivate: allowPrivate}, counts: newDestinationCounts(name),
	}
	for _, ev := range events {
		d.types[ev.eventType()] = true
	}
	return d
}

// newWebhook makes a webhook, which is told of events as they are and takes what playbooks ask of it.
func newWebhook(set exporter.Settings, cfg *Config, name string, c WebhookConfig) *destination {
	d := newDestination(set, name, c.Events, c.AllowPrivateRanges)
	d.retry, d.maxPerMinute = cfg.RetryConfig, c.MaxEventsPerMinute
	event := &cloudevent.Config{
		Client: driver.Client{ClientConfig: c.ClientConfig}, Mode: cloudevent.Structured,
		Signing: cloudevent.Signing{Signature: cloudevent.StandardWebhooks, Secrets: c.Secrets},
	}
	d.config = event
	d.create = func(client *http.Client) (notifier.Destination, error) { return cloudevent.New(event, client) }
	return d
}

func newNotifier(set exporter.Settings, cfg *Config, name string, c *NotifierConfig) *destination {
	d := newDestination(set, name, c.Events, c.AllowPrivateRanges)
	d.retry, d.maxPerMinute, d.timeout = cfg.RetryConfig, c.MaxEventsPerMinute, c.Timeout
	if c.RetryConfig != nil {
		d.retry = *c.RetryConfig
	}
	o := c.driver()
	d.config, d.create = o.config(), o.create
	return d
}

// start connects the driver.
func (h *destination) start(ctx context.Context, host component.Host) error {
	h.host = host
	client, err := h.base.makeClient(ctx, *h.config.HTTP(), host, h.set)
	if err != nil {
		return err
	}
	if h.driver, err = h.create(client); err != nil {
		return err
	}
	if _, ok := h.driver.(notifier.Repeater); ok {
		h.repeats = newRepeats(h.name)
	}
	return nil
}

func (h *destination) wants(t semconv.EventType) bool { return h.types[t] }

// takes reports whether an event can be queued. The exporter's mu is held.
func (h *destination) takes(limit int) bool { return !h.gone && h.box.len() < limit }

// rouse wakes the worker.
func (h *destination) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// send makes one attempt. A message that was refused, and one that must never be sent, fails with a [notifier.Refused].
func (h *destination) send(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	if h.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.timeout)
		defer cancel()
	}
	memory, err := h.driver.Deliver(ctx, m)
	var refused *notifier.Refused
	switch {
	case err == nil:
		return memory, nil
	case errors.Is(err, errPrivateRange):
		return memory, &notifier.Refused{Reason: errPrivateRange.Error()}
	case errors.As(err, &refused) && refused.Gone:
		return memory, fmt.Errorf("%w: %w", errGone, err)
	default:
		return memory, err
	}
}

// permanent reports whether an error is the last word on a message.
func permanent(err error) bool {
	var refused *notifier.Refused
	return errors.As(err, &refused)
}

const (
	// maxMemory bounds what a driver remembers of an incident, and maxMemoryText each text of it, in bytes.
	maxMemory     = 16
	maxMemoryText = 1024
)

// bounded returns what is kept of a memory, and whether that is all of it.
func bounded(m notifier.Memory) (notifier.Memory, bool) {
	whole := true
	out := notifier.Memory{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(out) == maxMemory || len(k) > maxMemoryText || len(m[k]) > maxMemoryText {
			whole = false
			continue
		}
		out[k] = m[k]
	}
	return out, whole
}
