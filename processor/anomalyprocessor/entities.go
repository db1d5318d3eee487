package anomalyprocessor

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// entities is the watcher that judges all signals of an entity together. It is under the processor's lock.
type entities struct {
	cfg        *Config
	settings   *Entities
	configured []EntityDetector
	perDay     float64
	version    string
	logger     *zap.Logger
	telemetry  *metadata.TelemetryBuilder
	// remote is nil when no server is asked.
	remote    *remoteModel
	held      atomic.Int64
	agreement [][agreements][]metric.AddOption

	encoder seriesidentity.Encoder
	byKey   map[seriesidentity.Key]*entity
	// byResource remembers the entity of each resource, nil where there is none; it is emptied whenever entities are forgotten.
	byResource map[seriesidentity.Key]*entity
	touched    []*entity
	out        []pending
	tally      entityTally
}

// entityTally is what is counted of a batch.
type entityTally struct {
	vectors, refused, refusedSignals, formed int64
	verdicts                                 [][agreements]int64
}

// The ways in which a detector of an entity and the detectors of its series can agree.
const (
	agreeNeither = iota
	agreeBoth
	agreeEntity
	agreeSeries
	agreements
)

var agreementNames = [agreements]string{"neither", "both", "entity_only", "series_only"}

// pending is a score that waits for the end of the batch.
type pending struct {
	entity   *entity
	detector int
	at       int64
	onset    int64
	score    float64
	top      []share
}

// share is what a signal contributed to a score, and what is to be gained from it, if that is known.
type share struct {
	about      subject
	part, gain float64
	gained     bool
}

// mostResources bounds what byResource remembers until then, times MaxEntities.
const mostResources = 64

func newEntities(cfg *Config, perDay float64, version string, logger *zap.Logger, telemetry *metadata.TelemetryBuilder) (*entities, error) {
	settings := cfg.Entities.Get()
	w := &entities{
		cfg: cfg, settings: settings, configured: settings.detectors(), perDay: perDay, version: version, logger: logger, telemetry: telemetry,
		byKey: map[seriesidentity.Key]*entity{}, byResource: map[seriesidentity.Key]*entity{},
	}
	w.tally.verdicts = make([][agreements]int64, len(w.configured))
	for _, d := range w.configured {
		var options [agreements][]metric.AddOption
		for i, name := range agreementNames {
			options[i] = []metric.AddOption{metric.WithAttributeSet(
				attribute.NewSet(attribute.String("detector", string(d.Type)), attribute.String("agreement", name)))}
		}
		w.agreement = append(w.agreement, options)
	}
	if remote := settings.Remote.Get(); remote != nil {
		w.remote = newRemoteModel(remote, logger, telemetry)
	}
	if _, err := w.detectors(2, time.Second); err != nil {
		return nil, err
	}
	if err := telemetry.RegisterProcessorAnomalyHeldEntitiesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(w.held.Load())
		return nil
	}); err != nil {
		return nil, fmt.Errorf("register held entities: %w", err)
	}
	if err := telemetry.RegisterProcessorAnomalyLimitEntitiesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(int64(settings.MaxEntities))
		return nil
	}); err != nil {
		return nil, fmt.Errorf("register limit of entities: %w", err)
	}
	return w, nil
}

// detectors returns new detectors for vectors of so many signals.
func (w *entities) detectors(signals int, interval time.Duration) ([]entityDetector, error) {
	var all []entityDetector
	var remote *entitydetector.RemoteModel
	if w.remote != nil {
		remote = w.remote.shared
	}
	for i, d := range w.configured {
		made, err := entitydetector.New(d.Type, entitydetector.Params{
			Signals: signals, Interval: interval, EpisodesPerDay: w.perDay, WarmUp: w.settings.WarmUp, Memory: w.settings.Memory,
			AdoptAfter: w.cfg.LevelShiftAfter, Seed: w.settings.Seed, Remote: remote,
		}, i)
		if err != nil {
			return nil, fmt.Errorf("detector %s: %w", d.Type, err)
		}
		all = append(all, entityDetector{Detector: made})
	}
	return all, nil
}

// build returns new detectors; an entity without them is passed over.
func (w *entities) build(signals int, interval int64) []entityDetector {
	w.tally.formed++
	all, err := w.detectors(signals, time.Duration(interval))
	if err != nil {
		w.logger.Debug("entity is not judged", zap.Error(err))
	}
	return all
}

