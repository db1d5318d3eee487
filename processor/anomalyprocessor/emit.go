package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// detectorName is the value of anomaly.detector.
const detectorName = "baseline"

// The metrics that are added, in the order in which they are.
const (
	outScore = iota
	outDeviation
	outExpected
	outLower
	outUpper
	outputs
)

// emitter adds scores to one resource's metrics, in a scope of their own behind all others.
type emitter struct {
	resource pmetric.ResourceMetrics
	scope    pmetric.ScopeMetrics
	open     bool
	points   [outputs]pmetric.NumberDataPointSlice
	made     [outputs]bool
	version  string
}

func (e *emitter) slice(out int) pmetric.NumberDataPointSlice {
	if !e.open {
		e.scope = e.resource.ScopeMetrics().AppendEmpty()
		e.scope.Scope().SetName(metadata.ScopeName)
		e.scope.Scope().SetVersion(e.version)
		e.open = true
	}
	if !e.made[out] {
		m := e.scope.Metrics().AppendEmpty()
		name, description := semconv.MetricAnomalyScore, "Confidence that the series is in an abnormal regime."
		switch out {
		case outDeviation:
			name, description = semconv.MetricAnomalyDeviation, "Signed distance from the expected value in units of the series' own normal spread."
		case outExpected:
			name, description = semconv.MetricAnomalyExpected, "Learnt level of the series, in the unit of the scored signal."
		case outLower:
			name, description = semconv.MetricAnomalyLower, "Lower end of the band that holds 96 % of the normal points."
		case outUpper:
			name, description = semconv.MetricAnomalyUpper, "Upper end of the band that holds 96 % of the normal points."
		}
		m.SetName(name)
		m.SetDescription(description)
		if out == outScore || out == outDeviation {
			m.SetUnit("1")
		}
		e.points[out] = m.SetEmptyGauge().DataPoints()
		e.made[out] = true
	}
	return e.points[out]
}

// emit adds one point about what was judged.
func (e *emitter) emit(out int, j *judged, value float64) pmetric.NumberDataPoint {
	p := e.slice(out).AppendEmpty()
	p.SetTimestamp(pcommon.Timestamp(j.at)) //nolint:gosec // a scored point's time is positive
	p.SetDoubleValue(value)
	a := p.Attributes()
	a.EnsureCapacity(j.attributes.Len() + 3)
	j.attributes.CopyTo(a)
	a.PutStr(semconv.AttrAnomalyMetric, j.metric)
	a.PutStr(semconv.AttrAnomalySignal, j.signal.name())
	a.PutStr(semconv.AttrAnomalyDetector, detectorName)
	return p
}

// verdict adds what there is to say about one scored point.
func (e *emitter) verdict(cfg *Config, j *judged) {
	score := e.emit(outScore, j, j.verdict.Score)
	score.SetStartTimestamp(pcommon.Timestamp(j.verdict.Onset)) //nolint:gosec // the time of a scored point
	if cfg.EmitDeviation {
		e.emit(outDeviation, j, j.verdict.Deviation)
	}
	if cfg.EmitBand {
		e.emit(outExpected, j, j.verdict.Expected)
		e.emit(outLower, j, j.verdict.Lower)
		e.emit(outUpper, j, j.verdict.Upper)
	}
}
