package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/connector/incidentconnector"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// symptom is something abnormal that the incident connector found.
type symptom struct {
	class, entity, signal, what, summary string
	found                                time.Time
	opens                                bool
	incident                             string
	// ended are the ends of its episodes, begun their beginnings.
	begun, ended []time.Time
}

// firing is for how many intervals until a time an alert manager would have fired for it.
func (s *symptom) firing(until time.Time, interval time.Duration) int {
	n := 0
	for i, t := range s.begun {
		end := until
		if i < len(s.ended) {
			end = s.ended[i]
		}
		n += 1 + int(end.Sub(t)/interval)
	}
	return n
}

// key is the same for the same symptom in another run: the series of a signal bear the names of pods, which differ.
func (s *symptom) key() string {
	what := s.what
	if s.class == "signal" {
		what = s.signal
	}
	return s.class + "\x00" + s.entity + "\x00" + what
}

// service is the name of the service that the symptom is of.
func (s *symptom) service() string { return bare(s.entity) }

// incident is what was told of one incident.
type incident struct {
	id     string
	events []semconv.IncidentEvent
}

// trace is all that came of one simulation.
type trace struct {
	start, end time.Time
	symptoms   []*symptom
	incidents  []*incident
	// episodes counts the times that a series' score rose to what counts as abnormal, firing the same with repetitions.
	episodes, firing int
}

func (t *trace) incident(id string) *incident {
	for _, i := range t.incidents {
		if i.id == id {
			return i
		}
	}
	return nil
}

// simulate runs a scenario for some time through the components.
func simulate(ctx context.Context, o options, s scenario, d time.Duration) (t trace, err error) {
	cfg := shop.DefaultConfig()
	cfg.Seed = s.seed
	// Each shop at another time of day, and so under another load.
	cfg.Start = time.Date(2026, 3, 2, int(s.seed%24), 0, 0, 0, time.UTC)
	for _, f := range s.faults {
		cfg.Faults = append(cfg.Faults, shop.ScheduledFault{Fault: f.Fault, Offset: f.at})
		cfg.Faults[len(cfg.Faults)-1].Duration = o.watch
	}
	sim, err := shop.New(cfg)
	if err != nil {
		return t, err
	}
	t.start = cfg.Start
	configs := o.configs()
	if late := o.distortion.late; late > 0 && len(s.faults) > 0 {
		first, last := s.faults[0].at, s.faults[len(s.faults)-1].at
		configs.Incident.Silences = append(configs.Incident.Silences, incidentconnector.SilenceConfig{
			Name: "late", Matchers: incidentconnector.MatchersConfig{Entities: []string{"*"}},
			Start: cfg.Start.Add(first).Format(time.RFC3339), End: cfg.Start.Add(last + late).Format(time.RFC3339),
		})
	}
	if err := xconfmap.Validate(configs.Incident); err != nil {
		return t, fmt.Errorf("incident: %w", err)
	}
	log := &symptomLog{now: sim.Now}
	configs.Logger = zap.New(log)
	episodes := episodes{least: configs.Incident.MinScore, interval: o.evaluate, fired: map[[16]byte]time.Time{}, trace: &t}
	configs.Scores = episodes.count
	distorter := o.distortion.start(s.seed)
	configs.Graph = distorter.graph
	l, err := loop.New(ctx, configs)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	for range int(d / shop.TickLength) {
		td, md, ld := sim.Tick()
		distorter.distort(td, md, ld)
		if err := l.Feed(ctx, td, md, ld); err != nil {
			return t, err
		}
		for _, e := range l.Events() {
			i := t.incident(e.Incident.ID)
			if i == nil {
				i = &incident{id: e.Incident.ID}
				t.incidents = append(t.incidents, i)
			}
			i.events = append(i.events, at(sim.Now(), e))
		}
	}
	t.symptoms, t.end = log.symptoms, sim.Now()
	return t, nil
}

// at sets the time of an event to when it came, which is later than the end of the bucket that it is about.
func at(now time.Time, e semconv.IncidentEvent) semconv.IncidentEvent {
	e.Time = now
	return e
}

// episodes counts what an alert manager would be told with a rule on each series: its score is as high as the incident
// connector wants it.
type episodes struct {
	least    float64
	interval time.Duration
	// fired is when the alert of a series was last sent, while it is abnormal.
	fired map[[16]byte]time.Time
	trace *trace
}

func (e *episodes) count(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		resource := pdatautil.MapHash(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != semconv.MetricAnomalyScore {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					e.point(resource, p)
				}
			}
		}
	}
}

func (e *episodes) point(resource [16]byte, p pmetric.NumberDataPoint) {
	key := pdatautil.MapHash(p.Attributes())
	for i := range key {
		key[i] ^= resource[i]
	}
	if p.DoubleValue() < e.least {
		delete(e.fired, key)
		return
	}
	fired, firing := e.fired[key]
	if !firing {
		e.trace.episodes++
	}
	if now := p.Timestamp().AsTime(); !firing || now.Sub(fired) >= e.interval {
		e.fired[key] = now
		e.trace.firing++
	}
}

// symptomLog reads what becomes of symptoms from the debug log of the incident connector.
type symptomLog struct {
	zapcore.LevelEnabler
	now      func() time.Time
	symptoms []*symptom
}

// Enabled takes everything.
func (l *symptomLog) Enabled(zapcore.Level) bool { return true }

// With is not used by the connector for what is read.
func (l *symptomLog) With([]zapcore.Field) zapcore.Core { return l }

// Check takes everything.
func (l *symptomLog) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, l)
}

// Sync has nothing to do.
func (l *symptomLog) Sync() error { return nil }

// Write reads one entry.
func (l *symptomLog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if !strings.HasPrefix(e.Message, "symptom ") {
		return nil
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	text := func(name string) string {
		s, _ := enc.Fields[name].(string)
		return s
	}
	class, entity, what := text("class"), text("entity"), text("what")
	var known *symptom
	for i := len(l.symptoms) - 1; i >= 0 && known == nil; i-- {
		if s := l.symptoms[i]; s.class == class && s.entity == entity && s.what == what {
			known = s
		}
	}
	switch {
	case e.Message == "symptom found":
		opens, _ := enc.Fields["opens"].(bool)
		l.symptoms = append(l.symptoms, &symptom{
			class: class, entity: entity, signal: text("signal"), what: what, summary: text("summary"),
			found: l.now(), begun: []time.Time{l.now()}, opens: opens,
		})
	case known == nil:
		return fmt.Errorf("%s: %s of %s was never found", e.Message, what, entity)
	case e.Message == "symptom returned":
		known.begun = append(known.begun, l.now())
	case e.Message == "symptom subsided":
		known.ended = append(known.ended, l.now())
	default:
		known.incident = text("incident_id")
	}
	return nil
}

// bare returns a name without its type and namespace.
func bare(name string) string {
	return name[strings.LastIndexAny(name, "/:")+1:]
}

// names reports whether a cause is a service or a part of it.
func names(c semconv.Cause, service string) bool {
	return bare(c.Entity.Name) == service || c.Resource[semconv.AttrServiceName] == service
}

// str returns a text attribute.
func str(m pcommon.Map, key string) string {
	v, ok := m.Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}
