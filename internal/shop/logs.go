package shop

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Attributes of change events beside those of the service.
const (
	AttrChangeKind      = "deployment.change.kind"
	AttrPreviousVersion = "deployment.previous.version"
	AttrReplicas        = "deployment.replicas"
)

func changeRecord(svc *service, now time.Time, c change) logRecord {
	body := fmt.Sprintf("%s of %s: version %s, %d replicas", c.kind, svc.spec.name, c.version, c.replicas)
	return logRecord{at: now.UnixNano(), svc: svc, severity: plog.SeverityNumberInfo, body: body, change: &c}
}

// crashRecord is what the kubelet says about containers that do not stay up.
func crashRecord(p *pod, now time.Time) logRecord {
	return logRecord{
		at: now.UnixNano(), svc: p.svc, pod: p, severity: plog.SeverityNumberError,
		body: fmt.Sprintf("Back-off restarting failed container %s in pod %s, exit code 137, restart count %d", p.svc.spec.name, p.name, p.restarts),
	}
}

// encodeLogs turns the records, which are in the order of time, into log records grouped by pod.
func encodeLogs(records []logRecord) plog.Logs {
	type group struct {
		svc *service
		pod *pod
	}
	logs := plog.NewLogs()
	groups := make(map[group]plog.LogRecordSlice, 40)
	for i := range records {
		r := &records[i]
		g, ok := groups[group{r.svc, r.pod}]
		if !ok {
			rl := logs.ResourceLogs().AppendEmpty()
			rl.SetSchemaUrl(schemaURL)
			if r.pod != nil {
				r.pod.describe(rl.Resource().Attributes())
			} else {
				r.svc.describe(rl.Resource().Attributes())
			}
			sl := rl.ScopeLogs().AppendEmpty()
			describeScope(sl.Scope())
			g = sl.LogRecords()
			groups[group{r.svc, r.pod}] = g
		}
		r.encode(g.AppendEmpty())
	}
	return logs
}

func (r *logRecord) encode(lr plog.LogRecord) {
	lr.SetTimestamp(pcommon.Timestamp(r.at))
	lr.SetObservedTimestamp(pcommon.Timestamp(r.at))
	lr.SetSeverityNumber(r.severity)
	lr.SetSeverityText(strings.ToUpper(r.severity.String()))
	lr.Body().SetStr(r.body)
	if !r.trace.IsEmpty() {
		lr.SetTraceID(r.trace)
		lr.SetSpanID(r.span)
		lr.SetFlags(plog.DefaultLogRecordFlags.WithIsSampled(true))
	}
	if r.failure != nil {
		r.failure.describe(lr.Attributes())
	}
	if c := r.change; c != nil {
		lr.SetEventName(string(semconv.EventDeploymentChanged))
		attrs := lr.Attributes()
		attrs.PutStr(semconv.AttrServiceName, r.svc.spec.name)
		attrs.PutStr(semconv.AttrServiceVersion, c.version)
		attrs.PutStr(AttrChangeKind, c.kind)
		attrs.PutInt(AttrReplicas, int64(c.replicas))
		if c.previous != "" {
			attrs.PutStr(AttrPreviousVersion, c.previous)
		}
	}
}
