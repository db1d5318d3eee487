package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// running returns what the services' own telemetry says of where they run, as attributes of resources with one gauge each.
func running(i int, resources ...map[string]string) any {
	md := pmetric.NewMetrics()
	for _, attrs := range resources {
		rm := md.ResourceMetrics().AppendEmpty()
		for k, v := range attrs {
			rm.Resource().Attributes().PutStr(k, v)
		}
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("process.uptime")
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at(i).Add(-2 * time.Second)))
		p.SetDoubleValue(1)
	}
	return md
}

// pod is the resource of a pod of a service as the Kubernetes attributes processor completes it.
func pod(service, node string) map[string]string {
	return map[string]string{
		semconv.AttrServiceName: service, semconv.AttrK8sNamespaceName: "shop", semconv.AttrK8sDeploymentName: service,
		semconv.AttrK8sPodName: service + "-7d9f5-abcde", semconv.AttrK8sNodeName: node,
	}
}

// scored returns the scores of a series from a bucket on.
func scored(i, from int, resource map[string]string, metric string, deviation, value float64) any {
	return score(at(i).Add(-2*time.Second), at(from).Add(-2*time.Second), resource, metric, 0.999, deviation, value)
}

// TestScoresFindTheirEntity scores what Kubernetes receivers report without a service name, and what watches a database.
func TestScoresFindTheirEntity(t *testing.T) {
	t.Parallel()
	kubelet := map[string]string{semconv.AttrK8sNamespaceName: "shop", semconv.AttrK8sPodName: "orders-7d9f5-abcde", semconv.AttrK8sNodeName: "node-1", semconv.AttrK8sContainerName: "app"}
	for _, c := range []struct {
		name     string
		resource map[string]string
		metric   string
		value    float64
		want     semconv.Entity
		kind     semconv.CauseKind
		origin   semconv.Entity
		acts     map[string]string
	}{
		{
			"container of a pod", kubelet, "k8s.container.cpu_limit_utilization", 0.97, service("orders"), semconv.CauseCPU,
			semconv.Entity{Type: semconv.EntityPod, Name: "shop/orders-7d9f5-abcde"},
			map[string]string{semconv.AttrK8sPodName: "orders-7d9f5-abcde", semconv.AttrK8sContainerName: "app", semconv.AttrK8sDeploymentName: "orders"},
		},
		{
			"restarts of a pod", kubelet, "k8s.container.restarts", 3, service("orders"), semconv.CauseCrash,
			semconv.Entity{Type: semconv.EntityPod, Name: "shop/orders-7d9f5-abcde"},
			nil,
		},
		{
			"deployment",
			map[string]string{semconv.AttrK8sNamespaceName: "shop", semconv.AttrK8sDeploymentName: "orders"},
			"k8s.deployment.errors", 3, service("orders"), semconv.CauseErrors,
			semconv.Entity{Type: semconv.EntityDeployment, Name: "shop/orders"},
			nil,
		},
		{
			"pod that nothing was heard of",
			map[string]string{semconv.AttrK8sNamespaceName: "shop", semconv.AttrK8sPodName: "orders-7d9f5-zzzzz"},
			"k8s.container.restarts", 3, service("orders"), semconv.CauseCrash,
			semconv.Entity{Type: semconv.EntityPod, Name: "shop/orders-7d9f5-zzzzz"},
			nil,
		},
		{
			"pod of another namespace",
			map[string]string{semconv.AttrK8sNamespaceName: "bank", semconv.AttrK8sPodName: "orders-7d9f5-zzzzz"},
			"k8s.container.restarts", 3,
			semconv.Entity{Type: semconv.EntityPod, Name: "bank/orders-7d9f5-zzzzz"},
			semconv.CauseCrash,
			semconv.Entity{},
			nil,
		},
		{
			"daemon set without services",
			map[string]string{semconv.AttrK8sNamespaceName: "kube-system", semconv.AttrK8sDaemonSetName: "proxy"},
			"k8s.daemonset.failures", 3,
			semconv.Entity{Type: semconv.EntityDaemonSet, Name: "kube-system/proxy"},
			semconv.CauseErrors,
			semconv.Entity{},
			nil,
		},
		{
			"node",
			map[string]string{semconv.AttrK8sNodeName: "node-9"},
			"k8s.node.memory.utilization", 0.97,
			semconv.Entity{Type: semconv.EntityNode, Name: "node-9"},
			semconv.CauseMemory,
			semconv.Entity{},
			map[string]string{semconv.AttrK8sNodeName: "node-9"},
		},
		{
			"host that is a node",
			map[string]string{semconv.AttrHostName: "node-1"},
			"system.memory.utilization", 0.97,
			semconv.Entity{Type: semconv.EntityNode, Name: "node-1"},
			semconv.CauseMemory,
			semconv.Entity{Type: semconv.EntityHost, Name: "node-1"},
			nil,
		},
		{
			"database in the graph",
			map[string]string{semconv.AttrServerAddress: "pg-1.db.svc", semconv.AttrDBSystemName: "postgresql", semconv.AttrHostName: "agent"},
			"db.errors", 3,
			semconv.Entity{Type: semconv.EntityDatabase, Name: "pg-1/orders"},
			semconv.CauseErrors,
			semconv.Entity{Type: semconv.EntityDatabase, Name: "pg-1.db.svc"},
			nil,
		},
		{
			"queue in the graph",
			map[string]string{semconv.AttrMessagingDest: "payments"},
			"broker.errors", 3,
			semconv.Entity{Type: semconv.EntityMessaging, Name: "kafka/payments"},
			semconv.CauseErrors,
			semconv.Entity{Type: semconv.EntityMessaging, Name: "payments"},
			nil,
		},
		{
			"server that sends spans",
			map[string]string{semconv.AttrServerAddress: "stock:6379", semconv.AttrHostName: "agent"},
			"redis.errors", 3,
			service("stock"), semconv.CauseErrors,
			semconv.Entity{Type: semconv.EntityExternal, Name: "stock:6379"},
			nil,
		},
		{
			"container without Kubernetes",
			map[string]string{semconv.AttrContainerName: "web"},
			"container.cpu.utilization", 0.97,
			semconv.Entity{Type: semconv.EntityContainer, Name: "web"},
			semconv.CauseCPU,
			semconv.Entity{},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			normal := func(i int) []any {
				front, orders, stock := shop()
				return []any{
					graph(at(i), front, orders, stock,
						call{client: "orders", server: "pg-1/orders", n: 40, waited: 0.003, attrs: map[string]string{semconv.AttrGraphConnectionType: semconv.ConnectionDatabase, semconv.AttrGraphVirtualNode: "server"}},
						call{client: "orders", server: "kafka/payments", n: 40, waited: 0.003, attrs: map[string]string{semconv.AttrGraphConnectionType: semconv.ConnectionMessaging, semconv.AttrGraphVirtualNode: "server"}}),
					running(i, pod("orders", "node-1"), pod("stock", "node-2")),
				}
			}
			w.play(0, 100, normal)
			w.play(100, 120, func(i int) []any {
				return append(normal(i), scored(i, 100, c.resource, c.metric, 20, c.value))
			})
			cause := w.one().Cause()
			assert.Equal(t, c.want, cause.Entity)
			assert.Equal(t, c.kind, cause.Kind)
			require.NotEmpty(t, cause.Evidence)
			assert.Equal(t, c.origin, cause.Evidence[0].Entity, "what was observed")
			assert.Equal(t, c.kind, cause.Evidence[0].Kind)
			for k, v := range c.acts {
				assert.Equal(t, v, cause.Resource[k], k)
			}
			w.stop()
		})
	}
}

