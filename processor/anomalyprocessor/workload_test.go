package anomalyprocessor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/semconv"
)

// pod is what one instance of a service sends: its load, and the requests it has counted since its start.
type pod struct {
	version, name string
	began         int
	host          string
	service       string
}

func (p pod) metrics(n int, level float64) pmetric.Metrics {
	at := lately(n, step)
	md, m := metrics("queue.size", "1")
	resource := md.ResourceMetrics().At(0).Resource().Attributes()
	resource.Clear()
	if p.service != "" {
		resource.PutStr(semconv.AttrServiceName, p.service)
	}
	resource.PutStr("host.name", p.host)
	if p.version != "" {
		resource.PutStr("service.version", p.version)
		resource.PutStr("k8s.pod.name", p.name)
		resource.PutStr("k8s.replicaset.name", "cart-"+p.version)
	}
	d := m.SetEmptyGauge().DataPoints().AppendEmpty()
	d.SetTimestamp(pcommon.NewTimestampFromTime(at))
	d.SetDoubleValue(level * (1 + 0.03*seeded(uint64(n)+uint64(len(p.name))).NormFloat64()))
	d.Attributes().PutStr("queue", "mail")
	c := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	c.SetName("jobs")
	c.SetUnit("{job}")
	sum := c.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	q := sum.DataPoints().AppendEmpty()
	q.SetTimestamp(pcommon.NewTimestampFromTime(at))
	q.SetStartTimestamp(pcommon.NewTimestampFromTime(lately(p.began, step)))
	q.SetIntValue(int64(float64(5000*(n-p.began)) * level / 100))
	return md
}

var (
	oldPods = []pod{{version: "1", name: "cart-1-a", host: "n1", service: "cart", began: -100}, {version: "1", name: "cart-1-bb", host: "n2", service: "cart", began: -100}}
	newPods = []pod{{version: "2", name: "cart-2-c", host: "n3", service: "cart", began: 300}, {version: "2", name: "cart-2-dd", host: "n1", service: "cart", began: 306}}
)

// deploy replaces the old pods one after the other. level is what the new ones do.
func deploy(h *harness, level float64) (scores []score) {
	for n := range 400 {
		for i, p := range oldPods {
			if n < 303+6*i {
				scores = append(scores, h.feed(p.metrics(n, 100))...)
			}
		}
		for _, p := range newPods {
			if n > p.began {
				scores = append(scores, h.feed(p.metrics(n, level))...)
			}
		}
	}
	return scores
}

func TestRollingDeploy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		assert.Empty(t, deploy(h, 100), "a new version that behaves like the old one is nothing")
		// The old pods did not, since they began together.
		assert.Equal(t, int64(4), h.value("inherited_series", ""))
		assert.Equal(t, int64(4), h.refused("start"), "counters are not inherited")

		bad := newHarness(t)
		scores := deploy(bad, 300)
		if assert.NotEmpty(t, scores) {
			assert.LessOrEqual(t, scores[0].at.Sub(lately(301, step)), 2*step, "a fault of the new version is found at once")
			assert.Equal(t, "queue.size", scores[0].metric)
		}
		cold := newHarness(t, func(c *Config) { c.Workload.Inherit = false })
		assert.Empty(t, deploy(cold, 300), "without inheritance it would be learnt as normal")
		assert.Zero(t, cold.value("inherited_series", ""))
	})
}

func TestDeployAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		for n := range 200 {
			h.feed(oldPods[0].metrics(n, 100))
		}
		stop()
		h, stop = onDisk(t, d)
		var scores []score
		p := newPods[0]
		for n := p.began + 1; n < p.began+30; n++ {
			scores = append(scores, h.feed(p.metrics(n, 300))...)
		}
		assert.Equal(t, int64(2), h.value("inherited_series", ""))
		assert.NotEmpty(t, scores)
		stop()
	})
}

// An episode of the old instance is not one of the new.
func TestEpisodesAreNotInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		for n := range 200 {
			h.feed(oldPods[0].metrics(n, 100))
		}
		for n := 200; n < 210; n++ {
			assert.NotEmpty(t, h.feed(oldPods[0].metrics(n, 500)))
		}
		opened := h.value("opened_episodes", "")
		for n := 301; n < 330; n++ {
			assert.Empty(t, h.feed(newPods[0].metrics(n, 100)), "the new one is well from its first point on")
		}
		assert.Equal(t, opened, h.value("opened_episodes", ""))
	})
}

