package cloudevents

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMarshal(t *testing.T) {
	e := Event{
		ID: "1", Source: "/paramedic", Type: "io.paramedic.incident.opened.v1", Subject: "incident/x",
		Time:         time.Date(2026, 3, 1, 11, 15, 3, 120_000_000, time.FixedZone("", 3600)),
		SeverityText: "ERROR", SeverityNumber: 17, CorrelationID: "x", CausationID: "y", Data: map[string]string{"t": "<a>\x00"},
	}
	got, err := e.Marshal()
	require.NoError(t, err)
	assert.Equal(t, `{"specversion":"1.0","id":"1","source":"/paramedic","type":"io.paramedic.incident.opened.v1",`+
		`"subject":"incident/x","time":"2026-03-01T10:15:03.12Z","datacontenttype":"application/json",`+
		`"severitytext":"ERROR","severitynumber":17,"correlationid":"x","causationid":"y","data":{"t":"\u003ca\u003e\u0000"}}`, string(got))
}

func TestMarshalLeast(t *testing.T) {
	got, err := (&Event{ID: "1", Source: "s", Type: "t"}).Marshal()
	require.NoError(t, err)
	assert.JSONEq(t, `{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"application/json","data":null}`, string(got))
}

func TestMarshalErrors(t *testing.T) {
	for _, e := range []Event{{Source: "s", Type: "t"}, {ID: "i", Type: "t"}, {ID: "i", Source: "s"}} {
		_, err := e.Marshal()
		require.EqualError(t, err, "event must have id, source and type")
	}
	_, err := (&Event{ID: "1", Source: "s", Type: "t", Data: math.NaN()}).Marshal()
	require.ErrorContains(t, err, "encode event t: ")
}
