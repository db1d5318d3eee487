package incidentconnector

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// minSurprise is the surprise from which on something is a symptom, though it may not open an incident.
const minSurprise = 4

// maxWeight bounds how much one symptom counts, for beyond it is certain anyway.
const maxWeight = 30

// noticeableSeconds and noticeableRatio are how much slower a call must have become to open an incident by itself.
const (
	noticeableSeconds = 0.025
	noticeableRatio   = 1.5
)

// symptomClass is the source of a symptom. Symptoms of different classes corroborate each other.
type symptomClass int

const (
	classEdge symptomClass = iota
	classLog
	classSignal
	classEvent
	classObjective
)

type symptomKey struct {
	class  symptomClass
	entity semconv.Entity
	what   string
}

// symptom is something abnormal about an entity.
type symptom struct {
	key    symptomKey
	entity semconv.Entity
	class  symptomClass
	kind   semconv.CauseKind
	// edge is set for symptoms of class edge.
	edge     edgehealth.Key
	edgeKind edgehealth.Kind
	// budget is set for symptoms of class objective.
	budget budgetKey
	// logsErrors is set for symptoms of class log that are errors, not missing records.
	logsErrors bool
	// felt and spreads are set for symptoms of class signal: whether others may be to blame, and how far out it is.
	felt    bool
	spreads float64
	// opens is whether the symptom can open an incident; others are evidence alone.
	opens bool
	// surprise is the largest so far, deviation that of the same moment.
	surprise, deviation, score float64
	onset                      time.Time
	// lastActive is when it was last seen to be there, quietSince since when it is seen not to be, and lastKnown when
	// either was last seen.
	lastActive, quietSince, lastKnown time.Time
	summary                           string
	signal                            string
	resource                          map[string]string
	// origin is what was observed; it differs from the entity when that runs on it, or is known by another name.
	origin semconv.Entity
	// examples are traces in which it shows, for symptoms of class log.
	examples traces
	incident *incident
	// early symptoms were there when the incident was opened.
	early bool
	// decided is what was last noted about why it joined no open incident, and about why it opened none.
	decided struct{ joining, opening decisionKind }
	// waited is set when the symptom could have opened an incident, but its cause was not clear yet.
	waited bool
}

// active reports whether the symptom was there when last looked at.
func (s *symptom) active() bool { return s.quietSince.IsZero() }

// weight is how much the symptom counts as evidence.
func (s *symptom) weight() float64 { return min(s.surprise, maxWeight) }

// observation is one sight of a symptom.
type observation struct {
	symptom
	trend excess.Trend
}

// note enters an observation at the end of a bucket.
func (e *engine) note(now time.Time, o observation) {
	s := e.symptoms[o.key]
	if s == nil {
		if o.trend == excess.Subsided {
			return
		}
		if len(e.symptoms) >= e.cfg.Limits.Symptoms {
			e.refusals.limit++
			return
		}
		first := o.symptom
		s = &first
		s.entity, s.class = o.key.entity, o.key.class
		s.lastActive, s.lastKnown = now, now
		e.symptoms[o.key] = s
		e.tell("symptom found", s)
		return
	}
	if o.surprise > s.surprise {
		s.surprise, s.deviation, s.score, s.spreads, s.summary, s.kind = o.surprise, o.deviation, o.score, o.spreads, o.summary, o.kind
		s.opens = s.opens || o.opens
		if len(o.examples) > 0 {
			s.examples = o.examples
		}
	}
	switch o.trend {
	case excess.Persisting:
		if !s.active() {
			if s.incident == nil {
				s.onset = o.onset
			}
			e.tell("symptom returned", s)
		}
		s.lastActive, s.lastKnown, s.quietSince = now, now, time.Time{}
	case excess.Subsided:
		e.quiet(s, now)
	}
}

// quiet notes that a symptom is seen to be gone.
func (e *engine) quiet(s *symptom, now time.Time) {
	s.lastKnown = now
	if s.quietSince.IsZero() {
		s.quietSince = now
		e.tell("symptom subsided", s)
	}
}

