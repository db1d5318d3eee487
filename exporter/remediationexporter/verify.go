package remediationexporter

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/verification"
)

// stepSignals are the signals on which the verification of a step rests.
type stepSignals struct {
	settings *verification.Settings
	// metrics are by the number of the signal; nil for one that is no metric.
	metrics []*metricSignal
	probes  []*probe
	// workload is the number of the API server's own view, or -1.
	workload         int
	workloadInterval time.Duration
}

// runKey names a verification: a play has one at a time, but a step may be followed by another.
type runKey struct {
	incident, playbook string
}

// running is a verification that is under way.
type running struct {
	ref    playbook.Ref
	v      *verification.Verification
	step   *stepSignals
	about  *about
	target who
	// shift makes the times of data wall time.
	shift time.Duration
	polls []*poll
	// result is what the ledger was told last.
	result verification.Result
	told   bool
}

// poll is a source that is asked at an interval.
type poll struct {
	signal   int
	interval time.Duration
	next     time.Time
	busy     bool
	ask      func(context.Context) verification.Reading
}

// verify lets the signals of accepted steps have their say. e.mu is held.
func (e *remediationExporter) verify(ctx context.Context, now time.Time) {
	w := e.watch
	type news struct {
		run    *running
		result verification.Result
		state  []byte
	}
	var all []news
	// orphans are steps of playbooks that were changed or removed since: nobody knows what to ask.
	var orphans []playbook.Ref
	open := e.ledger.Open()
	w.mu.Lock()
	w.expire(now)
	w.forget(open)
	for i := range open {
		r := e.runningOf(&open[i], now)
		if r == nil {
			if p := &open[i].Play; p.Outcome == playbook.Accepted && p.Assessed {
				orphans = append(orphans, open[i].Ref)
			}
			continue
		}
		n := news{run: r, result: r.v.Judge(now)}
		if r.v.Changed() || !r.told || !n.result.Equal(&r.result) {
			var err error
			if n.state, err = r.v.Encode(); err != nil {
				e.logger.Warn("verification could not be encoded and begins anew after a restart", zap.Error(err))
			}
		}
		all = append(all, n)
	}
	w.mu.Unlock()
	for _, ref := range orphans {
		e.report(ctx, e.ledger.Assess(ref, playbook.Unknown, now), now)
	}
	for i := range all {
		n := &all[i]
		e.ledger.Note(n.run.ref, n.result.Detail, n.state)
		if n.run.told && n.result.Equal(&n.run.result) {
			continue
		}
		if !n.run.told || n.result.Verdict != n.run.result.Verdict {
			e.tellVerdict(ctx, n.run, &n.result)
		}
		n.run.result, n.run.told = n.result, true
		e.report(ctx, e.ledger.Assess(n.run.ref, verdictOf[n.result.Verdict], now), now)
	}
}

// saveVerifications keeps with the plays what is needed to go on after a restart. e.mu is held.
func (e *remediationExporter) saveVerifications() {
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	for _, r := range e.watch.running {
		if state, err := r.v.Encode(); err == nil {
			e.ledger.Note(r.ref, r.result.Detail, state)
		}
	}
}

// tellVerdict logs and counts a verdict that is another than before. e.mu is held.
func (e *remediationExporter) tellVerdict(ctx context.Context, r *running, result *verification.Result) {
	ref, verdict, detail := r.ref, result.Verdict.String(), result.Detail
	e.after(func() {
		add(ctx, e.telemetry.ExporterRemediationAssessments, e.telemetry.verdicts, verdict, 1)
		e.logger.Debug("remediation assessed", zap.String("incident_id", ref.Incident), zap.String("playbook", ref.Playbook),
			zap.Int("step", ref.Step), zap.String("verdict", verdict), zap.String("detail", clip(detail, maxDetail)))
	})
}

// forget drops the verifications of plays that are no longer open. mu is held.
func (w *watcher) forget(open []playbook.Change) {
	if len(w.running) == 0 {
		return
	}
	waiting := map[runKey]playbook.Ref{}
	for _, c := range open {
		if c.Play.Outcome == playbook.Accepted {
			waiting[runKey{c.Incident, c.Playbook}] = c.Ref
		}
	}
	for key, r := range w.running {
		if waiting[key] != r.ref {
			delete(w.running, key)
		}
	}
}

// runningOf returns the verification of an accepted step, which it begins, or goes on with after a restart; nil for a step
// that rests on none. e.mu and the watcher's mu are held.
func (e *remediationExporter) runningOf(c *playbook.Change, now time.Time) *running {
	p, b := &c.Play, e.bookOf(c.Playbook)
	if p.Outcome != playbook.Accepted || !p.Assessed || b == nil || p.Version != b.rule.Version || c.Step >= len(b.steps) {
		return nil
	}
	key := runKey{c.Incident, c.Playbook}
	if r := e.watch.running[key]; r != nil && r.ref == c.Ref && r.v.Begun().Equal(p.AcceptedAt) {
		return r
	}
	r := &running{ref: c.Ref, step: b.steps[c.Step], about: &about{}, shift: shiftOf(p.EventDeadline, p.Deadline)}
	if a := aboutOf(p); a != nil {
		r.about = a
	}
	r.target = r.about.Target
	if plan, err := decodePlan(p); err == nil {
		r.target = r.target.resolved(plan.Target)
	}
	r.v = verification.New(r.step.settings, p.AcceptedAt)
	if len(p.Signals) > 0 {
		v, err := verification.Restore(r.step.settings, p.AcceptedAt, p.Signals, now)
		if err != nil {
			e.logger.Warn("stored verification could not be used and begins anew", zap.Error(err))
		} else {
			r.v = v
		}
	}
	r.polls = e.pollsOf(r, p)
	for _, asked := range r.polls {
		asked.next = p.AcceptedAt.Add(r.step.settings.Settle) // what it says before is not judged
	}
	e.watch.running[key] = r
	return r
}