// TestQueueNamedByPoints scores a series of a receiver that watches a broker from another machine.
func TestQueueNamedByPoints(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 100, calm)
	w.play(100, 120, func(i int) []any {
		data := scored(i, 100, map[string]string{semconv.AttrHostName: "agent"}, "kafka.partition.errors", 20, 3).(pmetric.Metrics)
		for _, m := range data.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			m.Gauge().DataPoints().At(0).Attributes().PutStr("topic", "payments")
		}
		return append(calm(i), data)
	})
	assert.Equal(t, semconv.Entity{Type: semconv.EntityMessaging, Name: "payments"}, w.one().Cause().Entity)
	w.stop()
}

// TestSharedNode saturates a node.
func TestSharedNode(t *testing.T) {
	node := semconv.Entity{Type: semconv.EntityNode, Name: "node-1"}
	saturated := func(i int) any {
		return scored(i, 100, map[string]string{semconv.AttrK8sNodeName: "node-1"}, "k8s.node.cpu.utilization", 20, 0.98)
	}
	busy := func(i int) any {
		return scored(i, 100, map[string]string{semconv.AttrK8sNodeName: "node-1"}, "k8s.node.cpu.utilization", 20, 0.3)
	}
	// Two shops that do not call each other.
	calls := func(i int, stock, mail float64) any {
		front, orders, s := shop()
		s.took += stock
		s.waited += stock
		orders.took += stock
		orders.waited += stock
		front.took += stock
		return graph(at(i), front, orders, s,
			call{client: "user", server: "portal", n: 40, took: 0.05 + mail},
			call{client: "portal", server: "mail", n: 40, took: 0.02 + mail, waited: 0.021 + mail})
	}
	for _, c := range []struct {
		name  string
		nodes [2]string
		slow  [2]float64
		more  func(i int) any
		want  []semconv.Entity
	}{
		{"two services in trouble share it", [2]string{"node-1", "node-1"}, [2]float64{0.8, 0.8}, saturated, []semconv.Entity{node}},
		{"only one of them is on it", [2]string{"node-1", "node-2"}, [2]float64{0.8, 0.8}, saturated, []semconv.Entity{service("mail"), service("stock")}},
		{"only one of those on it is in trouble", [2]string{"node-1", "node-1"}, [2]float64{0.8, 0}, saturated, []semconv.Entity{service("stock")}},
		{"it is busy but not saturated", [2]string{"node-1", "node-1"}, [2]float64{0.8, 0.8}, busy, []semconv.Entity{service("mail"), service("stock")}},
		{"a service on it is known to use it up", [2]string{"node-1", "node-1"}, [2]float64{0.8, 0.8}, func(i int) any {
			data := pmetric.NewMetrics()
			saturated(i).(pmetric.Metrics).ResourceMetrics().MoveAndAppendTo(data.ResourceMetrics())
			scored(i, 100, pod("stock", "node-1"), "k8s.container.cpu_limit_utilization", 25, 0.99).(pmetric.Metrics).ResourceMetrics().MoveAndAppendTo(data.ResourceMetrics())
			return data
		}, []semconv.Entity{service("stock")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			play := func(from, to int, slow [2]float64, more func(int) any) {
				w.play(from, to, func(i int) []any {
					data := []any{calls(i, slow[0], slow[1]), running(i, pod("stock", c.nodes[0]), pod("mail", c.nodes[1]))}
					if more != nil {
						data = append(data, more(i))
					}
					return data
				})
			}
			play(0, 100, [2]float64{}, nil)
			play(100, 120, c.slow, c.more)
			var got []semconv.Entity
			for _, i := range w.last() {
				got = append(got, i.Cause().Entity)
				assert.Greater(t, i.Cause().Confidence, 0.5)
			}
			assert.ElementsMatch(t, c.want, got)
			if len(c.want) == 1 && c.want[0] == node {
				cause := w.one().Cause()
				assert.Equal(t, semconv.CauseCPU, cause.Kind)
				assert.Equal(t, "node-1", cause.Resource[semconv.AttrK8sNodeName])
			}
			w.stop()
		})
	}
}

