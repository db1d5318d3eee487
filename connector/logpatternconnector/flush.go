package logpatternconnector

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/patternrate"
	"github.com/paramedic-otel/paramedic/semconv"
)

// keepWeight is what is left, after an interval, of how often patterns were written: half of it after 100.
const keepWeight = 0.993

// closeInterval judges the next interval, sends its counts and opens the one behind the other open one. Its points have the end
// as their time.
func (e *engine) closeInterval(ctx context.Context, end int64, now time.Time) {
	started := time.Now()
	e.resolve()
	place := e.next & 1
	f := flush{
		md: pmetric.NewMetrics(), place: int(place),
		start: pcommon.Timestamp(max(0, e.next*int64(e.cfg.FlushInterval))), //nolint:gosec // not negative
	}
	f.end = max(f.start+1, pcommon.Timestamp(max(0, end))) //nolint:gosec // not negative
	services := e.sortedServices()
	wanted := e.metrics.wanted()
	if wanted {
		f.most = e.seriesOfEach(services)
	}
	e.budget = e.cfg.Limits.Events
	for _, s := range services {
		counts := &s.open[place]
		if counts.records == 0 {
			continue
		}
		e.judge(s, &f, now)
		if wanted {
			e.encode(s, &f)
		}
		for _, p := range s.order {
			p.weight = p.weight*keepWeight + float64(p.open[place])
			p.open[place] = 0
		}
		for _, x := range s.exceptions {
			x.open[place] = 0
		}
		counts.traces.Reset()
		traces := counts.traces
		*counts = serviceCounts{traces: traces}
	}
	e.used[place] = false
	e.next++
	e.makeRoom()
	if n := f.md.DataPointCount(); n > 0 {
		e.metrics.add(ctx, parcel[pmetric.Metrics]{load: f.md, size: int64(n)})
	}
	e.tel.builder.ConnectorLogpatternFlushDuration.Record(ctx, time.Since(started).Seconds())
}

// flush is what is made of an interval.
type flush struct {
	md         pmetric.Metrics
	place      int
	start, end pcommon.Timestamp
	// most is how many patterns of a service have series of their own.
	most int
}

// judge looks for patterns that are written far more often than before, or hardly any more.
func (e *engine) judge(s *service, f *flush, now time.Time) {
	if !e.cfg.Rates.Enabled {
		return
	}
	counts := &s.open[f.place]
	e.counts = e.counts[:0]
	for _, p := range s.order {
		e.counts = append(e.counts, patternrate.Count{Rate: &p.rate, Records: p.open[f.place]})
	}
	for _, found := range s.rate.Close(patternrate.Bucket{
		Index: e.next, Records: counts.records, Traced: counts.traced, Traces: counts.traces.Estimate(), Counts: e.counts,
	}, &e.rates) {
		for _, p := range s.order {
			if &p.rate == found.Rate {
				e.tellRate(s, p, found, f, now)
			}
		}
	}
}

// seriesOfEach returns how many patterns of each service have series of their own, so that all together have not too many.
func (e *engine) seriesOfEach(services []*service) int {
	fits := func(most int) bool {
		n := 0
		for _, s := range services {
			n += min(len(s.order), most)
		}
		return n <= e.cfg.Limits.Series
	}
	least, most := 0, e.cfg.Limits.SeriesPerService
	for least < most {
		if middle := (least + most + 1) / 2; fits(middle) {
			least = middle
		} else {
			most = middle - 1
		}
	}
	return least
}

// encode adds the counts of a service to the metrics of a flush.
func (e *engine) encode(s *service, f *flush) {
	counts := &s.open[f.place]
	rm := f.md.ResourceMetrics().AppendEmpty()
	for _, a := range s.attributes {
		rm.Resource().Attributes().PutStr(a.name, a.value)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(metadata.ScopeName)
	other := counts.other
	records := sum(sm, semconv.MetricLogPatternCount, "{record}", "Records of a template.")
	for _, p := range e.shown(s, f, &other) {
		point := f.point(records, p.open[f.place])
		point.Attributes().PutStr(semconv.AttrLogPatternID, p.idText)
		point.Attributes().PutStr(semconv.AttrLogRecordTemplate, p.template)
		point.Attributes().PutStr(semconv.AttrLogPatternSeverity, severityNames[p.severity])
		p.putClass(point.Attributes())
	}
	for severity, n := range other {
		if n == 0 {
			continue
		}
		point := f.point(records, n)
		point.Attributes().PutStr(semconv.AttrLogPatternID, semconv.LogPatternOther)
		point.Attributes().PutStr(semconv.AttrLogPatternSeverity, severityNames[severity])
	}
	// Also 0 is told: that a service wrote records and none of an error.
	f.point(sum(sm, semconv.MetricLogErrorCount, "{record}", "Records with the severity ERROR or worse."), counts.errors)
	var exceptions []*exceptionCount
	for _, x := range s.exceptions {
		if x.open[f.place] > 0 {
			exceptions = append(exceptions, x)
		}
	}
	if len(exceptions) == 0 {
		return
	}
	slices.SortFunc(exceptions, func(a, b *exceptionCount) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.frame, b.frame))
	})
	thrown := sum(sm, semconv.MetricLogExceptionCount, "{exception}", "Exceptions by type and top frame.")
	for _, x := range exceptions {
		point := f.point(thrown, x.open[f.place])
		x.put(point.Attributes())
	}
}

// shown returns the patterns that were written and have a series of their own, errors and frequent ones first, and adds the
// counts of those that have none to the other ones.
func (e *engine) shown(s *service, f *flush, other *[severityClasses]uint64) []*pattern {
	ranked := s.order
	if len(ranked) > f.most {
		ranked = slices.Clone(ranked)
		slices.SortFunc(ranked, func(a, b *pattern) int {
			return cmp.Or(
				cmp.Compare(max(b.severity, classWarn), max(a.severity, classWarn)),
				cmp.Compare(b.weight+float64(b.open[f.place]), a.weight+float64(a.open[f.place])),
				cmp.Compare(a.id, b.id), cmp.Compare(a.severity, b.severity),
			)
		})
		for _, p := range ranked[f.most:] {
			other[p.severity] += p.open[f.place]
			e.stats.merged[mergedSeries] += int64(p.open[f.place]) //nolint:gosec // a count of records
		}
		ranked = ranked[:f.most]
	}
	shown := make([]*pattern, 0, len(ranked))
	for _, p := range ranked {
		if p.open[f.place] > 0 {
			shown = append(shown, p)
		}
	}
	slices.SortFunc(shown, func(a, b *pattern) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.severity, b.severity))
	})
	return shown
}

// sum appends a metric.
func sum(sm pmetric.ScopeMetrics, name, unit, description string) pmetric.NumberDataPointSlice {
	m := sm.Metrics().AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	m.SetDescription(description)
	s := m.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	return s.DataPoints()
}

// point appends a point.
func (f *flush) point(to pmetric.NumberDataPointSlice, n uint64) pmetric.NumberDataPoint {
	p := to.AppendEmpty()
	p.SetStartTimestamp(f.start)
	p.SetTimestamp(f.end)
	p.SetIntValue(int64(n)) //nolint:gosec // a count of records
	return p
}