// pollsOf returns what is asked at intervals for a verification.
func (e *remediationExporter) pollsOf(r *running, p *playbook.Play) []*poll {
	var polls []*poll
	for _, probe := range r.step.probes {
		streak := &streak{}
		polls = append(polls, &poll{signal: probe.signal, interval: probe.cfg.Interval, ask: func(ctx context.Context) verification.Reading {
			return probe.ask(ctx, streak)
		}})
	}
	var receipt kubeaction.Receipt
	if r.step.workload >= 0 && e.cluster != nil && json.Unmarshal(p.Receipt, &receipt) == nil {
		polls = append(polls, &poll{signal: r.step.workload, interval: r.step.workloadInterval, ask: func(ctx context.Context) verification.Reading {
			return e.askCluster(ctx, receipt)
		}})
	}
	return polls
}

// healthTimeout bounds a question to the API server, which may take several requests.
const healthTimeout = 30 * time.Second

func (e *remediationExporter) askCluster(ctx context.Context, receipt kubeaction.Receipt) verification.Reading {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	h, err := e.cluster.Health(ctx, receipt)
	switch {
	case err != nil:
		e.logger.Debug("health of a workload could not be read", zap.Error(err))
		return verification.Lost
	case h.Failed:
		return verification.Bad
	case h.Ready:
		return verification.Good
	default:
		return verification.Neutral
	}
}

// askSignals starts the questions that are due, as many as may be under way at the same time.
func (e *remediationExporter) askSignals(ctx context.Context, now time.Time) {
	w := e.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.inOrder() {
		for _, p := range r.polls {
			if p.busy || now.Before(p.next) {
				continue
			}
			if w.polling >= w.cfg.MaxProbes {
				return // the others' turn comes before the next one of those that were asked
			}
			p.busy, p.next = true, now.Add(p.interval)
			w.polling++
			e.running.Go(func() { e.poll(ctx, r, p) })
		}
	}
}

// inOrder returns the verifications, those whose next question has waited longest first. mu is held.
func (w *watcher) inOrder() []*running {
	due := func(r *running) time.Time {
		var first time.Time
		for i, p := range r.polls {
			if i == 0 || p.next.Before(first) {
				first = p.next
			}
		}
		return first
	}
	out := make([]*running, 0, len(w.running))
	for _, r := range w.running {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *running) int { return due(a).Compare(due(b)) })
	return out
}

// poll asks one question.
func (e *remediationExporter) poll(ctx context.Context, r *running, p *poll) {
	from := time.Now()
	reading := p.ask(ctx)
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	now := time.Now()
	p.busy = false
	e.watch.polling--
	if ctx.Err() == nil {
		add(ctx, e.telemetry.ExporterRemediationProbes, e.telemetry.readings, readingNames[reading], 1)
		r.v.Observe(p.signal, "", from, now, reading, now)
	}
}

// readingNames are the readings as in metadata.yaml.
var readingNames = map[verification.Reading]string{
	verification.Lost: "lost", verification.Neutral: "neutral", verification.Good: "good", verification.Bad: "bad",
}

// tell gives a reading to the verifications that it concerns. mu is held.
func (w *watcher) tell(s *series, r statement, now time.Time) {
	for _, run := range w.running {
		for i, signal := range run.step.metrics {
			if signal == s.signal && run.about.concerns(signal.cfg.Of, run.target, &s.who) {
				run.v.Observe(i, s.name, r.from.Add(run.shift), r.at.Add(run.shift), r.reading, now)
			}
		}
	}
}

// failing returns how many sources of evidence beyond the incident's own show failure by a signal now.
func (e *remediationExporter) failing(ref playbook.Ref, play *playbook.Play, now time.Time) int {
	b := e.bookOf(ref.Playbook)
	if b == nil {
		return 0
	}
	return e.watch.failing(b, aboutOf(play), play.EventDeadline, play.Deadline, now)
}

// aboutOf returns whom a play concerns; nil when its playbook rests on no metrics.
func aboutOf(p *playbook.Play) *about {
	var o order
	if len(p.Orders) == 0 || json.Unmarshal(p.Orders[0], &o) != nil {
		return nil
	}
	return o.About
}

// probes are all probes of all steps.
func (e *remediationExporter) probes() []*probe {
	var out []*probe
	for _, b := range e.books {
		for _, s := range b.steps {
			out = append(out, s.probes...)
		}
	}
	return out
}
