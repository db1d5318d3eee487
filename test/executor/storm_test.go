package executor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// stormIncidents open within a minute, as fast as they can be told; one Deployment causes them all.
const stormIncidents = 1000

// News of the storm beyond so many a minute are told in one summary a minute.
const newsPerMinute = 60

func TestKubernetesStormWithOneCauseIsOneAction(t *testing.T) {
	t.Parallel()
	s := NewStage(t, 1, 1)
	web := s.Deployments(t, 2, "web")[0]
	s.News = newsPerMinute
	e := run(t, Options{Config: s.Config(t, restarting("auto")), Storage: t.TempDir()})
	began := time.Now()
	for i := 0; i < stormIncidents; i += 10 {
		var events []semconv.IncidentEvent
		for j := range 10 {
			incident := NewIncident(fmt.Sprintf("i-%d", i+j), web.Namespace, "web")
			incident.EntryPoints = []string{fmt.Sprintf("shop/frontend-%d", i+j)}
			events = append(events, incident.Opened())
		}
		require.NoError(t, e.Tell(t.Context(), events...))
	}
	require.Less(t, time.Since(began), time.Minute)
	s.Lab.WaitFor(t, web, "restarted", func() error {
		if restartedAt(web) == "" {
			return fmt.Errorf("it was not restarted")
		}
		return nil
	})
	s.Lab.WaitRolledOut(t, web)
	last := -1
	kubetest.Eventually(t, "the messages of the first minute have been sent", func() error {
		if n := s.Hook.Attempts(); n != last {
			last = n
			time.Sleep(time.Second)
			return fmt.Errorf("%d messages", n)
		}
		return nil
	})
	assert.Equal(t, []string{"patch deployments web"}, s.Writes(), "one cause, one action")
	names := map[string]int{}
	for _, event := range s.Hook.Events() {
		names[event.Name()]++
	}
	t.Logf("%d incidents in %s, 1 action, %d messages: %v", stormIncidents, time.Since(began).Round(time.Millisecond), last, names)
	minutes := int(time.Since(began)/time.Minute) + 1
	assert.LessOrEqual(t, last, minutes*(newsPerMinute+1)+1, "and the summary of the minute before")
}
