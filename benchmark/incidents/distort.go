package main

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

// distortion is what is wrong with the telemetry.
type distortion struct {
	dropEdges, sample float64
	skew, late        time.Duration
}

// distorter distorts the telemetry of one shop.
type distorter struct {
	distortion
	seed uint64
	// ahead and behind are the nodes whose clocks are wrong.
	ahead, behind string
}

const nodes = 5

func (d distortion) start(seed uint64) *distorter {
	out := &distorter{distortion: d, seed: seed}
	out.ahead = "node-" + strconv.FormatUint(1+seed%nodes, 10)
	out.behind = "node-" + strconv.FormatUint(1+(seed+2)%nodes, 10)
	return out
}

// graph takes the points of those edges away that are missing.
func (d *distorter) graph(md pmetric.Metrics) {
	if d.dropEdges <= 0 {
		return
	}
	missing := func(attrs pcommon.Map) bool {
		h := fnv.New64a()
		h.Write(binary.BigEndian.AppendUint64(nil, d.seed))
		h.Write([]byte(str(attrs, semconv.AttrGraphClient) + "\x00" + str(attrs, semconv.AttrGraphServer)))
		return float64(mix(h.Sum64()))/math.MaxUint64 < d.dropEdges
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			sm.Metrics().RemoveIf(func(m pmetric.Metric) bool {
				if !strings.HasPrefix(m.Name(), "traces_service_graph_") {
					return false
				}
				switch m.Type() {
				case pmetric.MetricTypeSum:
					m.Sum().DataPoints().RemoveIf(func(p pmetric.NumberDataPoint) bool { return missing(p.Attributes()) })
				case pmetric.MetricTypeHistogram:
					m.Histogram().DataPoints().RemoveIf(func(p pmetric.HistogramDataPoint) bool { return missing(p.Attributes()) })
				case pmetric.MetricTypeExponentialHistogram:
					m.ExponentialHistogram().DataPoints().RemoveIf(func(p pmetric.ExponentialHistogramDataPoint) bool { return missing(p.Attributes()) })
				}
				return false
			})
		}
	}
}

// mix spreads a hash over all bits (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// distort takes traces away and moves times.
func (d *distorter) distort(td ptrace.Traces, md pmetric.Metrics, ld plog.Logs) {
	if d.sample < 1 {
		d.sampleTraces(td)
	}
	if d.skew != 0 {
		d.skewTraces(td)
		d.skewMetrics(md)
		d.skewLogs(ld)
	}
}

// sampleTraces keeps a share of the traces, chosen by their IDs as OpenTelemetry's consistent probability sampling does,
// and says so in the tracestate.
func (d *distorter) sampleTraces(td ptrace.Traces) {
	const bits = 56
	threshold := uint64((1 - d.sample) * (1 << bits))
	state := "ot=th:" + strings.TrimRight(strconv.FormatUint(1<<bits|threshold, 16)[1:], "0")
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(s ptrace.Span) bool {
				id := s.TraceID()
				if binary.BigEndian.Uint64(id[8:])&(1<<bits-1) < threshold {
					return true
				}
				s.TraceState().FromRaw(state)
				return false
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
}

// offset is by how much the clock of a resource's node is wrong.
func (d *distorter) offset(resource pcommon.Resource) time.Duration {
	switch str(resource.Attributes(), semconv.AttrK8sNodeName) {
	case d.ahead:
		return d.skew
	case d.behind:
		return -d.skew
	default:
		return 0
	}
}

func moved(t pcommon.Timestamp, by time.Duration) pcommon.Timestamp {
	if t == 0 {
		return 0
	}
	return pcommon.NewTimestampFromTime(t.AsTime().Add(by))
}

func (d *distorter) skewTraces(td ptrace.Traces) {
	for _, rs := range td.ResourceSpans().All() {
		by := d.offset(rs.Resource())
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				s.SetStartTimestamp(moved(s.StartTimestamp(), by))
				s.SetEndTimestamp(moved(s.EndTimestamp(), by))
			}
		}
	}
}

func (d *distorter) skewLogs(ld plog.Logs) {
	for _, rl := range ld.ResourceLogs().All() {
		by := d.offset(rl.Resource())
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				lr.SetTimestamp(moved(lr.Timestamp(), by))
			}
		}
	}
}

func (d *distorter) skewMetrics(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		by := d.offset(rm.Resource())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					skewNumbers(m.Gauge().DataPoints(), by)
				case pmetric.MetricTypeSum:
					skewNumbers(m.Sum().DataPoints(), by)
				case pmetric.MetricTypeHistogram:
					for _, p := range m.Histogram().DataPoints().All() {
						p.SetStartTimestamp(moved(p.StartTimestamp(), by))
						p.SetTimestamp(moved(p.Timestamp(), by))
					}
				}
			}
		}
	}
}

func skewNumbers(points pmetric.NumberDataPointSlice, by time.Duration) {
	for _, p := range points.All() {
		p.SetStartTimestamp(moved(p.StartTimestamp(), by))
		p.SetTimestamp(moved(p.Timestamp(), by))
	}
}
