package incidentconnector

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// released is a record of a deployment of a service that went well.
func released(t *testing.T, i int, name, version string) any {
	return recorded(t, at(i).Add(-time.Second), map[string]any{},
		map[string]any{semconv.AttrServiceName: name, semconv.AttrServiceVersion: version, attrDeploymentStatus: "succeeded"}, "released")
}

// TestChangesOfOthers lets stock fail while others, around it or far off, are changed just before.
func TestChangesOfOthers(t *testing.T) {
	for name, changed := range map[string][]string{
		"unrelated service":  {"adverts"},
		"service nobody met": {"nightly-report"},
		"both callers":       {"front", "orders"},
		"all around":         {"front", "orders", "adverts"},
	} {
		for trouble, play := range map[string]func(int) []any{"errors": stockFails, "latency": stockSlow} {
			t.Run(name+" "+trouble, func(t *testing.T) {
				w := newWorld(t, nil)
				with := func(play func(int) []any) func(int) []any {
					return func(i int) []any {
						data := append(play(i), graph(at(i), call{client: "front", server: "adverts", n: 40, took: 0.01, waited: 0.011}),
							running(i, pod("front", "a"), pod("orders", "a"), pod("stock", "b"), pod("adverts", "b")))
						if i == 239 {
							for _, service := range changed {
								data = append(data, released(t, i, service, "2"))
							}
						}
						return data
					}
				}
				w.play(0, 240, with(calm))
				require.Empty(t, describe(w.events()))
				w.play(240, 260, with(play))
				cause := w.one().Cause()
				assert.Equal(t, service("stock"), cause.Entity)
				assert.Equal(t, trouble, string(cause.Kind))
				assert.Nil(t, cause.Change, "it was not changed itself")
				w.stop()
			})
		}
	}
}

// rollOut is what Kubernetes says while it exchanges the two pods of a service, one after the other, from bucket first on.
func rollOut(t *testing.T, i, first int, name string) (data []any) {
	say := func(reason, message, kind, object string) {
		event := coreEvent(i, reason, message, kind, object, 1)
		event["metadata"].(map[string]any)["uid"] = fmt.Sprint(reason, object, i)
		data = append(data, watched(t, at(i), "events", "ADDED", event))
	}
	old, renewed := []string{name + "-7d9f5-abcde", name + "-7d9f5-fghij"}, []string{name + "-5c4b8-klmno", name + "-5c4b8-pqrst"}
	switch i - first {
	case 0:
		say("ScalingReplicaSet", "Scaled up replica set "+name+"-5c4b8 from 0 to 1", "Deployment", name)
		say("Unhealthy", "Startup probe failed: Get \"http://10.0.0.7:8080/healthz\": connect: connection refused", "Pod", renewed[0])
	case 2:
		say("Killing", "Stopping container app", "Pod", old[0])
		say("ScalingReplicaSet", "Scaled down replica set "+name+"-7d9f5 from 2 to 1", "Deployment", name)
		say("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", "Pod", old[0])
	case 4:
		say("ScalingReplicaSet", "Scaled up replica set "+name+"-5c4b8 from 1 to 2", "Deployment", name)
		say("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", "Pod", renewed[1])
	case 6:
		say("Killing", "Stopping container app", "Pod", old[1])
	}
	return data
}

func rollingOut(t *testing.T, first int, name string, play func(int) []any) func(int) []any {
	return func(i int) []any {
		data := append(play(i), running(i, pod("front", "a"), pod("orders", "a"), pod("stock", "b")))
		if i == 10 {
			data = append(data, watched(t, at(i), "events", "ADDED", coreEvent(i, "ScalingReplicaSet", "Scaled up replica set "+name+"-7d9f5 from 0 to 2", "Deployment", name, 1)))
		}
		return append(data, rollOut(t, i, first, name)...)
	}
}

// TestHealthyRollOut exchanges the pods of stock; nobody notices but two callers.
func TestHealthyRollOut(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 320, rollingOut(t, 240, "stock", func(i int) []any {
		front, orders, stock := shop()
		if i == 242 || i == 246 {
			front.failed, orders.failed, stock.failed = 1, 1, 1
		}
		return []any{graph(at(i), front, orders, stock)}
	}))
	assert.Empty(t, describe(w.events()))
	w.stop()
}

// TestRollOutElsewhere exchanges the pods of orders while stock fails.
func TestRollOutElsewhere(t *testing.T) {
	for trouble, play := range map[string]func(int) []any{"errors": stockFails, "latency": stockSlow} {
		w := newWorld(t, nil)
		w.play(0, 239, rollingOut(t, 239, "orders", calm))
		require.Empty(t, describe(w.events()))
		w.play(239, 260, rollingOut(t, 239, "orders", play))
		cause := w.one().Cause()
		assert.Equal(t, service("stock"), cause.Entity)
		assert.Equal(t, trouble, string(cause.Kind))
		w.stop()
	}
}

// TestBadRollOut exchanges the pods of stock for worse ones: what ends in a roll-out has not crashed.
func TestBadRollOut(t *testing.T) {
	for _, play := range []func(int) []any{stockFails, stockSlow} {
		w := newWorld(t, nil)
		w.play(0, 240, rollingOut(t, 239, "stock", calm))
		w.play(240, 260, rollingOut(t, 239, "stock", play))
		cause := w.one().Cause()
		assert.Equal(t, service("stock"), cause.Entity)
		assert.Equal(t, semconv.CauseChange, cause.Kind)
		require.NotNil(t, cause.Change)
		assert.Equal(t, semconv.ChangeVersion, cause.Change.Kind)
		w.stop()
	}
}

