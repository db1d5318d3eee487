package incidentconnector

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// pulled returns an object as the k8sobjects receiver sends it when it pulls.
func pulled(t testing.TB, observed time.Time, resource string, object map[string]any) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	metadata, _ := object["metadata"].(map[string]any)
	if namespace, ok := metadata["namespace"].(string); ok {
		rl.Resource().Attributes().PutStr("k8s.namespace.name", namespace)
	}
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8sobjectsreceiver")
	lr := sl.LogRecords().AppendEmpty()
	lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(observed))
	lr.Attributes().PutStr("k8s.resource.name", resource)
	require.NoError(t, lr.Body().SetEmptyMap().FromRaw(object))
	return ld
}

// watched returns one as it sends it when it watches.
func watched(t testing.TB, observed time.Time, resource, happened string, object map[string]any) plog.Logs {
	ld := pulled(t, observed, resource, map[string]any{"type": happened, "object": object})
	metadata := object["metadata"].(map[string]any)
	if metadata["namespace"] != nil {
		ld.ResourceLogs().At(0).Resource().Attributes().PutStr("k8s.namespace.name", metadata["namespace"].(string))
	}
	attrs := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes()
	attrs.PutStr("event.domain", "k8s")
	attrs.PutStr("event.name", metadata["name"].(string))
	return ld
}

// eventReceived returns an event as the k8s_events receiver sends it.
func eventReceived(t testing.TB, _ time.Time, event map[string]any) plog.Logs {
	involved := event["involvedObject"].(map[string]any)
	when, err := time.Parse(time.RFC3339, event["lastTimestamp"].(string))
	require.NoError(t, err)
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	require.NoError(t, rl.Resource().Attributes().FromRaw(map[string]any{
		"k8s.node.name": "node-1", "k8s.object.kind": involved["kind"], "k8s.object.name": involved["name"], "k8s.object.uid": "u",
		"k8s.object.fieldpath": involved["fieldPath"], "k8s.object.api_version": "v1", "k8s.object.resource_version": "7",
	}))
	lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetTimestamp(pcommon.NewTimestampFromTime(when))
	lr.SetSeverityNumber(plog.SeverityNumberWarn)
	lr.SetSeverityText(event["type"].(string))
	lr.Body().SetStr(event["message"].(string))
	require.NoError(t, lr.Attributes().FromRaw(map[string]any{
		"k8s.event.reason": event["reason"], "k8s.event.action": "", "k8s.event.start_time": "2026-01-02 03:00:00 +0000 UTC", "k8s.event.name": "e",
		"k8s.event.uid": event["metadata"].(map[string]any)["uid"], "k8s.namespace.name": involved["namespace"], "k8s.event.count": event["count"],
	}))
	return ld
}

// coreEvent is an event of the API group v1.
func coreEvent(i int, reason, message, kind, name string, count int64) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message, "count": count,
		"firstTimestamp": at(i).Add(-3 * time.Second).Format(time.RFC3339), "lastTimestamp": at(i).Add(-3 * time.Second).Format(time.RFC3339),
		"source": map[string]any{"component": "kubelet", "host": "node-1"}, "eventTime": nil,
		"metadata":       map[string]any{"name": name + ".17a", "namespace": "shop", "uid": reason + name, "resourceVersion": "7", "creationTimestamp": at(i).Format(time.RFC3339)},
		"involvedObject": map[string]any{"apiVersion": "v1", "kind": kind, "name": name, "namespace": "shop", "uid": "u", "fieldPath": "spec.containers{app}"},
	}
}

// newerEvent is the same of the API group events.k8s.io.
func newerEvent(i int, reason, message, kind, name string, count int64) map[string]any {
	return map[string]any{
		"apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Warning", "reason": reason, "note": message, "action": "x",
		"eventTime": at(0).Format(time.RFC3339Nano), "reportingController": "kubelet", "reportingInstance": "node-1",
		"series":    map[string]any{"count": count, "lastObservedTime": at(i).Add(-3 * time.Second).Format(time.RFC3339Nano)},
		"metadata":  map[string]any{"name": name + ".17a", "namespace": "shop", "uid": reason + name},
		"regarding": map[string]any{"kind": kind, "name": name, "namespace": "shop", "fieldPath": "spec.containers{app}"},
	}
}

