package anomalyprocessor

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/evidence"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
)

const (
	// formPoints is how many points the fastest series must have had before the signals of an entity are settled.
	formPoints = 20
	// candidates is how many times MaxSignals signals are looked at until then, and seriesPerSignal how many series, of
	// several instances, may make up the signals.
	candidates, seriesPerSignal = 4, 64
	// carry is how many of its intervals a value stands for a signal that did not come again.
	carry = 2.5
	// stale is how many intervals without a point make a signal a thing of the past; when half of them are the entity is
	// formed anew.
	stale = 30
	// complete is the share of the usual signals with which a look does not wait for more.
	complete = 0.9
)

// seriesRef is one series of an entity.
type seriesRef struct {
	stream   seriesidentity.Key
	quantile float64
	what     signalKind
}

// dimension is one signal of an entity: the mean of the same series of its instances.
type dimension struct {
	key            seriesidentity.Key
	metric, signal string
	attributes     pcommon.Map
	// last is the time of the newest point, gap the usual time between two in nanoseconds.
	last int64
	gap  float64
	seen int
	// sum, expected and n are of the look at hand; value and usual are what came of the last one.
	look          int64
	sum, expected float64
	n             float64
	low, high     float64
	// size and chance are what the series' own detector says, the most remarkable of the look.
	size, chance float64
}

// entity is the state of one entity.
type entity struct {
	attributes pcommon.Map
	// arrived is when the last point came, on our clock.
	arrived int64
	first   int64
	series  map[seriesRef]int
	byKey   map[seriesidentity.Key]int
	signals []dimension
	// interval is 0 until the signals are settled; looks begin at a multiple of it after phase.
	interval, phase int64
	look            int64
	fresh           int
	usual           float64
	looked          bool
	touched         bool
	// refused counts the signals for which there was no room.
	refused   int64
	detectors []entityDetector
	vector    entitydetector.Vector
	shares    []float64
	// abnormal is when a series of the entity was last abnormal.
	abnormal int64
}

// entityDetector is a detector of an entity and the episode that it sees.
type entityDetector struct {
	entitydetector.Detector
	open  bool
	onset int64
}

// ignored is the slot of a series that does not count.
const ignored = -1

// slot finds the signal that a series belongs to.
func (e *entity) slot(w *entities, j *judged) int {
	ref := seriesRef{stream: j.stream.key, quantile: j.signal.quantile, what: j.signal.what}
	if i, ok := e.series[ref]; ok {
		return i
	}
	if len(e.series) >= seriesPerSignal*w.settings.MaxSignals {
		e.refused++
		return ignored
	}
	name := j.signal.name()
	// Without the resource: the instances of a service share a signal.
	key := w.encoder.Metric(seriesidentity.Key{}, j.metric, name, int(j.signal.what))
	key = w.encoder.Series(key, j.attributes)
	i, ok := e.byKey[key]
	switch {
	case ok:
	case e.interval != 0:
		i = ignored // the signals are settled
	case len(e.signals) >= candidates*w.settings.MaxSignals, len(j.metric) > maxName:
		e.refused++
		i = ignored
	default:
		i = len(e.signals)
		e.byKey[key] = i
		e.signals = append(e.signals, dimension{
			key: key, metric: strings.Clone(j.metric), signal: name, attributes: brief(j.attributes),
			low: math.Inf(1), high: math.Inf(-1), chance: 1,
		})
	}
	e.series[ref] = i
	return i
}

// maxName bounds the names and values that are kept of a signal.
const maxName = 256

// brief copies attributes, unless there are too many, and no long ones.
func brief(from pcommon.Map) pcommon.Map {
	to := pcommon.NewMap()
	if from.Len() > 16 {
		return to
	}
	for k, v := range from.All() {
		if len(k) > maxName || v.Type() == pcommon.ValueTypeStr && len(v.Str()) > maxName || v.Type() > pcommon.ValueTypeBool {
			continue
		}
		v.CopyTo(to.PutEmpty(strings.Clone(k)))
	}
	return to
}

