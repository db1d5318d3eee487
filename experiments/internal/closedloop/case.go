package closedloop

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Times of a case.
const (
	// calm is how long all must be well before a fault, and calmWithin how long that may take to come about.
	calm       = 10 * time.Second
	calmWithin = 2 * time.Minute
	// wellFor is how long users and services must be well for the symptoms to be gone.
	wellFor = 15 * time.Second
	// caseWithin bounds a case from the injection on: two attempts at a cure and their verdicts fit into it.
	caseWithin = 5 * time.Minute
	// compareFor is how long users are looked at after an action has been carried out.
	compareFor = 15 * time.Second
	// injectSpread is over how many seconds, more than a bucket has, the moments of injection are spread.
	injectSpread = 6
)

// act is one automatic action, as it was told.
type act struct {
	Playbook string `json:"playbook"`
	Action   string `json:"action"`
	Target   string `json:"target"`
	// At is the seconds since the fault when it was begun, Verdict what the executor found, "" if it found nothing.
	At      float64 `json:"at"`
	Verdict string  `json:"verdict"`
	// Right is an action on the faulty service that can cure it. Harm is one after which, once it had been carried out, more of the users'
	// requests failed than before it, or one that disturbed a service that was well.
	Right bool `json:"right"`
	Harm  bool `json:"harm"`

	intent string
	// failing is the users' share of failures before it, after is the sum of as many looks at that after it.
	failing, after float64
	looks          int
}

// record is what was seen of one fault. Times are seconds since its onset; nil is never.
type record struct {
	Seed    uint64         `json:"seed"`
	Kind    shop.FaultKind `json:"kind"`
	Service string         `json:"service"`
	Lasting bool           `json:"lasting,omitempty"`
	// Felt is when users or a service first fared worse.
	Felt     *float64 `json:"felt"`
	Detected *float64 `json:"detected"`
	Named    *float64 `json:"named"`
	Acted    *float64 `json:"acted"`
	Cured    *float64 `json:"cured"`
	// Started is when what an action started was up.
	Started   *float64 `json:"started"`
	Recovered *float64 `json:"recovered"`
	Resolved  *float64 `json:"resolved"`
	Verified  *float64 `json:"verified"`
	Escalated *float64 `json:"escalated"`
	// Report says that what was escalated came with a diagnosis: causes with evidence, and what was tried.
	Report bool `json:"report,omitempty"`
	// Cause is the last one that was named first.
	Cause string `json:"cause"`
	// Impact is the greatest share of services that fared worse at a time.
	Impact float64 `json:"impact"`
	// Degraded are the seconds that services fared worse for, added up over all services.
	Degraded  float64  `json:"degraded"`
	Actions   []act    `json:"actions"`
	Incidents int      `json:"incidents"`
	Skipped   []string `json:"skipped,omitempty"`
	// Early are incidents that were open before the fault.
	Early int `json:"early,omitempty"`
}

// trial plays one fault on a stage.
type trial struct {
	*stage
	fault  shop.Fault
	record record
	log    func(format string, args ...any)

	status    shop.FaultStatus
	onset     time.Time // the zero time before it
	wellSince time.Time
	open      map[string]bool
	ended     map[string]int64 // with the revision that told of it
	incidents map[string]bool  // opened since the injection
	state     shop.State
}

// forget makes the trial know of no incident.
func (t *trial) forget() {
	t.open, t.ended, t.incidents = map[string]bool{}, map[string]int64{}, map[string]bool{}
}

// play carries the case out: calm, fault, and what follows until all is well again or a person has been called.
func (t *trial) play(ctx context.Context) error {
	t.forget()
	t.record.Seed, t.record.Kind, t.record.Lasting = t.seed, t.fault.Kind, t.fault.Lasting
	if err := t.settle(ctx); err != nil {
		return err
	}
	t.vitals.learnt()
	for range t.seed % injectSpread {
		if err := t.step(ctx); err != nil {
			return err
		}
	}
	t.record.Early = len(t.open)
	var err error
	if t.status, err = t.shop.Inject(ctx, t.fault); err != nil {
		return err
	}
	t.record.Service = t.status.Service
	if t.status.Version == "" {
		t.onset = time.Now()
	}
	for end := time.Now().Add(caseWithin); time.Now().Before(end); {
		if err := t.step(ctx); err != nil {
			return err
		}
		if t.over() {
			break
		}
	}
	t.finish()
	return nil
}

// settle lets real time pass until nothing has been open for a while.
func (t *trial) settle(ctx context.Context) error {
	begin := time.Now()
	since := begin
	for {
		if err := t.step(ctx); err != nil {
			return err
		}
		now := time.Now()
		if len(t.open) > 0 {
			since = now
		}
		if now.Sub(since) >= calm || now.Sub(begin) >= calmWithin {
			return nil
		}
	}
}

