package shop

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	workersPerPod = 4
	maxQueue      = 2.0 // seconds of work that may wait before requests are refused
	maxUse        = 0.97
	maxWait       = 25.0 // seconds that one request can wait, or be worked on, at most
	thrashFrom    = 0.75 // share of the memory limit from which garbage collection costs time
	memoryFull    = 0.97
	leakPerSecond = 0.03
	crashEvery    = 10 // seconds between two restarts of a crashing container
	nodes         = 5
	historyLimit  = 10
	peakMemory    = 0.99 // of a tick ago
)

// effect is what the active faults do to a pod in the current tick.
type effect struct {
	slow     float64 // factor on its own work
	capacity float64 // factor on its throughput
	cpu      float64 // added share of the CPU limit
	leak     float64 // memory added each second, as a share of the limit
	delay    float64 // seconds added to its own work
	network  float64 // seconds added to every packet that it sends
	lock     float64 // severity of lock contention
	errors   float64 // chance to fail
	failure  *failure
	down     bool
	silent   bool
}

// service is the state of a service.
type service struct {
	index int
	spec  *serviceSpec

	namespace string // of Kubernetes
	rng       *rand.Rand
	version   string
	history   []string // earlier versions, the latest last
	rollouts  int      // numbers replica sets
	pods      []*pod
	serving   []*pod  // those that take requests in the current tick
	perPod    float64 // requests per second that a healthy pod can serve
	meanWork  float64 // mean own work of a request in seconds
	// effect is what the faults do to its serving pods on average.
	effect effect
	silent float64 // share of the serving pods that leave their work undone

	// external is set once its pods are told by [Simulation.SetPods], and desired is how many there should be then.
	external bool
	desired  int

	offered, capacity, use float64 // requests per second demanded and possible, and their bounded ratio
	peak                   float64 // highest demand of late, half forgotten after a minute or so
	backlog                float64 // requests waiting
	wait, waitChance       float64 // of one request: mean seconds if it has to, and the chance that it has to
	refuse                 float64 // chance to be refused because the queue is full
	shed                   float64 // chance to be shed by order
	lag                    float64 // messages waiting for a consumer
	retries, retryRate     float64
	shedUntil              time.Time
	next                   int // pod that gets the next request

	recent recentStats
}

// pod is one replica.
type pod struct {
	svc      *service
	number   int
	name     string
	instance string
	node     string
	version  string
	started  time.Time
	restarts int64
	memory   float64 // share of the limit
	drift    float64 // slow noise on memory
	cpu      float64
	memLeak  float64
	metrics  podMetrics

	// tick tells whether spans and records belong to the tick that is being encoded.
	tick  int64
	spans ptrace.SpanSlice

	effect    effect // of the faults in the current tick
	downTicks int
	outside   outside
}

func (s *service) newPod(number int, now time.Time) *pod {
	p := &pod{svc: s, number: number, version: s.version, started: now}
	if s.spec.store() {
		p.name = fmt.Sprintf("%s-%d", s.spec.name, number)
	} else {
		p.name = fmt.Sprintf("%s-%s-%s", s.spec.name, s.replicaSet(), suffix(s.rng.Uint64(), 5))
	}
	p.instance = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", s.rng.Uint32(), s.rng.Uint32()&0xffff, s.rng.Uint32()&0xfff, s.rng.Uint32()&0xfff, s.rng.Uint64()&0xffffffffffff)
	p.node = fmt.Sprintf("node-%d", 1+(s.index*2+number+s.rollouts)%nodes)
	return p
}

// replicaSet is the part of a pod's name that changes with each rollout.
func (s *service) replicaSet() string {
	h := uint64(s.index+1)*0x9e3779b97f4a7c15 ^ uint64(s.rollouts+1)*0xbf58476d1ce4e5b9
	return suffix(h^h>>29, 9)
}

// suffix writes bits in the alphabet of Kubernetes' generated names.
func suffix(bits uint64, length int) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, length)
	for i := range b {
		b[i] = alphabet[bits%uint64(len(alphabet))]
		bits /= uint64(len(alphabet))
	}
	return string(b)
}

// rollout replaces all pods.
func (s *service) rollout(replicas int, now time.Time) {
	s.rollouts++
	s.pods = nil
	s.resize(replicas, now)
}

func (s *service) resize(replicas int, now time.Time) {
	for len(s.pods) > replicas {
		s.pods = s.pods[:len(s.pods)-1]
	}
	for len(s.pods) < replicas {
		s.pods = append(s.pods, s.newPod(len(s.pods), now))
	}
}

// crashing reports whether the container is restarted in vain in this tick.
func (p *pod) crashing() bool {
	return p.effect.down && !p.svc.external && (p.downTicks-1)%crashEvery == 0
}

// available is the number of pods that serve.
func (s *service) available() int { return len(s.serving) }

// wanted is the number of pods that there should be.
func (s *service) wanted() int {
	if s.external {
		return s.desired
	}
	return len(s.pods)
}

// pick chooses the pod for the next request in turn. There must be one.
func (s *service) pick() *pod {
	s.next++
	return s.serving[s.next%len(s.serving)]
}