// withPods adds to a bucket what says where the services run.
func withPods(make func(int) []any) func(int) []any {
	return func(i int) []any { return append(make(i), running(i, pod("orders", "node-1"), pod("stock", "node-2"))) }
}

// TestKubernetesEvents lets the calls to stock fail and Kubernetes say why, in every form in which its events come.
func TestKubernetesEvents(t *testing.T) {
	t.Parallel()
	const message = "Back-off restarting failed container app in pod stock-7d9f5-abcde_shop(0b7e6a3e-8f5c-4b0e-9d1e-0d6f5a2b9c11)"
	for name, make := range map[string]func(i int) plog.Logs{
		"pulled": func(i int) plog.Logs {
			return pulled(t, at(i), "events", coreEvent(i, "BackOff", message, "Pod", "stock-7d9f5-abcde", int64(i-200)))
		},
		"watched": func(i int) plog.Logs {
			return watched(t, at(i), "events", "MODIFIED", coreEvent(i, "BackOff", message, "Pod", "stock-7d9f5-abcde", int64(i-200)))
		},
		"watched, newer API group": func(i int) plog.Logs {
			return watched(t, at(i), "events", "MODIFIED", newerEvent(i, "BackOff", message, "Pod", "stock-7d9f5-abcde", int64(i-200)))
		},
		"received": func(i int) plog.Logs {
			return eventReceived(t, at(i), coreEvent(i, "BackOff", message, "Pod", "stock-7d9f5-abcde", int64(i-200)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, withPods(calm))
			require.Empty(t, w.events())
			w.play(240, 270, withPods(func(i int) []any { return append(stockFails(i), make(i)) }))
			cause := w.one().Cause()
			assert.Equal(t, service("stock"), cause.Entity)
			assert.Equal(t, semconv.CauseCrash, cause.Kind, "not just errors")
			var said semconv.Evidence
			for _, ev := range cause.Evidence {
				if ev.Signal == "k8s.event BackOff" {
					said = ev
				}
			}
			assert.Equal(t, semconv.Entity{Type: semconv.EntityPod, Name: "shop/stock-7d9f5-abcde"}, said.Entity)
			assert.Equal(t, semconv.CauseCrash, said.Kind)
			assert.Regexp(t, `^Kubernetes says BackOff \d+ times: "Back-off restarting failed container app in pod `, said.Summary)
			assert.NotContains(t, said.Summary, "0b7e6a3e", "what varies is masked")
			assert.Equal(t, "app", cause.Resource[semconv.AttrK8sContainerName], "an action finds its target")
			assert.Equal(t, "stock-7d9f5-abcde", cause.Resource[semconv.AttrK8sPodName])
			w.play(270, 330, withPods(calm))
			assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution)
			checkLives(t, w.events())
			w.stop()
		})
	}
}

// TestEventsAlone has Kubernetes complain while all goes well.
func TestEventsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.play(0, 240, withPods(func(i int) []any {
		data := calm(i)
		for reason := range eventRules {
			data = append(data, watched(t, at(i), "events", "MODIFIED", coreEvent(i, reason, "image", "Pod", "stock-7d9f5-abcde", int64(i))))
		}
		return data
	}))
	assert.Empty(t, w.events(), "they are evidence alone")
	w.stop()
}

