package shop

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	maxActive     = 32 // faults at once
	maxEnded      = 50 // ended faults that State tells of
	warmUp        = 15 // seconds in which a flushed cache regains most of its hits
	surgeUse      = 1.6
	surgeRamp     = 3  // seconds until a surge is there
	crowdPatience = 15 // seconds in which a crowd that is served leaves

	burstUse              = 2.5    // of the capacity, for a second at a time
	burstEvery            = 10     // seconds between two micro-bursts, on the average
	burstJitter           = 3      // seconds sooner or later
	greySlow              = 7.0    // added factor on the work of an ill replica
	greyErrors            = 0.35   // chance of an ill replica to fail
	greyLasts, greyPauses = 20, 10 // seconds that a replica is ill, and well again
)

// Simulation is a running shop. Its methods may be called from several goroutines.
type Simulation struct {
	cfg      Config
	topology *topology

	// mu guards everything below.
	mu        sync.Mutex
	services  []*service
	curve     *loadCurve
	requests  *rand.Rand
	noise     *rand.Rand
	calendar  calendar
	ticks     int64
	load      float64 // user requests per second in the last tick
	hitRatio  float64
	admission int  // index in [criticalities] of the least that is let in
	demanded  ramp // factor on the load curve
	scheduled []ScheduledFault
	active    []*activeFault
	ended     []FaultStatus
	faults    int   // ever injected, numbers them
	refused   int64 // scheduled faults that could not be injected
}

// activeFault is a fault that is in force.
type activeFault struct {
	Fault
	id      string
	service int
	since   time.Time
	version string    // of the bad release
	seen    bool      // whether a pod of the bad release has run, where pods are told from outside
	pods    podSet    // that it befell, where pods are told from outside and it goes with them
	extra   []float64 // requests per second added to each kind
	crowd   float64   // share of extra that still comes
	peak    float64   // requests per second of a micro-burst that reach the service
	burst   time.Time // when the next one comes
}

// New returns a simulation that stands at cfg.Start.
func New(cfg Config) (*Simulation, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Simulation{
		cfg: cfg, topology: newTopology(), hitRatio: baseHitRatio,
		requests: stream(cfg.Seed, 1), noise: stream(cfg.Seed, 2),
		curve:     &loadCurve{rate: cfg.Rate, period: cfg.Period, steady: cfg.Steady, rng: stream(cfg.Seed, 3)},
		calendar:  calendar{limit: cfg.MaxPending},
		scheduled: slices.Clone(cfg.Faults),
	}
	slices.SortStableFunc(s.scheduled, func(a, b ScheduledFault) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := range specs {
		svc := &service{
			index: i, namespace: cfg.Namespace, spec: &specs[i], version: specs[i].version, history: []string{specs[i].previous},
			rng: stream(cfg.Seed, uint64(100+i)), effect: effect{slow: 1, capacity: 1},
		}
		svc.resize(specs[i].replicas, cfg.Start)
		s.services = append(s.services, svc)
	}
	s.applyEffects()
	s.size()
	return s, nil
}

func stream(seed, number uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, number)) }

// size gives each service the capacity that the mean load needs.
func (s *Simulation) size() {
	demand := s.demand(s.kindRates(s.cfg.Rate))
	sum, count := make([]float64, serviceCount), make([]float64, serviceCount)
	for _, o := range s.topology.ops {
		sum[o.service] += o.mean / 1000
		count[o.service]++
	}
	for i, svc := range s.services {
		svc.perPod = demand[i] / (svc.spec.load * float64(svc.spec.replicas))
		if svc.meanWork = 0.004; count[i] > 0 {
			svc.meanWork = sum[i] / count[i]
		}
	}
}

func (s *Simulation) kindRates(load float64) []float64 {
	rates := make([]float64, len(s.topology.kinds))
	for i, k := range s.topology.kinds {
		rates[i] = load * k.share
	}
	return rates
}

func (s *Simulation) demand(rates []float64) [serviceCount]float64 {
	var out [serviceCount]float64
	for i, k := range s.topology.kinds {
		visits(k.entry, rates[i], s.services, s.hitRatio, &out)
	}
	return out
}

