package executor

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// envIncidents says how many incidents the chaos is made of.
const envIncidents = "EXECUTOR_CHAOS_INCIDENTS"

// fleet is a way in which executors run while everything goes wrong.
type fleet struct {
	name     string
	replicas int
	// elected is whether a leader is chosen, which goes wrong too.
	elected bool
}

var fleets = []fleet{
	{"one executor that is killed", 1, false},
	{"two replicas that race", 2, false},
	{"two replicas with stale leaders", 2, true},
	{"three replicas that race", 3, false},
}

// chaosConfig has short times, so that in a minute happens what otherwise happens in a night. The budget's window is longer
// than the run, so that what is spent of it can be counted exactly.
const chaosConfig = `
budget: {max_actions: BUDGET, window: 30m, limits: []}
storm: {max_incidents: 10000, jitter: 0s}
breakers:
  playbook: {failures: 0}
  target: {failures: 0, max_actions: 0}
  fleet: {rate_failures: 0, rate_outcomes: 0}
retry_on_failure: {initial_interval: 50ms, max_interval: 500ms, multiplier: 2}
playbooks:
  - name: restart
    when: ['attributes["incident.cause.kind"] == "crash"']
    mode: auto
    cooldown: 1s
    scope: {namespaces: SCOPE}
    steps: [{kubernetes: {rollout_restart: {}}, on_failure: escalate}]
    verify: {within: 4s, settle: 0s, hold: 0s, workload: {interval: 1s}}
  - name: scale
    when: ['attributes["incident.cause.kind"] == "traffic"']
    mode: auto
    cooldown: 1s
    scope: {namespaces: SCOPE}
    steps: [{kubernetes: {scale: {by: 1, max: 50}}, on_failure: rollback}]
    verify: {within: 4s, settle: 0s, hold: 0s, workload: {interval: 1s}}
  - name: ladder
    when: ['attributes["incident.cause.kind"] == "latency"']
    mode: auto
    cooldown: 1s
    scope: {namespaces: SCOPE}
    steps:
      - {kubernetes: {rollout_restart: {}}, on_failure: next}
      - {kubernetes: {scale: {by: 1, max: 50}}, on_failure: rollback}
    verify: {within: 4s, settle: 0s, hold: 0s, workload: {interval: 1s}}
  - name: ask
    when: ['attributes["incident.cause.kind"] == "change"']
    mode: auto
    cooldown: 1s
    steps: [{webhook: hook, action: {name: redeploy, parameters: {service: {from: cause.entity.name}}}}]
    verify: {within: 4s, settle: 0s, hold: 0s, workload: {interval: 1s}}
kubernetes:
  timeout: 400ms
  workers: 8
  rate: 1000
  action_burst: 1000
  min_ready: 0
  coordination: {holder: HOLDER, namespace: HOME, window: 30m, skew: 2s, max_entries: 1000, max_attempts: 50}
`

// faults make about one of six writes and one of twenty reads go wrong.
func faults() []kubetest.FaultRule {
	var rules []kubetest.FaultRule
	for _, f := range []struct {
		fault         kubetest.Fault
		writes, reads float64
	}{
		{kubetest.FaultThrottled, 0.03, 0.005},
		{kubetest.FaultServerError, 0.03, 0.01},
		{kubetest.FaultUnavailable, 0.03, 0.01},
		{kubetest.FaultConflict, 0.03, 0},
		{kubetest.FaultTimeoutBefore, 0.01, 0.005},
		{kubetest.FaultTimeoutAfter, 0.03, 0},
		{kubetest.FaultResetBefore, 0.02, 0.005},
		{kubetest.FaultResetAfter, 0.04, 0},
		{kubetest.FaultTruncated, 0.02, 0.005},
		{kubetest.FaultStale, 0, 0.02},
	} {
		rule := kubetest.FaultRule{Fault: f.fault, Delay: 600 * time.Millisecond, RetryAfter: time.Second}
		if f.writes > 0 {
			w := rule
			w.Verbs, w.Resources, w.Odds = []string{"create", "update", "patch", "delete"}, []string{"deployments", "configmaps"}, f.writes
			rules = append(rules, w)
		}
		if f.reads > 0 {
			r := rule
			r.Verbs, r.Odds = []string{"get", "list"}, f.reads
			rules = append(rules, r)
		}
	}
	return rules
}

