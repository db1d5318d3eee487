package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

func encoded(t testing.TB, events ...seenEvent) string {
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	records.AppendEmpty().Body().SetStr("not an incident")
	for _, e := range events {
		e.Encode(records.AppendEmpty())
	}
	var m plog.JSONMarshaler
	data, err := m.MarshalLogs(logs)
	require.NoError(t, err)
	return string(data) + "\n"
}

const someID = "7f3c0a52-5d0e-4b8f-9a44-2f1d7c1b9e10"

func TestTailFollowsTheFile(t *testing.T) {
	tail := incidentTail{path: filepath.Join(t.TempDir(), "incidents.jsonl")}
	next := func() []semconv.EventName {
		events, err := tail.next(t0)
		require.NoError(t, err)
		var names []semconv.EventName
		for _, e := range events {
			assert.Equal(t, t0, e.seen)
			names = append(names, e.Name)
		}
		return names
	}
	assert.Empty(t, next(), "the file is not there yet")
	f, err := os.Create(tail.path)
	require.NoError(t, err)
	defer f.Close()
	write := func(s string) {
		_, err := f.WriteString(s)
		require.NoError(t, err)
	}
	write(encoded(t, eventAt(1, semconv.EventIncidentOpened, someID, "shop/cart"), eventAt(2, semconv.EventIncidentUpdated, someID)))
	second := encoded(t, eventAt(3, semconv.EventIncidentResolved, someID))
	write(second[:100])
	assert.Equal(t, []semconv.EventName{"incident.opened", "incident.updated"}, next())
	assert.Empty(t, next())
	write(second[100:])
	assert.Equal(t, []semconv.EventName{"incident.resolved"}, next())

	write("{broken}\n" + second)
	events, err := tail.next(t0)
	require.Error(t, err)
	assert.Len(t, events, 1, "a broken line does not hide the next")
}

func FuzzDecodeLine(f *testing.F) {
	f.Add([]byte(encoded(f, eventAt(1, semconv.EventIncidentOpened, someID, "shop/cart"))))
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"incident.opened"}]}]}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		events, _ := decodeLine(line)
		for i := range events {
			assert.NotEmpty(t, events[i].Incident.ID)
		}
	})
}
