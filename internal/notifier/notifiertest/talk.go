package notifiertest

import (
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Talk is a driver at a server, with what it remembers of one incident.
type Talk struct {
	Server      *Server
	Destination notifier.Destination
	Memory      notifier.Memory

	t testing.TB
}

// NewTalk starts a server that answers, and the driver that create returns for it.
func NewTalk(t testing.TB, answer func(*Request) Answer, create func(url string, client *http.Client) notifier.Destination) *Talk {
	server := NewServer(t, answer)
	return &Talk{Server: server, Destination: create(server.URL, server.HTTPClient()), t: t}
}

// Deliver makes one attempt and keeps the memory, as the exporter does.
func (k *Talk) Deliver(m *notifier.Message) error {
	m.Memory = maps.Clone(k.Memory)
	memory, err := k.Destination.Deliver(k.t.Context(), m)
	if memory != nil {
		k.Memory = memory
	}
	return err
}

// All delivers ordinary messages, which must be taken.
func (k *Talk) All(types ...semconv.EventType) {
	k.t.Helper()
	for _, typ := range types {
		require.NoError(k.t, k.Deliver(Message(typ)), typ)
	}
}