// step lets a second pass and takes in what happened.
func (t *trial) step(ctx context.Context) error {
	heard, err := t.second(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	t.state = t.shop.Simulation.State()
	if t.status.ID != "" {
		t.look(now)
	}
	for _, n := range heard {
		t.hear(n)
	}
	return nil
}

// look notes how users and services fare, and what has become of the fault.
func (t *trial) look(now time.Time) {
	if t.onset.IsZero() {
		if !t.released() {
			return
		}
		t.onset = now
		t.log("    the release serves requests")
	}
	hurt := t.vitals.impact(&t.state)
	bad := len(hurt) > 0 || t.vitals.degraded(users)
	if impact := float64(len(hurt)) / float64(len(t.state.Services)); impact > t.record.Impact {
		t.record.Impact = impact
	}
	t.record.Degraded += float64(len(hurt)) * shop.TickLength.Seconds()
	if bad && t.record.Felt == nil {
		t.record.Felt = t.at(now)
		t.log("    felt after %.0f s: %s", *t.record.Felt, strings.Join(hurt, ", "))
	}
	if t.record.Cured == nil && !t.inForce() {
		t.record.Cured = t.at(now)
		t.log("    the fault is gone after %.0f s", *t.record.Cured)
	}
	if t.record.Acted != nil && t.record.Started == nil && t.complete() {
		t.record.Started = t.at(now)
	}
	t.compare(now)
	// A crowd that everybody is served of does no harm, and goes home by itself.
	if bad || t.inForce() && t.fault.Kind != shop.TrafficSurge {
		t.wellSince = time.Time{}
	} else if t.wellSince.IsZero() {
		t.wellSince = now
	}
}

// compare looks how users fare in the time after actions were carried out.
func (t *trial) compare(now time.Time) {
	if t.record.Started == nil || t.ticks%window != 0 {
		return
	}
	if since := *t.at(now) - *t.record.Started; since < window || since > window+compareFor.Seconds() {
		return
	}
	for i := range t.record.Actions {
		a := &t.record.Actions[i]
		a.after += t.vitals.failing(users)
		a.looks++
	}
}

// released reports whether a pod of the bad release serves requests.
func (t *trial) released() bool { return t.shop.Serves(t.status.Service, t.status.Version) }

func (t *trial) inForce() bool {
	return slices.ContainsFunc(t.state.Faults, func(f shop.FaultStatus) bool { return f.ID == t.status.ID })
}

// complete reports whether all workloads have what they should.
func (t *trial) complete() bool { return t.shop.Settled() }

// at is the seconds from the onset to a moment.
func (t *trial) at(moment time.Time) *float64 {
	if t.onset.IsZero() {
		return nil
	}
	s := moment.Sub(t.onset).Seconds()
	return &s
}

// hear takes in one event.
func (t *trial) hear(n news) {
	switch n.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated:
		if n.Incident.Revision > t.ended[n.Incident.ID] { // what is repeated may come later than what followed it
			t.open[n.Incident.ID] = true
		}
		t.hearIncident(n)
	case semconv.EventTypeIncidentResolved:
		delete(t.open, n.Incident.ID)
		t.ended[n.Incident.ID] = n.Incident.Revision
		if t.status.ID != "" {
			t.record.Resolved = t.at(n.at)
			t.log("    resolved after %s: %s", seconds(t.record.Resolved), n.Incident.Resolution)
		}
	default:
		if t.status.ID != "" && n.Remediation != nil {
			t.hearRemediation(n)
		}
	}
}

func (t *trial) hearIncident(n news) {
	cause, kind, confidence := causeOf(n.Incident)
	if t.status.ID == "" {
		t.log("    before the fault: %s %s (%s %.2f): %s", n.Type, cause, kind, confidence, n.Incident.Title)
		return
	}
	t.incidents[n.Incident.ID] = true
	at := t.at(n.at)
	t.log("    %s after %s: %s %s %.2f: %s; shown by %s", strings.TrimPrefix(string(n.Type), "io.paramedic."), seconds(at), cause, kind, confidence, n.Incident.Title, shown(n.Incident))
	t.record.Cause = cause + " " + string(kind)
	if t.record.Detected == nil {
		t.record.Detected = at
	}
	if t.record.Named == nil && cause == t.status.Service {
		t.record.Named = at
	}
}

