package thresholds

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Rules are the thresholds.
type Rules struct {
	// CPU is the share of the CPU limit of a pod, Errors the share of a service's requests that fail, and Slow the 99th percentile of a
	// service's durations above which it is in trouble.
	CPU, Errors float64
	Slow        time.Duration
	// For is how long a condition must hold.
	For time.Duration
	// Window is over how long errors and durations are counted.
	Window time.Duration
}

// DefaultRules are those that the experiments compare with.
func DefaultRules() Rules {
	return Rules{CPU: 0.8, Errors: 0.05, Slow: time.Second, For: 5 * time.Minute, Window: time.Minute}
}

// The names of rules.
const (
	RuleCPU    = "cpu"
	RuleErrors = "errors"
	RuleSlow   = "p99"
)

// Alert is one that fires or has fired.
type Alert struct {
	Rule, Service string
	// Pod is set for what is measured of a pod.
	Pod string
	// Since is when the condition began to hold, Fired when it had held for long enough, both by the time of the data.
	Since, Fired time.Time
}

type alertKey struct{ rule, service, pod string }

// condition is one that holds at present.
type condition struct {
	since  time.Time
	fired  bool
	seenAt time.Time
}

// Monitor evaluates the rules on each batch of metrics. It is not safe for concurrent use.
type Monitor struct {
	rules   Rules
	held    map[alertKey]*condition
	counts  map[string]*window // by service
	pending []Alert
}

// NewMonitor returns a monitor that has seen nothing.
func NewMonitor(rules Rules) *Monitor {
	return &Monitor{rules: rules, held: map[alertKey]*condition{}, counts: map[string]*window{}}
}

// Names of the metrics that the rules look at.
const (
	metricCPU      = "k8s.container.cpu_limit_utilization"
	metricRequests = "http.server.request.duration"
	metricMessages = "messaging.process.duration"
)

// Consume evaluates the rules as of the time of the metrics, and returns the alerts that fire from now on, in a fixed order.
func (m *Monitor) Consume(md pmetric.Metrics) []Alert {
	m.pending = nil
	var now time.Time
	for _, rm := range md.ResourceMetrics().All() {
		service := text(rm.Resource().Attributes(), semconv.AttrServiceName)
		pod := text(rm.Resource().Attributes(), semconv.AttrK8sPodName)
		for _, sm := range rm.ScopeMetrics().All() {
			for _, metric := range sm.Metrics().All() {
				switch metric.Name() {
				case metricCPU:
					for _, p := range metric.Gauge().DataPoints().All() {
						now = p.Timestamp().AsTime()
						m.judge(alertKey{RuleCPU, service, pod}, p.DoubleValue() > m.rules.CPU, now)
					}
				case metricRequests, metricMessages:
					for _, p := range metric.Histogram().DataPoints().All() {
						now = p.Timestamp().AsTime()
						m.count(service, pod, p)
					}
				}
			}
		}
	}
	if now.IsZero() {
		return nil
	}
	for service, w := range m.counts {
		total, failed, slow := w.sums(now.Add(-m.rules.Window))
		m.judge(alertKey{RuleErrors, service, ""}, total > 0 && failed/total > m.rules.Errors, now)
		m.judge(alertKey{RuleSlow, service, ""}, total > 0 && slow.quantile(0.99) > m.rules.Slow.Seconds(), now)
	}
	// What is not measured any more, such as a pod that is gone, holds no more.
	for k, c := range m.held {
		if c.seenAt.Before(now) {
			delete(m.held, k)
		}
	}
	slices.SortFunc(m.pending, func(a, b Alert) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Service, b.Service), strings.Compare(a.Pod, b.Pod))
	})
	return m.pending
}

func (m *Monitor) judge(k alertKey, holds bool, now time.Time) {
	if !holds {
		delete(m.held, k)
		return
	}
	c := m.held[k]
	if c == nil {
		c = &condition{since: now}
		m.held[k] = c
	}
	c.seenAt = now
	if !c.fired && now.Sub(c.since) >= m.rules.For {
		c.fired = true
		m.pending = append(m.pending, Alert{Rule: k.rule, Service: k.service, Pod: k.pod, Since: c.since, Fired: now})
	}
}

func (m *Monitor) count(service, pod string, p pmetric.HistogramDataPoint) {
	w := m.counts[service]
	if w == nil {
		w = &window{last: map[seriesKey]reading{}}
		m.counts[service] = w
	}
	attrs := p.Attributes()
	errorType := text(attrs, "error.type")
	failed := errorType != "" || strings.HasPrefix(text(attrs, "http.response.status_code"), "5")
	if failed = failed && !strings.HasPrefix(errorType, "4"); text(attrs, "http.response.status_code") == "429" {
		failed = false // asked to come back later, which is no error of the server
	}
	k := seriesKey{pod, text(attrs, "http.request.method"), text(attrs, "http.route"), text(attrs, "messaging.destination.name"), errorType}
	w.add(k, p, failed)
}

func text(attrs pcommon.Map, key string) string {
	v, ok := attrs.Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}