// judged implements watcher.
func (w *entities) judged(b *batch, j *judged) {
	e := w.find(b, j)
	if e == nil {
		return
	}
	i := e.slot(w, j)
	if e.interval != 0 {
		look := (j.at - e.phase) / e.interval
		if look > e.look {
			// What came before a new look begins is all that comes of the last one.
			w.look(e)
			if e.interval != 0 {
				e.look, e.fresh, e.looked = look, 0, false
			}
		}
	}
	e.arrived = b.now
	if !e.touched {
		e.touched = true
		w.touched = append(w.touched, e)
	}
	if i == ignored || i >= len(e.signals) {
		return
	}
	if j.verdict.State == baseline.Abnormal {
		e.abnormal = j.at
	}
	e.take(&e.signals[i], j, j.verdict.Score, w.perDay)
}

// find returns the entity that a resource belongs to, or nil.
func (w *entities) find(b *batch, j *judged) *entity {
	if e, ok := w.byResource[j.resourceKey]; ok {
		return e
	}
	if len(w.byResource) >= mostResources*w.settings.MaxEntities {
		clear(w.byResource)
	}
	attributes := pcommon.NewMap()
	for i, name := range w.settings.By {
		v, ok := j.resource.Get(name)
		if !ok {
			if i == len(w.settings.By)-1 {
				w.byResource[j.resourceKey] = nil
				return nil
			}
			continue
		}
		v.CopyTo(attributes.PutEmpty(name))
	}
	key := w.encoder.Resource(attributes)
	e := w.byKey[key]
	if e == nil && len(w.byKey) < w.settings.MaxEntities && fits(attributes, nil) {
		e = &entity{
			attributes: attributes, first: j.at, arrived: b.now,
			series: map[seriesRef]int{}, byKey: map[seriesidentity.Key]int{},
		}
		w.byKey[key] = e
	}
	if e == nil {
		w.tally.refused++
	}
	w.byResource[j.resourceKey] = e
	return e
}

// look judges the look that is ending, if it was not yet.
func (w *entities) look(e *entity) {
	if e.looked || e.fresh == 0 {
		return
	}
	e.looked = true
	if e.usual == 0 {
		e.usual = float64(e.fresh)
	}
	e.usual += 0.1 * (float64(e.fresh) - e.usual)
	latest := int64(0)
	for i := range e.signals {
		if e.signals[i].look == e.look {
			latest = max(latest, e.signals[i].last)
		}
	}
	if e.assemble(latest) {
		w.close(e, latest)
		e.begin(latest)
		return
	}
	if e.detectors == nil {
		return
	}
	w.tally.vectors++
	series := e.abnormal != 0 && latest-e.abnormal < e.interval
	for i := range e.detectors {
		d := &e.detectors[i]
		v := d.Observe(&e.vector, e.shares)
		e.vector.Sources = append(e.vector.Sources, v.Source)
		abnormal := v.Ready && v.Score >= w.cfg.MinScore
		w.tally.verdicts[i][agreementOf(abnormal, series)]++
		if abnormal && !d.open {
			d.open, d.onset = true, latest
		}
		if d.open {
			w.out = append(w.out, pending{
				entity: e, detector: i, at: latest, onset: d.onset, score: v.Score, top: w.top(e, i, latest, abnormal),
			})
			d.open = abnormal
		}
	}
}

// close ends the episodes of an entity that is formed anew.
func (w *entities) close(e *entity, at int64) {
	for i := range e.detectors {
		if d := &e.detectors[i]; d.open {
			w.out = append(w.out, pending{entity: e, detector: i, at: at, onset: d.onset})
		}
	}
}

func agreementOf(entity, series bool) int {
	switch {
	case entity && series:
		return agreeBoth
	case entity:
		return agreeEntity
	case series:
		return agreeSeries
	default:
		return agreeNeither
	}
}