func TestRulesOfEvents(t *testing.T) {
	for _, c := range []struct {
		reason, message string
		kind            semconv.CauseKind
		strong          bool
	}{
		{"OOMKilling", "Memory cgroup out of memory: Killed process 1 (java)", semconv.CauseMemory, true},
		{"BackOff", "Back-off restarting failed container", semconv.CauseCrash, true},
		{"BackOff", "Back-off pulling image \"shop/stock:2\"", semconv.CauseChange, true},
		{"CrashLoopBackOff", "", semconv.CauseCrash, true},
		{"ImagePullBackOff", "", semconv.CauseChange, true},
		{"Failed", "Failed to pull image", semconv.CauseChange, true},
		{"Failed", "Error: container has no command", semconv.CauseCrash, false},
		{"Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", semconv.CauseCrash, false},
		{"FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", semconv.CauseCPU, false},
		{"FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.", semconv.CauseMemory, false},
		{"FailedScheduling", "0/3 nodes are available: 3 node(s) had untolerated taints.", semconv.CauseUnknown, false},
		{"Evicted", "The node was low on resource: ephemeral-storage.", semconv.CauseDisk, true},
		{"Evicted", "The node was low on resource: memory.", semconv.CauseMemory, true},
		{"NodeNotReady", "Node is not ready", semconv.CauseCrash, true},
		{"NodeHasDiskPressure", "", semconv.CauseDisk, true},
		{"FailedMount", "MountVolume.SetUp failed", semconv.CauseDisk, false},
		{"NetworkNotReady", "network is not ready", semconv.CauseNetwork, true},
		{"Killing", "Stopping container app", semconv.CauseCrash, false},
	} {
		rule, ok := ruleOfEvent(c.reason, c.message)
		require.True(t, ok, c.reason)
		assert.Equal(t, c.kind, rule.kind, "%s %s", c.reason, c.message)
		assert.Equal(t, c.strong, rule.spreads == strongEvent, "%s %s", c.reason, c.message)
	}
	for _, reason := range []string{"Pulled", "Created", "Started", "Scheduled", "SuccessfulCreate", "", "x"} {
		_, ok := ruleOfEvent(reason, "")
		assert.False(t, ok, reason)
	}
}

// TestEventsAreCountedOnce has a receiver tell of the same events again and again, as one that pulls does, and of old ones.
func TestEventsAreCountedOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 100, withPods(calm))
	engine := w.metrics.(*metricsView).lease.Engine()
	for range 5 {
		w.feed(pulled(t, at(99), "events", coreEvent(98, "BackOff", "restarting", "Pod", "stock-7d9f5-abcde", 7)))
		w.feed(pulled(t, at(99), "events", coreEvent(20, "OOMKilling", "killed", "Pod", "stock-7d9f5-abcde", 7)))
		w.feed(watched(t, at(99), "events", "DELETED", coreEvent(98, "Evicted", "gone", "Pod", "stock-7d9f5-abcde", 7)))
		w.feed(pulled(t, at(99), "events", coreEvent(98, "BackOff", "restarting", "Job", "stock", 7)))
	}
	require.Len(t, engine.happenings.held, 1, "the old one and that of the event's own end say nothing")
	for _, h := range engine.happenings.held {
		assert.Equal(t, int64(1), h.count)
	}
	w.feed(pulled(t, at(99), "events", coreEvent(99, "BackOff", "restarting", "Pod", "stock-7d9f5-abcde", 9)))
	for _, h := range engine.happenings.held {
		assert.Equal(t, int64(3), h.count)
	}
	w.stop()
}

func TestObjectsPastTheLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Objects = 2 })
	w.play(0, 4, calm)
	for n := range 5 {
		w.feed(
			watched(t, at(3), "events", "ADDED", coreEvent(3, "BackOff", "x", "Pod", fmt.Sprint("stock-", n), 1)),
			watched(t, at(3), "events", "ADDED", coreEvent(3, "ScalingReplicaSet", fmt.Sprintf("Scaled up replica set r%d from 0 to 1", n), "Deployment", fmt.Sprint("d", n), 1)),
			watched(t, at(3), "deployments", "ADDED", deployment("stock", fmt.Sprint("image:", n), func(d map[string]any) { d["metadata"].(map[string]any)["name"] = fmt.Sprint("d", n) })),
			watched(t, at(3), "configmaps", "ADDED", configMap(fmt.Sprint("c", n), "1")),
		)
	}
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.LessOrEqual(t, engine.objects.len(), 2)
	assert.LessOrEqual(t, engine.happenings.len(), 2)
	assert.GreaterOrEqual(t, w.count("refused_items", "limit"), int64(10))
	w.stop()
}

// deployment is a deployment of the namespace shop, which a change may alter.
func deployment(name, image string, change func(map[string]any)) map[string]any {
	d := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "uid": "u", "generation": int64(4),
			"annotations": map[string]any{"deployment.kubernetes.io/revision": "3"},
		},
		"spec": map[string]any{
			"replicas": int64(2),
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": name}, "annotations": map[string]any{"checksum/config": "1"}},
				"spec": map[string]any{
					"containers": []any{map[string]any{
						"name": "app", "image": image,
						"envFrom": []any{map[string]any{"configMapRef": map[string]any{"name": name + "-env"}}},
					}},
					"volumes": []any{map[string]any{"name": "v", "configMap": map[string]any{"name": "shared"}}},
				},
			},
		},
		"status": map[string]any{"readyReplicas": int64(2)},
	}
	if change != nil {
		change(d)
	}
	return d
}