// take notes a value of a signal.
func (e *entity) take(d *dimension, j *judged, score, perDay float64) {
	if d.look != e.look || d.seen == 0 {
		d.look, d.sum, d.expected, d.n, d.size, d.chance = e.look, 0, 0, 0, 0, 1
		e.fresh++
	}
	if d.seen > 0 && j.at > d.last {
		gap := float64(j.at - d.last)
		if d.gap == 0 {
			d.gap = gap
		}
		d.gap += 0.1 * (math.Min(gap, 4*d.gap) - d.gap)
	}
	if j.at > d.last {
		d.seen++
		d.last = j.at
	}
	value := bounded(j.value)
	d.sum += value
	d.expected += bounded(j.verdict.Expected)
	d.n++
	d.low, d.high = math.Min(d.low, value), math.Max(d.high, value)
	if math.Abs(j.verdict.Deviation) >= math.Abs(d.size) {
		d.size = j.verdict.Deviation
	}
	// The score is a/(a+c) with c the number of such deviations that chance brings in a day.
	if score > 0 && d.gap > 0 {
		byChance := perDay * (1 - score) / score
		d.chance = math.Min(d.chance, math.Min(1, byChance*d.gap/float64(24*time.Hour)))
	}
}

// mostValue bounds what detectors are shown: sums and squares of it are finite.
const mostValue = 1e100

func bounded(v float64) float64 { return math.Max(-mostValue, math.Min(mostValue, v)) }

// form settles which signals make up the vectors and how far apart these are, once enough has been seen.
func (e *entity) form(w *entities, at int64) {
	most := 0
	for i := range e.signals {
		most = max(most, e.signals[i].seen)
	}
	if most < formPoints {
		return
	}
	span := float64(at - e.first)
	var gaps []float64
	kept := e.signals[:0]
	for _, d := range e.signals {
		// Neither what comes now and then nor what is always the same can be followed.
		if d.gap == 0 || float64(d.seen)*d.gap < span/2 || d.high <= d.low {
			continue
		}
		if len(kept) >= w.settings.MaxSignals {
			e.refused++
			continue
		}
		kept = append(kept, d)
		gaps = append(gaps, d.gap)
	}
	// In an order that is the same after a restart, and for a remote model.
	slices.SortStableFunc(kept, byName)
	e.signals = kept
	clear(e.byKey)
	clear(e.series)
	for i := range e.signals {
		e.byKey[e.signals[i].key] = i
	}
	if len(kept) < 2 {
		e.begin(at)
		return
	}
	slices.Sort(gaps)
	e.interval = int64(w.settings.Interval)
	if e.interval == 0 {
		second := float64(time.Second)
		e.interval = int64(second * math.Max(1, math.Round(gaps[len(gaps)/2]/second)))
	}
	// Points come about in the middle of a look, so that a little sooner or later is no other look.
	e.phase = at - e.interval/2
	n := len(e.signals)
	e.vector = entitydetector.Vector{Values: make([]float64, n), Sources: make([]evidence.Source, n, n+len(w.configured))}
	e.shares = make([]float64, n)
	e.look, e.fresh, e.usual, e.looked = 0, 0, 0, true
	e.detectors = w.build(n, e.interval)
}

// byName orders signals by metric, signal and attributes.
func byName(a, b dimension) int {
	return cmp.Or(strings.Compare(a.metric, b.metric), strings.Compare(a.signal, b.signal), cmp.Compare(a.key.Hi, b.key.Hi), cmp.Compare(a.key.Lo, b.key.Lo))
}

// begin starts to collect signals anew.
func (e *entity) begin(at int64) {
	clear(e.byKey)
	clear(e.series)
	e.signals, e.detectors = e.signals[:0], nil
	e.first, e.interval, e.look, e.fresh = at, 0, 0, 0
}

// assemble writes the vector of a look that ends at a time. A signal that did not come stands with its last value, if that is
// not old, else with its expected one. It says whether most signals are a thing of the past.
func (e *entity) assemble(at int64) (faded bool) {
	e.vector.At = at
	old := 0
	e.vector.Sources = e.vector.Sources[:len(e.signals)]
	for i := range e.signals {
		d := &e.signals[i]
		age := float64(at - d.last)
		e.vector.Sources[i] = evidence.Source{Chance: math.NaN()}
		switch {
		case d.n == 0:
			e.vector.Values[i] = math.NaN()
		case age <= carry*math.Max(d.gap, float64(e.interval)):
			e.vector.Values[i] = d.sum / d.n
		default:
			e.vector.Values[i] = d.expected / d.n
		}
		if d.look == e.look && d.n > 0 {
			e.vector.Sources[i] = evidence.Source{Chance: d.chance, Size: d.size}
		}
		if age > stale*math.Max(d.gap, float64(e.interval)) {
			old++
		}
	}
	return 2*old > len(e.signals)
}
