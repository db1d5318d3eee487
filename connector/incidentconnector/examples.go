package incidentconnector

import (
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// traces are examples: the traces of a few calls.
type traces []traceExample

type traceExample struct {
	id pcommon.TraceID
	at time.Time
	// value is the duration in seconds of the call; of those that failed the newest count.
	value float64
}

// put keeps an example if it is better than what there is: than those from before a time, or the least.
func (t *traces) put(x traceExample, since time.Time) {
	least := -1
	for i, other := range *t {
		if other.id == x.id {
			(*t)[i].value, (*t)[i].at = max(x.value, other.value), latest(x.at, other.at)
			return
		}
		if least < 0 || other.worse((*t)[least], since) {
			least = i
		}
	}
	if len(*t) < semconv.MaxTraceIDs {
		*t = append(*t, x)
	} else if (*t)[least].worse(x, since) {
		(*t)[least] = x
	}
}

// worse reports whether x is the worse example of the two: one from before a time, or else the smaller or the older one.
func (x traceExample) worse(other traceExample, since time.Time) bool {
	if old := x.at.Before(since); old != other.at.Before(since) {
		return old
	}
	if x.value != other.value {
		return x.value < other.value
	}
	return x.at.Before(other.at)
}

// ids returns the IDs of the examples since a time, the best first.
func (t traces) ids(since time.Time) (out []string) {
	kept := slices.DeleteFunc(slices.Clone(t), func(x traceExample) bool { return x.at.Before(since) })
	slices.SortFunc(kept, func(a, b traceExample) int {
		switch {
		case a.worse(b, since):
			return 1
		case b.worse(a, since):
			return -1
		default:
			return strings.Compare(a.id.String(), b.id.String())
		}
	})
	for _, x := range kept {
		out = append(out, x.id.String())
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// exemplarsOf takes the exemplars of all points of a metric of the graph.
func (e *engine) exemplarsOf(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			e.noteExemplars(m, p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			e.noteExemplars(m, p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			e.noteExemplars(m, p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	}
}

// noteExemplars keeps the traces of failed and of slow calls of an edge.
func (e *engine) noteExemplars(m pmetric.Metric, attrs pcommon.Map, at pcommon.Timestamp, exemplars pmetric.ExemplarSlice) {
	if exemplars.Len() == 0 {
		return
	}
	key, ok := e.edgeKey(attrs)
	if !ok {
		return
	}
	now, _ := e.clock.place(at.AsTime())
	detail := e.details.of(key, now)
	if detail == nil {
		e.refusals.limit++
		return
	}
	allFailed := m.Name() == semconv.MetricGraphRequestFailedTotal || failedCall(attrs)
	timed := m.Type() != pmetric.MetricTypeSum
	since := now.Add(-e.cfg.GroupWindow)
	for i := range min(exemplars.Len(), maxItems) {
		x := exemplars.At(i)
		example := traceExample{id: x.TraceID(), at: now}
		if example.id.IsEmpty() {
			continue
		}
		if t := x.Timestamp(); t != 0 && t <= at {
			example.at = t.AsTime()
		}
		if allFailed || failedCall(x.FilteredAttributes()) {
			detail.failed.put(example, since)
		}
		if timed && x.ValueType() == pmetric.ExemplarValueTypeDouble && x.DoubleValue() > 0 && x.DoubleValue() <= maxAmount {
			example.value = x.DoubleValue()
			detail.slow.put(example, since)
		}
	}
}

// failedCall reports whether attributes of a point or an exemplar say that the call failed.
func failedCall(attrs pcommon.Map) bool {
	if v, ok := attrs.Get(semconv.AttrGraphFailed); ok && v.Type() == pcommon.ValueTypeBool && v.Bool() {
		return true
	}
	return str(attrs, semconv.AttrErrorType) != ""
}
