package incidentconnector

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
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
	detector       string
	rule           kindRule
	// subject is the entity that it counts for, found when it first becomes a symptom.
	subject semconv.Entity
	// chosen is set for series that the configuration lets open incidents.
	chosen bool
	score  float64
	// deviation is 0 when the detector knows none.
	deviation float64
	// utilization is the value of a series that is one, else not a number.
	utilization float64
	onset, last time.Time
	// count is the value of a series that counts what happens, rose when that was last another one, and risenAt is run then.
	count   float64
	rose    time.Time
	risenAt int
	// run is how many samples in a row were abnormal; 0 once the series has come back.
	run      int
	resource map[string]string
}

func newSignals(cfg *Config) *signals { return &signals{cfg: cfg, held: map[signalKey]*signal{}} }

// strongestFirst returns the keys of what is held, those that may open an incident first: where there is no room for all
// symptoms, it is for them.
func (s *signals) strongestFirst(opens func(*signal) bool) []signalKey {
	type ranked struct {
		key     signalKey
		opens   bool
		spreads float64
	}
	all := make([]ranked, 0, len(s.held))
	for key, held := range s.held {
		all = append(all, ranked{key, opens(held), held.spreads()})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if a.opens != b.opens {
			if a.opens {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.spreads, a.spreads), compareSignals(&a.key, &b.key))
	})
	keys := make([]signalKey, len(all))
	for i := range all {
		keys[i] = all[i].key
	}
	return keys
}

func compareSignals(a, b *signalKey) int {
	return cmp.Or(
		compareEntities(a.entity, b.entity), cmp.Compare(a.metric, b.metric), cmp.Compare(a.signal, b.signal),
		bytes.Compare(a.point[:], b.point[:]), bytes.Compare(a.source[:], b.source[:]),
	)
}

// symptom returns the key of the symptom that a series is of an entity.
func (k *signalKey) symptom(of semconv.Entity) symptomKey {
	return symptomKey{classSignal, of, fmt.Sprintf("%s\x00%s\x00%x%x", k.metric, k.signal, k.point, k.source)}
}

// settle forgets the series of symptoms whose incident is over and that were not there any more when it ended: what a series
// said last, before it fell silent, is no new trouble.
func (s *signals) settle(symptoms []*symptom, now time.Time) {
	over := map[symptomKey]bool{}
	for _, symptom := range symptoms {
		if symptom.class == classSignal && symptom.lastActive.Before(now) {
			over[symptom.key] = true
		}
	}
	if len(over) == 0 {
		return
	}
	maps.DeleteFunc(s.held, func(key signalKey, held *signal) bool { return !held.calm(s.cfg) && over[key.symptom(held.subject)] })
}

func (s *signals) clear() { clear(s.held) }

// ingestAnomaly takes the points of anomaly.score and anomaly.deviation.
func (e *engine) ingestAnomaly(m pmetric.Metric, sm pmetric.ScopeMetrics, rm pmetric.ResourceMetrics, source [16]byte, note resourceNote) {
	if m.Type() != pmetric.MetricTypeGauge {
		return
	}
	resource := rm.Resource().Attributes()
	for _, p := range m.Gauge().DataPoints().All() {
		entity, ok := pointEntity(note.entity, note.named, p.Attributes())
		at, skewed := e.clock.place(p.Timestamp().AsTime())
		value := numberOf(p)
		metric := str(p.Attributes(), semconv.AttrAnomalyMetric)
		switch {
		case math.IsNaN(value) || math.IsInf(value, 0) || metric == "":
			e.refusals.invalid++
			continue
		case !ok || strings.HasPrefix(metric, "traces_service_graph_") || semconv.IsIncidentMetric(metric):
			// The edges of the graph are judged by their counts, which say more than a score.
			continue
		case e.selection.ignores(rm, sm, m, p):
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
		isHeld := e.signals.held[key] != nil
		held, ok := e.signals.score(key, value, at, p, resource)
		if !ok {
			e.refusals.limit++
		}
		if held != nil && !isHeld {
			held.rule = kindOf(metric, func() string { return unitOf(rm, metric) }, key.signal)
			held.chosen = e.selection.opens(rm, sm, m, p)
		}
		if held != nil && held.run > 0 && isUtilization(metric) && key.signal != semconv.SignalMissing {
			held.utilization = scoredValue(rm, metric, p)
		}
		if held != nil && held.run > 0 && held.rule.counts {
			held.noteCount(scoredValue(rm, metric, p))
		}
	}
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

// unitOf returns the unit of a scored metric, which travels in the same batch, or nothing.
func unitOf(rm pmetric.ResourceMetrics, metric string) string {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() == metric {
				return m.Unit()
			}
		}
	}
	return ""
}

