package anomalyprocessor

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// judged is a derived value of a series, and what the default detector says about it.
type judged struct {
	// resource, resourceKey, metric and unit say whose value it is; attributes are those of the point.
	resource     pcommon.Map
	resourceKey  seriesidentity.Key
	metric, unit string
	attributes   pcommon.Map

	stream *stream
	signal *signal
	// at is in nanoseconds of event time.
	at             int64
	value, quantum float64
	limits         *baseline.Limits
	verdict        baseline.Verdict
}

// subject returns what is said of it by a detector. It may allocate.
func (j *judged) subject(detector string) subject {
	return subject{metric: j.metric, signal: j.signal.name(), detector: detector, attributes: j.attributes, at: j.at}
}

// watcher sees all that was judged: where detectors of more than one signal, or in shadow, are attached. It is called
// under the processor's lock, and must neither keep nor change what it is shown.
type watcher interface {
	// judged is called for each derived value, in the order of the batch.
	judged(b *batch, j *judged)
	// done is called behind the last point of a batch; scores may be added to the metrics then.
	done(b *batch, md pmetric.Metrics)
	// forget is called once a minute or more often: what had no point since the given time is dropped, and the table told
	// of the episodes that end thereby.
	forget(t *table, before, now int64)
}

// observe shows a signal its next value and adds what the detector says.
func (b *batch) observe(sig *signal, t int64, value, quantum float64) {
	// A quantile may stand in a point twice.
	if !finite(value) || t <= sig.series.Last() {
		return
	}
	j := &b.judged
	j.signal, j.at, j.value, j.quantum, j.limits = sig, t, value, quantum, b.rules.limits(sig.what)
	j.verdict = b.p.params.Observe(&sig.series, t, value, j.limits, quantum)
	if v := &j.verdict; v.State != baseline.Normal || v.Adopted || math.Abs(v.Deviation) >= notable {
		b.remark(j)
	} else if b.rules.explain {
		b.explain(j, whyNormal)
	}
	for _, w := range b.p.watchers {
		w.judged(b, j)
	}
}

// remark says what there is to say of a point that is not simply normal.
func (b *batch) remark(j *judged) {
	v := &j.verdict
	why := b.p.why(j)
	switch v.State {
	case baseline.Abnormal, baseline.Recovered, baseline.Adopted:
		if v.Opened {
			b.opened++
			// What is abnormal can vanish, and has to be closed then.
			b.p.table.describe(j.stream, j.metric, j.resource, j.attributes)
		}
		j.signal.turned = v.Onset
		if v.State != baseline.Abnormal {
			j.signal.turned = j.at
		}
		about := j.subject(detectorBaseline)
		b.out.verdict(b.p.cfg, &about, j)
		b.emitted++
	default:
	}
	b.unflagged[why]++
	if b.rules.explain {
		b.explain(j, why)
	}
}
