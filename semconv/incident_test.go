package semconv

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

func fullEvent() IncidentEvent {
	at := time.Date(2026, 3, 1, 10, 15, 3, 120_000_000, time.UTC)
	return IncidentEvent{
		Name: EventIncidentResolved,
		Time: at.Add(2 * time.Minute),
		Incident: Incident{
			ID: "0b7e6a3e-8f5c-4b0e-9d1e-0d6f5a2b9c11", Revision: 3, Fingerprint: "8c2d", Status: StatusResolved,
			Severity: SeverityMajor, Resolution: ResolutionRecovered,
			StartedAt: at, DetectedAt: at.Add(8 * time.Second), ResolvedAt: at.Add(2 * time.Minute),
			Title: "latency of shop/gateway, caused by shop/payment",
			Causes: []Cause{{
				Entity: Entity{EntityService, "shop/payment"}, Kind: CauseLatency, Confidence: 0.93, Share: 0.87,
				Resource: map[string]string{AttrK8sNamespaceName: "shop", AttrK8sDeploymentName: "payment"},
				Evidence: []Evidence{{
					Signal: MetricGraphRequestServer, Onset: at, Deviation: 41.5, Score: 0.999,
					Summary: "mean duration 1.2 s instead of 40 ms", Kind: CauseLatency, Entity: Entity{EntityPod, "shop/payment-1"},
					TraceIDs: []string{"0af7651916cd43dd8448eb211c80319c"},
				}},
				Change: &Change{Time: at.Add(-time.Minute), Entity: Entity{EntityDeployment, "shop/payment"}, Summary: "image a to b", Kind: ChangeImage},
			}, {Entity: Entity{EntityPod, "payment-1"}, Kind: CauseCPU, Confidence: 0.04}},
			EntryPoints: []string{"shop/frontend"},
			Impact: Impact{
				Services: []string{"shop/checkout", "shop/frontend"}, Ratio: 0.2, Entities: 4, FailureRatio: 0.4,
				Upstream: []string{"shop/checkout", "shop/frontend"}, Downstream: []string{"shop/bank"},
				Objectives: []ObjectiveBurn{
					{Objective: "latency", Service: "shop/frontend", BurnRate: 2, BudgetConsumed: 1.5},
					{Objective: "orders", Service: "shop/frontend", BurnRate: 40, BudgetConsumed: 0.1},
				},
			},
			Reopened: 2, MergedInto: "1c", SplitFrom: "2d", UnknownSince: at.Add(time.Second), SilencedBy: "nightly",
			Decisions: []Decision{{
				Time: at, Incident: "0b", Subject: "service:shop/payment", Verdict: "joined", Reason: "near", Detail: "one call away",
			}, {Time: at, Subject: "x", Verdict: "waits", Reason: "unsure"}},
			Graph: []GraphEdge{
				{Client: "shop/checkout", Server: "shop/payment", RequestsPerSecond: 12.5, FailureRatio: 0.4, MeanDuration: 1.2, Abnormal: true},
				{Client: "shop/payment", Server: "bank", ConnectionType: ConnectionVirtual, RequestsPerSecond: 1},
			},
			Timeline: []TimelineEntry{{Time: at, Text: "duration of checkout to payment rises"}},
			Changes:  []Change{{Time: at.Add(-time.Minute), Entity: Entity{EntityService, "shop/payment"}, Summary: "version 1.4 to 1.5", Kind: ChangeVersion}},
		},
	}
}

