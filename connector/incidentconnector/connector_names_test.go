package incidentconnector

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestDatabaseNamedLikeAService has databases with the names of the services that own them, as contrib's servicegraph names
// them by db.name.
func TestDatabaseNamedLikeAService(t *testing.T) {
	for name, owner := range map[string]string{"its own": "orders", "that of another": "stock"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			play := func(took float64) func(int) []any {
				return func(i int) []any {
					front, orders, stock := shop()
					query := call{client: "orders", server: owner, n: 80, waited: took, attrs: map[string]string{semconv.AttrGraphConnectionType: semconv.ConnectionDatabase}}
					front.took, orders.took, orders.waited = 0.03+2*took, 0.015+2*took, 0.016+2*took
					return []any{
						graph(at(i), front, orders, stock, query),
						running(i, pod("front", "a"), pod("orders", "a"), pod("stock", "b")),
					}
				}
			}
			w.play(0, 240, play(0.002))
			require.Empty(t, describe(w.events()))
			w.play(240, 265, play(0.4))
			assert.Equal(t, semconv.Entity{Type: semconv.EntityDatabase, Name: owner}, w.one().Cause().Entity)
			w.stop()
		})
	}
}

// TestDeploymentOnEveryRecord has a service that says with each of its records which deployment it is of.
func TestDeploymentOnEveryRecord(t *testing.T) {
	w := newWorld(t, nil)
	play := func(bad bool) func(int) []any {
		return func(i int) []any {
			front, orders, stock := shop()
			if bad {
				front.failed, orders.failed, stock.failed = 30, 30, 30
			}
			attrs := map[string]string{semconv.AttrDeploymentID: "blue-17"}
			var records []record
			for n := range 20 {
				records = append(records, record{service: "front", body: fmt.Sprint("shown page ", n), attrs: attrs, span: 100*i + n + 1})
				if bad {
					records = append(records, record{service: "front", body: "cannot show the stock", attrs: attrs, severity: plog.SeverityNumberError})
				}
			}
			return []any{graph(at(i), front, orders, stock), logs(at(i), records...)}
		}
	}
	w.play(0, 240, play(false))
	require.Empty(t, describe(w.events()))
	w.play(240, 265, play(true))
	incident := w.one()
	assert.Equal(t, service("stock"), incident.Cause().Entity)
	assert.Empty(t, incident.Changes, "it was deployed long ago")
	logged := false
	for _, x := range incident.Timeline {
		logged = logged || strings.Contains(x.Text, "cannot show the stock")
	}
	assert.True(t, logged, "its records are read as those of any service")
	w.stop()
}
