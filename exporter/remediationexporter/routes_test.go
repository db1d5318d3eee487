package remediationexporter

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/timewindow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// told names the receivers that got something.
func (r *rig) told() []string {
	out := []string{}
	for name, h := range r.hooks {
		if len(h.requests()) > 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// owned is an incident whose cause has resource attributes.
func owned(e semconv.IncidentEvent, attributes map[string]string) semconv.IncidentEvent {
	e.Incident.Causes[0].Resource = attributes
	return e
}

var office = []timewindow.Window{{Name: "office", Kind: timewindow.Allow, Days: []string{"mon-fri"}, From: "08:00", To: "18:00"}}

// TestRoutes turns each setting of a route. t0 is a Sunday.
func TestRoutes(t *testing.T) {
	for name, tc := range map[string]struct {
		routes []RouteConfig
		want   []string
	}{
		"none is for it":        {[]RouteConfig{{Severities: []semconv.Severity{"critical"}, Notify: []string{"a"}}}, []string{"a", "b", "c"}},
		"everything":            {[]RouteConfig{{Notify: []string{"a"}}}, []string{"a"}},
		"nobody":                {[]RouteConfig{{}}, []string{}},
		"severity":              {[]RouteConfig{{Severities: []semconv.Severity{"major"}, Notify: []string{"a"}}}, []string{"a"}},
		"criticality":           {[]RouteConfig{{Criticality: []Criticality{"high"}, Notify: []string{"a"}}}, []string{"a"}},
		"criticality unknown":   {[]RouteConfig{{Criticality: []Criticality{"unknown"}, Notify: []string{"a"}}, {Notify: []string{"b"}}}, []string{"b"}},
		"owner":                 {[]RouteConfig{{Owners: []string{"pay*"}, Notify: []string{"a"}}}, []string{"a"}},
		"other owner":           {[]RouteConfig{{Owners: []string{"x*"}, Notify: []string{"a"}}, {Notify: []string{"c"}}}, []string{"c"}},
		"namespace":             {[]RouteConfig{{Namespaces: []string{"shop"}, Notify: []string{"a"}}}, []string{"a"}},
		"cause kind":            {[]RouteConfig{{CauseKinds: []semconv.CauseKind{"latency"}, Notify: []string{"a"}}}, []string{"a"}},
		"other cause kind":      {[]RouteConfig{{CauseKinds: []semconv.CauseKind{"memory"}, Notify: []string{"a"}}, {Notify: []string{"b"}}}, []string{"b"}},
		"when":                  {[]RouteConfig{{When: []string{`attributes["incident.cause.kind"] == "latency"`}, Notify: []string{"a"}}}, []string{"a"}},
		"when not":              {[]RouteConfig{{When: []string{`attributes["incident.cause.kind"] == "x"`}, Notify: []string{"a"}}, {Notify: []string{"b"}}}, []string{"b"}},
		"condition broken":      {[]RouteConfig{{When: []string{`Int(attributes["x"]) > 3`}, ErrorMode: ottl.SilentError, Notify: []string{"a"}}, {Notify: []string{"b"}}}, []string{"b"}},
		"all must match":        {[]RouteConfig{{Severities: []semconv.Severity{"major"}, Owners: []string{"x"}, Notify: []string{"a"}}, {Notify: []string{"b"}}}, []string{"b"}},
		"the first decides":     {[]RouteConfig{{Notify: []string{"a"}}, {Notify: []string{"b"}}}, []string{"a"}},
		"continue":              {[]RouteConfig{{Notify: []string{"a"}, Continue: true}, {Notify: []string{"a", "b"}}, {Notify: []string{"c"}}}, []string{"a", "b"}},
		"outside of hours":      {[]RouteConfig{{Notify: []string{"a"}, Hours: office, NotifyOutside: []string{"c"}}}, []string{"c"}},
		"outside, no one named": {[]RouteConfig{{Notify: []string{"a"}, Hours: office}, {Notify: []string{"b"}}}, []string{"b"}},
		"within hours":          {[]RouteConfig{{Notify: []string{"a"}, Hours: []timewindow.Window{{Name: "sunday", Kind: timewindow.Allow, Days: []string{"sun"}, From: "00:00", To: "24:00"}}}}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "a", "b", "c")
				r.cfg.Routes = tc.routes
				require.NoError(t, r.cfg.Validate())
				r.start()
				r.must(owned(opened("i-1"), map[string]string{
					semconv.AttrServiceCriticality: "high", "team": "payments", semconv.AttrK8sNamespaceName: "shop", semconv.AttrServiceNamespace: "x",
				}))
				synctest.Wait()
				assert.Equal(t, tc.want, r.told())
				unrouted := int64(0)
				if name == "none is for it" {
					unrouted = 1
				}
				assert.Equal(t, unrouted, r.sum("unrouted_incidents"))
				r.stop()
			})
		})
	}
}

// TestRouteIsFixed has an incident change its owner and severity after it opened, and the process be killed.
func TestRouteIsFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b", "shop")
		r.editHook("shop", only)
		r.cfg.Routes = []RouteConfig{{Owners: []string{"payments"}, Notify: []string{"a"}}, {Notify: []string{"b"}}}
		r.cfg.OwnerAttributes = []string{"org", "team"}
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.start()
		r.must(owned(opened("i-1"), map[string]string{"org": "payments", "team": "x"}))
		synctest.Wait()
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		n.must(owned(updated("i-1", 2, time.Second), map[string]string{"org": "other"}), resolved("i-1", 3, time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened.v1", "remediation.started.v1", "incident.updated.v1", "incident.resolved.v1"}, n.hooks["a"].types()[:4])
		assert.Empty(t, n.hooks["b"].types())
		n.stop()
	})
}