func TestIncidentEventRoundTrip(t *testing.T) {
	empty := IncidentEvent{
		Name: EventIncidentOpened, Time: time.Unix(1, 0).UTC(),
		Incident: Incident{ID: "x", Revision: 1, Status: StatusOpen, Severity: SeverityMinor},
	}
	for name, want := range map[string]IncidentEvent{"full": fullEvent(), "least": empty} {
		t.Run(name, func(t *testing.T) {
			lr := plog.NewLogRecord()
			want.Encode(lr)
			got, err := DecodeIncidentEvent(lr)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestIncidentEventFlatAttributes(t *testing.T) {
	lr := plog.NewLogRecord()
	fullEvent().Encode(lr)
	assert.Equal(t, "incident.resolved", lr.EventName())
	assert.Equal(t, plog.SeverityNumberError, lr.SeverityNumber())
	assert.Equal(t, map[string]any{
		"incident.id": "0b7e6a3e-8f5c-4b0e-9d1e-0d6f5a2b9c11", "incident.revision": int64(3), "incident.fingerprint": "8c2d",
		"incident.status": "resolved", "incident.severity": "major", "incident.resolution": "recovered",
		"incident.started_at": "2026-03-01T10:15:03.12Z", "incident.detected_at": "2026-03-01T10:15:11.12Z",
		"incident.resolved_at":       "2026-03-01T10:17:03.12Z",
		"incident.cause.entity.type": "service", "incident.cause.entity.name": "shop/payment",
		"incident.cause.kind": "latency", "incident.cause.confidence": 0.93,
		"incident.entry_points": []any{"shop/frontend"}, "incident.impact.ratio": 0.2,
		"incident.impact.entities": int64(4), "incident.impact.failure_ratio": 0.4, "incident.reopened": int64(2),
		"incident.merged_into": "1c", "incident.split_from": "2d", "incident.unknown_since": "2026-03-01T10:15:04.12Z",
		"incident.silenced_by": "nightly", "incident.slo.burn_rate": 40.0, "incident.slo.budget_consumed": 0.1,
	}, lr.Attributes().AsRaw())
}

func TestDecodeFlatCauseWithoutBody(t *testing.T) {
	lr := plog.NewLogRecord()
	fullEvent().Encode(lr)
	pcommon.NewValueEmpty().CopyTo(lr.Body())
	got, err := DecodeIncidentEvent(lr)
	require.NoError(t, err)
	assert.Equal(t, Cause{Entity: Entity{EntityService, "shop/payment"}, Kind: CauseLatency, Confidence: 0.93}, got.Incident.Cause())
}

func TestDecodeIncidentEventErrors(t *testing.T) {
	cases := map[string]struct {
		damage func(plog.LogRecord)
		want   string
	}{
		"event name":  {func(lr plog.LogRecord) { lr.SetEventName("x") }, `event name must be incident.opened, incident.updated or incident.resolved, got "x"`},
		"timestamp":   {func(lr plog.LogRecord) { lr.SetTimestamp(math.MaxUint64) }, "timestamp is out of range"},
		"no id":       {func(lr plog.LogRecord) { lr.Attributes().Remove(AttrIncidentID) }, "incident.id must not be empty"},
		"id type":     {func(lr plog.LogRecord) { lr.Attributes().PutInt(AttrIncidentID, 1) }, "incident.id must be a Str, got a Int"},
		"status":      {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrIncidentStatus, "gone") }, `incident.status must be open or resolved, got "gone"`},
		"severity":    {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrIncidentSeverity, "") }, `incident.severity must be critical, major or minor, got ""`},
		"resolution":  {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrIncidentResolution, "x") }, `incident.resolution must be recovered, no_data or merged, got "x"`},
		"reopened":    {func(lr plog.LogRecord) { lr.Attributes().PutInt(AttrIncidentReopened, -1) }, "incident.reopened must be at least 0, got -1"},
		"burn":        {func(lr plog.LogRecord) { lr.Body().Map().PutStr("decisions", "x") }, "decisions must be a Slice, got a Str"},
		"time":        {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrIncidentStartedAt, "yesterday") }, `incident.started_at must be an RFC 3339 time, got "yesterday"`},
		"ratio range": {func(lr plog.LogRecord) { lr.Attributes().PutDouble(AttrIncidentImpactRatio, 1.5) }, "incident.impact.ratio must be between 0 and 1, got 1.5"},
		"ratio NaN":   {func(lr plog.LogRecord) { lr.Attributes().PutDouble(AttrIncidentImpactRatio, math.NaN()) }, "incident.impact.ratio must be finite, got NaN"},
		"entry points": {func(lr plog.LogRecord) {
			lr.Attributes().PutEmptySlice(AttrIncidentEntryPoints).AppendEmpty().SetInt(1)
		}, "incident.entry_points must hold strings, got a Int"},
		"body":   {func(lr plog.LogRecord) { lr.Body().SetStr("text") }, "body must be a map, got Str"},
		"causes": {func(lr plog.LogRecord) { lr.Body().Map().PutStr("causes", "x") }, "causes must be a Slice, got a Str"},
		"cause":  {func(lr plog.LogRecord) { lr.Body().Map().PutEmptySlice("causes").AppendEmpty().SetInt(1) }, "causes must hold maps, got a Int"},
		"trace IDs": {func(lr plog.LogRecord) {
			evidence, _ := firstCause(lr).Get("evidence")
			evidence.Slice().At(0).Map().PutEmptySlice("trace_ids").AppendEmpty().SetStr("0AF7")
		}, `trace_ids must hold 32 lower-case hexadecimal digits, got "0AF7"`},
		"cause's change":  {func(lr plog.LogRecord) { firstCause(lr).PutStr("change", "x") }, "change must be a Map, got a Str"},
		"cause resources": {func(lr plog.LogRecord) { firstCause(lr).PutEmptyMap("resource").PutInt("k", 1) }, `resource must hold strings, got a Int under "k"`},
		"confidence":      {func(lr plog.LogRecord) { firstCause(lr).PutStr("confidence", "x") }, "confidence must be a number, got a Str"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			lr := plog.NewLogRecord()
			fullEvent().Encode(lr)
			tc.damage(lr)
			_, err := DecodeIncidentEvent(lr)
			require.ErrorContains(t, err, tc.want)
		})
	}
	t.Run("all at once, bounded", func(t *testing.T) {
		lr := plog.NewLogRecord()
		fullEvent().Encode(lr)
		causes := lr.Body().Map().PutEmptySlice("causes")
		for range 5000 {
			causes.AppendEmpty().SetInt(1)
		}
		lr.Attributes().Remove(AttrIncidentID)
		_, err := DecodeIncidentEvent(lr)
		require.ErrorContains(t, err, "incident.id must not be empty")
		assert.Less(t, len(err.Error()), 4096)
	})
}

