package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/baseline"
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
	// metric is the name of what is being scored.
	metric  string
	version string
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

func (e *emitter) emit(out int, attributes pcommon.Map, signal string, t int64, value float64) pmetric.NumberDataPoint {
	p := e.slice(out).AppendEmpty()
	p.SetTimestamp(pcommon.Timestamp(t)) //nolint:gosec // a scored point's time is positive
	p.SetDoubleValue(value)
	a := p.Attributes()
	a.EnsureCapacity(attributes.Len() + 3)
	attributes.CopyTo(a)
	a.PutStr(semconv.AttrAnomalyMetric, e.metric)
	a.PutStr(semconv.AttrAnomalySignal, signal)
	a.PutStr(semconv.AttrAnomalyDetector, detectorName)
	return p
}

// verdict adds what there is to say about one scored point.
func (e *emitter) verdict(cfg *Config, attributes pcommon.Map, signal string, t int64, v *baseline.Verdict) {
	score := e.emit(outScore, attributes, signal, t, v.Score)
	score.SetStartTimestamp(pcommon.Timestamp(v.Onset)) //nolint:gosec // the time of a scored point
	if cfg.EmitDeviation {
		e.emit(outDeviation, attributes, signal, t, v.Deviation)
	}
	if cfg.EmitBand {
		e.emit(outExpected, attributes, signal, t, v.Expected)
		e.emit(outLower, attributes, signal, t, v.Lower)
		e.emit(outUpper, attributes, signal, t, v.Upper)
	}
}