// TestPodsMove moves the pods of two services to another node before something else uses up the one that they were on.
func TestPodsMove(t *testing.T) {
	for name, c := range map[string]struct {
		to   string
		want []semconv.Entity
	}{
		"they stay":  {"node-1", []semconv.Entity{{Type: semconv.EntityNode, Name: "node-1"}}},
		"they moved": {"node-2", []semconv.Entity{service("mail"), service("stock"), {Type: semconv.EntityNode, Name: "node-1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 120, func(i int) []any {
				on, slow := "node-1", 0.0
				if i >= 60 {
					on = c.to
				}
				front, orders, stock := shop()
				if i >= 100 {
					slow = 0.8
				}
				stock.took, stock.waited, orders.took, orders.waited, front.took = stock.took+slow, stock.waited+slow, orders.took+slow, orders.waited+slow, front.took+slow
				data := []any{
					graph(at(i), front, orders, stock, call{client: "user", server: "portal", n: 40, took: 0.05 + slow},
						call{client: "portal", server: "mail", n: 40, took: 0.02 + slow, waited: 0.021 + slow}),
					running(i, pod("stock", on), pod("mail", on)),
				}
				if i >= 100 {
					data = append(data, scored(i, 100, map[string]string{semconv.AttrK8sNodeName: "node-1"}, "k8s.node.cpu.utilization", 20, 0.98))
				}
				return data
			})
			var got []semconv.Entity
			for _, i := range w.last() {
				got = append(got, i.Cause().Entity)
			}
			assert.ElementsMatch(t, c.want, got)
			w.stop()
		})
	}
}