// TestOutOfMemory has the kernel end the container of one of three pods of stock, again and again.
func TestOutOfMemory(t *testing.T) {
	for _, state := range []string{"lastState", "state"} {
		t.Run(state, func(t *testing.T) {
			w := newWorld(t, nil)
			pods := []map[string]string{pod("stock", "b"), pod("stock", "b"), pod("stock", "c")}
			for n := range pods {
				pods[n][semconv.AttrK8sPodName] = fmt.Sprint("stock-7d9f5-abcd", n)
			}
			with := func(play func(int) []any) func(int) []any {
				return func(i int) []any { return append(play(i), running(i, pods...)) }
			}
			w.play(0, 240, with(calm))
			w.play(240, 262, with(func(i int) []any {
				data := stockFails(i)
				if i%4 != 1 {
					return data
				}
				return append(data, watched(t, at(i), "pods", "MODIFIED", map[string]any{
					"metadata": map[string]any{"name": "stock-7d9f5-abcd1", "namespace": "shop", "uid": "u"},
					"spec":     map[string]any{"nodeName": "b"},
					"status": map[string]any{"containerStatuses": []any{map[string]any{
						"name": "app", "restartCount": int64((i - 239) / 4),
						state: map[string]any{"terminated": map[string]any{"reason": "OOMKilled", "exitCode": int64(137), "finishedAt": at(i).Add(-3 * time.Second).Format(time.RFC3339)}},
					}}},
				}))
			}))
			cause := w.one().Cause()
			assert.Equal(t, service("stock"), cause.Entity)
			assert.Equal(t, semconv.CauseMemory, cause.Kind)
			assert.Equal(t, "stock-7d9f5-abcd1", cause.Resource[semconv.AttrK8sPodName])
			assert.Equal(t, "app", cause.Resource[semconv.AttrK8sContainerName])
			w.stop()

			w = newWorld(t, nil)
			w.play(0, 240, with(calm))
			w.play(240, 250, with(stockFails))
			target := w.one().Cause().Resource
			assert.Equal(t, "stock", target[semconv.AttrK8sDeploymentName])
			assert.Empty(t, target[semconv.AttrK8sPodName]+target[semconv.AttrK8sNodeName], "nothing tells which of the three it is")
			w.stop()
		})
	}
}

// TestOneOperationOfMany lets the one operation fail that every twentieth call is for.
func TestOneOperationOfMany(t *testing.T) {
	w := newWorld(t, nil)
	play := func(bad bool) func(int) []any {
		return func(i int) []any {
			front, orders, stock := shop()
			var ops []operation
			for n, name := range []string{"GET /stock", "GET /stock/{id}", "PUT /stock/{id}", "POST /stock"} {
				ops = append(ops, operation{"orders", "stock", name, "", "1", int64(8 + n%2*3)})
			}
			last := operation{"orders", "stock", "DELETE /stock/{id}", "", "1", 2}
			if bad {
				front.failed, orders.failed, stock.failed = 2, 2, 2
				last.failure = "500"
			}
			return []any{graph(at(i), front, orders, stock), operations(i, pmetric.AggregationTemporalityDelta, append(ops, last)...)}
		}
	}
	w.play(0, 240, play(false))
	w.play(240, 264, play(true))
	incident := w.one()
	assert.Equal(t, service("stock"), incident.Cause().Entity)
	require.NotEmpty(t, incident.Cause().Evidence)
	assert.Contains(t, incident.Cause().Evidence[0].Summary, "error.type=500, DELETE /stock/{id}")
	assert.Less(t, incident.DetectedAt.Sub(at(239)), time.Minute)
	w.stop()
}

// TestNamesakes has two carts, of which one fails, and pods of both.
func TestNamesakes(t *testing.T) {
	w := newWorld(t, nil)
	play := func(failed float64) func(int) []any {
		return func(i int) []any {
			var calls []call
			var resources []map[string]string
			for _, namespace := range []string{"east", "west"} {
				f := 0.0
				if namespace == "west" {
					f = failed
				}
				of := func(client string) map[string]string {
					attrs := map[string]string{semconv.AttrGraphServerNamespace: namespace}
					if client != "user" {
						attrs[semconv.AttrGraphClientNamespace] = namespace
					}
					return attrs
				}
				calls = append(calls, call{client: "user", server: "front", n: 40, failed: f, took: 0.03, attrs: of("user")},
					call{client: "front", server: "cart", n: 40, failed: f, took: 0.01, waited: 0.011, attrs: of("front")})
				for _, name := range []string{"front", "cart"} {
					r := pod(name, "node-"+namespace)
					r[semconv.AttrServiceNamespace], r[semconv.AttrK8sNamespaceName] = namespace, namespace
					resources = append(resources, r)
				}
			}
			data := []any{graph(at(i), calls...), running(i, resources...)}
			if failed > 0 {
				data = append(data, scored(i, 240, map[string]string{semconv.AttrK8sNamespaceName: "west", semconv.AttrK8sPodName: "cart-7d9f5-abcde"}, "k8s.container.restarts", 20, 3))
			}
			return data
		}
	}
	w.play(0, 240, play(0))
	require.Empty(t, describe(w.events()))
	w.play(240, 260, play(30))
	incident := w.one()
	assert.Equal(t, service("west/cart"), incident.Cause().Entity)
	assert.Equal(t, semconv.CauseCrash, incident.Cause().Kind)
	for _, c := range incident.Causes {
		assert.NotContains(t, c.Entity.Name, "east")
	}
	w.stop()
}
