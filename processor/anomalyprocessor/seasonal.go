package anomalyprocessor

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/metric"

	"github.com/paramedic-otel/paramedic/internal/evidence"
	"github.com/paramedic-otel/paramedic/internal/stlesd"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
)

// detectorSeasonal is the value of anomaly.detector.
const detectorSeasonal = "stl_esd"

// seasonal is the watcher that judges some series by their season. It is under the processor's lock.
type seasonal struct {
	cfg       *Config
	settings  *Seasonal
	params    stlesd.Params
	perDay    float64
	metrics   []*regexp.Regexp
	telemetry *metadata.TelemetryBuilder
	held      atomic.Int64

	series map[seriesRef]*seasonalSeries
	// selected remembers which metrics are meant.
	selected map[string]bool
	refused  int64
}

// seasonalSeries is the state of one series.
type seasonalSeries struct {
	detector *stlesd.Detector
	lasting  *evidence.Fusion
	last     int64
	// gap is the usual time between two points, in nanoseconds.
	gap     float64
	arrived int64
	onset   int64
	open    bool
	// resource and about describe the series of an open episode, to close it when the series is forgotten.
	resource, about []byte
}

const (
	// mostSelected bounds what is remembered of metric names, none of which is longer than maxName.
	mostSelected = 10_000
	// jump is the number of usual intervals from which on points are missing.
	jump = 1.5
)

func newSeasonal(cfg *Config, settings *Seasonal, perDay float64, telemetry *metadata.TelemetryBuilder) (*seasonal, error) {
	metrics, err := compileAll(settings.Metrics)
	if err != nil {
		return nil, err
	}
	w := &seasonal{
		cfg: cfg, settings: settings, params: settings.params(), perDay: perDay, metrics: metrics, telemetry: telemetry,
		series: map[seriesRef]*seasonalSeries{}, selected: map[string]bool{},
	}
	if err := w.params.Validate(); err != nil {
		return nil, err
	}
	if err := telemetry.RegisterProcessorAnomalyHeldSeasonalSeriesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(w.held.Load())
		return nil
	}); err != nil {
		return nil, fmt.Errorf("register held seasonal series: %w", err)
	}
	return w, nil
}

func (w *seasonal) selects(name string) bool {
	yes, known := w.selected[name]
	if known {
		return yes
	}
	for _, m := range w.metrics {
		yes = yes || m.MatchString(name)
	}
	if len(name) > maxName {
		return yes
	}
	if len(w.selected) >= mostSelected {
		clear(w.selected)
	}
	w.selected[strings.Clone(name)] = yes
	return yes
}

func (w *seasonal) find(j *judged) *seasonalSeries {
	ref := seriesRef{stream: j.stream.key, quantile: j.signal.quantile, what: j.signal.what}
	s := w.series[ref]
	if s != nil {
		return s
	}
	if len(w.series) >= w.settings.MaxSeries {
		w.refused++
		return nil
	}
	// The parameters were checked when the watcher was made.
	detector, err := stlesd.New(w.params)
	if err != nil {
		return nil
	}
	p := evidence.DefaultParams(1)
	p.EpisodesPerDay, p.Share = w.perDay, 0.9
	lasting, err := evidence.New(p)
	if err != nil {
		return nil
	}
	s = &seasonalSeries{detector: detector, lasting: lasting}
	w.series[ref] = s
	return s
}

// judged implements watcher.
func (w *seasonal) judged(b *batch, j *judged) {
	if !w.selects(j.metric) {
		return
	}
	s := w.find(j)
	if s == nil {
		return
	}
	s.arrived = b.now
	s.fill(j.at, w.params.Window)
	v := s.detector.Observe(j.value)
	if !v.Ready {
		return
	}
	score := s.lasting.Observe(j.at, []evidence.Source{{Chance: v.Chance, Size: v.Deviation}}, nil).Probability
	if math.Abs(j.value-v.Expected) < math.Max(j.limits.MinAbsolute, j.limits.MinRelative*math.Abs(v.Expected)) ||
		(v.Deviation > 0 && j.limits.IgnoreUp) || (v.Deviation < 0 && j.limits.IgnoreDown) {
		// The policy of the metric says that this does not matter.
		score = math.Min(score, 0.5*w.cfg.MinScore)
	}
	abnormal := score >= w.cfg.MinScore
	if !abnormal && !s.open {
		return
	}
	if !s.open {
		s.onset = j.at
		s.resource, s.about = resourceText(j.resource), b.p.table.words.encode(j.metric, j.attributes)
	}
	if s.open = abnormal; !abnormal || len(s.resource)+len(s.about) > maxText {
		s.resource, s.about = nil, nil
	}
	what := outScore
	if w.settings.Shadow {
		what = outShadow
	}
	about := j.subject(detectorSeasonal)
	b.out.score(what, &about, score, s.onset)
	b.emitted++
	if w.cfg.EmitDeviation && !w.settings.Shadow {
		b.out.emit(outDeviation, &about, v.Deviation)
	}
}

// fill tells the detector of the points that did not come, for it wants them at even intervals.
func (s *seasonalSeries) fill(at int64, most int) {
	if s.last != 0 {
		step := float64(at - s.last)
		if s.gap == 0 {
			s.gap = step
		}
		if step > jump*s.gap {
			for range min(int(math.Round(step/s.gap))-1, most) {
				s.detector.Observe(math.NaN())
			}
		}
		s.gap += 0.1 * (math.Min(step, 2*s.gap) - s.gap)
	}
	s.last = at
}

// done implements watcher.
func (w *seasonal) done(*batch, pmetric.Metrics) {
	w.held.Store(int64(len(w.series)))
	w.telemetry.ProcessorAnomalyRefusedSeasonalPoints.Add(context.Background(), w.refused)
	w.refused = 0
}

// forget implements watcher.
func (w *seasonal) forget(t *table, before, now int64) {
	for ref, s := range w.series {
		if s.arrived >= before {
			continue
		}
		delete(w.series, ref)
		if s.about != nil {
			// As long after the last point, in event time, as it is on our clock.
			at := s.last + max(0, now-s.arrived)
			what := signal{what: ref.what, quantile: ref.quantile}
			t.vanished = append(t.vanished, vanished{s.resource, s.about, []vanishedSignal{
				{name: what.name(), detector: detectorSeasonal, onset: s.onset, shadow: w.settings.Shadow},
			}, at})
		}
	}
	w.held.Store(int64(len(w.series)))
}