// apply works out which pods serve, and what the effects on them come to.
func (s *service) apply() {
	s.serving, s.silent = s.serving[:0], 0
	for _, p := range s.pods {
		if !p.effect.down && p.takesRequests() {
			s.serving = append(s.serving, p)
		}
	}
	n := float64(len(s.serving))
	if n == 0 {
		s.effect = effect{slow: 1, capacity: 1, down: true}
		return
	}
	// Differences to the first are added up, so that the mean of equal effects is that effect to the last bit.
	first := s.serving[0].effect
	s.effect = first
	for _, p := range s.serving {
		e := &p.effect
		s.effect.slow += (e.slow - first.slow) / n
		s.effect.capacity += (e.capacity - first.capacity) / n
		s.effect.network += (e.network - first.network) / n
		if e.silent {
			s.silent += 1 / n
		}
	}
}

// advance moves queue, memory and CPU by one tick under the given demand in requests per second.
func (s *service) advance(demand float64, now time.Time, rng *rand.Rand) {
	e := &s.effect
	s.retryRate += 0.3 * (s.retries - s.retryRate)
	s.retries = 0
	s.offered = demand + s.retryRate
	s.peak = max(s.offered, peakMemory*s.peak)

	thrash := 0.0
	for _, p := range s.serving {
		thrash += p.thrash() / float64(len(s.serving))
	}
	s.capacity = float64(len(s.serving)) * s.perPod * e.capacity / (1 + thrash)
	accepted := s.offered * (1 - s.shed)
	s.refuse = 0
	if e.down {
		s.backlog, s.use, s.waitChance = 0, 0, 0
		if s.spec.protocol == protoKafka {
			s.lag += s.offered
		}
	} else {
		s.backlog = max(0, s.backlog+accepted-s.capacity)
		switch limit := maxQueue * s.capacity; {
		case s.spec.protocol == protoKafka: // messages wait at the broker and are not refused
			s.backlog = min(s.backlog, maxWait*s.capacity)
		case s.backlog > limit:
			s.backlog = limit
			s.refuse = 1 - s.capacity/accepted
		}
		s.use = min(maxUse, accepted/s.capacity)
		workers := workersPerPod * len(s.serving)
		s.waitChance = erlangC(workers, s.use*float64(workers))
		s.wait = s.meanWork * e.slow / (float64(workers) * (1 - s.use))
		s.lag = max(0, s.lag-3*s.capacity)
	}
	s.advancePods(now, rng)
}

func (s *service) advancePods(now time.Time, rng *rand.Rand) {
	const memory = 0.98
	for _, p := range s.pods {
		e := &p.effect
		p.drift = memory*p.drift + 0.002*rng.NormFloat64()
		if e.leak > 0 {
			p.memLeak = min(memoryFull-s.spec.memBase, p.memLeak+e.leak)
		} else {
			p.memLeak = 0
		}
		p.memory = min(memoryFull+0.01, max(0.05, s.spec.memBase+0.1*s.use+p.memLeak+p.drift))
		p.cpu = 0.04 + 0.75*s.use + e.cpu + 0.45*min(1, p.thrash())
		p.cpu = min(1, max(0.005, p.cpu*(1+0.04*rng.NormFloat64())))
		if !e.down {
			p.downTicks = 0
			p.outside.advance(p)
			continue
		}
		p.downTicks++
		p.memory, p.cpu, p.memLeak = 0.02, 0.005, 0
		if p.crashing() {
			p.restarts++
			p.started = now
			p.metrics.reset()
		}
	}
}

// thrash is the work that garbage collection adds to each unit of useful work.
func (p *pod) thrash() float64 {
	over := (p.memory - thrashFrom) / (1 - thrashFrom)
	if p.memLeak == 0 || over <= 0 {
		return 0
	}
	return 2 * over * over
}

// queueing draws the seconds that a request waits for a worker.
func (s *service) queueing(rng *rand.Rand) float64 {
	wait := 0.0
	if s.backlog > 0 {
		wait = s.backlog / s.capacity * (0.9 + 0.2*rng.Float64())
	}
	if rng.Float64() < s.waitChance {
		wait += s.wait * rng.ExpFloat64()
	}
	if s.lag > 0 {
		wait += s.lag / (3 * s.capacity)
	}
	return min(wait, maxWait)
}

// work draws the seconds of own work for an operation of the given mean in milliseconds.
func (s *service) work(mean float64, p *pod, rng *rand.Rand) float64 {
	const sigma = 0.35
	seconds := logNormal(rng, mean/1000, sigma) * p.effect.slow
	if t := p.thrash(); t > 0 {
		seconds *= 1 + 25*t
		if rng.Float64() < 0.25 {
			seconds += logNormal(rng, 0.35*t, 0.4) // a full collection stops the world
		}
	}
	if p.effect.delay > 0 {
		seconds += logNormal(rng, p.effect.delay, 0.3)
	}
	return min(seconds, maxWait)
}

// recentStats are exponentially forgotten figures for [State].
type recentStats struct {
	requests, failures, seconds    float64 // of the current tick
	rate, failureRate, secondsRate float64
}

func (r *recentStats) add(seconds float64, failed bool) {
	r.requests++
	r.seconds += seconds
	if failed {
		r.failures++
	}
}

func (r *recentStats) advance() {
	const alpha = 0.1
	r.rate += alpha * (r.requests - r.rate)
	r.failureRate += alpha * (r.failures - r.failureRate)
	r.secondsRate += alpha * (r.seconds - r.secondsRate)
	r.requests, r.failures, r.seconds = 0, 0, 0
}

func (r *recentStats) ratios() (errorRatio, latency float64) {
	if r.rate < 1e-6 {
		return 0, 0
	}
	return r.failureRate / r.rate, r.secondsRate / r.rate
}
