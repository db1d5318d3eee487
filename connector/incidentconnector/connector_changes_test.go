package incidentconnector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// recorded returns a log record with attributes.
func recorded(t testing.TB, at time.Time, resource, attrs map[string]any, body any) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	require.NoError(t, rl.Resource().Attributes().FromRaw(resource))
	lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
	require.NoError(t, lr.Attributes().FromRaw(attrs))
	require.NoError(t, lr.Body().FromRaw(body))
	return ld
}

// TestDeployments lets the calls to stock fail after something was deployed, told in one way or another.
func TestDeployments(t *testing.T) {
	t.Parallel()
	ci := map[string]any{"service.name": "ci-system"}
	cdEvent := func(kind string) map[string]any {
		return map[string]any{
			"context": map[string]any{"version": "0.4.1", "id": "1", "source": "/ci", "type": kind, "timestamp": "2026-01-02T03:19:00Z"},
			"subject": map[string]any{"id": "/shop/stock", "type": "service", "content": map[string]any{"artifactId": "pkg:oci/stock@sha256:abc"}},
		}
	}
	for _, c := range []struct {
		name     string
		resource map[string]any
		attrs    map[string]any
		body     any
		summary  string
		kind     string
		caused   bool
	}{
		{"deployment of a service", ci, map[string]any{"service.name": "stock", "deployment.status": "succeeded", "deployment.id": "42", "deployment.environment.name": "production"}, "done", "deployed 42 status succeeded in production", semconv.ChangeVersion, true},
		{"deployment that failed", ci, map[string]any{"service.name": "stock", "deployment.status": "failed"}, nil, "deployed status failed", semconv.ChangeVersion, true},
		{"deployment by its name", ci, map[string]any{"deployment.name": "stock", "vcs.ref.head.revision": strings.Repeat("ab", 40)}, nil, "revision " + strings.Repeat("ab", 20), semconv.ChangeVersion, true},
		{"workload", ci, map[string]any{"deployment.name": "x", "k8s.deployment.name": "stock", "k8s.namespace.name": "shop"}, nil, "deployed x", semconv.ChangeVersion, true},
		{"resource", map[string]any{"service.name": "stock"}, map[string]any{"deployment.status": "succeeded"}, nil, "deployed", semconv.ChangeVersion, true},
		{"pipeline that deploys", ci, map[string]any{"cicd.pipeline.name": "stock", "cicd.pipeline.task.type": "deploy", "cicd.pipeline.run.id": "7", "cicd.pipeline.result": "success"}, nil, "deployed by pipeline stock run 7 result success", semconv.ChangeVersion, true},
		{"pipeline that synchronises", ci, map[string]any{"vcs.repository.name": "stock", "cicd.pipeline.action.name": "SYNC"}, nil, "of stock", semconv.ChangeVersion, true},
		{"pipeline that builds", ci, map[string]any{"cicd.pipeline.name": "stock", "cicd.pipeline.task.type": "build", "cicd.pipeline.result": "success"}, nil, "", "", false},
		{"pipeline that is not done", ci, map[string]any{"cicd.pipeline.name": "stock", "cicd.pipeline.task.type": "deploy", "cicd.pipeline.run.state": "pending"}, nil, "", "", false},
		{"deployment that was left out", ci, map[string]any{"service.name": "stock", "deployment.name": "d", "cicd.pipeline.result": "skip"}, nil, "", "", false},
		{"scaling", ci, map[string]any{"service.name": "stock", "deployment.name": "d", "deployment.change.kind": "scaling"}, nil, "deployed d", semconv.ChangeScaling, false},
		{"another service", ci, map[string]any{"service.name": "mail", "deployment.name": "d"}, nil, "deployed d", semconv.ChangeVersion, false},
		{"CDEvent", map[string]any{}, map[string]any{}, cdEvent("dev.cdevents.service.deployed.0.2.0"), "service.deployed pkg:oci/stock@sha256:abc", semconv.ChangeVersion, true},
		{"CDEvent as text", map[string]any{}, map[string]any{}, `{"context":{"type":"dev.cdevents.service.rolledback.0.2.0"},"subject":{"id":"stock","content":{}}}`, "service.rolledback", semconv.ChangeRollback, true},
		{"CDEvent of a build", map[string]any{}, map[string]any{}, cdEvent("dev.cdevents.build.finished.0.2.0"), "", "", false},
		{"text about CDEvents", map[string]any{}, map[string]any{}, `we read dev.cdevents.service.deployed`, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, withPods(func(i int) []any {
				if i == 236 {
					return append(calm(i), recorded(t, at(i), c.resource, c.attrs, c.body))
				}
				return calm(i)
			}))
			w.play(240, 260, withPods(stockFails))
			incident := w.one()
			cause := incident.Cause()
			assert.Equal(t, service("stock"), cause.Entity)
			if c.summary == "" {
				assert.Empty(t, incident.Changes)
			} else {
				require.Len(t, incident.Changes, 1)
				assert.Contains(t, incident.Changes[0].Summary, c.summary)
				assert.Equal(t, c.kind, incident.Changes[0].Kind)
			}
			if c.caused {
				assert.Equal(t, semconv.CauseChange, cause.Kind)
				require.NotNil(t, cause.Change)
				assert.Equal(t, incident.Changes[0], *cause.Change)
			} else {
				assert.Equal(t, semconv.CauseErrors, cause.Kind)
				assert.Nil(t, cause.Change)
			}
			w.stop()
		})
	}
}

