package remediationexporter

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/internal/verification"
)

// pointReason says why a point of a selected metric is refused; it is an index into pointReasons, which are as in metadata.yaml.
type pointReason int

// The reasons.
const (
	pointTaken pointReason = iota
	pointLimit
	pointKind
	pointValue
	pointLate
	pointUnasked
)

var pointReasons = [...]string{pointTaken: "", pointLimit: "limit", pointKind: "kind", pointValue: "value", pointLate: "late", pointUnasked: "condition"}

// watcher keeps the series that signals select, and the verifications that are under way.
type watcher struct {
	cfg       *VerificationConfig
	telemetry *instruments
	// metrics are the signals that read a metric, by its name. What has another name costs one look-up a metric.
	metrics map[string][]*metricSignal
	// arrived is when data points last arrived, in Unix nanoseconds; 0 before the first.
	arrived atomic.Int64

	// mu guards everything below. It may be taken while the exporter's mu is held, and not the other way round.
	mu      sync.Mutex
	encoder seriesidentity.Encoder
	series  map[seriesKey]*series
	// ignored are series that conditions do not select, so that they need not be asked again. When there are too many they
	// are forgotten all at once.
	ignored map[seriesKey]struct{}
	running map[runKey]*running
	polling int
}

type seriesKey struct {
	signal int
	series seriesidentity.Key
}

// metricSignal is a signal of a step that reads a metric.
type metricSignal struct {
	id         int
	cfg        *MetricSignalConfig
	conditions []*pointCondition
	bounds     verification.Bounds
	staleAfter time.Duration
	// held counts its series. The watcher's mu guards it.
	held int
}

// series is one series of one signal.
type series struct {
	signal *metricSignal
	who    who
	// name tells it apart within a verification.
	name      string
	counter   verification.Counter
	histogram verification.Histogram
	// arrived is the wall time of the last point; progressed that of the last one of a counter or a histogram that followed
	// the one before, whose own time was latest.
	arrived, progressed, latest time.Time
	// reading is what it said last, at a time of its own.
	reading verification.Reading
	at      time.Time
}

func newWatcher(cfg *VerificationConfig, tel *instruments, set component.TelemetrySettings, books []*book) (*watcher, error) {
	w := &watcher{
		cfg: cfg, telemetry: tel, metrics: map[string][]*metricSignal{}, series: map[seriesKey]*series{},
		ignored: map[seriesKey]struct{}{}, running: map[runKey]*running{},
	}
	n := 0
	for _, b := range books {
		made := map[*MetricSignalConfig]*metricSignal{}
		for i := range b.cfg.Steps {
			v := b.cfg.verify(i)
			step := &stepSignals{settings: b.cfg.settings(i, cfg.MaxPlaySeries), metrics: make([]*metricSignal, len(v.Signals)), workload: -1}
			for j := range v.Signals {
				m := v.Signals[j].Metric
				if m == nil {
					step.probes = append(step.probes, &probe{signal: j, name: v.Signals[j].Name, cfg: v.Signals[j].HTTP})
					continue
				}
				if made[m] == nil {
					conditions, err := parsePointConditions(m.When, set)
					if err != nil {
						return nil, fmt.Errorf("make signal %s of playbook %s: %w", v.Signals[j].Name, b.cfg.Name, err)
					}
					made[m] = &metricSignal{
						id: n, cfg: m, conditions: conditions, staleAfter: v.StaleAfter,
						bounds: verification.Bounds{Below: m.Below, Above: m.Above, FailBelow: m.FailBelow, FailAbove: m.FailAbove},
					}
					n++
					w.metrics[m.Name] = append(w.metrics[m.Name], made[m])
					b.signals = append(b.signals, made[m])
				}
				step.metrics[j] = made[m]
			}
			if b.cfg.workload(i) {
				step.workload, step.workloadInterval = len(v.Signals), v.Workload.Interval
			}
			b.steps = append(b.steps, step)
		}
	}
	return w, nil
}

// stale says that data points used to arrive and no longer do.
func (w *watcher) stale(now time.Time) string {
	last := w.arrived.Load()
	if len(w.metrics) == 0 || w.cfg.FreezeAfter == 0 || last == 0 || now.Sub(time.Unix(0, last)) <= w.cfg.FreezeAfter {
		return ""
	}
	return fmt.Sprintf("no data point has arrived for more than %s: nobody can say how things are", w.cfg.FreezeAfter)
}

// take reads the points of selected metrics out of a batch.
func (w *watcher) take(ctx context.Context, md pmetric.Metrics, now time.Time) {
	received := md.DataPointCount()
	w.telemetry.ExporterRemediationReceivedDatapoints.Add(ctx, int64(received))
	if received == 0 || len(w.metrics) == 0 {
		return
	}
	w.arrived.Store(now.UnixNano())
	b := batch{w: w, now: now}
	for _, rm := range md.ResourceMetrics().All() {
		b.rm, b.identified = rm, false
		for _, sm := range rm.ScopeMetrics().All() {
			b.sm = sm
			for _, m := range sm.Metrics().All() {
				if signals := w.metrics[m.Name()]; signals != nil {
					b.take(ctx, m, signals)
				}
			}
		}
	}
	if b.locked {
		w.mu.Unlock()
	}
	for reason, n := range b.refused {
		add(ctx, w.telemetry.ExporterRemediationRefusedDatapoints, w.telemetry.points, pointReasons[reason], n)
	}
}

