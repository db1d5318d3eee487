package shop

import (
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

type role uint8

const (
	roleServer role = iota
	roleConsumer
	roleClient
	roleQuery
	roleProducer
)

// spanRecord is a span that has not been encoded yet.
type spanRecord struct {
	start, end int64
	trace      pcommon.TraceID
	id, parent pcommon.SpanID
	pod        *pod
	op         *operation // of a SERVER or CONSUMER span
	step       *step      // of the others
	role       role
	failure    *failure
	path       string // of an HTTP operation
	seq        uint32
}

// logRecord is a log record that has not been encoded yet.
type logRecord struct {
	at       int64
	trace    pcommon.TraceID
	span     pcommon.SpanID
	svc      *service
	pod      *pod // nil for a record about the whole service
	severity plog.SeverityNumber
	body     string
	failure  *failure
	change   *change
	seq      uint32
}

// change is what a change event tells.
type change struct {
	kind, version, previous string
	replicas                int
}

// horizon is how many ticks ahead records can wait. Four services in a row that each take twice maxWait stay below it.
const horizon = 256

// calendar holds records until the tick in which they happen. Its size is bounded by limit.
type calendar struct {
	limit, held int
	dropped     int64
	seq         uint32
	first       int64 // the tick that is due next
	spans       [horizon][]spanRecord
	logs        [horizon][]logRecord
}

func (c *calendar) slot(tick int64) (int, bool) {
	if c.held >= c.limit {
		c.dropped++
		return 0, false
	}
	c.held++
	c.seq++
	return int(min(max(tick, c.first), c.first+horizon-1) % horizon), true
}

// due takes out what happens in the tick, in the order of time.
func (c *calendar) due(tick int64) ([]spanRecord, []logRecord) {
	i := tick % horizon
	spans, logs := c.spans[i], c.logs[i]
	c.spans[i], c.logs[i] = nil, nil
	c.first = tick + 1
	c.held -= len(spans) + len(logs)
	slices.SortFunc(spans, func(a, b spanRecord) int { return order(a.end, b.end, a.seq, b.seq) })
	slices.SortFunc(logs, func(a, b logRecord) int { return order(a.at, b.at, a.seq, b.seq) })
	return spans, logs
}

func order(t, u int64, a, b uint32) int {
	switch {
	case t != u && t < u, t == u && a < b:
		return -1
	default:
		return 1
	}
}

func (s *Simulation) addSpan(r spanRecord) {
	if i, ok := s.calendar.slot(s.tickOf(r.end)); ok {
		r.seq = s.calendar.seq
		s.calendar.spans[i] = append(s.calendar.spans[i], r)
	}
}

func (s *Simulation) addLog(r logRecord) {
	if i, ok := s.calendar.slot(s.tickOf(r.at)); ok {
		r.seq = s.calendar.seq
		s.calendar.logs[i] = append(s.calendar.logs[i], r)
	}
}

// facts are the variable parts of log records, drawn once a request so that its records agree.
type facts struct {
	user, sku, order, number uint32
	cents                    uint32
	hex                      uint64
}

func (r *request) drawFacts() {
	a, b := r.rng.Uint64(), r.rng.Uint64()
	r.facts = facts{
		user: uint32(a%90_000) + 10_000, sku: uint32(a>>20%5_000) + 1_000, order: uint32(a>>36%9_000_000) + 1_000_000,
		number: uint32(b%12) + 1, cents: uint32(b>>8%25_000) + 499, hex: b,
	}
}

// path is the URL path of an operation in this request.
func (f *facts) path(o *operation) string {
	if !o.hasVariables {
		return o.route
	}
	return f.expand(o.route, 0)
}

// expand fills in the {names} of a template.
func (f *facts) expand(template string, tookNanos int64) string {
	b := make([]byte, 0, len(template)+24)
	for i := 0; i < len(template); i++ {
		if template[i] != '{' {
			b = append(b, template[i])
			continue
		}
		end := i
		for end < len(template) && template[end] != '}' {
			end++
		}
		if end == len(template) {
			return string(append(b, template[i:]...))
		}
		b = f.value(b, template[i+1:end], tookNanos)
		i = end
	}
	return string(b)
}

func (f *facts) value(b []byte, name string, tookNanos int64) []byte {
	switch name {
	case "user", "user_id":
		return strconv.AppendUint(append(b, "u-"...), uint64(f.user), 10)
	case "sku", "id":
		return strconv.AppendUint(append(b, "SKU-"...), uint64(f.sku), 10)
	case "order":
		return strconv.AppendUint(b, uint64(f.order), 10)
	case "n":
		return strconv.AppendUint(b, uint64(f.number), 10)
	case "amount":
		return strconv.AppendFloat(b, float64(f.cents)/100, 'f', 2, 64)
	case "hex":
		return strconv.AppendUint(b, f.hex|1<<63, 16)
	case "ms":
		return strconv.AppendInt(b, tookNanos/1e6, 10)
	case "ip":
		b = append(b, "203.0.113."...)
		return strconv.AppendUint(b, f.hex>>16%254+1, 10)
	default:
		panic("shop: no such placeholder: " + name)
	}
}

func (r *request) log(span *spanRecord, severity plog.SeverityNumber, template string, at int64, fail *failure) {
	if r.sim.cfg.MetricsOnly {
		return
	}
	r.sim.addLog(logRecord{
		at: at, trace: r.trace, span: span.id, svc: span.pod.svc, pod: span.pod, severity: severity,
		body: r.facts.expand(template, at-span.start), failure: fail,
	})
}

func (r *request) logInfo(span *spanRecord, o *operation, i int, at int64) {
	if i < len(o.logs) {
		r.log(span, plog.SeverityNumberInfo, o.logs[i], at, nil)
	}
}