// actionResource returns those attributes of a resource by which an action finds its target.
func actionResource(resource pcommon.Map) map[string]string {
	out := map[string]string{}
	for _, k := range actionAttributes {
		if v := str(resource, k); v != "" {
			out[k] = bounded(v)
		}
	}
	return out
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
func (s *signals) score(key signalKey, score float64, at time.Time, p pmetric.NumberDataPoint, resource pcommon.Map) (*signal, bool) {
	held := s.held[key]
	abnormal := score >= s.cfg.MinScore
	switch {
	case held == nil && !abnormal:
		return nil, true
	case held == nil:
		if len(s.held) >= s.cfg.Limits.Signals {
			return nil, false
		}
		held = &signal{
			entity: key.entity, metric: key.metric, signal: key.signal, detector: bounded(str(p.Attributes(), semconv.AttrAnomalyDetector)),
			utilization: math.NaN(), resource: actionResource(resource),
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
		if start := p.StartTimestamp().AsTime(); p.StartTimestamp() != 0 && start.Before(at) && at.Sub(start) < time.Hour {
			held.onset = start
		}
	}
	return held, true
}

// noteCount notes the value of a series that counts what happens.
func (s *signal) noteCount(value float64) {
	if math.IsNaN(value) || !s.rose.IsZero() && value == s.count {
		return
	}
	s.count, s.rose, s.risenAt = value, s.last, s.run
}

// calm reports whether the series counts something that has not happened any more for a while: the number stays where it is,
// as far from what it was as it is.
func (s *signal) calm(cfg *Config) bool {
	return !s.rose.IsZero() && s.last.Sub(s.rose) >= cfg.ResolveAfter && s.run-s.risenAt > cfg.Persistence
}

// saturated reports whether the series is the utilization of a resource of which little is left.
func (s *signal) saturated(cfg *Config) bool { return s.utilization >= cfg.MinUtilization }

// spreads is how far out the series is, in units of its normal spread; where the detector does not say, as far as a score
// like this one lies out in a normal distribution. A series that has stopped is not far out.
func (s *signal) spreads() float64 {
	switch {
	case s.signal == semconv.SignalMissing:
		return 0
	case s.deviation != 0:
		return min(math.Abs(s.deviation), maxDeviation)
	default:
		return min(math.Sqrt2*math.Erfinv(2*clamp(s.score)-1), maxDeviation)
	}
}

// falls reports whether less is done or used than usual, as by whoever is asked for less: others may be to blame for that.
func (s *signal) falls() bool {
	if s.deviation >= 0 {
		return false
	}
	switch s.rule.kind {
	case semconv.CauseCPU, semconv.CauseMemory, semconv.CauseDisk, semconv.CauseNetwork:
		return true
	default:
		return s.signal == semconv.SignalRate
	}
}

// summary says in a sentence what is abnormal.
func (s *signal) summary() string {
	switch {
	case s.signal == semconv.SignalMissing:
		return s.metric + " came regularly and is missing"
	case s.signal == semconv.SignalEntity:
		return fmt.Sprintf("all signals together are abnormal (%s, score %.3f)", s.detector, s.score)
	case s.deviation == 0:
		return fmt.Sprintf("%s (%s) is abnormal (%s, score %.3f)", s.metric, s.signal, s.detector, s.score)
	default:
		return fmt.Sprintf("%s (%s) deviates by %.1f times its normal spread", s.metric, s.signal, s.deviation)
	}
}
