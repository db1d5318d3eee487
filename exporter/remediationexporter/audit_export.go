package remediationexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// auditBatch bounds the records of one request.
	auditBatch = 200
	// auditScope is the instrumentation scope of exported records.
	auditScope = "github.com/paramedic-otel/paramedic/exporter/remediationexporter"
)

// auditExport sends the audit on. The chain itself is the queue, and the number of the last record that was taken is stored:
// what is in the chain is sent at least once, in order.
type auditExport struct {
	cfg    *AuditOTLPConfig
	set    component.TelemetrySettings
	inner  exporter.Logs
	client *http.Client
	base   *baseTransport
	wake   chan struct{}
}

func newAuditExport(ctx context.Context, set exporter.Settings, cfg *Config) (*auditExport, error) {
	x := &auditExport{
		cfg: cfg.Audit.OTLP.Get(), set: set.TelemetrySettings, base: &baseTransport{allowPrivate: true}, wake: make(chan struct{}, 1),
	}
	name := "audit"
	if set.ID.Name() != "" {
		name = set.ID.Name() + "/" + name
	}
	set.ID = component.NewIDWithName(set.ID.Type(), name)
	var err error
	x.inner, err = exporterhelper.NewLogs(ctx, set, cfg, x.push,
		exporterhelper.WithRetry(cfg.RetryConfig), exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}))
	return x, err
}

func (x *auditExport) start(ctx context.Context, host component.Host) error {
	var err error
	if x.client, err = x.base.makeClient(ctx, x.cfg.ClientConfig, host, x.set); err != nil {
		return err
	}
	return x.inner.Start(ctx, host)
}

// push makes one attempt.
func (x *auditExport) push(ctx context.Context, ld plog.Logs) error {
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		return consumererror.NewPermanent(fmt.Errorf("encode audit: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return consumererror.NewPermanent(fmt.Errorf("make request: %w", notifier.WithoutURL(err)))
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	_, err = notifier.Exchange(x.client, req, time.Now())
	return judged(err)
}

// judged tells exporterhelper what to make of an answer.
func judged(err error) error {
	var busy *notifier.Busy
	switch {
	case err == nil:
		return nil
	case permanent(err):
		return consumererror.NewPermanent(fmt.Errorf("OTLP receiver of the audit: %w", err))
	case errors.As(err, &busy) && busy.After > 0:
		return exporterhelper.NewThrottleRetry(fmt.Errorf("OTLP receiver of the audit: %w", err), busy.After)
	default:
		return fmt.Errorf("OTLP receiver of the audit: %w", err)
	}
}

// exportAudit wakes the worker that sends the audit on.
func (e *remediationExporter) exportAudit() {
	if e.export == nil {
		return
	}
	select {
	case e.export.wake <- struct{}{}:
	default:
	}
}

// sendAudit is that worker.
func (e *remediationExporter) sendAudit(ctx context.Context) {
	for {
		sent := e.sendAuditBatch(ctx)
		switch {
		case e.stopping() && (e.persistent || !sent || ctx.Err() != nil):
			return
		case sent:
			continue
		}
		select {
		case <-e.stop:
		case <-e.export.wake:
		}
	}
}

// sendAuditBatch sends the records that come next, and reports whether there may be more.
func (e *remediationExporter) sendAuditBatch(ctx context.Context) (goOn bool) {
	e.mu.Lock()
	records := e.audit.chain.Records(e.audit.exported+1, auditBatch)
	lost := 0
	if anchor := e.audit.chain.Anchor().Seq; anchor > e.audit.exported {
		lost = int(anchor - e.audit.exported) // the ring has gone over them while the receiver was away
	}
	e.mu.Unlock()
	if len(records) == 0 {
		return false
	}
	err := e.export.inner.ConsumeLogs(ctx, auditLogs(records, e.cfg.Source))
	switch {
	case err != nil && consumererror.IsPermanent(err):
		lost += len(records)
		e.logger.Warn("audit records were refused and stay in the exporter alone", zap.Int("records", len(records)), zap.Error(err))
	case err != nil && e.stopping():
		return false
	case err != nil:
		e.logger.Warn("audit records could not be sent and are tried again", zap.Int("records", len(records)), zap.Error(err))
		select {
		case <-e.stop:
		case <-time.After(max(storeRetry, e.cfg.RetryConfig.InitialInterval)):
		}
		return true
	}
	e.mu.Lock()
	e.audit.exported, e.audit.moved = records[len(records)-1].Seq, true
	if lost > 0 {
		e.after(func() { e.telemetry.ExporterRemediationLostAuditRecords.Add(ctx, int64(lost)) })
	}
	e.settleAndUnlock(context.WithoutCancel(ctx))
	return true
}

// auditLogs are records of the audit as log records.
func auditLogs(records []auditchain.Record, source string) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "paramedic")
	rl.Resource().Attributes().PutStr(semconv.AttrRemediationPrefix+"source", source)
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName(auditScope)
	for i := range records {
		encodeAudit(&records[i], sl.LogRecords().AppendEmpty())
	}
	return ld
}

func encodeAudit(r *auditchain.Record, lr plog.LogRecord) {
	lr.SetEventName(r.Kind)
	lr.SetTimestamp(pcommon.NewTimestampFromTime(r.Time))
	lr.SetSeverityNumber(plog.SeverityNumberInfo)
	lr.SetSeverityText("INFO")
	lr.Body().SetStr(r.Text)
	m := lr.Attributes()
	m.PutInt(semconv.AttrAuditSeq, int64(r.Seq))
	m.PutStr(semconv.AttrAuditHash, r.Hash)
	m.PutStr(semconv.AttrAuditPrev, r.Prev)
	for _, kv := range [][2]string{
		{semconv.AttrIncidentID, r.Incident},
		{semconv.AttrRemediationIntentID, r.Intent},
		{semconv.AttrRemediationPlaybook, r.Playbook},
		{semconv.AttrRemediationActor, r.Actor},
	} {
		if kv[1] != "" {
			m.PutStr(kv[0], kv[1])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(r.Fields)) {
		m.PutStr(semconv.AttrRemediationPrefix+k, r.Fields[k])
	}
}
