package remediationexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxResponse bounds what is read of a response, maxQuotedResponse what of it an error quotes.
	maxResponse       = 4 << 10
	maxQuotedResponse = 256
	// maxRetryAfter bounds how long a receiver can make us wait.
	maxRetryAfter = 15 * time.Minute
)

var (
	// errGone is in the error of an attempt to which the webhook answered 410.
	errGone = errors.New("webhook is gone")
	// errStale ends the attempts at an action that is no longer wanted.
	errStale = errors.New("action is no longer wanted")
)

// webhook delivers to one receiver, one event after the other.
type webhook struct {
	name  string
	cfg   WebhookConfig
	keys  []standardwebhooks.Key
	types map[semconv.EventType]bool
	tel   *instruments
	set   component.TelemetrySettings
	// inner repeats attempts and reports on them.
	inner  exporter.Logs
	client *http.Client
	base   *baseTransport
	host   component.Host
	wake   chan struct{}
	// permit is asked before each attempt, by the worker whose delivery it is.
	permit func(context.Context) bool

	// The exporter's mu guards everything below.
	box   outbox
	moved bool
	// digest is the news that is told in one event; digested is set when it is not stored as it is.
	digest   digest
	digested bool
	gone     bool
}

func newWebhook(ctx context.Context, set exporter.Settings, cfg *Config, name string, tel *instruments) (*webhook, error) {
	h := &webhook{
		name: name, cfg: cfg.Webhooks[name], tel: tel, set: set.TelemetrySettings, types: map[semconv.EventType]bool{},
		wake: make(chan struct{}, 1), box: outbox{name: name},
		base: &baseTransport{allowPrivate: cfg.Webhooks[name].AllowPrivateRanges},
	}
	for _, s := range h.cfg.Secrets {
		k, err := standardwebhooks.ParseKey(string(s))
		if err != nil {
			return nil, err
		}
		h.keys = append(h.keys, k)
	}
	for _, ev := range h.cfg.Events {
		h.types[ev.eventType()] = true
	}
	innerName := name
	if set.ID.Name() != "" {
		innerName = set.ID.Name() + "/" + name
	}
	set.ID = component.NewIDWithName(set.ID.Type(), innerName)
	var err error
	// The client's own timeout bounds each attempt; our outbox is the queue, since it is written together with the
	// decisions and keeps the order over restarts.
	h.inner, err = exporterhelper.NewLogs(ctx, set, cfg, h.push,
		exporterhelper.WithRetry(cfg.RetryConfig), exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}))
	return h, err
}

func (h *webhook) wants(t semconv.EventType) bool { return h.types[t] }

// takes reports whether an event can be queued. The exporter's mu is held.
func (h *webhook) takes(limit int) bool { return !h.gone && len(h.box.items) < limit }

// rouse wakes the worker.
func (h *webhook) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *webhook) start(ctx context.Context, host component.Host) error {
	h.host = host
	var err error
	if h.client, err = h.base.makeClient(ctx, h.cfg.ClientConfig, host, h.set); err != nil {
		return err
	}
	return h.inner.Start(ctx, host)
}

// logs wraps the event for exporterhelper, as a record whose body is what is sent.
func (d *delivery) logs() plog.Logs {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetEventName(d.ID)
	lr.Body().SetEmptyBytes().FromRaw(d.Body)
	return ld
}

// push makes one attempt.
func (h *webhook) push(ctx context.Context, ld plog.Logs) error {
	if !h.permit(ctx) {
		return consumererror.NewPermanent(errStale)
	}
	lr := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	err := h.post(ctx, lr.EventName(), lr.Body().Bytes().AsRaw())
	if err != nil {
		err = fmt.Errorf("deliver event %s: %w", lr.EventName(), err)
	}
	result := resultSuccess
	switch {
	case consumererror.IsPermanent(err):
		result = resultPermanent
	case err != nil:
		result = resultRetryable
	}
	add(ctx, h.tel.ExporterRemediationDeliveryAttempts, h.tel.results, result, 1)
	return err
}

// post sends the bytes as they are signed. Its errors do not quote the URL, whose path or query is often a secret.
func (h *webhook) post(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return consumererror.NewPermanent(fmt.Errorf("make request to webhook %s: %w", h.name, withoutURL(err)))
	}
	timestamp := standardwebhooks.Timestamp(time.Now())
	req.Header.Set("Content-Type", cloudevents.ContentType)
	req.Header.Set(standardwebhooks.HeaderID, id)
	req.Header.Set(standardwebhooks.HeaderTimestamp, timestamp)
	req.Header.Set(standardwebhooks.HeaderSignature, standardwebhooks.Sign(h.keys, id, timestamp, body))
	resp, err := h.client.Do(req)
	if err != nil {
		err = fmt.Errorf("post to webhook %s: %w", h.name, withoutURL(err))
		if errors.Is(err, errPrivateRange) {
			return consumererror.NewPermanent(err)
		}
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse)) // only to be quoted; the status decides
	return judge("webhook "+h.name, resp, answer)
}

// judge turns a response into success, an error to retry or a permanent one.
func judge(who string, resp *http.Response, answer []byte) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	err := fmt.Errorf("%s answered %d: %q", who, resp.StatusCode, answer[:min(len(answer), maxQuotedResponse)])
	switch {
	case resp.StatusCode == http.StatusGone:
		return consumererror.NewPermanent(fmt.Errorf("%w: %w", errGone, err))
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusTooEarly,
		resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
		if delay := retryAfter(resp.Header.Get("Retry-After"), time.Now()); delay > 0 {
			return exporterhelper.NewThrottleRetry(err, delay)
		}
		return err
	default:
		return consumererror.NewPermanent(err)
	}
}

// retryAfter reads the header's two forms: seconds, and a date.
func retryAfter(v string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
