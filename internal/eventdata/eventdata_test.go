package eventdata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

var at = time.Date(2026, 3, 1, 10, 15, 3, 0, time.UTC)

func encode(t testing.TB, data any) []byte {
	t.Helper()
	body, err := (&cloudevents.Event{
		ID: "e-1", Source: "/paramedic", Type: string(semconv.EventTypeIncidentOpened), Subject: "incident/i-1", Time: at, Data: data,
	}).Marshal()
	require.NoError(t, err)
	return body
}

// TestDecode reads back what was written.
func TestDecode(t *testing.T) {
	inc := eventdata.Incident{ID: "i-1", Revision: 2, Severity: semconv.SeverityMajor, Causes: []eventdata.Cause{{Kind: semconv.CauseCPU, Confidence: 0.9}}}
	rem := eventdata.Remediation{Intent: "n-1", Playbook: "restart", Mode: playbook.Auto}
	got, err := eventdata.Decode(encode(t, eventdata.Data{Incident: inc, Remediation: &rem, Truncated: true}))
	require.NoError(t, err)
	assert.Equal(t, &eventdata.Event{
		ID: "e-1", Source: "/paramedic", Subject: "incident/i-1", Type: semconv.EventTypeIncidentOpened, Time: at,
		Incident: &inc, Remediation: &rem, Truncated: true,
	}, got)
}

// TestDecodeSummary finds the cause of a summary where that of an incident is.
func TestDecodeSummary(t *testing.T) {
	entity := eventdata.Entity{Type: semconv.EntityService, Name: "shop/cart"}
	s := eventdata.Summary{ID: "i-1", Title: "t", Cause: &eventdata.CauseSummary{Entity: entity, Kind: semconv.CauseMemory, Confidence: 0.7}}
	got, err := eventdata.Decode(encode(t, eventdata.Data{Incident: s}))
	require.NoError(t, err)
	assert.Equal(t, []eventdata.Cause{{Entity: entity, Kind: semconv.CauseMemory, Confidence: 0.7}}, got.Incident.Causes)
}

func TestDecodeRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON":           `{`,
		"no id":             `{"source":"s","type":"t","data":{}}`,
		"no type":           `{"source":"s","id":"1","data":{}}`,
		"no source":         `{"type":"t","id":"1","data":{}}`,
		"incident unnamed":  `{"source":"s","type":"t","id":"1","data":{"incident":{}}}`,
		"data of all kinds": `{"source":"s","type":"t","id":"1","data":[]}`,
	} {
		_, err := eventdata.Decode([]byte(body))
		assert.ErrorContains(t, err, "decode event: ", name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, eventdata.Data{Incident: eventdata.Incident{ID: "i-1"}}))
	f.Add(encode(f, eventdata.StormData{Storm: eventdata.Storm{Events: 3}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := eventdata.Decode(body)
		if err == nil && (e.ID == "" || e.Incident != nil && e.Incident.ID == "") {
			t.Fatal("an event without an id was accepted")
		}
	})
}