// runs is the resource of a process of stock in a bucket; version is what it runs.
func runs(i int, attribute, version string) any {
	resource := map[string]string{semconv.AttrServiceName: "stock"}
	if version != "" {
		resource[attribute] = version
	}
	return running(i, resource)
}

// TestVersionsOfResources lets the resources of stock tell of the versions that run.
func TestVersionsOfResources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		attribute string
		// versions are those that run in a bucket.
		versions func(i int) []string
		want     []string
		kinds    []string
	}{
		{"one", semconv.AttrServiceVersion, func(int) []string { return []string{"1"} }, nil, nil},
		{"none, then one", semconv.AttrServiceVersion, func(i int) []string {
			if i < 100 {
				return []string{""}
			}
			return []string{"1"}
		}, nil, nil},
		{"another one", semconv.AttrServiceVersion, func(i int) []string {
			if i < 100 {
				return []string{"1"}
			}
			return []string{"2"}
		}, []string{"service.version 1 → 2"}, []string{semconv.ChangeVersion}},
		{"roll-out", semconv.AttrServiceVersion, func(i int) []string {
			switch {
			case i < 100:
				return []string{"1"}
			case i < 150:
				return []string{"1", "2"}
			default:
				return []string{"2"}
			}
		}, []string{"service.version 1 → 2"}, []string{semconv.ChangeVersion}},
		{"both from the start", semconv.AttrServiceVersion, func(i int) []string {
			if i%3 == 0 {
				return []string{"1"}
			}
			return []string{"2"}
		}, nil, nil},
		{"there and back", semconv.AttrServiceVersion, func(i int) []string {
			if i < 100 || i > 160 {
				return []string{"1"}
			}
			return []string{"2"}
		}, []string{"service.version 1 → 2", "service.version 2 → 1"}, []string{semconv.ChangeVersion, semconv.ChangeRollback}},
		{"made up by every process", semconv.AttrServiceVersion, func(i int) []string { return []string{fmt.Sprint(i / 2)} }, []string{"→", "→", "→", "→"}, nil},
		{"image tag", semconv.AttrContainerImageTag, func(i int) []string {
			if i < 100 {
				return []string{"1"}
			}
			return []string{"2"}
		}, []string{"container.image.tag 1 → 2"}, []string{semconv.ChangeImage}},
		{"deployment", semconv.AttrDeploymentID, func(i int) []string {
			if i < 100 {
				return []string{"a"}
			}
			return []string{"b"}
		}, []string{"deployment.id a → b"}, []string{semconv.ChangeVersion}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.ChangeWindow = time.Hour })
			w.play(0, 220, func(i int) []any {
				data := calm(i)
				for _, v := range c.versions(i) {
					data = append(data, runs(i, c.attribute, v))
				}
				return data
			})
			list := w.metrics.(*metricsView).lease.Engine().changes.list
			require.Len(t, list, len(c.want))
			for i, change := range list {
				assert.Contains(t, change.Summary, c.want[i])
				assert.Equal(t, service("stock"), change.Entity)
				if c.kinds != nil {
					assert.Equal(t, c.kinds[i], change.Kind)
				}
			}
			w.stop()
		})
	}
}