func TestWorkloadIdentity(t *testing.T) {
	for name, tc := range map[string]struct {
		old, fresh pod
		change     func(*Config)
		inherits   bool
	}{
		"new pod":                     {oldPods[0], newPods[0], nil, true},
		"another service":             {oldPods[0], pod{version: "1", name: "x", host: "n1", service: "pay"}, nil, false},
		"another host of no workload": {pod{host: "n1"}, pod{host: "n2"}, nil, false},
		"another host of a workload":  {pod{host: "n1", service: "cart"}, pod{host: "n2", service: "cart"}, nil, true},
		"hosts count": {oldPods[0], newPods[0], func(c *Config) {
			c.Workload.HostAttributes = nil
		}, false},
		"no workload's name": {oldPods[0], newPods[0], func(c *Config) { c.Workload.NameAttributes = []string{"k8s.deployment.name"} }, false},
		"own list": {oldPods[0], newPods[0], func(c *Config) {
			c.Workload.InstanceAttributes = []string{"service.version", "k8s.pod.*", "k8s.replicaset.name"}
		}, true},
		"list too short": {oldPods[0], newPods[0], func(c *Config) { c.Workload.InstanceAttributes = []string{"service.version"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) {
				if tc.change != nil {
					tc.change(c)
				}
			})
			for n := range 40 {
				h.feed(tc.old.metrics(n, 100))
			}
			h.feed(tc.fresh.metrics(40, 100))
			assert.Equal(t, tc.inherits, h.value("inherited_series", "") > 0)
		})
	}
}

// Instances come and go: what is kept of them is bounded by what is held, and the one seen last is known.
func TestSiblings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.MaxSeries = 100 })
		p := oldPods[0]
		const pods = 50
		for n := range pods * 40 {
			if n%40 == 0 {
				p.name = fmt.Sprint("cart-", n)
				p.began = n - 1
			}
			h.feed(p.metrics(n, 100))
			time.Sleep(time.Minute)
		}
		assert.Equal(t, int64(2*(pods-1)), h.value("inherited_series", ""))
		time.Sleep(3 * time.Hour)
		assert.Zero(t, h.value("held_series", ""))
		h.feed(p.metrics(3000, 100))
		assert.Equal(t, int64(2*(pods-1)), h.value("inherited_series", ""), "what nobody has sent for series_ttl is forgotten")
	})
}

// The pod that was seen last hands on, whichever came last.
func TestLastSeenSibling(t *testing.T) {
	tab := table{limit: 10}
	a, b := tab.add(keyOf(1), kindValue, 0), tab.add(keyOf(2), kindValue, 0)
	for _, s := range []*stream{a, b} {
		s.workload = 7
	}
	a.arrived, b.arrived = 10, 20
	slotA, _ := tab.lookup(keyOf(1))
	slotB, _ := tab.lookup(keyOf(2))
	tab.see(slotA)
	tab.see(slotB)
	assert.Equal(t, slotB, tab.siblings[7])
	a.arrived = 30
	tab.sweep(0, 100, 0, 0)
	assert.Equal(t, slotA, tab.siblings[7])
	tab.drop(slotA, 0)
	assert.Empty(t, tab.siblings)
	tab.sweep(0, 100, 0, 0)
	assert.Equal(t, slotB, tab.siblings[7], "another one takes its place")
}

func keyOf(n uint64) seriesidentity.Key { return seriesidentity.Key{Hi: n, Lo: n} }

// Instances that begin together learn each for itself: none is judged by the first points of another.
func TestNobodyInheritsFromTheImmature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		late := oldPods[1]
		for n := range 120 {
			assert.Empty(t, h.feed(oldPods[0].metrics(n, 1000)))
			if n > 15 {
				assert.Empty(t, h.feed(late.metrics(n, 10)))
			}
		}
		assert.Zero(t, h.value("inherited_series", ""))
	})
}

// All kinds of signals are inherited, those of ratios too.
func TestEverythingIsInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) {
			c.Ratios = []Ratio{{Name: "jobs.failing", Numerator: RatioPart{Metric: "jobs.failed"}, Denominator: RatioPart{Metric: "jobs"}}}
		})
		version := func(n int, v string) pmetric.Metrics {
			md := everything(n, lately(n, step), false)
			md.ResourceMetrics().At(0).Resource().Attributes().PutStr("service.version", v)
			return md
		}
		for n := range 100 {
			h.feed(version(n, "1"))
		}
		held := h.value("held_series", "")
		for n := 100; n < 130; n++ {
			assert.Empty(t, h.feed(version(n, "2")))
		}
		assert.Equal(t, 2*held, h.value("held_series", ""))
		assert.Equal(t, held, h.value("inherited_series", ""))
	})
}
