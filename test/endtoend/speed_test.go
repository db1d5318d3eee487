package endtoend

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// atOnce lets incidents open in the first minute, which a slice of life does not last.
const atOnce = `
connectors:
  incident:
    warm_up: 0s
`

// TestSpeed replays recordings at different speeds: event time alone decides, so the incidents must be the same in every
// detail.
func TestSpeed(t *testing.T) {
	t.Parallel()
	const before, lasts = 150 * time.Second, 40 * time.Second // the fault
	for _, test := range []struct {
		name, speed string
		pace        float64
		fault       shop.FaultKind
		from, to    time.Duration
		events      []semconv.EventName // without updates
	}{
		// At the pace of life a slice has to do: little was learnt when the fault comes, so it is one that nobody overlooks.
		{"1x", "1", 1, shop.Crash, before - 25*time.Second, before + 20*time.Second, []semconv.EventName{semconv.EventIncidentOpened}},
		{"60x", "60", 60, shop.ErrorBurst, 0, before + lasts + 50*time.Second, []semconv.EventName{semconv.EventIncidentOpened, semconv.EventIncidentResolved}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "shop.jsonl")
			record(t, file, newShop(t, rate, shop.ScheduledFault{Offset: before, Fault: shop.Fault{Kind: test.fault, Duration: lasts}}), test.to)
			play := func(speed string) ([]semconv.IncidentEvent, time.Duration) {
				c := start(t, setup{overlay: atOnce})
				took := replay(t, c, speed, "--from", begin.Add(test.from).Format(time.RFC3339), file)
				c.running()
				c.stop()
				return c.incidents(), took
			}
			want, _ := play("max")
			var events []semconv.EventName
			for _, e := range want {
				if e.Name != semconv.EventIncidentUpdated {
					events = append(events, e.Name)
				}
			}
			require.Equal(t, test.events, events, "at max:\n%s", list(want))
			got, took := play(test.speed)
			least := time.Duration(float64(test.to-test.from-5*time.Second) / test.pace)
			assert.Greater(t, took, least, "the replay keeps its pace")
			assert.Equal(t, want, got, "at max:\n%sat %s:\n%s", list(want), test.name, list(got))
			t.Logf("in %s, as at max:\n%s", took.Round(time.Millisecond), list(got))
		})
	}
}