// noteEdges turns the findings of the service graph into symptoms.
func (e *engine) noteEdges(now time.Time, findings []edgehealth.Finding) {
	for _, f := range findings {
		server, client := entityOf(f.Key.Server), entityOf(f.Key.Client)
		o := observation{trend: f.Trend, symptom: symptom{
			key: symptomKey{classEdge, server, fmt.Sprint(f.Kind, f.Key.Client)}, edge: f.Key, edgeKind: f.Kind,
			opens: true, surprise: f.Verdict.Surprise, onset: e.onsetOf(now, f.Verdict.Window),
			deviation: deviationOf(f.Verdict), score: scoreOf(f.Verdict.Surprise),
		}}
		switch f.Kind {
		case edgehealth.Failing:
			o.kind, o.signal = semconv.CauseErrors, semconv.MetricGraphRequestFailedTotal
			o.summary = e.failureSummary(f, client.Name, now)
		case edgehealth.Slow:
			o.kind, o.signal = semconv.CauseLatency, semconv.MetricGraphRequestServer
			o.opens = f.Now-f.Normal >= noticeableSeconds && f.Now >= noticeableRatio*f.Normal
			o.summary = fmt.Sprintf("calls from %s take %s instead of %s", client.Name, seconds(f.Now), seconds(f.Normal))
		case edgehealth.SlowForClient:
			o.kind, o.signal = semconv.CauseNetwork, semconv.MetricGraphRequestClient
			o.opens = f.Now-f.Normal >= noticeableSeconds && f.Now >= noticeableRatio*f.Normal
			o.summary = fmt.Sprintf("%s waits %s instead of %s for an answer that does not take longer", client.Name, seconds(f.Now), seconds(f.Normal))
		case edgehealth.Surge:
			o.kind, o.signal, o.opens = semconv.CauseTraffic, semconv.MetricGraphRequestTotal, false
			o.summary = fmt.Sprintf("%.1f times the usual calls from %s", f.Now/f.Normal, client.Name)
		case edgehealth.Drop:
			// Who does not call any more is the one to ask; but what callers ask for shifts by itself as well.
			o.surprise /= 2
			o.kind, o.signal = semconv.CauseUnknown, semconv.MetricGraphRequestTotal
			o.key.entity = client
			o.key.what = fmt.Sprint(f.Kind, f.Key.Server)
			o.summary = fmt.Sprintf("%.2f calls to %s for each request instead of %.2f", f.Now, server.Name, f.Normal)
			o.opens = client.Type == semconv.EntityService
		}
		e.note(now, o)
	}
}

// noteFlow turns the findings in log records into symptoms.
func (e *engine) noteFlow(now time.Time, findings []logflow.Finding) {
	for _, f := range findings {
		entity := semconv.Entity{Type: semconv.EntityService, Name: f.Service}
		template := excerpt(f.Template)
		o := observation{trend: f.Trend, symptom: symptom{
			key:   symptomKey{classLog, entity, fmt.Sprint(f.Kind, f.After, "\x00", f.Template)},
			opens: true, surprise: f.Verdict.Surprise, onset: e.onsetOf(now, f.Verdict.Window),
			deviation: deviationOf(f.Verdict), score: scoreOf(f.Verdict.Surprise), signal: semconv.AttrLogRecordTemplate,
		}}
		switch f.Kind {
		case logflow.NewError:
			o.examples = e.directory.examplesOf(f.Service, f.Template, o.onset)
			o.logsErrors = true
			o.kind = semconv.CauseErrors
			if f.Template == "" {
				o.summary = fmt.Sprintf("%.0f error log records instead of %.1f", f.Verdict.Now.Events, f.Verdict.Expected)
			} else {
				o.summary = fmt.Sprintf("error %q logged %.0f times instead of %.1f", template, f.Verdict.Now.Events, f.Verdict.Expected)
			}
		case logflow.MissingStep:
			o.kind = semconv.CauseErrors
			o.summary = fmt.Sprintf("after %q the usual %q is missing %.0f of %.0f times", excerpt(f.After), template, f.Verdict.Now.Events, f.Verdict.Now.Exposure)
		case logflow.MissingRecord:
			o.kind = semconv.CauseErrors
			o.summary = fmt.Sprintf("for %.0f of %.0f requests nothing is logged instead of for %.1f %%, what is missing is %q",
				f.Verdict.Now.Events, f.Verdict.Now.Exposure, 100*f.Verdict.Past.Share(), template)
		}
		e.note(now, o)
	}
}

