package anomalyprocessor

import (
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

// watcher sees all that was judged: where detectors of more than one signal, or in shadow, are attached. It is called
// under the processor's lock, and must neither keep nor change what it is shown.
type watcher interface {
	// judged is called for each derived value, in the order of the batch.
	judged(b *batch, j *judged)
	// done is called behind the last point of a batch; scores may be added to the metrics then.
	done(b *batch, md pmetric.Metrics)
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
	if j.verdict.Opened {
		b.opened++
	}
	switch j.verdict.State {
	case baseline.Abnormal, baseline.Recovered, baseline.Adopted:
		b.out.verdict(b.p.cfg, j)
		b.emitted++
	default:
	}
	for _, w := range b.p.watchers {
		w.judged(b, j)
	}
}