// TestNodeNotReady has Kubernetes say that a node is not ready while the calls to two services on it fail.
func TestNodeNotReady(t *testing.T) {
	calls := func(i int, failed float64) any {
		front, orders, stock := shop()
		front.failed, orders.failed, stock.failed = failed, failed, failed
		return graph(at(i), front, orders, stock,
			call{client: "user", server: "portal", n: 40, failed: failed, took: 0.05},
			call{client: "portal", server: "mail", n: 40, failed: failed, took: 0.02, waited: 0.021})
	}
	where := func(i int) any {
		return running(i, pod("stock", "node-1"), pod("mail", "node-1"), pod("orders", "node-2"))
	}
	w := newWorld(t, nil)
	w.play(0, 100, func(i int) []any { return []any{calls(i, 0), where(i)} })
	w.play(100, 120, func(i int) []any {
		return []any{calls(i, 30), where(i), watched(t, at(i), "events", "MODIFIED", coreEvent(i, "NodeNotReady", "Node is not ready", "Node", "node-1", int64(i)))}
	})
	cause := w.one().Cause()
	assert.Equal(t, semconv.Entity{Type: semconv.EntityNode, Name: "node-1"}, cause.Entity)
	assert.Equal(t, semconv.CauseCrash, cause.Kind)
	assert.Equal(t, "node-1", cause.Resource[semconv.AttrK8sNodeName])
	w.stop()
}

// TestNodesOfPods has the services say in which pods they run, and the kubelet alone where these are.
func TestNodesOfPods(t *testing.T) {
	node := map[string]string{semconv.AttrK8sNodeName: "node-1"}
	where := func(i int) any {
		var resources []map[string]string
		for _, name := range []string{"stock", "mail"} {
			own := pod(name, "")
			delete(own, semconv.AttrK8sNodeName)
			kubelet := pod(name, "node-1")
			delete(kubelet, semconv.AttrServiceName)
			resources = append(resources, own, kubelet)
		}
		return running(i, resources...)
	}
	calls := func(i int, failed float64) any {
		front, orders, stock := shop()
		front.failed, orders.failed, stock.failed = failed, failed, failed
		return graph(at(i), front, orders, stock,
			call{client: "user", server: "portal", n: 40, failed: failed, took: 0.05},
			call{client: "portal", server: "mail", n: 40, failed: failed, took: 0.02, waited: 0.021})
	}
	w := newWorld(t, nil)
	w.play(0, 100, func(i int) []any { return []any{calls(i, 0), where(i)} })
	w.play(100, 120, func(i int) []any {
		return []any{calls(i, 30), where(i), scored(i, 100, node, "k8s.node.memory.utilization", 20, 0.98)}
	})
	cause := w.one().Cause()
	assert.Equal(t, semconv.Entity{Type: semconv.EntityNode, Name: "node-1"}, cause.Entity)
	assert.Equal(t, semconv.CauseMemory, cause.Kind)
	w.stop()
}

