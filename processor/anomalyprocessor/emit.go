package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// The values of anomaly.detector.
const (
	detectorBaseline = "baseline"
	detectorAbsence  = "absence"
)

// The metrics that are added.
const (
	outScore = iota
	outDeviation
	outExpected
	outLower
	outUpper
	outExplanation
	outShadow
	outContribution
	outInformationGain
	outputs
)

// added describes the metrics that are added. Those without a unit have that of the scored signal.
var added = [outputs]struct{ name, description, unit string }{
	outScore:           {semconv.MetricAnomalyScore, "Confidence that the series is in an abnormal regime.", "1"},
	outDeviation:       {semconv.MetricAnomalyDeviation, "Signed distance from the expected value in units of the series' own normal spread.", "1"},
	outExpected:        {semconv.MetricAnomalyExpected, "Learnt level of the series, in the unit of the scored signal.", ""},
	outLower:           {semconv.MetricAnomalyLower, "Lower end of the band that holds 96 % of the normal points.", ""},
	outUpper:           {semconv.MetricAnomalyUpper, "Upper end of the band that holds 96 % of the normal points.", ""},
	outExplanation:     {semconv.MetricAnomalyExplanation, "Score of every point, with the reason why it is abnormal or not.", "1"},
	outShadow:          {semconv.MetricAnomalyShadowScore, "Score of a configuration in shadow.", "1"},
	outContribution:    {semconv.MetricAnomalyContribution, "Share of a signal or statistic in a score.", "1"},
	outInformationGain: {semconv.MetricAnomalyInformationGain, "How much knowing a signal tells, on the average, of its entity's state.", "bit"},
}

// emitter adds points to one resource's metrics, in a scope of their own behind all others.
type emitter struct {
	resource pmetric.ResourceMetrics
	scope    pmetric.ScopeMetrics
	open     bool
	points   [outputs]pmetric.NumberDataPointSlice
	made     [outputs]bool
	version  string
}

// subject is what an added point is about.
type subject struct {
	metric, signal, detector string
	attributes               pcommon.Map
	at                       int64
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
		m.SetName(added[out].name)
		m.SetDescription(added[out].description)
		m.SetUnit(added[out].unit)
		e.points[out] = m.SetEmptyGauge().DataPoints()
		e.made[out] = true
	}
	return e.points[out]
}

// emit adds one point.
func (e *emitter) emit(out int, about *subject, value float64) pmetric.NumberDataPoint {
	p := e.slice(out).AppendEmpty()
	p.SetTimestamp(pcommon.Timestamp(about.at)) //nolint:gosec // a scored point's time is positive
	p.SetDoubleValue(value)
	a := p.Attributes()
	a.EnsureCapacity(about.attributes.Len() + 4)
	about.attributes.CopyTo(a)
	a.PutStr(semconv.AttrAnomalyMetric, about.metric)
	a.PutStr(semconv.AttrAnomalySignal, about.signal)
	a.PutStr(semconv.AttrAnomalyDetector, about.detector)
	return p
}

// score adds a score of an episode that began at onset.
func (e *emitter) score(out int, about *subject, score float64, onset int64) {
	p := e.emit(out, about, score)
	p.SetStartTimestamp(pcommon.Timestamp(onset)) //nolint:gosec // the time of a scored point
}

// verdict adds what there is to say about one scored point.
func (e *emitter) verdict(cfg *Config, about *subject, j *judged) {
	e.score(outScore, about, j.verdict.Score, j.verdict.Onset)
	if cfg.EmitDeviation {
		e.emit(outDeviation, about, j.verdict.Deviation)
	}
	if cfg.EmitContributions {
		e.contributions(about, &j.verdict)
	}
	if cfg.EmitBand {
		e.band(about, j)
	}
}

// leastShare is the share of a score from which on a statistic is worth naming.
const leastShare = 0.01

// contributions adds what each statistic of the default detector has in a score.
func (e *emitter) contributions(about *subject, v *baseline.Verdict) {
	for i, share := range v.Contributions {
		if share >= leastShare {
			p := e.emit(outContribution, about, float64(share))
			p.Attributes().PutStr(semconv.AttrAnomalyStatistic, baseline.Statistic(i).String()) //nolint:gosec // a small number
		}
	}
}

func (e *emitter) band(about *subject, j *judged) {
	e.emit(outExpected, about, j.verdict.Expected)
	e.emit(outLower, about, j.verdict.Lower)
	e.emit(outUpper, about, j.verdict.Upper)
}
