package endtoend

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	learn = 3 * time.Minute // simulated time before a fault
	watch = 2 * time.Minute // simulated time in which it has to be found
	rate  = 20              // user requests a second
)

func TestLoop(t *testing.T) {
	t.Parallel()
	for _, kind := range []shop.FaultKind{shop.Crash, shop.ErrorBurst, shop.SilentFailure} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			hooks := newReceiver(t, "")
			c := start(t, setup{webhook: hooks.url()})
			s, sim := newSender(t, c.grpc), newShop(t, rate)
			s.run(sim, learn, nil)
			require.Empty(t, hooks.deliveries(), "incidents before the fault")
			closeLoop(t, c, hooks, s, sim, kind)
			s.run(sim, watch, nil)
			c.stop()
			opened := 0
			for _, e := range c.incidents() {
				if e.Name == semconv.EventIncidentOpened {
					opened++
				}
			}
			assert.Equal(t, 1, opened, "one fault, one incident:\n%s", list(c.incidents()))
		})
	}
}

// closeLoop breaks the shop, which has been watched for long enough, and expects that the right service is named, that the
// webhook asks for the right cure, and that the cure is seen to work.
func closeLoop(t *testing.T, c *collector, hooks *receiver, s *sender, sim *shop.Simulation, kind shop.FaultKind) {
	t.Helper()
	fault, err := sim.Inject(shop.Fault{Kind: kind})
	require.NoError(t, err)

	var cure delivery
	asked := func() (ok bool) {
		cure, ok = hooks.first(semconv.EventTypeRemediationStarted, "")
		return ok
	}
	s.run(sim, watch, asked)
	require.Eventually(t, asked, patience, poll, "no action was asked for")
	opened, ok := hooks.first(semconv.EventTypeIncidentOpened, cure.event.Data.Incident.ID)
	require.True(t, ok, "incident.opened comes before the action")
	assert.Equal(t, fault.Service, opened.event.cause(), "service that incident.opened names")
	assert.Equal(t, string(fault.Cure), cure.event.Data.Action.Name)
	assert.Equal(t, fault.Service, bare(cure.event.Data.Action.Parameters["service"]))

	out, err := sim.Act(shop.Action{
		Name: shop.ActionName(cure.event.Data.Action.Name), Service: bare(cure.event.Data.Action.Parameters["service"]),
	})
	require.NoError(t, err)
	require.Len(t, out.Cured, 1, "the action cures the fault")

	id := opened.event.Data.Incident.ID
	var resolved delivery
	over := func() (ok bool) {
		resolved, ok = hooks.first(semconv.EventTypeIncidentResolved, id)
		return ok
	}
	s.run(sim, 2*watch, over)
	require.Eventually(t, over, patience, poll, "the incident was not resolved")
	assert.Equal(t, string(semconv.ResolutionRecovered), resolved.event.Data.Incident.Resolution)
	require.Eventually(t, func() bool {
		_, ok := hooks.first(semconv.EventTypeRemediationSucceeded, id)
		return ok
	}, patience, poll, "the action was not judged a success")

	// The file tells the same story.
	var names []semconv.EventName
	require.Eventually(t, func() bool {
		names = nil
		for _, e := range c.incidents() {
			if e.Incident.ID == id && e.Name != semconv.EventIncidentUpdated {
				names = append(names, e.Name)
			}
		}
		return len(names) == 2
	}, patience, 5*poll)
	assert.Equal(t, []semconv.EventName{semconv.EventIncidentOpened, semconv.EventIncidentResolved}, names)
	c.running()
}

func list(events []semconv.IncidentEvent) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString(e.Time.Format(time.TimeOnly) + " " + string(e.Name) + " " + e.Incident.Title + " " + string(e.Incident.Resolution) + "\n")
	}
	return b.String()
}
