package incidentconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestStarvedCallee has orders answer without asking stock any more. Stock then has nothing to do, which shows in all of
// its resources, but it is not to blame.
func TestStarvedCallee(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 270, func(i int) []any {
		front, orders, _ := shop()
		data := []any{graph(at(i), front, orders)}
		for _, metric := range []string{"container.cpu.utilization", "k8s.pod.network.io", "jvm.memory.used"} {
			data = append(data, score(at(i), at(241), map[string]string{semconv.AttrServiceName: "stock"}, metric, 0.9999, -20, 0.01))
		}
		return data
	})
	assert.Equal(t, service("orders"), w.one().Cause().Entity)
	w.stop()
}
