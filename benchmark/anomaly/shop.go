package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// alarm is the opening of an episode.
type alarm struct {
	at                           time.Time
	service, pod, metric, signal string
	// attributes are those of the point, with their names; values, without.
	attributes, values string
	score              float64
}

// series names the series in a short form, which is its own only together with its service.
func (a *alarm) series() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", orDefault(a.pod, a.service), a.metric, a.signal, a.values))
}

// watcher runs the shop's metrics through a processor with the default configuration and collects the alarms.
type watcher struct {
	sim       *shop.Simulation
	processor *scoring.Processor
	threshold float64
	interval  time.Duration
	episodes  map[string]*scoring.Episode
	alarms    []alarm
	points    int64
	exports   int64
}

// monday is when every simulation starts.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func newWatcher(ctx context.Context, o *options, start time.Time, seed uint64) (*watcher, error) {
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Rate, cfg.Start, cfg.MetricsOnly = seed, o.rate, start, true
	cfg.MetricsInterval = orDefault(o.interval, cfg.MetricsInterval)
	sim, err := shop.New(cfg)
	if err != nil {
		return nil, err
	}
	config := scoring.DefaultConfig()
	w := &watcher{sim: sim, threshold: config.MinScore, interval: cfg.MetricsInterval, episodes: map[string]*scoring.Episode{}}
	w.processor, err = scoring.New(ctx, config, w.read)
	return w, err
}

func (w *watcher) read(s scoring.Score) {
	a := alarm{
		at: s.Point.Timestamp().AsTime(), score: s.Value(), metric: s.Metric(), signal: s.Signal(),
		service: text(s.Resource, semconv.AttrServiceName), pod: text(s.Resource, semconv.AttrK8sPodName),
	}
	for name, v := range s.Point.Attributes().All() {
		switch name {
		case semconv.AttrAnomalyMetric, semconv.AttrAnomalySignal, semconv.AttrAnomalyDetector:
		default:
			a.attributes += name + "=" + v.AsString() + " "
			a.values += v.AsString() + " "
		}
	}
	key := strings.Join([]string{a.service, a.pod, a.metric, a.signal, a.attributes}, "\x00")
	e := w.episodes[key]
	if e == nil {
		e = &scoring.Episode{}
		w.episodes[key] = e
	}
	if e.Opens(a.score, s.Onset(), w.threshold) {
		w.alarms = append(w.alarms, a)
	}
}

func text(m pcommon.Map, name string) string {
	v, ok := m.Get(name)
	if !ok {
		return ""
	}
	return v.AsString()
}

// run simulates for a time and calls each, if any, after every export.
func (w *watcher) run(ctx context.Context, d time.Duration, each func(pmetric.Metrics) error) error {
	for range int(d / shop.TickLength) {
		_, md, _ := w.sim.Tick()
		n := md.DataPointCount()
		if n == 0 {
			continue
		}
		w.points += int64(n)
		w.exports++
		if err := w.processor.Consume(ctx, md); err != nil {
			return err
		}
		if each != nil {
			if err := each(md); err != nil {
				return err
			}
		}
	}
	return nil
}