// TestPodOfSeveralServices scores a pod in which two services run: it counts for neither, but belongs to the incident of one.
func TestPodOfSeveralServices(t *testing.T) {
	shared := func(service string) map[string]string {
		resource := pod(service, "node-1")
		resource[semconv.AttrK8sPodName], resource[semconv.AttrK8sDeploymentName] = "both-1", "both"
		return resource
	}
	where := func(i int) any { return running(i, shared("stock"), shared("mail")) }
	w := newWorld(t, nil)
	w.play(0, 100, func(i int) []any { return append(calm(i), where(i)) })
	w.play(100, 120, func(i int) []any {
		return append(stockFails(i), where(i), scored(i, 100, map[string]string{semconv.AttrK8sNamespaceName: "shop", semconv.AttrK8sPodName: "both-1"}, "k8s.container.restarts", 20, 3))
	})
	incident := w.one()
	var causes []semconv.Entity
	for _, c := range incident.Causes {
		causes = append(causes, c.Entity)
	}
	assert.Equal(t, service("stock"), causes[0])
	assert.Contains(t, causes, semconv.Entity{Type: semconv.EntityPod, Name: "shop/both-1"})
	w.stop()
}

func TestRelationsAreBoundedAndExpire(t *testing.T) {
	r := newRelations(2)
	a, b, c, d := service("a"), service("b"), service("c"), service("d")
	require.True(t, r.see(a, b, at(1)))
	require.True(t, r.see(b, a, at(3)), "the same one")
	require.True(t, r.see(c, a, at(2)))
	require.False(t, r.see(c, d, at(3)), "no room")
	assert.Equal(t, []semconv.Entity{b, c}, r.of(a, semconv.EntityService))
	r.forget(at(3))
	assert.Equal(t, 1, r.count)
	assert.True(t, r.related(b, a))
	assert.False(t, r.related(a, c))
	require.True(t, r.see(c, d, at(3)))
	r.forget(at(9))
	assert.Zero(t, r.count)
	assert.Empty(t, r.links)
}

func TestRelationsPastTheLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Relations = 1 })
	w.play(0, 4, calm)
	w.feed(running(3, pod("orders", "node-1"), pod("stock", "node-2")))
	assert.Positive(t, w.count("refused_items", "limit"))
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.Equal(t, 1, engine.relations.count)
	assert.Len(t, engine.resources.notes, 1)
	w.stop()
}