func configMap(name, value string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}, "data": map[string]any{"k": value}}
}

func inTemplate(d map[string]any) map[string]any {
	return d["spec"].(map[string]any)["template"].(map[string]any)
}

// TestWatchedChanges lets something be changed shortly before the calls to stock fail.
func TestWatchedChanges(t *testing.T) {
	t.Parallel()
	stock := func(change func(map[string]any)) map[string]any { return deployment("stock", "shop/stock:1", change) }
	for _, c := range []struct {
		name   string
		before []any
		after  []any
		kind   semconv.CauseKind
		change string
		what   string
	}{
		{"image", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", deployment("stock", "shop/stock:2", nil))}, semconv.CauseChange, "image of app shop/stock:1 → shop/stock:2", semconv.ChangeImage},
		{"image, pulled", []any{pulled(t, at(10), "deployments", stock(nil))}, []any{pulled(t, at(236), "deployments", deployment("stock", "shop/stock:2", nil))}, semconv.CauseChange, "image of app shop/stock:1 → shop/stock:2", semconv.ChangeImage},
		{
			"back to the image before",
			[]any{watched(t, at(10), "deployments", "ADDED", deployment("stock", "shop/stock:2", nil)), watched(t, at(20), "deployments", "MODIFIED", stock(nil))},
			[]any{watched(t, at(236), "deployments", "MODIFIED", deployment("stock", "shop/stock:2", nil))},
			semconv.CauseChange, "image of app shop/stock:1 → shop/stock:2", semconv.ChangeRollback,
		},
		{"environment", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			inTemplate(d)["spec"].(map[string]any)["hostNetwork"] = true
		}))}, semconv.CauseChange, "what its pods are made of was changed", semconv.ChangeConfig},
		{"annotation of the template", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			inTemplate(d)["metadata"].(map[string]any)["annotations"].(map[string]any)["checksum/config"] = "2"
		}))}, semconv.CauseChange, "what its pods are made of was changed", semconv.ChangeConfig},
		{"restart", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			inTemplate(d)["metadata"].(map[string]any)["annotations"].(map[string]any)[restartedAt] = "2026-01-02T03:19:00Z"
		}))}, semconv.CauseErrors, "was restarted", semconv.ChangeRestart},
		{"scaling", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			d["spec"].(map[string]any)["replicas"] = int64(1)
		}))}, semconv.CauseErrors, "scaled from 2 to 1", semconv.ChangeScaling},
		{"status alone", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			d["status"] = map[string]any{"readyReplicas": int64(1)}
			d["metadata"].(map[string]any)["resourceVersion"] = "99"
		}))}, semconv.CauseErrors, "", ""},
		{"first seen", nil, []any{watched(t, at(236), "deployments", "ADDED", stock(nil))}, semconv.CauseErrors, "", ""},
		{"first seen when it was just changed", nil, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			d["status"].(map[string]any)["observedGeneration"] = int64(3)
		}))}, semconv.CauseErrors, "was changed, from what is not known", ""},
		{"first seen as the controller knows it", nil, []any{watched(t, at(236), "deployments", "MODIFIED", stock(func(d map[string]any) {
			d["status"].(map[string]any)["observedGeneration"] = int64(4)
		}))}, semconv.CauseErrors, "", ""},
		{"deleted", []any{watched(t, at(10), "deployments", "ADDED", stock(nil))}, []any{watched(t, at(236), "deployments", "DELETED", stock(nil))}, semconv.CauseChange, "was deleted", semconv.ChangeRemoval},
		{"another workload", []any{watched(t, at(10), "deployments", "ADDED", deployment("mail", "mail:1", nil))}, []any{watched(t, at(236), "deployments", "MODIFIED", deployment("mail", "mail:2", nil))}, semconv.CauseErrors, "image of app mail:1 → mail:2", semconv.ChangeImage},
		{"config map that it reads", []any{watched(t, at(10), "deployments", "ADDED", stock(nil)), watched(t, at(10), "configmaps", "ADDED", configMap("shared", "1"))}, []any{watched(t, at(236), "configmaps", "MODIFIED", configMap("shared", "2"))}, semconv.CauseChange, "config map shared was changed", semconv.ChangeConfig},
		{"config map that has its name", []any{watched(t, at(10), "configmaps", "ADDED", configMap("stock-settings", "1"))}, []any{watched(t, at(236), "configmaps", "MODIFIED", configMap("stock-settings", "2"))}, semconv.CauseErrors, "config map stock-settings was changed", semconv.ChangeConfig},
		{"config map of others", []any{watched(t, at(10), "configmaps", "ADDED", configMap("mail", "1"))}, []any{watched(t, at(236), "configmaps", "MODIFIED", configMap("mail", "2"))}, semconv.CauseErrors, "", ""},
		{"config map told again", []any{watched(t, at(10), "configmaps", "ADDED", configMap("stock", "1"))}, []any{watched(t, at(236), "configmaps", "MODIFIED", configMap("stock", "1"))}, semconv.CauseErrors, "", ""},
		{
			"roll-out by events alone",
			[]any{watched(t, at(10), "events", "ADDED", coreEvent(10, "ScalingReplicaSet", "Scaled up replica set stock-7d9f5 from 0 to 2", "Deployment", "stock", 1))},
			[]any{watched(t, at(236), "events", "ADDED", func() map[string]any {
				e := coreEvent(236, "ScalingReplicaSet", "Scaled up replica set stock-8c1aa from 0 to 1", "Deployment", "stock", 1)
				e["metadata"].(map[string]any)["uid"] = "another"
				return e
			}())},
			semconv.CauseChange, "rolled out as replica set stock-8c1aa", semconv.ChangeVersion,
		},
		{"scaling by events alone", nil, []any{watched(t, at(236), "events", "ADDED", coreEvent(236, "ScalingReplicaSet", "Scaled down replica set stock-7d9f5 from 2 to 1", "Deployment", "stock", 1))}, semconv.CauseErrors, "Scaled down replica set", semconv.ChangeScaling},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			fed := func(i int, make func(int) []any) []any {
				data := withPods(make)(i)
				switch i {
				case 20:
					data = append(data, c.before...)
				case 236:
					data = append(data, c.after...)
				}
				return data
			}
			w.play(0, 240, func(i int) []any { return fed(i, calm) })
			w.play(240, 260, func(i int) []any { return fed(i, stockFails) })
			incident := w.one()
			cause := incident.Cause()
			assert.Equal(t, service("stock"), cause.Entity)
			assert.Equal(t, c.kind, cause.Kind)
			if c.change == "" {
				assert.Empty(t, incident.Changes)
				assert.Nil(t, cause.Change)
				w.stop()
				return
			}
			require.NotEmpty(t, incident.Changes)
			told := incident.Changes[len(incident.Changes)-1]
			assert.Contains(t, told.Summary, c.change)
			assert.Equal(t, c.what, told.Kind)
			if named := cause.Change; c.kind == semconv.CauseChange || strings.Contains(c.name, "its name") || strings.Contains(c.name, "just changed") {
				require.NotNil(t, named)
				assert.Equal(t, told, *named)
			} else {
				assert.Nil(t, named)
			}
			w.stop()
		})
	}
}