// chaos is one fleet with its part of the incidents.
type chaos struct {
	fleet
	t         *testing.T
	stage     *Stage
	seed      uint64
	budget    int
	incidents []*Incident
	targets   []*appsv1.Deployment
	replicas  []*replica

	mu sync.Mutex
	// mu guards everything below.
	random                 *rand.Rand
	events, kills, leaders int
	hookFaults             int

	leader int
}

// replica is one executor of a fleet through all its lives.
type replica struct {
	*chaos
	name, config, storage string
	inbox                 chan semconv.IncidentEvent

	mu sync.Mutex
	// mu guards everything below.
	process   *process
	decisions []decision
}

func (c *chaos) chance(odds float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64() < odds
}

func (c *chaos) between(low, high time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return low + time.Duration(c.random.Int64N(int64(high-low)))
}

// answer makes webhooks fail, before and after they have taken an event.
func (c *chaos) answer(Event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := 0
	switch f := c.random.Float64(); {
	case f < 0.04:
		status = 503
	case f < 0.06:
		status = 429
	case f < 0.09:
		status = -1
	}
	if status != 0 {
		c.hookFaults++
	}
	return status
}

func (r *replica) current() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process
}

func (r *replica) heard(d decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decisions = append(r.decisions, d)
}

// live starts the replica's next process.
func (r *replica) live() {
	p, err := startProcess(r.t.Context(), r.config, r.storage, r.elected, r.heard)
	if err != nil {
		r.t.Errorf("%s of %s: %v", r.name, r.fleet.name, err)
		return
	}
	r.mu.Lock()
	r.process = p
	r.mu.Unlock()
}

// feed hands the events over in their order, each until it is taken, as a collector's queue in front would.
func (r *replica) feed() {
	for event := range r.inbox {
		for {
			err := r.current().tell(event)
			if err == nil {
				break
			}
			if !errors.Is(err, errKilled) {
				r.t.Errorf("%s of %s refuses an event: %v", r.name, r.fleet.name, err)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// open is how many intents wait for something, as far as the log tells.
func (r *replica) open() map[string]decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := map[string]decision{}
	for _, d := range r.decisions {
		last[d.Intent] = d
	}
	maps.DeleteFunc(last, func(_ string, d decision) bool { return terminal(d.Outcome) })
	return last
}

func terminal(outcome string) bool {
	return slices.Contains([]string{"skipped", "proposed", "suggested", "succeeded", "failed", "inconclusive", "rolled_back", "denied", "expired"}, outcome)
}

func TestKubernetesChaos(t *testing.T) {
	incidents := 100
	if n, err := strconv.Atoi(os.Getenv(envIncidents)); err == nil {
		incidents = n
	}
	total := &tally{}
	for i, f := range fleets {
		t.Run(f.name, func(t *testing.T) {
			c := &chaos{fleet: f, t: t, seed: uint64(i + 1), random: rand.New(rand.NewPCG(uint64(i+1), 1))}
			c.prepare(incidents / len(fleets))
			c.run()
			c.settle()
			total.add(c.check())
		})
	}
	t.Log(total)
}

// prepare makes the targets, with one for five incidents, and a budget that most of what could be done fits.
func (c *chaos) prepare(incidents int) {
	t := c.t
	c.stage = NewStage(t, 1, c.seed)
	var names []string
	for i := range max(incidents/5, 5) {
		names = append(names, fmt.Sprintf("app-%d", i))
	}
	c.targets = c.stage.Deployments(t, 1, names...)
	c.budget = max(incidents/3, 10)
	c.stage.Hook.Answer = c.answer
	kinds := []semconv.CauseKind{semconv.CauseCrash, semconv.CauseCrash, semconv.CauseTraffic, semconv.CauseLatency, semconv.CauseChange}
	for i := range incidents {
		incident := NewIncident(fmt.Sprintf("i-%d", i), c.stage.Namespaces[0], names[c.random.IntN(len(names))])
		incident.Causes[0].Kind = kinds[c.random.IntN(len(kinds))]
		c.incidents = append(c.incidents, incident)
	}
	text := c.stage.Config(t, strings.ReplaceAll(chaosConfig, "BUDGET", strconv.Itoa(c.budget)))
	for i := range c.fleet.replicas {
		r := &replica{chaos: c, name: fmt.Sprintf("replica-%d", i), storage: t.TempDir(), inbox: make(chan semconv.IncidentEvent, 10*incidents)}
		r.config = filepath.Join(r.storage, "config.yaml")
		require.NoError(t, os.WriteFile(r.config, []byte(strings.ReplaceAll(text, "HOLDER", r.name)), 0o600))
		r.storage = filepath.Join(r.storage, "state")
		r.live()
		require.NotNil(t, r.current())
		c.replicas = append(c.replicas, r)
	}
	c.stage.Proxy.Inject(faults()...)
}

// run lets the incidents happen while executors are killed and leaders change.
func (c *chaos) run() {
	var feeding, running sync.WaitGroup
	for _, r := range c.replicas {
		feeding.Go(r.feed)
	}
	over := make(chan struct{})
	var breaking sync.WaitGroup
	for _, r := range c.replicas {
		breaking.Go(func() { c.disturb(r, over) })
	}
	if c.elected {
		breaking.Go(func() { c.elect(over) })
	}
	apart := min(20*time.Second/time.Duration(len(c.incidents)), 400*time.Millisecond) // on average
	for _, incident := range c.incidents {
		time.Sleep(c.between(0, 2*apart))
		running.Go(func() { c.happen(incident) })
	}
	running.Wait()
	close(over)
	breaking.Wait()
	for _, r := range c.replicas {
		close(r.inbox)
	}
	feeding.Wait()
}

// happen is the life of one incident: two of three recover after a while, the others go on.
func (c *chaos) happen(incident *Incident) {
	c.publish(incident.Opened())
	for c.chance(0.5) {
		time.Sleep(c.between(50*time.Millisecond, time.Second))
		c.publish(incident.Updated())
	}
	if c.chance(0.67) {
		time.Sleep(c.between(500*time.Millisecond, 3*time.Second))
		c.publish(incident.Resolved())
	}
}

func (c *chaos) publish(event semconv.IncidentEvent) {
	c.mu.Lock()
	c.events++
	c.mu.Unlock()
	for _, r := range c.replicas {
		r.inbox <- event
	}
}

// disturb kills a replica at random times, and starts it anew.
func (c *chaos) disturb(r *replica, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(c.between(300*time.Millisecond, 4*time.Second)):
		}
		if err := r.current().kill(); err != nil {
			c.t.Errorf("kill %s: %v", r.name, err)
		}
		if text := r.current().stderr.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
			c.t.Errorf("%s: %s", r.name, text)
		}
		c.mu.Lock()
		c.kills++
		leads := c.replicas[c.leader] == r
		c.mu.Unlock()
		r.live()
		if c.elected && leads {
			c.lead(r, true)
		}
	}
}

