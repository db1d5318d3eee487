package incidentconnector

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
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

// ingestOperations takes a metric of the operations of edges in.
func (e *engine) ingestOperations(m pmetric.Metric, resource [16]byte) {
	if m.Name() != semconv.MetricGraphOperationRequestTotal || m.Type() != pmetric.MetricTypeSum {
		e.exemplarsOf(m)
		return
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
}

// failureSummary says that the calls of an edge fail.
func (e *engine) failureSummary(f edgehealth.Finding, client string, now time.Time) string {
	return fmt.Sprintf("%.0f %% of the calls from %s fail instead of %.1f %%%s", 100*f.Now, client, 100*f.Normal, e.details.failures(f.Key, now))
}
