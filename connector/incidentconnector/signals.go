package incidentconnector

import (
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"

	"github.com/paramedic-otel/paramedic/semconv"
)

// signals holds the series whose anomaly score is high.
type signals struct {
	cfg  *Config
	held map[signalKey]*signal
}

type signalKey struct {
	entity         semconv.Entity
	metric, signal string
	point, source  [16]byte
}

// signal is one such series.
type signal struct {
	entity         semconv.Entity
	metric, signal string
	kind           semconv.CauseKind
	score          float64
	deviation      float64
	// utilization is the value of a series that is one, else not a number.
	utilization float64
	onset, last time.Time
	// run is how many samples in a row were abnormal; 0 once the series has come back.
	run      int
	resource map[string]string
}

func newSignals(cfg *Config) *signals { return &signals{cfg: cfg, held: map[signalKey]*signal{}} }

func (s *signals) clear() { clear(s.held) }

// ingestAnomaly takes the points of anomaly.score and anomaly.deviation and returns the newest time.
func (e *engine) ingestAnomaly(m pmetric.Metric, rm pmetric.ResourceMetrics, source [16]byte) (newest time.Time) {
	if m.Type() != pmetric.MetricTypeGauge {
		return newest
	}
	resource := rm.Resource().Attributes()
	entity, ok := resourceEntity(resource)
	for _, p := range m.Gauge().DataPoints().All() {
		at, skewed := e.clock.place(p.Timestamp().AsTime())
		if t := p.Timestamp().AsTime(); t.After(newest) {
			newest = t
		}
		value := numberOf(p)
		metric := str(p.Attributes(), semconv.AttrAnomalyMetric)
		switch {
		case math.IsNaN(value) || math.IsInf(value, 0) || metric == "":
			e.refusals.invalid++
			continue
		case !ok || strings.HasPrefix(metric, "traces_service_graph_"):
			// The edges of the graph are judged by their counts, which say more than a score.
			continue
		case skewed:
			e.refusals.skewed++
		}
		key := signalKey{
			entity: entity, metric: bounded(metric), signal: bounded(str(p.Attributes(), semconv.AttrAnomalySignal)),
			point: pdatautil.MapHash(p.Attributes()), source: source,
		}
		if m.Name() == semconv.MetricAnomalyDeviation {
			if held := e.signals.held[key]; held != nil {
				held.deviation = value
			}
			continue
		}
		held, ok := e.signals.score(key, value, at, p.StartTimestamp(), resource)
		if !ok {
			e.refusals.limit++
		}
		if held != nil && held.run > 0 && isUtilization(metric) {
			held.utilization = scoredValue(rm, metric, p)
		}
	}
	return newest
}

// isUtilization reports whether a metric says what share of a resource is in use.
func isUtilization(metric string) bool {
	return strings.Contains(metric, "utilization") || strings.Contains(metric, "utilisation")
}

// scoredValue returns the value that a score is about: the point of the same resource, metric, time and attributes, which
// travels in the same batch. It is not a number when there is none.
func scoredValue(rm pmetric.ResourceMetrics, metric string, score pmetric.NumberDataPoint) float64 {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() != metric || m.Type() != pmetric.MetricTypeGauge {
				continue
			}
			for _, p := range m.Gauge().DataPoints().All() {
				if p.Timestamp() == score.Timestamp() && within(p.Attributes(), score.Attributes()) {
					return numberOf(p)
				}
			}
		}
	}
	return math.NaN()
}

// within reports whether all attributes of a point are also those of its score, which has some more.
func within(point, score pcommon.Map) bool {
	for k, v := range point.All() {
		if other, ok := score.Get(k); !ok || !other.Equal(v) {
			return false
		}
	}
	return true
}

// score takes one anomaly score and returns its series, if it is held; false when there is no room for it.
func (s *signals) score(key signalKey, score float64, at time.Time, onset pcommon.Timestamp, resource pcommon.Map) (*signal, bool) {
	held := s.held[key]
	abnormal := score >= s.cfg.MinScore
	switch {
	case held == nil && !abnormal:
		return nil, true
	case held == nil:
		if len(s.held) >= s.cfg.Limits.Signals {
			return nil, false
		}
		held = &signal{entity: key.entity, metric: key.metric, signal: key.signal, kind: kindOf(key.metric), utilization: math.NaN(), resource: map[string]string{}}
		for _, k := range actionAttributes {
			if v := str(resource, k); v != "" {
				held.resource[k] = bounded(v)
			}
		}
		s.held[key] = held
	case !at.After(held.last):
		return held, true
	}
	held.score, held.last = score, at
	if !abnormal {
		held.run = 0
		return held, true
	}
	if held.run++; held.run == 1 {
		held.onset = at
		if start := onset.AsTime(); onset != 0 && start.Before(at) && at.Sub(start) < time.Hour {
			held.onset = start
		}
	}
	return held, true
}

// saturated reports whether the series is the utilization of a resource of which little is left.
func (s *signal) saturated(cfg *Config) bool { return s.utilization >= cfg.MinUtilization }

// kindWords tell from a metric's name what kind of trouble it shows; the first match counts.
var kindWords = []struct {
	word string
	kind semconv.CauseKind
}{
	{"restart", semconv.CauseCrash},
	{"oom", semconv.CauseCrash},
	{"error", semconv.CauseErrors},
	{"fail", semconv.CauseErrors},
	{"exception", semconv.CauseErrors},
	{"duration", semconv.CauseLatency},
	{"latency", semconv.CauseLatency},
	{"cpu", semconv.CauseCPU},
	{"throttl", semconv.CauseCPU},
	{"memory", semconv.CauseMemory},
	{"heap", semconv.CauseMemory},
	{"gc.", semconv.CauseMemory},
	{"disk", semconv.CauseDisk},
	{"filesystem", semconv.CauseDisk},
	{"volume", semconv.CauseDisk},
	{"network", semconv.CauseNetwork},
	{"packet", semconv.CauseNetwork},
	{"request", semconv.CauseTraffic},
	{"connection", semconv.CauseTraffic},
	{"queue", semconv.CauseTraffic},
}

func kindOf(metric string) semconv.CauseKind {
	metric = strings.ToLower(metric)
	for _, w := range kindWords {
		if strings.Contains(metric, w.word) {
			return w.kind
		}
	}
	return semconv.CauseUnknown
}
