package wording_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestTitle(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "latency of shop/gateway, caused by shop/payment", wording.Title(m))
	m.Incident.Title = "errors of shop/gateway"
	m.Occurrence, m.Test = 3, true
	assert.Equal(t, "TEST, nothing is wrong · again (#3): errors of shop/gateway - likely cause: latency of service shop/payment (93 % sure)", wording.Title(m))
	m.Incident.Title, m.Incident.Causes, m.Test, m.Occurrence = "\x00", nil, false, 1
	assert.Equal(t, "incident i-1", wording.Title(m))
	assert.Equal(t, "Automation is paused · kill_switch service:shop/payment", wording.Title(notifiertest.Message(semconv.EventTypeRemediationPaused)))
}

func TestService(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "prod-eu/shop/payment", wording.Place(m))
	m.Incident.Causes[0].Entity.Name = "\u202e"
	assert.Equal(t, "shop/frontend-0", wording.Service(m))
	m.Incident.EntryPoints = nil
	assert.Equal(t, "shop/checkout-0", wording.Service(m))
	m.Incident.Impact.Services, m.Cluster = nil, ""
	assert.Equal(t, "unknown", wording.Place(m))
	assert.Equal(t, "prod-eu/paramedic", wording.Place(notifiertest.Message(semconv.EventTypeIncidentStorm)))
}

func TestKind(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentOpened)
	assert.Equal(t, "latency", wording.Kind(m))
	m.Incident.Causes[0].Kind = semconv.CauseUnknown
	assert.Empty(t, wording.Kind(m))
	assert.Empty(t, wording.Kind(notifiertest.Message(semconv.EventTypeIncidentStorm)))
}
