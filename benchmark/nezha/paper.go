package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// referenceGap is how long after the fault-free minute, which is moved in time, the minute under evaluation begins: no
	// window that is judged reaches across it, and no clock seems to jump.
	referenceGap = 100 * time.Second
	// minuteBucket is the width of a bucket with which the longest window that is judged, of 18 buckets, spans the minute,
	// and maxSkew a skew that none of the gaps reaches.
	minuteBucket = 5 * time.Second
	maxSkew      = 2 * time.Minute
	// sampleSlack is how far from the end of the minute its metric sample may lie.
	sampleSlack = 30 * time.Second
	// never is a surprise that nothing reaches: no incident is opened but for the alert.
	never = 100
	// causesAsked is how many causes are asked for.
	causesAsked = 10
)

// judgeOnPaper answers each fault as the source judges it: from the traces and logs of its evaluation minute and one metric
// sample, with the day's one fault-free minute and the metrics before the injection to compare with. That something is wrong
// is given; what and where is asked.
func judgeOnPaper(ctx context.Context, dir string, d *day, s settings) ([]result, int64, error) {
	batches, lost, err := readBatches(dir, s)
	if err != nil {
		return nil, 0, err
	}
	reference, ok := d.reference()
	if !ok {
		return nil, 0, errors.New("the day has no fault-free window with traces")
	}
	results := make([]result, 0, len(d.Faults))
	for i := range d.Faults {
		f := &d.Faults[i]
		r := result{ID: f.ID, Type: f.Type, Service: f.Service, Label: f.Label, Ranking: []ranked{}, Evidence: []evidence{}}
		event, millis, err := answer(ctx, scene(batches, reference, f), f.Evaluation.End.Add(s.late), s)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", f.ID, err)
		}
		r.Millis = &millis
		if event != nil {
			r.Detected = true
			r.Ranking = ranking(*event)
			r.rank = rankOf(r.Ranking, f.Service)
			r.Evidence = evidenceAgainst(*event, f.Service)
			r.inner = r.rank == 1 && r.namesPlace()
		}
		results = append(results, r)
	}
	return results, lost, nil
}

// reference returns the source's own fault-free minute, or where its traces are missing the first fault-free window that
// has traces.
func (d *day) reference() (window, bool) {
	for _, own := range []bool{true, false} {
		for _, w := range d.FaultFree {
			if w.Traces && w.constructed() == own {
				return window{w.Start, w.End}, true
			}
		}
	}
	return window{}, false
}

// readBatches reads the whole day, in the order of event time.
func readBatches(dir string, s settings) (batches []otlpjsonl.Batch, lost int64, err error) {
	merger, err := open(dir)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, merger.Close()) }()
	owners := map[pcommon.SpanID]string{}
	if s.dropEdges > 0 {
		if owners, err = readOwners(dir); err != nil {
			return nil, 0, err
		}
	}
	for {
		batch, err := merger.Next()
		if errors.Is(err, io.EOF) {
			return batches, merger.Stats().Lost(), nil
		}
		if err != nil {
			return nil, 0, err
		}
		s.spoil(&batch, owners)
		batches = append(batches, batch)
	}
}

// scene returns what may be known of a fault: the metrics before its injection, the fault-free minute moved to just before
// the minute under evaluation, that minute, and the metric sample at its end.
func scene(batches []otlpjsonl.Batch, reference window, f *fault) []otlpjsonl.Batch {
	minute := window{f.Evaluation.Start, f.Evaluation.End}
	by := minute.start.Add(-referenceGap).Sub(reference.end)
	var out []otlpjsonl.Batch
	for _, b := range batches {
		at := b.Time.AsTime()
		switch {
		case b.Signal == otlpjsonl.Metrics:
			if at.Before(f.InjectTime) || at.Sub(minute.end).Abs() <= sampleSlack {
				out = append(out, b)
			}
		case minute.holds(at):
			out = append(out, b)
		}
		if b.Signal != otlpjsonl.Metrics && reference.holds(at) {
			out = append(out, moved(b, by))
		}
	}
	slices.SortStableFunc(out, func(a, b otlpjsonl.Batch) int { return cmp.Compare(a.Time, b.Time) })
	return out
}

type window struct{ start, end time.Time }

func (w window) holds(t time.Time) bool { return !t.Before(w.start) && t.Before(w.end) }

// moved returns a copy of a batch, moved in time.
func moved(b otlpjsonl.Batch, by time.Duration) otlpjsonl.Batch {
	switch b.Signal {
	case otlpjsonl.Traces:
		td := ptrace.NewTraces()
		b.Traces.CopyTo(td)
		b.Traces = td
	case otlpjsonl.Metrics:
		md := pmetric.NewMetrics()
		b.Metrics.CopyTo(md)
		b.Metrics = md
	case otlpjsonl.Logs:
		ld := plog.NewLogs()
		b.Logs.CopyTo(ld)
		b.Logs = ld
	}
	b.Shift(by)
	return b
}

// answer shows a scene to the components, raises an alert when it is over, and returns the incident that answers it and how
// long that took, in milliseconds.
func answer(ctx context.Context, batches []otlpjsonl.Batch, end time.Time, s settings) (event *semconv.IncidentEvent, millis float64, err error) {
	configs := s.configs()
	configs.Incident.OpenSurprise = never
	configs.Incident.Bucket = minuteBucket
	configs.Incident.MaxClockSkew = maxSkew
	configs.Incident.Limits.Causes = causesAsked
	l, err := loop.New(ctx, configs)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	p := pulse{idle: configs.Tracegraph.IdleTimeout}
	for i := range batches {
		if err := p.feed(ctx, l, &batches[i]); err != nil {
			return nil, 0, err
		}
	}
	start := time.Now()
	if err := l.Feed(ctx, ptrace.Traces{}, pmetric.Metrics{}, alert(end)); err != nil {
		return nil, 0, err
	}
	// What comes later shows the components that the minute is over.
	for i := range 2 {
		later := end.Add(time.Duration(i+1) * heartbeat)
		if err := l.Feed(ctx, beat(later), beatOfMetrics(later), plog.Logs{}); err != nil {
			return nil, 0, err
		}
	}
	millis = math.Round(time.Since(start).Seconds()*1e6) / 1e3
	for _, e := range l.Events() {
		if e.Name == semconv.EventIncidentOpened {
			return &e, millis, nil
		}
	}
	return nil, millis, nil
}

// heartbeat is the distance of the signs of life after a minute.
const heartbeat = 20 * time.Second

// alert says that somebody has seen that something is wrong.
func alert(at time.Time) plog.Logs {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
	lr.SetEventName(string(semconv.EventAlertRaised))
	return ld
}

func beatOfMetrics(at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("heartbeat")
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	p.SetIntValue(1)
	return md
}