// now is the time at which the next tick begins.
func (s *Simulation) now() time.Time { return s.cfg.Start.Add(time.Duration(s.ticks) * TickLength) }

// Now returns the simulated time: the end of the last tick.
func (s *Simulation) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Simulation) tickOf(nanos int64) int64 {
	return (nanos - s.cfg.Start.UnixNano()) / int64(TickLength)
}

// Tick advances the simulation by [TickLength] and returns what the shop sends in this time: the spans that end in it,
// the log records written in it and, at each metrics interval, all metrics as of its end. Within a resource they are
// in the order of time. The caller owns the result.
func (s *Simulation) Tick() (ptrace.Traces, pmetric.Metrics, plog.Logs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.schedule(now)
	s.endOutlived()
	s.applyEffects()
	s.hitRatio += (baseHitRatio - s.hitRatio) / warmUp

	rates := s.kindRates(s.curve.at(now) * s.demanded.at(now))
	s.addSurges(rates, now)
	s.addBursts(rates, now)
	demand := s.demand(s.admitted(rates))
	s.load = 0
	for _, r := range rates {
		s.load += r
	}
	for i, svc := range s.services {
		if svc.shed > 0 && !now.Before(svc.shedUntil) {
			svc.shed = 0
		}
		svc.advance(demand[i], now, s.noise)
		for _, p := range svc.pods {
			if p.crashing() {
				s.addLog(crashRecord(p, now))
			}
		}
	}
	for i, k := range s.topology.kinds {
		for range poisson(s.requests, rates[i]) {
			s.request(k, now.UnixNano()+s.requests.Int64N(int64(TickLength)))
		}
	}

	spans, records := s.calendar.due(s.ticks)
	for i := range spans {
		s.observe(&spans[i])
	}
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	if !s.cfg.MetricsOnly {
		traces, logs = encodeSpans(spans, s.ticks), encodeLogs(records)
	}
	for _, svc := range s.services {
		svc.recent.advance()
	}
	s.ticks++
	metrics := pmetric.NewMetrics()
	if every := int64(s.cfg.MetricsInterval / TickLength); s.ticks%every == 0 {
		s.encodeMetrics(metrics, float64(every))
	}
	return traces, metrics, logs
}

func (s *Simulation) request(k requestKind, at int64) {
	r := request{sim: s, rng: s.requests}
	binary.BigEndian.PutUint64(r.trace[:8], s.requests.Uint64())
	binary.BigEndian.PutUint64(r.trace[8:], s.requests.Uint64()|1)
	r.drawFacts()
	if !s.admits(k) {
		r.askLater(k.entry, at)
		r.experience(k.name, false, at, outcome{at, failAdmission})
		return
	}
	out := r.serve(k.entry, [8]byte{}, at)
	r.experience(k.name, false, at, out)
}

// observe counts a span that has ended in the figures of those concerned.
func (s *Simulation) observe(r *spanRecord) {
	took := float64(r.end-r.start) / 1e9
	switch r.role {
	case roleServer, roleConsumer:
		r.pod.svc.recent.add(took, r.failure != nil && !r.failure.asked)
		r.pod.metrics.served(r.op, r.failure, took)
	case roleQuery:
		s.services[r.step.to].recent.add(took, r.failure != nil)
		r.pod.metrics.useConnection(r.step.to, took)
	case roleClient:
		if r.failure == failRefused {
			s.services[r.step.to].recent.add(took, true)
		}
	}
}

// applyEffects works out what the active faults do to each pod in this tick.
func (s *Simulation) applyEffects() {
	for _, svc := range s.services {
		for _, p := range svc.pods {
			p.effect = p.outside.effect()
			for _, f := range s.active {
				if f.service == svc.index && f.afflicts(p) && !f.pauses(s.now()) {
					f.apply(&p.effect)
				}
			}
		}
		svc.apply()
	}
}