// TestPods reads from a watched pod where it runs and why its container ended.
func TestPods(t *testing.T) {
	w := newWorld(t, nil)
	watch := func(i int, restarts int64) any {
		return watched(t, at(i), "pods", "MODIFIED", map[string]any{
			"metadata": map[string]any{"name": "stock-x", "namespace": "shop", "uid": "p", "ownerReferences": []any{map[string]any{"kind": "ReplicaSet", "name": "stock-7d9f5"}}},
			"spec":     map[string]any{"nodeName": "node-7"},
			"status": map[string]any{"containerStatuses": []any{map[string]any{
				"name": "app", "restartCount": restarts, "lastState": map[string]any{"terminated": map[string]any{
					"reason": "OOMKilled", "exitCode": int64(137), "finishedAt": at(i).Add(-2 * time.Second).Format(time.RFC3339),
				}},
			}}},
		})
	}
	w.play(0, 240, withPods(calm))
	w.play(240, 260, withPods(func(i int) []any { return append(stockFails(i), watch(i, int64(i))) }))
	cause := w.one().Cause()
	assert.Equal(t, service("stock"), cause.Entity)
	assert.Equal(t, semconv.CauseMemory, cause.Kind)
	assert.Contains(t, fmt.Sprint(cause.Evidence), "Kubernetes says OOMKilled")
	engine := w.metrics.(*metricsView).lease.Engine()
	stockPod := semconv.Entity{Type: semconv.EntityPod, Name: "shop/stock-x"}
	assert.Equal(t, []semconv.Entity{{Type: semconv.EntityNode, Name: "node-7"}}, engine.relations.of(stockPod, semconv.EntityNode))
	assert.Equal(t, []semconv.Entity{{Type: semconv.EntityDeployment, Name: "shop/stock"}}, engine.relations.of(stockPod, semconv.EntityDeployment))
	w.stop()
}

