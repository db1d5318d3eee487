package shop

import (
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const (
	baseErrorChance = 0.00022 // of an operation; about one user request in a thousand fails
	networkMean     = 0.0005  // seconds of one way between two pods
	networkSigma    = 0.3
	refusedAfter    = 0.0015 // seconds until a connection to a dead pod is refused
	refusalTime     = 0.0008 // seconds to refuse a request
	retryPause      = 0.025  // seconds before another attempt
	lockTimeout     = 2.5    // seconds
	slowQuery       = 0.4    // seconds from which a caller logs a query
)

// request is one user request on its way through the shop.
type request struct {
	sim   *Simulation
	rng   *rand.Rand
	trace pcommon.TraceID
	facts facts
	// hollow says that a service on the way has only pretended to work.
	hollow bool
}

// outcome is how something ended.
type outcome struct {
	end     int64
	failure *failure
}

func seconds(s float64) int64 { return int64(s * 1e9) }

func (r *request) newSpanID() pcommon.SpanID {
	var id pcommon.SpanID
	binary.BigEndian.PutUint64(id[:], r.rng.Uint64()|1)
	return id
}

// serve runs an operation for a request that arrives at a time, and its SERVER or CONSUMER span.
func (r *request) serve(o *operation, parent pcommon.SpanID, arrive int64) outcome {
	s := r.sim.services[o.service]
	if s.effect.down {
		return outcome{arrive + seconds(refusedAfter), failRefused}
	}
	p := s.pick()
	id := r.newSpanID()
	span := spanRecord{start: arrive, trace: r.trace, id: id, parent: parent, pod: p, op: o, role: roleServer, path: r.facts.path(o)}
	if specs[o.service].protocol == protoKafka {
		span.role = roleConsumer
	}

	refused := (*failure)(nil)
	switch {
	case s.shed > 0 && r.rng.Float64() < s.shed:
		refused = failShed
	case s.refuse > 0 && r.rng.Float64() < s.refuse:
		refused = failFull
	}
	if refused != nil {
		span.end = arrive + seconds(logNormal(r.rng, refusalTime, 0.3))
		span.failure = refused
		r.log(&span, plog.SeverityNumberWarn, "Refused request {hex}: "+refused.message, span.end, refused)
		r.sim.addSpan(span)
		return outcome{span.end, refused}
	}

	own := s.work(o.mean, p, r.rng)
	t := arrive + seconds(s.queueing(r.rng))
	r.logInfo(&span, o, 0, t)
	t += seconds(own / 2)
	silent := p.effect.silent
	r.hollow = r.hollow || silent
	if silent {
		own /= 3
	} else {
		t, span.failure = r.steps(o.steps, &span, t)
	}
	t += seconds(own / 2)
	if span.failure == nil {
		switch x := r.rng.Float64(); {
		case x < p.effect.errors:
			span.failure = p.effect.failure
		case x > 1-baseErrorChance:
			span.failure = failInternal
		}
	}
	span.end = t
	if span.failure != nil {
		r.log(&span, plog.SeverityNumberError, "Failed to process "+o.subject+" for user {user}: "+span.failure.message, t, span.failure)
	} else if !silent {
		for i := 1; i < len(o.logs); i++ {
			r.logInfo(&span, o, i, arrive+(t-arrive)*int64(i)/int64(len(o.logs)-1))
		}
	}
	if p.memLeak > 0 && p.thrash() > 0 && r.rng.Float64() < 0.2 {
		r.log(&span, plog.SeverityNumberWarn, "Garbage collection overhead is high: paused {ms} ms, heap nearly full", span.end, nil)
	}
	r.sim.addSpan(span)
	return outcome{t, span.failure}
}

// steps runs the steps one after the other from time t. The failure of a step is the failure of the caller unless the
// caller can do without it.
func (r *request) steps(steps []step, caller *spanRecord, t int64) (int64, *failure) {
	for i := range steps {
		s := &steps[i]
		var out outcome
		switch s.kind {
		case stepCall:
			out = r.retrying(s, caller, t, r.call)
		case stepQuery:
			out = r.retrying(s, caller, t, r.query)
			if len(s.onMiss) > 0 && (out.failure != nil || r.missed()) {
				out.end, out.failure = r.steps(s.onMiss, caller, out.end)
			}
		case stepPublish:
			out = r.publish(s, caller, t)
		}
		t = out.end
		if out.failure == nil {
			continue
		}
		if r.rng.Float64() < s.fatal {
			return t, out.failure.upstream()
		}
		r.log(caller, plog.SeverityNumberWarn, "Going on without "+specs[s.to].name+" after {ms} ms: "+out.failure.message, t, nil)
	}
	return t, nil
}

// missed draws whether the cache does not hold what it was asked for.
func (r *request) missed() bool {
	store := r.sim.services[cache]
	if store.effect.down {
		return true
	}
	m := &store.serving[0].metrics
	if r.rng.Float64() < r.sim.hitRatio {
		m.hits++
		return false
	}
	m.misses++
	return true
}

// retrying makes the attempts that the step allows.
func (r *request) retrying(s *step, caller *spanRecord, t int64, attempt func(*step, *spanRecord, int64) outcome) outcome {
	out := attempt(s, caller, t)
	for n := 0; n < s.retries && out.failure != nil && out.failure.retry; n++ {
		r.log(caller, plog.SeverityNumberWarn, "Retrying "+specs[s.to].name+" for order {order} after "+out.failure.errType, out.end, nil)
		r.sim.services[s.to].retries++
		out = attempt(s, caller, out.end+seconds(retryPause))
	}
	return out
}

// network draws the seconds that a packet from one service takes to another.
func (r *request) network(from, to int) float64 {
	s := r.sim.services
	d := logNormal(r.rng, networkMean, networkSigma)
	if delay := s[from].effect.network; delay > 0 {
		d += logNormal(r.rng, delay, 0.15)
	}
	return d
}

// call calls an operation of another service under a CLIENT span.
func (r *request) call(s *step, caller *spanRecord, t int64) outcome {
	from := caller.pod.svc.index
	span := spanRecord{start: t, trace: r.trace, id: r.newSpanID(), parent: caller.id, pod: caller.pod, step: s, role: roleClient}
	span.path = r.facts.path(s.op)
	out := r.serve(s.op, span.id, t+seconds(r.network(from, s.to)))
	span.end = out.end + seconds(r.network(s.to, from))
	span.failure = out.failure
	if limit := t + s.timeout.Nanoseconds(); span.end > limit {
		span.end, span.failure = limit, failTimeout
		r.log(caller, plog.SeverityNumberWarn, "Call to "+specs[s.to].name+" timed out for user {user}", limit, nil)
	}
	r.sim.addSpan(span)
	return outcome{span.end, span.failure}
}

// query asks a data store under a CLIENT span.
func (r *request) query(s *step, caller *spanRecord, t int64) outcome {
	store := r.sim.services[s.to]
	from := caller.pod.svc.index
	span := spanRecord{start: t, trace: r.trace, id: r.newSpanID(), parent: caller.id, pod: caller.pod, step: s, role: roleQuery}
	span.end, span.failure = r.ask(store, s, t+seconds(r.network(from, s.to)))
	span.end += seconds(r.network(s.to, from))
	if limit := t + s.timeout.Nanoseconds(); span.end > limit {
		span.end, span.failure = limit, failTimeout
	}
	if span.failure != nil {
		r.log(caller, plog.SeverityNumberWarn, specs[s.to].name+" did not answer "+s.name+" for user {user}: "+span.failure.message, span.end, span.failure)
	} else if span.end-t > seconds(slowQuery) {
		r.log(caller, plog.SeverityNumberWarn, "Slow query "+s.name+" on "+specs[s.to].name+" took {ms} ms", span.end, nil)
	}
	r.sim.addSpan(span)
	return outcome{span.end, span.failure}
}

// ask is the store's side of a query.
func (r *request) ask(store *service, s *step, t int64) (int64, *failure) {
	if store.effect.down {
		return t + seconds(refusedAfter), failRefused
	}
	p := store.pick()
	e := &p.effect
	p.metrics.queries++
	switch {
	case store.shed > 0 && r.rng.Float64() < store.shed:
		return t + seconds(refusalTime), failShed
	case store.refuse > 0 && r.rng.Float64() < store.refuse:
		return t + seconds(refusalTime), failFull
	}
	took := store.queueing(r.rng) + store.work(s.mean, p, r.rng)
	if e.lock > 0 {
		blocked := 0.3
		if s.write() {
			blocked = 0.8
		}
		if r.rng.Float64() < blocked*min(1, e.lock) {
			held := logNormal(r.rng, 1.1*e.lock, 0.6)
			if held > lockTimeout {
				p.metrics.deadlocks++
				return t + seconds(lockTimeout), failLock
			}
			took += held
		}
	}
	end := t + seconds(took)
	switch x := r.rng.Float64(); {
	case x < e.errors:
		return end, e.failure
	case x > 1-baseErrorChance:
		return end, failQuery
	}
	return end, nil
}

// publish hands a message to the broker under a PRODUCER span; consumers work on it later and cannot fail the caller.
func (r *request) publish(s *step, caller *spanRecord, t int64) outcome {
	from := caller.pod.svc.index
	span := spanRecord{start: t, trace: r.trace, id: r.newSpanID(), parent: caller.id, pod: caller.pod, step: s, role: roleProducer}
	span.end = t + seconds(logNormal(r.rng, s.mean/1000, 0.3)+2*r.network(from, from))
	r.sim.addSpan(span)
	for _, c := range s.consumers {
		pickup := logNormal(r.rng, 0.02, 0.4) + r.network(c.service, c.service)
		hollow := r.hollow
		r.hollow = false
		out := r.serve(c, span.id, span.end+seconds(pickup))
		r.experience(specs[c.service].name+" of "+s.topic, true, span.end, out)
		r.hollow = hollow
	}
	return outcome{end: span.end}
}