// top returns the signals that contributed most.
func (w *entities) top(e *entity, detector int, at int64, abnormal bool) []share {
	if !abnormal {
		return nil
	}
	order := make([]int, 0, len(e.shares))
	for i, s := range e.shares {
		if s > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case e.shares[a] > e.shares[b]:
			return -1
		case e.shares[a] < e.shares[b]:
			return 1
		default:
			return 0
		}
	})
	gainer, gained := e.detectors[detector].Detector.(entitydetector.Gainer)
	var all []share
	for _, i := range order[:min(len(order), w.settings.TopSignals)] {
		d := &e.signals[i]
		s := share{
			about: subject{metric: d.metric, signal: d.signal, detector: string(w.configured[detector].Type), attributes: d.attributes, at: at},
			part:  e.shares[i], gained: gained,
		}
		if gained {
			s.gain = gainer.Gain(i)
		}
		all = append(all, s)
	}
	return all
}

// done implements watcher.
func (w *entities) done(b *batch, md pmetric.Metrics) {
	for _, e := range w.touched {
		e.touched = false
		if e.interval == 0 {
			e.form(w, w.latest(e))
		} else if float64(e.fresh) >= complete*e.usual && e.usual > 0 {
			w.look(e)
		}
		w.tally.refusedSignals += e.refused
		e.refused = 0
	}
	w.touched = w.touched[:0]
	b.emitted += int64(len(w.out))
	w.emit(md)
	w.held.Store(int64(len(w.byKey)))
	w.count()
}

func (w *entities) latest(e *entity) int64 {
	at := int64(0)
	for i := range e.signals {
		at = max(at, e.signals[i].last)
	}
	return at
}

// emit adds the scores that wait, one resource an entity.
func (w *entities) emit(md pmetric.Metrics) {
	var of *entity
	var out emitter
	for i := range w.out {
		p := &w.out[i]
		if of != p.entity {
			of = p.entity
			rm := md.ResourceMetrics().AppendEmpty()
			of.attributes.CopyTo(rm.Resource().Attributes())
			out = emitter{resource: rm, version: w.version}
		}
		configured := &w.configured[p.detector]
		what := outScore
		if configured.Shadow {
			what = outShadow
		}
		about := subject{
			metric: semconv.SignalEntity, signal: semconv.SignalEntity, detector: string(configured.Type), attributes: pcommon.NewMap(), at: p.at,
		}
		out.score(what, &about, p.score, p.onset)
		for k := range p.top {
			out.emit(outContribution, &p.top[k].about, p.top[k].part)
			if p.top[k].gained {
				out.emit(outInformationGain, &p.top[k].about, p.top[k].gain)
			}
		}
	}
	clear(w.out)
	w.out = w.out[:0]
}

// forget implements watcher.
func (w *entities) forget(t *table, before, now int64) {
	clear(w.byResource)
	for k, e := range w.byKey {
		if e.arrived >= before {
			continue
		}
		delete(w.byKey, k)
		var open []vanishedSignal
		for i := range e.detectors {
			if d := &e.detectors[i]; d.open {
				c := &w.configured[i]
				open = append(open, vanishedSignal{name: semconv.SignalEntity, detector: string(c.Type), onset: d.onset, shadow: c.Shadow})
			}
		}
		if len(open) > 0 {
			// As long after the last point, in event time, as it is on our clock.
			at := w.latest(e) + max(0, now-e.arrived)
			t.vanished = append(t.vanished, vanished{resourceText(e.attributes), t.words.encode(semconv.SignalEntity, pcommon.NewMap()), open, at})
		}
	}
	w.held.Store(int64(len(w.byKey)))
}

func (w *entities) count() {
	ctx := context.Background()
	t := &w.tally
	w.telemetry.ProcessorAnomalyAssembledVectors.Add(ctx, t.vectors)
	w.telemetry.ProcessorAnomalyFormedEntities.Add(ctx, t.formed)
	w.telemetry.ProcessorAnomalyRefusedEntities.Add(ctx, t.refused)
	w.telemetry.ProcessorAnomalyRefusedSignals.Add(ctx, t.refusedSignals)
	for i := range t.verdicts {
		for a, n := range t.verdicts[i] {
			if n > 0 {
				w.telemetry.ProcessorAnomalyEntityVerdicts.Add(ctx, n, w.agreement[i][a]...)
			}
		}
		t.verdicts[i] = [agreements]int64{}
	}
	t.vectors, t.formed, t.refused, t.refusedSignals = 0, 0, 0, 0
}
