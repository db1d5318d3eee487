package endtoend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// remembered makes the incident connector store what it learns every second.
const remembered = `
connectors:
  incident:
    state:
      interval: 1s
`

// TestIncidentSurvivesKill kills the collector while an incident is open. The next one goes on with it: it is opened once, its
// revisions count on, and it ends as recovered when the trouble is over.
func TestIncidentSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, setup{dir: dir, overlay: remembered})
	s, sim := newSender(t, c.grpc), newShop(t, rate)
	s.run(sim, learn, nil)
	fault, err := sim.Inject(shop.Fault{Kind: shop.ErrorBurst})
	require.NoError(t, err)
	s.run(sim, 40*time.Second, nil)
	require.Eventually(t, func() bool { return len(c.incidents()) > 0 }, patience, 5*poll, "no incident")
	id := c.incidents()[0].Incident.ID
	// What was fed in no time is stored within a second, which is a long time here.
	written := c.metric("otelcol_connector_incident_written_shards")
	require.Eventually(t, func() bool { return c.metric("otelcol_connector_incident_written_shards") > written+100 }, patience, 5*poll, "nothing is stored")
	c.kill()

	c = start(t, setup{dir: dir, overlay: remembered})
	assert.EqualValues(t, 1, c.metric("otelcol_connector_incident_restored_items", `held="incidents"`))
	assert.Zero(t, c.metric("otelcol_connector_incident_rejected_shards"))
	s = newSender(t, c.grpc)
	s.run(sim, 30*time.Second, nil)
	sim.Clear(fault.ID)
	over := func() bool {
		events := c.incidents()
		return events[len(events)-1].Name == semconv.EventIncidentResolved
	}
	s.run(sim, 3*time.Minute, over)
	require.Eventually(t, over, patience, 5*poll, "the incident does not end")

	last := int64(0)
	for i, e := range c.incidents() {
		assert.Equal(t, id, e.Incident.ID, "there is one incident")
		assert.Equal(t, i == 0, e.Name == semconv.EventIncidentOpened, "it is opened once")
		assert.Greater(t, e.Incident.Revision, last)
		assert.Equal(t, "shop/payment", e.Incident.Cause().Entity.Name)
		last = e.Incident.Revision
	}
	events := c.incidents()
	assert.Equal(t, semconv.ResolutionRecovered, events[len(events)-1].Incident.Resolution)
	c.stop()
}
