package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// ramp is the time in which a signal moves from where it is to where it was.
	ramp = 2 * time.Minute
	// apart is the least difference between the loads at both times, as a logarithm.
	apart = 0.35
)

// track is what is remembered of a series: the last half day of its values, or of its increments, and what was sent.
type track struct {
	values []sample
	// read and sent are the running totals of a cumulative series, before and after.
	read, sent sample
}

// sample is a value or an increment: of a number only the sum, of a histogram all.
type sample struct {
	sum     float64
	count   uint64
	buckets []uint64
}

// breaker passes metrics on, and for some time replaces one family of a service's signals by what it was half a day before.
type breaker struct {
	random   *rand.Rand
	lag      int
	interval time.Duration
	exports  int
	tracks   map[string]*track
	// cpu is the history of each service's CPU usage: its load.
	cpu      map[string][]float64
	services []string
	families map[string]string
	labels   []label
	next     time.Time
}

func newBreaker(random *rand.Rand, lag int, interval time.Duration) *breaker {
	b := &breaker{
		random: random, lag: lag, interval: interval, tracks: map[string]*track{}, cpu: map[string][]float64{}, families: map[string]string{},
	}
	for name, metrics := range families {
		for _, m := range metrics {
			b.families[m] = name
		}
	}
	return b
}

// pass changes metrics in place.
func (b *breaker) pass(md pmetric.Metrics, now time.Time, may bool) {
	if may && !now.Before(b.next) {
		b.begin(now)
	}
	current, weight := b.weight(now)
	load := map[string][]float64{}
	for _, rm := range md.ResourceMetrics().All() {
		service := entityOf(rm.Resource().Attributes())
		pod, _ := rm.Resource().Attributes().Get(semconv.AttrK8sPodName)
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				family := b.families[m.Name()]
				if family == "" {
					continue
				}
				w := 0.0
				if current != nil && current.entity == service && current.kind == family {
					w = weight
				}
				b.metric(pod.AsString()+" "+m.Name(), m, w, func(v float64) {
					if m.Name() == "k8s.pod.cpu.usage" {
						load[service] = append(load[service], v)
					}
				})
			}
		}
	}
	for s, values := range load {
		if b.cpu[s] == nil {
			b.services = append(b.services, s)
		}
		b.cpu[s] = append(b.cpu[s], mean(values))
	}
	slices.Sort(b.services)
	b.exports++
}

// begin starts a break of a service whose load was another one half a day ago.
func (b *breaker) begin(now time.Time) {
	b.next = now.Add(breakEvery)
	kind := familyNames[b.random.IntN(len(familyNames))]
	for range 50 {
		s := b.services[b.random.IntN(len(b.services))]
		h := b.cpu[s]
		n := len(h)
		if n < b.lag+30 || (kind == "requests" && !b.has(s)) {
			continue
		}
		// Over the whole break the two must stay apart; its future is like the last half hour's.
		if math.Abs(math.Log(mean(h[n-12:])/mean(h[n-b.lag:n-b.lag+60]))) < apart {
			continue
		}
		b.labels = append(b.labels, label{kind: kind, entity: s, start: now, end: now.Add(breakLasts)})
		return
	}
}

// has reports whether a service serves requests: databases do not.
func (b *breaker) has(service string) bool {
	for key := range b.tracks {
		if len(key) > len(service) && key[:len(service)] == service && b.tracks[key].read.count > 0 {
			return true
		}
	}
	return false
}

// weight returns the break at hand and how much of the past is in it.
func (b *breaker) weight(now time.Time) (*label, float64) {
	if len(b.labels) == 0 {
		return nil, 0
	}
	l := &b.labels[len(b.labels)-1]
	if now.After(l.end) {
		return nil, 0
	}
	return l, math.Min(1, float64(now.Sub(l.start)+b.interval)/float64(ramp))
}

func (b *breaker) metric(key string, m pmetric.Metric, weight float64, value func(float64)) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			b.number(key, p, weight, false, value)
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			b.number(key, p, weight, m.Sum().IsMonotonic(), value)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			b.histogram(key, p, weight)
		}
	default:
	}
}

func (b *breaker) track(key string, attributes pcommon.Map) *track {
	attributes.Range(func(k string, v pcommon.Value) bool {
		key += " " + k + "=" + v.AsString()
		return true
	})
	t := b.tracks[key]
	if t == nil {
		t = &track{values: make([]sample, b.lag)}
		b.tracks[key] = t
	}
	return t
}

// swap remembers a value and returns the one of half a day before.
func (t *track) swap(at int, v sample) sample {
	slot := &t.values[at%len(t.values)]
	old := *slot
	*slot = v
	return old
}

func (b *breaker) number(key string, p pmetric.NumberDataPoint, weight float64, cumulative bool, value func(float64)) {
	v := p.DoubleValue()
	integer := p.ValueType() == pmetric.NumberDataPointValueTypeInt
	if integer {
		v = float64(p.IntValue())
	}
	value(v)
	t := b.track(key, p.Attributes())
	now := v
	if cumulative {
		now = v - t.read.sum
		t.read.sum = v
	}
	then := t.swap(b.exports, sample{sum: now, count: 1})
	if then.count > 0 {
		now += weight * (then.sum - now)
	}
	if cumulative {
		t.sent.sum += now
		now = t.sent.sum
	}
	if integer {
		p.SetIntValue(int64(math.Round(now)))
	} else {
		p.SetDoubleValue(now)
	}
}

// histogram takes the increments of one time or of the other, each bucket by the toss of a coin.
func (b *breaker) histogram(key string, p pmetric.HistogramDataPoint, weight float64) {
	t := b.track(key, p.Attributes())
	buckets := p.BucketCounts().AsRaw()
	now := sample{sum: p.Sum() - t.read.sum, count: p.Count() - t.read.count, buckets: slices.Clone(buckets)}
	for i := range t.read.buckets {
		now.buckets[i] -= t.read.buckets[i]
	}
	t.read = sample{sum: p.Sum(), count: p.Count(), buckets: buckets}
	then := t.swap(b.exports, now)
	if weight > 0 && b.random.Float64() < weight {
		now = then
		if then.buckets == nil {
			now.buckets = make([]uint64, len(buckets))
		}
	}
	if t.sent.buckets == nil {
		t.sent.buckets = make([]uint64, len(buckets))
	}
	t.sent.sum += now.sum
	t.sent.count += now.count
	for i, n := range now.buckets {
		t.sent.buckets[i] += n
	}
	p.SetSum(t.sent.sum)
	p.SetCount(t.sent.count)
	p.BucketCounts().FromRaw(t.sent.buckets)
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(1, len(x)))
}