// elect changes the leader at random times. The one before learns of it late, so that for a while two lead; or early, and
// none does.
func (c *chaos) elect(over <-chan struct{}) {
	c.lead(c.replicas[0], true)
	for {
		select {
		case <-over:
			return
		case <-time.After(c.between(500*time.Millisecond, 3*time.Second)):
		}
		c.mu.Lock()
		before := c.replicas[c.leader]
		c.leader = (c.leader + 1) % len(c.replicas)
		now := c.replicas[c.leader]
		c.leaders++
		c.mu.Unlock()
		if c.chance(0.7) {
			c.lead(now, true)
			time.Sleep(c.between(0, 800*time.Millisecond))
			c.lead(before, false)
		} else {
			c.lead(before, false)
			time.Sleep(c.between(0, 300*time.Millisecond))
			c.lead(now, true)
		}
	}
}

func (c *chaos) lead(r *replica, leads bool) {
	_ = r.current().send(command{Lead: &leads}) // whoever is dead is told when it lives again
}

// settle waits until nothing is open and everything is told, and stops the replicas. Faults go on until the end.
func (c *chaos) settle() {
	for _, r := range c.replicas {
		if c.elected {
			for _, other := range c.replicas {
				c.lead(other, other == r)
			}
		}
		wait(c.t, 20*time.Second, func() bool { return len(r.open()) == 0 && len(c.untold(r)) == 0 })
	}
	wait(c.t, 45*time.Second, func() bool { return len(c.unknown()) == 0 })
	for _, r := range c.replicas {
		assert.NoError(c.t, r.current().stop())
	}
	c.stage.Proxy.Inject()
}

// wait waits until f holds, or until the time is over: what is missing then is found by the check.
func wait(t *testing.T, patience time.Duration, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if f() {
			return
		}
	}
}
