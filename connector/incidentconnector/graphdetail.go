package incidentconnector

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxTallied is how many error types, and how many operations, are told apart on an edge.
	maxTallied = 8
	// mostOf is the share of the failed calls from which on an error type or an operation is said to be theirs.
	mostOf = 0.5
	// nearlyAll is the share from which on it is said without reservation.
	nearlyAll = 0.95
)

// operationMetrics are those of the graph that tell operations apart.
var operationMetrics = map[string]bool{
	semconv.MetricGraphOperationRequestTotal: true, semconv.MetricGraphOperationRequestServer: true,
	semconv.MetricGraphOperationRequestClient: true,
}

// details holds what explains the troubles of edges to people: how and at what calls failed, and examples.
type details struct {
	limit int
	edges map[edgehealth.Key]*edgeDetail
}

type edgeDetail struct {
	seen time.Time
	// errors and operations count failed calls.
	errors, operations tally
	failed, slow       traces
}

func newDetails(limit int) *details {
	return &details{limit: limit, edges: map[edgehealth.Key]*edgeDetail{}}
}

// of returns what is known of an edge, or nil when there is no room for it.
func (d *details) of(key edgehealth.Key, at time.Time) *edgeDetail {
	detail := d.edges[key]
	if detail == nil {
		if len(d.edges) >= d.limit {
			return nil
		}
		detail = &edgeDetail{}
		d.edges[key] = detail
	}
	if at.After(detail.seen) {
		detail.seen = at
	}
	return detail
}

func (d *details) forget(before time.Time) {
	for key, detail := range d.edges {
		if detail.seen.Before(before) {
			delete(d.edges, key)
		}
	}
}

// tally counts things by name, of which what lies back weighs less: half after each halfLife.
type tally struct {
	entries []tallied
}

type tallied struct {
	name string
	n    float64
	at   time.Time
}

// tallyHalfLife is short, for it is asked about what goes on now.
const tallyHalfLife = time.Minute

func (t *tallied) now(at time.Time) float64 {
	return t.n * math.Exp2(-max(0, at.Sub(t.at).Seconds())/tallyHalfLife.Seconds())
}

// add counts n more of a name. When there is no room the one that weighs least goes.
func (t *tally) add(name string, n float64, at time.Time) {
	least := -1
	for i := range t.entries {
		entry := &t.entries[i]
		if entry.name == name {
			entry.n = entry.now(at) + n
			if at.After(entry.at) {
				entry.at = at
			}
			return
		}
		if least < 0 || entry.now(at) < t.entries[least].now(at) {
			least = i
		}
	}
	added := tallied{bounded(name), n, at}
	switch {
	case len(t.entries) < maxTallied:
		t.entries = append(t.entries, added)
	case t.entries[least].now(at) < n:
		t.entries[least] = added
	}
}

// most returns the name that most of the counted have, and their share; no name when there is none.
func (t *tally) most(at time.Time) (name string, share float64) {
	best, sum := 0.0, 0.0
	for i := range t.entries {
		n := t.entries[i].now(at)
		sum += n
		if n > best || n == best && t.entries[i].name < name {
			best, name = n, t.entries[i].name
		}
	}
	if sum <= 0 || best < mostOf*sum {
		return "", 0
	}
	return name, best / sum
}

// failures says how and at what the calls of an edge fail, in brackets, as far as most of them agree.
func (d *details) failures(key edgehealth.Key, at time.Time) string {
	detail := d.edges[key]
	if detail == nil {
		return ""
	}
	var parts []string
	say := func(prefix string, t *tally) {
		if name, share := t.most(at); name != "" {
			if share < nearlyAll {
				prefix = "mostly " + prefix
			}
			parts = append(parts, prefix+excerpt(name))
		}
	}
	say(semconv.AttrErrorType+"=", &detail.errors)
	say("", &detail.operations)
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// ingestOperations takes a metric of the operations of edges in and returns its newest time.
func (e *engine) ingestOperations(m pmetric.Metric, resource [16]byte) time.Time {
	if m.Name() != semconv.MetricGraphOperationRequestTotal || m.Type() != pmetric.MetricTypeSum {
		e.exemplarsOf(m)
		return newestOf(m)
	}
	for _, p := range m.Sum().DataPoints().All() {
		attrs := p.Attributes()
		version, failure := str(attrs, semconv.AttrGraphServerVersion), str(attrs, semconv.AttrErrorType)
		key, ok := e.edgeKey(attrs)
		r := reading{count: numberOf(p)}
		if !ok || !(r.count >= 0) || r.count > maxAmount {
			e.refusals.invalid++
			continue
		}
		if version == "" && failure == "" {
			continue
		}
		at, skewed := e.clock.place(p.Timestamp().AsTime().Add(-1))
		if skewed {
			e.refusals.skewed++
			continue
		}
		if m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative {
			known, refused := e.deltas.since(seriesKey{m.Name(), resource, pdatautil.MapHash(attrs)}, p.StartTimestamp(), p.Timestamp(), &r)
			if refused {
				e.refusals.limit++
			}
			if !known {
				continue
			}
		}
		if r.count == 0 {
			continue
		}
		if callee := entityOf(key.Server); version != "" && callee.Type == semconv.EntityService {
			e.noteVersion(callee.Name, versionKey{attribute: semconv.AttrServiceVersion}, semconv.ChangeVersion, bounded(version), at)
		}
		if failure == "" {
			continue
		}
		detail := e.details.of(key, at)
		if detail == nil {
			e.refusals.limit++
			continue
		}
		detail.errors.add(failure, r.count, at)
		if operation := str(attrs, semconv.AttrGraphOperation); operation != "" && operation != semconv.GraphOtherOperation {
			detail.operations.add(operation, r.count, at)
		}
	}
	e.exemplarsOf(m)
	return newestOf(m)
}

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

// failureSummary says that the calls of an edge fail.
func (e *engine) failureSummary(f edgehealth.Finding, client string, now time.Time) string {
	return fmt.Sprintf("%.0f %% of the calls from %s fail instead of %.1f %%%s", 100*f.Now, client, 100*f.Normal, e.details.failures(f.Key, now))
}
