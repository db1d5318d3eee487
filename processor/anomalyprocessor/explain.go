package anomalyprocessor

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/semconv"
)

// notable is the deviation, in spreads, from which on it is worth saying why a point is not abnormal.
const notable = 4

// why says why a point is abnormal or not.
type why uint8

const (
	whyNormal why = iota
	whyAbnormal
	whyRecovered
	whyCooldown
	whyHabituated
	whyLevelAdopted
	whyPolicy
	whyWarmUp
	whys
)

var whyNames = [whys]string{
	whyNormal:       semconv.ReasonNormal,
	whyAbnormal:     semconv.ReasonAbnormal,
	whyRecovered:    semconv.ReasonRecovered,
	whyCooldown:     semconv.ReasonCooldown,
	whyHabituated:   semconv.ReasonHabituated,
	whyLevelAdopted: semconv.ReasonLevelAdopted,
	whyPolicy:       semconv.ReasonPolicy,
	whyWarmUp:       semconv.ReasonWarmUp,
}

// why says why a point was judged as it was.
func (p *anomalyProcessor) why(j *judged) why {
	v := &j.verdict
	switch {
	case v.State == baseline.Abnormal:
		return whyAbnormal
	case v.State == baseline.Adopted || v.Adopted:
		return whyLevelAdopted
	case v.State == baseline.Recovered:
		return whyRecovered
	case v.State == baseline.Learning:
		return whyWarmUp
	case v.State == baseline.Habitual:
		return whyHabituated
	case math.Abs(v.Deviation) < notable:
		return whyNormal
	}
	away := j.value - v.Expected
	switch {
	case away > 0 && j.limits.IgnoreUp, away < 0 && j.limits.IgnoreDown,
		math.Abs(away) < math.Max(j.limits.MinAbsolute, j.limits.MinRelative*math.Abs(v.Expected)):
		return whyPolicy
	case j.signal.turned != 0 && j.at-j.signal.turned < int64(p.cfg.Cooldown):
		return whyCooldown
	default:
		return whyNormal
	}
}

// explain adds the band of a point and why it was judged as it was, for as many series as may be explained.
func (b *batch) explain(j *judged, reason why) {
	if !j.signal.explained {
		if b.p.table.explained >= b.p.cfg.Explain.MaxSeries {
			b.unexplained++
			return
		}
		b.p.table.explained++
		j.signal.explained = true
	}
	about := j.subject(detectorBaseline)
	point := b.out.emit(outExplanation, &about, j.verdict.Score)
	point.Attributes().PutStr(semconv.AttrAnomalyReason, whyNames[reason])
	// What was sent with the score is not sent again.
	shown := reason == whyAbnormal || j.verdict.State == baseline.Recovered || j.verdict.State == baseline.Adopted
	if !shown || !b.p.cfg.EmitBand {
		b.out.band(&about, j)
	}
	if !shown || !b.p.cfg.EmitContributions {
		b.out.contributions(&about, &j.verdict)
	}
}