// TestSeriesEndWithTheirPod has a pod's containers restart until the pod is replaced: its series says nothing more, and the
// incident is over when the pod is. Without word of its deletion nobody knows for sure before stale_after.
func TestSeriesEndWithTheirPod(t *testing.T) {
	const fault, gone, end = 240, 252, 330
	old := map[string]string{
		semconv.AttrServiceName: "stock", semconv.AttrK8sNamespaceName: "shop", semconv.AttrK8sPodName: "stock-x", semconv.AttrK8sPodUID: "1",
	}
	deleted := func(uid string) []any {
		return []any{watched(t, at(gone), "pods", "DELETED", map[string]any{"metadata": map[string]any{"name": "stock-x", "namespace": "shop", "uid": uid}})}
	}
	for name, tc := range map[string]struct {
		word []any
		// within is the number of buckets from the pod's end to the incident's.
		least, most int
	}{
		"told":                    {deleted("1"), 12, 18},
		"told without a UID":      {deleted(""), 12, 18},
		"told of its predecessor": {deleted("0"), 36, 48},
		"not told":                {nil, 36, 48},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, fault, calm)
			w.play(fault, gone, func(i int) []any {
				return append(stockFails(i), score(at(i), at(fault), old, "k8s.container.restarts", 1, 40, float64(i-fault)))
			})
			w.feed(tc.word...)
			w.play(gone, end, calm)
			i := w.one()
			require.Equal(t, semconv.ResolutionRecovered, i.Resolution)
			for _, e := range w.events() {
				if e.Name == semconv.EventIncidentResolved {
					took := int(e.Time.Sub(at(gone)) / step)
					assert.GreaterOrEqual(t, took, tc.least)
					assert.LessOrEqual(t, took, tc.most)
				}
			}
			w.stop()
		})
	}
}

// FuzzKubernetes feeds arbitrary objects: whatever they say, it ends as bounded text.
func FuzzKubernetes(f *testing.F) {
	for _, object := range []map[string]any{
		coreEvent(3, "BackOff", "restarting", "Pod", "stock-1", 3), newerEvent(3, "OOMKilling", "x", "Node", "node-1", 3),
		deployment("stock", "a:1", nil), configMap("stock", "1"),
	} {
		seed, err := json.Marshal(object)
		require.NoError(f, err)
		for _, resource := range []string{"events", "deployments", "configmaps", "pods"} {
			f.Add(resource, seed, true)
			f.Add(resource, seed, false)
		}
	}
	f.Fuzz(func(t *testing.T, resource string, data []byte, watch bool) {
		var object map[string]any
		if json.Unmarshal(data, &object) != nil {
			return
		}
		w := newWorld(t, func(c *Config) { c.Limits.Objects, c.Limits.Relations = 5, 5 })
		w.play(0, 3, calm)
		for i := range 4 {
			body := object
			if watch {
				body = map[string]any{"type": "MODIFIED", "object": object}
			}
			w.feed(pulled(t, at(3), resource, body))
			w.play(3+i, 4+i, calm)
		}
		engine := w.metrics.(*metricsView).lease.Engine()
		for _, c := range engine.changes.list {
			require.LessOrEqual(t, len(c.Summary), 3*maxNameBytes)
			require.LessOrEqual(t, len(c.Entity.Name), 8*maxNameBytes)
		}
		for _, s := range engine.symptoms {
			require.LessOrEqual(t, len(s.summary), 8*maxNameBytes)
		}
		require.LessOrEqual(t, engine.objects.len(), 5)
		require.LessOrEqual(t, engine.happenings.len(), 5)
		w.stop()
	})
}