func TestImageTagsOfContainers(t *testing.T) {
	resource := pcommon.NewMap()
	require.NoError(t, resource.FromRaw(map[string]any{
		"service.name": "stock", "container.image.tags": []any{"1", "latest", 3}, "k8s.container.name": "app",
	}))
	assert.Equal(t, "1,latest", text(resource, "container.image.tags"))
	assert.Equal(t, "stock", text(resource, "service.name"))
	assert.Empty(t, text(resource, "none"))
	resource.PutInt("number", 3)
	assert.Empty(t, text(resource, "number"))
}

// TestVersionOnEdges lets the graph tell of another version of stock.
func TestVersionOnEdges(t *testing.T) {
	for _, temporality := range []pmetric.AggregationTemporality{pmetric.AggregationTemporalityDelta, pmetric.AggregationTemporalityCumulative} {
		t.Run(temporality.String(), func(t *testing.T) {
			w := newWorld(t, nil)
			counts := map[string]int64{}
			fed := func(i int, version string, make func(int) []any) []any {
				var ops []operation
				counts[version] += 40
				for _, v := range sortedKeysOf(counts) {
					n := counts[v]
					if temporality == pmetric.AggregationTemporalityDelta {
						n = 0
						if v == version {
							n = 40
						}
					}
					ops = append(ops, operation{"orders", "stock", "GET /stock/{id}", "", v, n})
				}
				return append(make(i), operations(i, temporality, ops...))
			}
			w.play(0, 236, func(i int) []any { return fed(i, "1", calm) })
			w.play(236, 240, func(i int) []any { return fed(i, "2", calm) })
			w.play(240, 260, func(i int) []any { return fed(i, "2", stockFails) })
			incident := w.one()
			require.NotNil(t, incident.Cause().Change)
			assert.Equal(t, "service.version 1 → 2", incident.Cause().Change.Summary)
			assert.Len(t, incident.Changes, 1, "an old version that is told of again but not called does not come back")
			assert.Equal(t, semconv.CauseChange, incident.Cause().Kind)
			w.stop()
		})
	}
}

// operation is n calls of an operation.
type operation struct {
	client, server, name, failure, version string
	n                                      int64
}

// operations returns the counts of operations as the tracegraph connector sends them.
func operations(i int, temporality pmetric.AggregationTemporality, ops ...operation) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(semconv.MetricGraphOperationRequestTotal)
	s := m.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(temporality)
	for _, op := range ops {
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at(i)))
		p.SetIntValue(op.n)
		p.Attributes().PutStr(semconv.AttrGraphClient, op.client)
		p.Attributes().PutStr(semconv.AttrGraphServer, op.server)
		p.Attributes().PutStr(semconv.AttrGraphConnectionType, "")
		p.Attributes().PutStr(semconv.AttrGraphOperation, op.name)
		if op.failure != "" {
			p.Attributes().PutStr(semconv.AttrErrorType, op.failure)
		}
		if op.version != "" {
			p.Attributes().PutStr(semconv.AttrGraphServerVersion, op.version)
		}
	}
	return md
}

// FuzzDeployments feeds arbitrary records that tell of deployments: what they say ends as bounded text.
func FuzzDeployments(f *testing.F) {
	f.Add("deployment.name", "stock", `{"context":{"type":"dev.cdevents.service.deployed.0.2.0"},"subject":{"id":"stock","content":{}}}`)
	f.Add("cicd.pipeline.task.type", "deploy", strings.Repeat("\xff", 300))
	f.Add("service.version", "", "dev.cdevents.")
	f.Fuzz(func(t *testing.T, key, value, body string) {
		w := newWorld(t, func(c *Config) { c.Limits.Changes = 3 })
		w.play(0, 3, calm)
		for i := range 3 {
			w.feed(recorded(t, at(3), map[string]any{"service.name": value}, map[string]any{key: value, "deployment.id": body}, body),
				recorded(t, at(3), map[string]any{}, map[string]any{key: value}, body),
				recorded(t, at(3), map[string]any{"service.name": "stock", key: value}, map[string]any{}, map[string]any{"context": map[string]any{"type": body}, "subject": map[string]any{"id": value}}))
			w.play(3+i, 4+i, calm)
		}
		engine := w.metrics.(*metricsView).lease.Engine()
		require.LessOrEqual(t, len(engine.changes.list), 3)
		for _, c := range engine.changes.list {
			require.LessOrEqual(t, len(c.Summary), 3*maxNameBytes)
			require.LessOrEqual(t, len(c.Kind), 3*maxNameBytes)
		}
		w.stop()
	})
}