func (t *trial) hearRemediation(n news) {
	r, at := n.Remediation, t.at(n.at)
	t.log("    %s after %s: %s %s of %s: %s %s %s", strings.TrimPrefix(string(n.Type), "io.paramedic."), seconds(at), r.Playbook, r.Action, r.Target, r.Outcome, r.Reason, r.Detail)
	switch n.Type {
	case semconv.EventTypeRemediationStarted:
		a := act{Playbook: r.Playbook, Action: r.Action, Target: r.Target, intent: r.Intent, failing: t.vitals.failing(users)}
		if at != nil {
			a.At = *at
		}
		a.Right = workload(r.Target) == t.status.Service && cures(t.status, r.Action) || r.Action == "run_job" && t.status.Cure == shop.FlushCache
		t.record.Actions = append(t.record.Actions, a)
		if t.record.Acted == nil {
			t.record.Acted = at
		}
	case semconv.EventTypeRemediationSkipped:
		t.record.Skipped = append(t.record.Skipped, fmt.Sprintf("%s: %s", r.Playbook, r.Reason))
	case semconv.EventTypeRemediationSucceeded, semconv.EventTypeRemediationFailed, semconv.EventTypeRemediationInconclusive, semconv.EventTypeRemediationRolledBack:
		for i := range t.record.Actions {
			if a := &t.record.Actions[i]; a.intent == r.Intent {
				a.Verdict = r.Outcome
			}
		}
		if n.Type == semconv.EventTypeRemediationSucceeded {
			t.record.Verified = at
		}
		if r.Escalated {
			t.escalated(n)
		}
	case semconv.EventTypeRemediationEscalated:
		t.escalated(n)
	}
}

func (t *trial) escalated(n news) {
	if t.record.Escalated == nil {
		t.record.Escalated = t.at(n.at)
		t.record.Report = t.diagnosed(n)
	}
}

// diagnosed reports whether a person who is called has what it takes to go on: causes with evidence, and what was tried.
func (t *trial) diagnosed(n news) bool {
	list, _ := t.inbox.from(0)
	evidence := slices.ContainsFunc(list, func(m news) bool {
		return m.Incident != nil && m.Incident.ID == n.Incident.ID && len(m.Incident.Causes) > 0 && len(m.Incident.Causes[0].Evidence) > 0
	})
	return evidence && n.Remediation.Detail != ""
}

func causeOf(i *eventdata.Incident) (service string, kind semconv.CauseKind, confidence float64) {
	if len(i.Causes) == 0 {
		return "", "", 0
	}
	c := &i.Causes[0]
	return workload(c.Entity.Name), c.Kind, c.Confidence
}

// shown lists what sorts of trouble the evidence against the first cause shows.
func shown(i *eventdata.Incident) string {
	if len(i.Causes) == 0 {
		return "nothing"
	}
	var kinds []string
	for _, e := range i.Causes[0].Evidence {
		kinds = append(kinds, cmp.Or(string(e.Kind), "?"))
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), " ")
}

// workload is the workload in the name of an entity or of a target: namespaces before it and a database behind it say no more.
func workload(name string) string {
	parts := strings.Split(name, "/")
	for _, known := range shop.ServiceNames() {
		if slices.Contains(parts, known) {
			return known
		}
	}
	return name
}

// cures reports whether an action on Kubernetes can be what cures a fault.
func cures(f shop.FaultStatus, action string) bool {
	switch f.Cure {
	case shop.Restart:
		return action == "rollout_restart" || action == "delete_pod" || action == "evict_pod"
	case shop.Rollback:
		return action == "rollback"
	case shop.Scale:
		return action == "scale"
	case shop.FlushCache:
		return action == "run_job" || action == "rollout_restart"
	default:
		return false
	}
}

// over reports whether there is nothing more to wait for.
func (t *trial) over() bool {
	if t.record.Escalated != nil && t.inForce() {
		return true // it is a person's now
	}
	well := !t.wellSince.IsZero() && time.Since(t.wellSince) >= wellFor
	if !well {
		return false
	}
	judged := !slices.ContainsFunc(t.record.Actions, func(a act) bool { return a.Verdict == "" })
	return len(t.open) == 0 && (judged || t.record.Escalated != nil)
}

// finish works out what can only be known at the end.
func (t *trial) finish() {
	t.record.Incidents = len(t.incidents)
	if !t.wellSince.IsZero() && time.Since(t.wellSince) >= wellFor {
		t.record.Recovered = t.at(t.wellSince)
	}
	for i := range t.record.Actions {
		a := &t.record.Actions[i]
		worse := a.looks > 0 && a.after/float64(a.looks) > a.failing+badShare
		a.Harm = worse || workload(a.Target) != t.status.Service && !a.Right
	}
}

func seconds(s *float64) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f s", *s)
}
