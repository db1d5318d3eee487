package anomalyprocessor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/semconv"
)

const unjoined = "otelcol_processor_anomaly_unjoined_datapoints"

func poolUse(c *Config) {
	c.Ratios = []Ratio{{
		Name: "pool.use", MinDenominator: 1, Numerator: RatioPart{Metric: "pool.used"}, Denominator: RatioPart{Metric: "pool.size"}, Ignore: []string{"i"},
	}}
}

// pool are the points of both parts of a ratio, of so many instances.
func pool(n, many int) pmetric.Metrics {
	md := gauge("pool.used", "1", at(n, minute), make([]float64, many)...)
	all := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	all.At(0).CopyTo(all.AppendEmpty())
	all.At(1).SetName("pool.size")
	return md
}

// A point that comes once its interval was judged is counted as lost to the ratio.
func TestLatePartsOfRatiosAreCounted(t *testing.T) {
	h := newHarness(t, poolUse)
	for n := range 3 {
		h.feed(pool(n, 2))
	}
	assert.Zero(t, h.counter(unjoined, ""))
	h.feed(pool(2, 3))
	assert.Equal(t, int64(2), h.counter(unjoined, ""))
}

// Attributes that are too long to be kept are those of no ratio; ignored ones may be of any length.
func TestRatioOfLongAttributes(t *testing.T) {
	for name, put := range map[string]func(pcommon.Map, string){
		"string": func(m pcommon.Map, long string) { m.PutStr("a", long) },
		"name":   func(m pcommon.Map, long string) { m.PutStr(long, "a") },
		"bytes":  func(m pcommon.Map, long string) { m.PutEmptyBytes("a").Append([]byte(long)...) },
		"slice":  func(m pcommon.Map, long string) { m.PutEmptySlice("a").AppendEmpty().SetStr(long) },
		"i":      func(m pcommon.Map, long string) { m.PutStr("i", long) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, length := range []int{10, 100_000} {
				h := newHarness(t, poolUse)
				md := pool(0, 1)
				for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
					put(m.Gauge().DataPoints().At(0).Attributes(), strings.Repeat("x", length))
				}
				h.feed(md)
				want := int64(0)
				if length > maxText && name != "i" {
					want = 2
				}
				assert.Equal(t, want, h.counter(unjoined, ""))
			}
		})
	}
}

// What identifies an entity, and names its signals, is not kept when it is long.
func TestEntityOfLongNames(t *testing.T) {
	f := newFleet(t, entitySettings(entitydetector.Fusion))
	f.services = []string{strings.Repeat("x", 100_000)}
	f.send(30)
	assert.Zero(t, f.sum("held_entities"))
	assert.Equal(t, int64(2), f.sum("refused_entities"), "one for each pod")

	f = newFleet(t, entitySettings(entitydetector.Fusion))
	f.h.feed(gauge(strings.Repeat("x", 100_000), "1", begin, 1))
	assert.Equal(t, int64(1), f.sum("held_entities"))
	assert.Equal(t, int64(1), f.sum("refused_signals"))

	attributes := pcommon.NewMap()
	attributes.PutStr(strings.Repeat("x", maxName+1), "a")
	attributes.PutStr("b", strings.Repeat("x", maxName+1))
	attributes.PutStr(semconv.AttrServiceName, "cart")
	assert.Equal(t, map[string]any{semconv.AttrServiceName: "cart"}, brief(attributes).AsRaw())
}

func TestLongNamesAreNotRemembered(t *testing.T) {
	s := &seasonal{selected: map[string]bool{}}
	var err error
	s.metrics, err = compileAll([]string{"x+"})
	require.NoError(t, err)
	assert.True(t, s.selects(strings.Repeat("x", maxName)))
	assert.True(t, s.selects(strings.Repeat("x", 100_000)))
	assert.Len(t, s.selected, 1)

	cfg := createDefaultConfig().(*Config)
	sel, err := newSelector(cfg)
	require.NoError(t, err)
	for _, long := range []ruleKey{{strings.Repeat("x", 100_000), "1"}, {"x", strings.Repeat("s", 100_000)}} {
		require.NotNil(t, sel.rules(long.name, long.unit))
		assert.Empty(t, sel.known)
	}
	for n := range 2 * mostKnown {
		sel.rules(fmt.Sprint(n), "1")
		require.LessOrEqual(t, len(sel.known), mostKnown)
	}
	assert.NotEmpty(t, sel.known)
}

// More is not forgotten than can be closed: a new series waits for the end of the batch.
func TestEvictionWaitsForClosingScores(t *testing.T) {
	tab := table{limit: 1, idle: 1, vanished: make([]vanished, maxVanished)}
	require.NotNil(t, tab.add(keyOf(1), kindValue, 0))
	require.Nil(t, tab.add(keyOf(2), kindValue, 10))
	tab.vanished = tab.vanished[1:]
	require.NotNil(t, tab.add(keyOf(2), kindValue, 10))
}

// A last bound of infinity, which some senders have, is no reason to learn a histogram anew at every restart.
func TestInfiniteBoundIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		histogram := func(n int) pmetric.Metrics {
			md := everything(n, lately(n, step), false)
			p := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(3).Histogram().DataPoints().At(0)
			p.ExplicitBounds().SetAt(3, math.Inf(1))
			return md
		}
		h, stop := onDisk(t, d)
		for n := range 50 {
			h.feed(histogram(n))
		}
		held := h.value("held_series", "")
		stop()
		h, stop = onDisk(t, d)
		assert.Equal(t, held, h.value("held_series", ""))
		assert.Zero(t, h.value("rejected_series", ""))
		h.feed(histogram(50))
		assert.Zero(t, h.refused("start")+h.refused("reset"))
		stop()
	})
}