// TestTraceIDsAreBounded gives an evidence more examples than anybody reads.
func TestTraceIDsAreBounded(t *testing.T) {
	event := fullEvent()
	evidence := &event.Incident.Causes[0].Evidence[0]
	for len(evidence.TraceIDs) < 3*MaxTraceIDs {
		evidence.TraceIDs = append(evidence.TraceIDs, evidence.TraceIDs[0])
	}
	lr := plog.NewLogRecord()
	event.Encode(lr)
	list, _ := firstCause(lr).Get("evidence")
	ids, _ := list.Slice().At(0).Map().Get("trace_ids")
	assert.Equal(t, MaxTraceIDs, ids.Slice().Len(), "as it is sent")
	for range MaxTraceIDs {
		ids.Slice().AppendEmpty().SetStr(evidence.TraceIDs[0])
	}
	got, err := DecodeIncidentEvent(lr)
	require.NoError(t, err)
	assert.Len(t, got.Incident.Causes[0].Evidence[0].TraceIDs, MaxTraceIDs, "as it is read")
}

// TestDecodeEventOfAnEarlierVersion reads an event whose producer knows nothing of kinds, examples and changes of causes.
func TestDecodeEventOfAnEarlierVersion(t *testing.T) {
	want := fullEvent()
	lr := plog.NewLogRecord()
	want.Encode(lr)
	cause := &want.Incident.Causes[0]
	cause.Change, cause.Evidence[0].Kind, cause.Evidence[0].Entity, cause.Evidence[0].TraceIDs = nil, "", Entity{}, nil
	want.Incident.Changes[0].Kind = ""
	firstCause(lr).Remove("change")
	list, _ := firstCause(lr).Get("evidence")
	list.Slice().At(0).Map().RemoveIf(func(key string, _ pcommon.Value) bool { return key == "kind" || key == "entity" || key == "trace_ids" })
	changes, _ := lr.Body().Map().Get("changes")
	changes.Slice().At(0).Map().Remove("kind")
	got, err := DecodeIncidentEvent(lr)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func firstCause(lr plog.LogRecord) pcommon.Map {
	causes, _ := lr.Body().Map().Get("causes")
	return causes.Slice().At(0).Map()
}

// FuzzIncidentEvent feeds arbitrary OTLP JSON to the decoder; whatever it accepts must survive an encoding unchanged.
func FuzzIncidentEvent(f *testing.F) {
	ld := plog.NewLogs()
	fullEvent().Encode(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	seed, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"incident.opened","body":{"kvlistValue":{}},"attributes":[{"key":"incident.id","value":{"stringValue":"1"}}]}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(data)
		if err != nil {
			return
		}
		for _, rl := range in.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					event, err := DecodeIncidentEvent(lr)
					if err != nil {
						continue
					}
					again := plog.NewLogRecord()
					event.Encode(again)
					got, err := DecodeIncidentEvent(again)
					require.NoError(t, err)
					require.Equal(t, event, got)
				}
			}
		}
	})
}

// TestGraphIsBounded reads no more edges than an incident may have, and none that is wrong.
func TestGraphIsBounded(t *testing.T) {
	e := fullEvent()
	for range 2 * MaxGraphEdges {
		e.Incident.Graph = append(e.Incident.Graph, e.Incident.Graph[0])
	}
	lr := plog.NewLogRecord()
	e.Encode(lr)
	got, err := DecodeIncidentEvent(lr)
	require.NoError(t, err)
	assert.Len(t, got.Incident.Graph, MaxGraphEdges)

	e.Incident.Graph = []GraphEdge{{RequestsPerSecond: -1, FailureRatio: 2, MeanDuration: math.NaN()}}
	lr = plog.NewLogRecord()
	e.Encode(lr)
	v, _ := lr.Body().Map().Get("graph")
	v.Slice().At(0).Map().PutStr("abnormal", "yes")
	_, err = DecodeIncidentEvent(lr)
	for _, want := range []string{"requests_per_second", "failure_ratio", "mean_duration_seconds", "abnormal"} {
		assert.ErrorContains(t, err, want)
	}
}