func TestPeersByAddress(t *testing.T) {
	w := newWorld(t, nil)
	virtual := func(server, connection string) call {
		return call{client: "orders", server: server, n: 1, attrs: map[string]string{
			semconv.AttrGraphConnectionType: connection, semconv.AttrGraphVirtualNode: "server",
		}}
	}
	w.feed(graph(at(0),
		virtual("pg-1/orders", semconv.ConnectionDatabase), virtual("pg-1/stock", semconv.ConnectionDatabase),
		virtual("mysql.db.svc:3306/shop", semconv.ConnectionDatabase), virtual("10.0.0.1:5432", semconv.ConnectionDatabase),
		virtual("10.0.0.2", semconv.ConnectionVirtual), virtual("::1", semconv.ConnectionVirtual),
		virtual("kafka/payments", semconv.ConnectionMessaging), virtual("mails", semconv.ConnectionMessaging)))
	engine := w.metrics.(*metricsView).lease.Engine()
	database, external, queue := semconv.EntityDatabase, semconv.EntityExternal, semconv.EntityMessaging
	for _, c := range []struct{ ask, want semconv.Entity }{
		{semconv.Entity{Type: database, Name: "pg-1"}, semconv.Entity{Type: database, Name: "pg-1/orders"}},
		{semconv.Entity{Type: external, Name: "pg-1:5432"}, semconv.Entity{Type: database, Name: "pg-1/orders"}},
		{semconv.Entity{Type: database, Name: "pg-1.db.svc"}, semconv.Entity{Type: database, Name: "pg-1/orders"}},
		{semconv.Entity{Type: database, Name: "pg-10"}, semconv.Entity{Type: database, Name: "pg-10"}},
		{semconv.Entity{Type: database, Name: "mysql"}, semconv.Entity{Type: database, Name: "mysql.db.svc:3306/shop"}},
		{semconv.Entity{Type: database, Name: "mysql.db.svc"}, semconv.Entity{Type: database, Name: "mysql.db.svc:3306/shop"}},
		{semconv.Entity{Type: database, Name: "mysql.other"}, semconv.Entity{Type: database, Name: "mysql.other"}},
		{semconv.Entity{Type: database, Name: "10.0.0.1"}, semconv.Entity{Type: database, Name: "10.0.0.1:5432"}},
		{semconv.Entity{Type: external, Name: "10.0.0.3"}, semconv.Entity{Type: external, Name: "10.0.0.3"}},
		{semconv.Entity{Type: external, Name: "10"}, semconv.Entity{Type: external, Name: "10"}},
		{semconv.Entity{Type: external, Name: "::1"}, semconv.Entity{Type: external, Name: "::1"}},
		{semconv.Entity{Type: queue, Name: "payments"}, semconv.Entity{Type: queue, Name: "kafka/payments"}},
		{semconv.Entity{Type: queue, Name: "kafka/payments"}, semconv.Entity{Type: queue, Name: "kafka/payments"}},
		{semconv.Entity{Type: queue, Name: "mails"}, semconv.Entity{Type: queue, Name: "mails"}},
		{semconv.Entity{Type: queue, Name: "pg-1"}, semconv.Entity{Type: queue, Name: "pg-1"}},
	} {
		assert.Equal(t, c.want, engine.subject(c.ask), c.ask)
	}
	w.stop()
}

// TestConditionsOnSeries lets a series open that else could not, and ignores one that else would.
func TestConditionsOnSeries(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		metric string
		want   int
	}{
		{"evidence alone", nil, "jobs.waiting", 0},
		{"may open", func(c *Config) { c.Signals.OpenConditions = []string{`attributes["anomaly.metric"] == "jobs.waiting"`} }, "jobs.waiting", 1},
		{"another may", func(c *Config) { c.Signals.OpenConditions = []string{`attributes["anomaly.metric"] == "jobs.done"`} }, "jobs.waiting", 0},
		{"restarts open", nil, "k8s.container.restarts", 1},
		{"ignored", func(c *Config) {
			c.Signals.IgnoreConditions = []string{`resource.attributes["service.name"] == "orders"`}
		}, "k8s.container.restarts", 0},
		{"ignored though it may open", func(c *Config) {
			c.Signals.IgnoreConditions = []string{`IsMatch(datapoint.attributes["anomaly.metric"], "^jobs")`}
			c.Signals.OpenConditions = []string{`true`}
		}, "jobs.waiting", 0},
		{"a condition that cannot be evaluated", func(c *Config) {
			c.Signals.OpenConditions = []string{`Int(attributes) > 1`, `Substring("a", 5, 9) == "b"`}
		}, "jobs.waiting", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.change)
			w.play(0, 100, calm)
			w.play(100, 120, func(i int) []any {
				return append(calm(i), scored(i, 100, map[string]string{semconv.AttrServiceName: "orders"}, c.metric, -20, 3),
					scored(i, 100, map[string]string{semconv.AttrServiceName: "orders"}, c.metric, 20, 3))
			})
			assert.Len(t, w.last(), c.want)
			w.stop()
		})
	}
}
