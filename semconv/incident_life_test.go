package semconv

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"
)

func TestDecisionRecord(t *testing.T) {
	lr := plog.NewLogRecord()
	Decision{Time: time.Unix(7, 0), Incident: "i", Subject: "service:a", Verdict: "joined", Reason: "near", Detail: "why"}.Encode(lr)
	assert.Equal(t, string(EventIncidentDecision), lr.EventName())
	assert.Equal(t, plog.SeverityNumberDebug, lr.SeverityNumber())
	assert.Equal(t, time.Unix(7, 0).UTC(), lr.Timestamp().AsTime())
	assert.Equal(t, map[string]any{
		"incident.id": "i", "incident.decision.subject": "service:a", "incident.decision": "joined",
		"incident.decision.reason": "near", "incident.decision.detail": "why",
	}, lr.Attributes().AsRaw())
	assert.Equal(t, "joined: near: service:a: why", lr.Body().Str(), "a line to read")
	assert.False(t, IsIncidentEvent(lr), "it is none of the events of a life")

	bare := plog.NewLogRecord()
	Decision{Subject: "x", Verdict: "waits", Reason: "unsure"}.Encode(bare)
	assert.Equal(t, 3, bare.Attributes().Len(), "what is empty is left out")
	assert.Equal(t, "waits: unsure: x", bare.Body().Str())
}
