package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/baseline"
)

// shadow judges all that the active configuration judges, by another configuration. Nothing acts on what it says.
type shadow struct {
	params baseline.Params
	emit   bool
}

// The values of the attribute by of the alarms that are compared.
const (
	byActive = iota
	byBoth
	byShadow
	bys
)

var byNames = [bys]string{byActive: "active", byBoth: "both", byShadow: "shadow"}

func (s *shadow) judged(b *batch, j *judged) {
	t := &b.p.table
	if j.signal.shadow == 0 {
		j.signal.shadow = t.shadows.take() + 1
	}
	v := s.params.Observe(t.shadows.at(j.signal.shadow-1), j.at, j.value, j.limits, j.quantum)
	active := j.verdict.State == baseline.Abnormal
	switch v.State {
	case baseline.Abnormal:
		if active {
			b.alarms[byBoth]++
		} else {
			b.alarms[byShadow]++
		}
	case baseline.Recovered, baseline.Adopted:
		if active {
			b.alarms[byActive]++
		}
	default:
		if active {
			b.alarms[byActive]++
		}
		return
	}
	if s.emit {
		about := j.subject(detectorBaseline)
		b.out.score(outShadow, &about, v.Score, v.Onset)
	}
}

func (*shadow) done(*batch, pmetric.Metrics) {}

// forget does nothing: its states go with the signals.
func (*shadow) forget(*table, int64, int64) {}