// TestEscalation tells others of what nobody has taken on.
func TestEscalation(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile func(*rig)
		want      []string
	}{
		"nobody cares": {func(*rig) {}, []string{"incident.opened.v1", "incident.updated.v1", "incident.resolved.v1"}},
		"acknowledged": {func(r *rig) {
			e := r.exporter()
			e.mu.Lock()
			e.editMemo("i-1", func(m *memo) bool {
				m.Acknowledged = "ann"
				return true
			})
			e.settleAndUnlock(r.t.Context())
		}, []string{}},
		"over": {func(r *rig) { r.must(resolved("i-1", 9, time.Minute)) }, []string{}},
		"killed": {func(r *rig) {
			killed := r.disk.copy()
			r.stop()
			n := again(r, killed)
			n.start()
			*r = *n
		}, []string{"incident.opened.v1", "incident.updated.v1", "incident.resolved.v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "a", "boss")
				r.cfg.Routes = []RouteConfig{{Notify: []string{"a"}, EscalateAfter: 15 * time.Minute, EscalateTo: []string{"boss"}}}
				r.durable(&memoryStorage{data: map[string][]byte{}})
				r.start()
				r.must(opened("i-1"), updated("i-1", 2, time.Second))
				time.Sleep(14 * time.Minute)
				assert.Empty(t, r.hooks["boss"].types())
				tc.meanwhile(r)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				r.must(updated("i-1", 3, time.Second), resolved("i-1", 4, time.Minute))
				synctest.Wait()
				assert.Equal(t, tc.want, r.hooks["boss"].types())
				assert.Equal(t, int64(0), r.sum("queued_events"))
				r.stop()
			})
		})
	}
}

// TestEscalationTellsTheNewest tells of the incident as it is when the escalation's time has come, also after a kill and a failed write.
func TestEscalationTellsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "boss")
		r.cfg.Routes = []RouteConfig{{Notify: []string{"a"}, EscalateAfter: 15 * time.Minute, EscalateTo: []string{"boss"}}}
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		r.must(opened("i-1"), opened("i-2"))
		worse := updated("i-1", 2, time.Minute)
		worse.Incident.Severity = semconv.SeverityCritical
		r.must(worse)
		r.disk.setFail(true)
		require.Error(t, r.consume(updated("i-1", 3, 2*time.Minute)))
		r.disk.setFail(false)
		time.Sleep(time.Minute)
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"incident.opened.v1", "incident.opened.v1"}, n.hooks["boss"].types())
		for _, q := range n.hooks["boss"].requests() {
			inc := q.event["data"].(map[string]any)["incident"].(map[string]any)
			if inc["id"] == "i-1" {
				assert.Equal(t, "critical", inc["severity"])
				assert.InDelta(t, 2, inc["revision"], 0, "what could not be stored was not taken")
				assert.Equal(t, "FATAL", q.event["severitytext"])
			} else {
				assert.InDelta(t, 1, inc["revision"], 0)
			}
		}
		n.stop()
	})
}

func TestRouteConfig(t *testing.T) {
	c := RouteConfig{
		Severities: []semconv.Severity{"x"}, CauseKinds: []semconv.CauseKind{"x"}, Owners: []string{"[", ""}, Namespaces: slices.Repeat([]string{"a"}, 101),
		When: []string{"("}, Hours: []timewindow.Window{{Name: "night", Kind: timewindow.Deny, From: "00:00", To: "06:00"}}, EscalateAfter: 25 * time.Hour,
	}
	err := c.Validate()
	for _, want := range []string{
		`severities::0 must be one of [minor major critical], got "x"`, "cause_kinds::0 must be one of", `owners::0 must be a name or a glob such as shop-*, got "["`,
		"owners::1 must be", "namespaces must have at most 100 entries, got 101", "when: ", `hours::0: kind must be allow, got "deny"`,
		"escalate_after must be between 0s and 24h0m0s, got 25h0m0s", "escalate_after and escalate_to must be set both or not at all",
	} {
		assert.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, (&RouteConfig{NotifyOutside: []string{"a"}}).Validate(), "notify_outside must not be set without hours")
	r := newRig(t, "a")
	r.cfg.Routes = slices.Repeat([]RouteConfig{{Notify: []string{"a"}}}, 201)
	r.cfg.Routes[0] = RouteConfig{Notify: []string{"none"}, EscalateTo: []string{"void"}}
	r.cfg.OwnerAttributes = []string{""}
	r.cfg.Cluster = fmt.Sprintf("%201d", 1)
	err = r.cfg.Validate()
	for _, want := range []string{
		"routes must be at most 200, got 201", `routes::0: notify::0 must be one of webhooks or notifiers, got "none"`, `routes::0: escalate_to::0 must be`,
		"owner_attributes::0 must have 1 to 200 characters, got 0", "cluster must have at most 200 characters, got 201",
	} {
		assert.ErrorContains(t, err, want)
	}
}