// noteSignals turns series with a high score into symptoms, and forgets those that have come back or gone silent.
func (e *engine) noteSignals(now time.Time) {
	for _, key := range e.signals.strongestFirst(e.opensAlone) {
		s := e.signals.held[key]
		if !s.onset.Before(now) && s.run > 0 {
			// It began after the bucket that is judged.
			continue
		}
		if s.subject == (semconv.Entity{}) {
			s.subject = e.subject(s.entity)
		}
		sk := key.symptom(s.subject)
		known := e.symptoms[sk]
		outlived := e.outlived(s, now)
		if s.run == 0 || outlived || e.gaps.elapsed(s.last, now) > e.cfg.StaleAfter {
			if known != nil && (s.run == 0 || outlived) {
				e.quiet(known, now)
			}
			delete(e.signals.held, key)
			continue
		}
		if s.calm(e.cfg) {
			if known != nil {
				e.quiet(known, now)
			}
			continue
		}
		if s.run < e.cfg.Persistence && (!s.saturated(e.cfg) || !e.opensAlone(s)) {
			continue
		}
		trend := excess.Persisting
		if known != nil && !s.last.After(known.lastKnown) {
			trend = excess.Unknown
		}
		e.note(now, observation{trend: trend, symptom: symptom{
			key: sk, kind: s.rule.kind, signal: s.metric, onset: s.onset, resource: s.resource, origin: s.entity,
			opens:    e.opensAlone(s),
			surprise: e.signalSurprise(s), deviation: s.deviation, score: s.score,
			felt: s.rule.felt || s.falls(), spreads: s.spreads(), summary: s.summary(),
		}})
	}
}

// opensAlone reports whether a series shows a saturation or a failure that matters by itself.
func (e *engine) opensAlone(s *signal) bool {
	if s.chosen {
		return math.Abs(s.deviation) >= e.cfg.MinDeviation
	}
	if s.deviation < e.cfg.MinDeviation {
		return false
	}
	switch s.rule.kind {
	case semconv.CauseCPU, semconv.CauseMemory, semconv.CauseDisk:
		return s.saturated(e.cfg)
	default:
		return s.rule.failure
	}
}

// signalSurprise puts a score on the scale of surprises: persistent and far off, it is enough to open an incident.
func (e *engine) signalSurprise(s *signal) float64 {
	if e.opensAlone(s) {
		return e.cfg.OpenSurprise
	}
	return minSurprise
}

// noteSilence finds out about the symptoms that were not observed: whether there are data from after they were last there
// that show them gone. Older data, or none, say nothing.
func (e *engine) noteSilence(now time.Time) {
	for _, s := range e.symptoms {
		since := int(e.gaps.elapsed(s.lastActive, now) / e.cfg.Bucket)
		if !s.active() || since < trendBuckets {
			continue
		}
		buckets := min(since, excess.MaxWindow/2)
		dataSeen := false
		switch s.class {
		case classEdge:
			from := s.edge.Server
			if s.edgeKind == edgehealth.Drop {
				from = s.edge.Client
			}
			dataSeen = e.edges.RequestsIn(from, buckets) > 0
		case classLog:
			// What is missing is not looked for soon after a gap.
			dataSeen = e.flow.Records(s.entity.Name, buckets) > 0 && (s.logsErrors || !e.recovering(now))
		case classSignal, classEvent, classObjective:
			// A score that falls is sent once, and events say nothing when all is well: they and burns are looked after
			// where they are noted.
		}
		if dataSeen {
			e.quiet(s, now)
		}
	}
}

// trendBuckets is how many buckets a symptom may go unobserved before that means that it is gone.
const trendBuckets = 3

// forgetSymptoms drops those that belong to no incident and will belong to none.
func (e *engine) forgetSymptoms(now time.Time) {
	for key, s := range e.symptoms {
		if s.incident == nil && e.gaps.elapsed(s.lastActive, now) > e.cfg.GroupWindow {
			delete(e.symptoms, key)
		}
	}
}

// sortedSymptoms returns the symptoms for which keep holds, in a fixed order.
func (e *engine) sortedSymptoms(keep func(*symptom) bool) []*symptom {
	var out []*symptom
	for _, s := range e.symptoms {
		if keep(s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareSymptoms)
	return out
}

func compareSymptoms(a, b *symptom) int {
	return cmp.Or(
		a.onset.Compare(b.onset),
		cmp.Compare(a.entity.Type, b.entity.Type), cmp.Compare(a.entity.Name, b.entity.Name),
		cmp.Compare(a.class, b.class), cmp.Compare(a.key.what, b.key.what),
	)
}

// onsetOf returns when a window of n buckets that ends now began.
func (e *engine) onsetOf(now time.Time, n int) time.Time {
	return now.Add(-time.Duration(n) * e.cfg.Bucket)
}

func deviationOf(v excess.Verdict) float64 {
	return (v.Now.Events - v.Expected) / math.Sqrt(v.Expected+1)
}

func scoreOf(surprise float64) float64 { return 1 - math.Pow(10, -surprise) }

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond).String()
}

// excerpt shortens text from telemetry for a sentence.
func excerpt(s string) string {
	const most = 120
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
