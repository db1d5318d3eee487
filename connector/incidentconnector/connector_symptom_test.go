package incidentconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExplainsWhatUsersSuffer lets stock fail, which users feel, and at the same time more of what a batch job, which also
// asks stock, writes to an archive.
func TestExplainsWhatUsersSuffer(t *testing.T) {
	with := func(failing float64) func(int) []any {
		return func(i int) []any {
			front, orders, stock := shop()
			asks := call{client: "batch", server: "stock", n: 20, took: 0.004, waited: 0.0045, failed: failing / 2}
			writes := call{client: "batch", server: "archive", n: 120, took: 0.004, waited: 0.0045, failed: 3 * failing}
			front.failed, orders.failed, stock.failed = failing, failing, failing
			return []any{graph(at(i), front, orders, stock, asks, writes)}
		}
	}
	w := newWorld(t, nil)
	w.play(0, 240, with(0))
	w.play(240, 270, with(20))
	require.NotEmpty(t, w.events())
	for _, i := range w.last() {
		if len(i.EntryPoints) > 0 {
			assert.Equal(t, service("stock"), i.Cause().Entity)
			assert.Contains(t, i.Impact.Services, "archive")
		}
	}
	w.stop()
}