// batch is what is known while a batch is read.
type batch struct {
	w       *watcher
	now     time.Time
	rm      pmetric.ResourceMetrics
	sm      pmetric.ScopeMetrics
	refused [len(pointReasons)]int
	locked  bool
	// resource is the key of rm, once it is identified.
	resource   seriesidentity.Key
	identified bool
}

// take reads one metric. The watcher's mu is held from the first one until the end of the batch.
func (b *batch) take(ctx context.Context, m pmetric.Metric, signals []*metricSignal) {
	if !b.locked {
		b.w.mu.Lock()
		b.locked = true
	}
	encoder := &b.w.encoder
	if !b.identified {
		b.resource, b.identified = encoder.Resource(b.rm.Resource().Attributes()), true
	}
	metric := encoder.Metric(encoder.Scope(b.resource, b.sm.Scope().Name()), m.Name(), m.Unit(), int(m.Type()))
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			each(ctx, b, m, metric, p.Attributes(), p, signals, p.Flags())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			each(ctx, b, m, metric, p.Attributes(), p, signals, p.Flags())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			each(ctx, b, m, metric, p.Attributes(), p, signals, p.Flags())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			each(ctx, b, m, metric, p.Attributes(), p, signals, p.Flags())
		}
	case pmetric.MetricTypeSummary:
		b.refused[pointKind] += m.Summary().DataPoints().Len()
	}
}

// each takes one point for the signals that select its series. It is generic so that only a point which is read is boxed.
func each[P any](
	ctx context.Context, b *batch, m pmetric.Metric, metric seriesidentity.Key, attributes pcommon.Map, point P, signals []*metricSignal,
	flags pmetric.DataPointFlags,
) {
	key := b.w.encoder.Series(metric, attributes)
	for _, signal := range signals {
		k := seriesKey{signal.id, key}
		s := b.w.series[k]
		if s == nil {
			if _, known := b.w.ignored[k]; known {
				continue
			}
			if s = b.find(ctx, k, signal, m, attributes, point); s == nil {
				continue
			}
		}
		s.arrived = b.now
		if flags.NoRecordedValue() {
			s.counter.Forget()
			s.histogram.Forget()
			continue
		}
		r, reason := s.read(m, point, b.now)
		if reason != pointTaken {
			b.refused[reason]++
		}
		if r.ok {
			if r.at.After(s.at) {
				s.at, s.reading = r.at, r.reading
			}
			b.w.tell(s, r, b.now)
		}
	}
}

// find makes a series that was not seen before, or returns nil when the signal does not select it or there is no room.
func (b *batch) find(ctx context.Context, key seriesKey, signal *metricSignal, m pmetric.Metric, attributes pcommon.Map, point any) *series {
	w := b.w
	if len(signal.conditions) > 0 {
		tctx := ottldatapoint.NewTransformContextPtr(b.rm, b.sm, m, point)
		ok, err := hold(ctx, signal.conditions, tctx)
		tctx.Close()
		if err != nil {
			b.refused[pointUnasked]++
			return nil
		}
		if !ok {
			if len(w.ignored) >= w.cfg.MaxSeries {
				clear(w.ignored)
			}
			w.ignored[key] = struct{}{}
			return nil
		}
	}
	if len(w.series) >= w.cfg.MaxSeries || signal.held >= w.cfg.MaxSignalSeries {
		b.refused[pointLimit]++
		return nil
	}
	s := &series{
		signal: signal, who: whoIs(m.Name(), b.rm.Resource().Attributes(), attributes),
		name: hex.EncodeToString(appendKey(nil, key.series)),
	}
	w.series[key] = s
	signal.held++
	return s
}

func appendKey(b []byte, k seriesidentity.Key) []byte {
	for _, part := range []uint64{k.Hi, k.Lo} {
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(part>>shift))
		}
	}
	return b
}

// expire forgets the series that are silent. mu is held.
func (w *watcher) expire(now time.Time) {
	for key, s := range w.series {
		if now.Sub(s.arrived) > w.cfg.SeriesExpiry {
			delete(w.series, key)
			s.signal.held--
		}
	}
}

// failing returns the sources of evidence, other than those that the incident rests on, of which a signal of the playbook
// shows failure now.
func (w *watcher) failing(b *book, a *about, eventTime, wall, now time.Time) int {
	if len(b.signals) == 0 || a == nil {
		return 0
	}
	shift := shiftOf(eventTime, wall)
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]bool{}
	for _, s := range w.series {
		if s.reading != verification.Bad || !b.reads(s.signal) || now.Sub(s.arrived) > s.signal.staleAfter ||
			now.Sub(s.at.Add(shift)) > s.signal.staleAfter || !a.concerns(s.signal.cfg.Of, a.Target, &s.who) {
			continue
		}
		found[sourceOf(s.signal.cfg.Name)] = true
	}
	for _, source := range a.Sources {
		delete(found, source)
	}
	return len(found)
}

func (b *book) reads(signal *metricSignal) bool {
	for _, s := range b.signals {
		if s == signal {
			return true
		}
	}
	return false
}

// live is by how much the time of data and the clock on the wall may differ before data count as a replay, whose time is
// shifted.
const live = 5 * time.Minute

// shiftOf returns what to add to the times of data to have them on the clock on the wall.
func shiftOf(eventTime, wall time.Time) time.Duration {
	if d := wall.Sub(eventTime); d.Abs() > live {
		return d
	}
	return 0
}

// verdictOf is a verdict as the ledger calls it.
var verdictOf = map[verification.Verdict]playbook.Assessment{
	verification.Unknown: playbook.Unknown, verification.Unmet: playbook.Unmet, verification.Met: playbook.Met, verification.Worse: playbook.Worse,
}