// apply adds what the fault does to a pod.
func (f *activeFault) apply(e *effect) {
	switch k := f.Severity; f.Kind {
	case MemoryLeak:
		e.leak += leakPerSecond * k
	case CPUHog:
		e.slow *= 1 + 4*k
		e.capacity /= 1 + 1.2*k
		e.cpu += 0.6 * k
	case SlowDependency:
		if specs[f.service].store() {
			e.delay += 0.2 * k
		} else {
			e.delay += 0.4 * k
		}
	case ErrorBurst:
		e.errors, e.failure = min(0.95, e.errors+0.45*k), failCredentials
	case Crash:
		e.down = true
	case BadDeploy:
		e.slow *= 1 + 2*k
		e.errors, e.failure = min(0.95, e.errors+0.3*k), failRelease
	case DatabaseLocks:
		e.lock = max(e.lock, k)
	case NetworkDelay:
		e.network += 0.15 * k
	case SilentFailure:
		e.silent = true
	case GreyFailure:
		e.slow *= 1 + greySlow*k
		e.errors, e.failure = min(0.95, e.errors+greyErrors*k), failWorker
	case TrafficSurge, MicroBurst: // come in through addSurges and addBursts
	}
}

// pauses reports whether the fault, which comes and goes, is gone for now.
func (f *activeFault) pauses(now time.Time) bool {
	return f.Kind == GreyFailure && int(now.Sub(f.since).Seconds())%(greyLasts+greyPauses) >= greyLasts
}

// addSurges adds the crowds of traffic surges to the rates of the request kinds. A crowd keeps itself up by reloading
// pages that do not come; once the service has room for everybody it ebbs away.
func (s *Simulation) addSurges(rates []float64, now time.Time) {
	for _, f := range slices.Clone(s.active) {
		if f.Kind != TrafficSurge {
			continue
		}
		svc := s.services[f.service]
		if f.extra == nil {
			f.extra, _ = s.surge(f, rates, surgeUse)
		}
		age := now.Sub(f.since).Seconds()
		if age > surgeRamp && svc.use < 0.9 && svc.refuse == 0 && svc.shed == 0 && !f.Lasting {
			f.crowd *= math.Exp(-1.0 / crowdPatience)
		}
		if f.crowd < 0.05 {
			s.end(f, "cured by "+string(Scale))
			continue
		}
		for i := range rates {
			rates[i] += f.extra[i] * f.crowd * min(1, (age+1)/surgeRamp)
		}
	}
}

// addBursts adds micro-bursts to the rates: each for one tick, at irregular intervals.
func (s *Simulation) addBursts(rates []float64, now time.Time) {
	for _, f := range s.active {
		if f.Kind != MicroBurst || now.Before(f.burst) {
			continue
		}
		pause := burstEvery - burstJitter + s.services[f.service].rng.IntN(2*burstJitter+1)
		f.burst = now.Add(time.Duration(pause) * TickLength)
		if f.extra == nil {
			f.extra, f.peak = s.surge(f, rates, burstUse)
		}
		for i := range rates {
			rates[i] += f.extra[i]
		}
	}
}

// surge returns the requests per second, kind by kind, that bring the service to use times its capacity at a severity of 1, and how
// many of them it then gets in all.
func (s *Simulation) surge(f *activeFault, rates []float64, use float64) (extra []float64, peak float64) {
	extra = make([]float64, len(rates))
	var through float64 // calls of the service by those kinds that use it
	for i, k := range s.topology.kinds {
		var out [serviceCount]float64
		visits(k.entry, rates[i], s.services, s.hitRatio, &out)
		if out[f.service] > 0.01*rates[i] {
			extra[i] = rates[i]
			through += out[f.service]
		}
	}
	if through == 0 {
		return extra, 0
	}
	svc := s.services[f.service]
	missing := max(0, use*f.Severity*float64(svc.wanted())*svc.perPod-through)
	for i := range extra {
		extra[i] *= missing / through
	}
	return extra, through + missing
}

// String names the fault for people.
func (f Fault) String() string { return fmt.Sprintf("%s:%s", f.Kind, f.Service) }
