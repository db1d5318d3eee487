package closedloop

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// Experiments are all of this package; the first two share their runs.
func Experiments() []experiment.Experiment {
	shared := &campaign{}
	return []experiment.Experiment{
		{Name: "incident-response", Clock: result.Real, Run: shared.response},
		{Name: "unattended", Clock: result.Real, Run: shared.unattended},
		{Name: "load-shedding", Clock: result.Real, Run: shedding},
		{Name: "cost", Clock: result.Real, Run: cost},
	}
}

// about is true of all cases in real time.
const about = "Each case has a shop of its own: 15 services as Deployments and StatefulSets of a real Kubernetes API server with real controllers and simulated " +
	"kubelets, at 20 user requests a second. The built collector takes its telemetry over OTLP, acts on the API with the permissions that remediation-rbac prints for its playbooks, and " +
	"verifies. Pods take 5 s to start (data stores 8 s) and are slow at first. The ten minutes before a case are replayed faster than real time; from then on everything is in real time. "

func (c *campaign) response(ctx context.Context, o experiment.Options) (*result.Result, error) {
	records, twins, err := c.play(ctx, o)
	if err != nil {
		return nil, err
	}
	r := &result.Result{
		Name: "incident-response", Number: 2, Title: "Incident response", Clock: result.Real, Seeds: o.Seeds,
		About: about + "Beside it, the same faults in simulated time with nobody acting: when static thresholds fire, and how long people take from there by an assumed model.",
	}
	var curable []record
	var theirs []twin
	for i := range records {
		if !records[i].Lasting {
			curable, theirs = append(curable, records[i]), append(theirs, twins[i])
		}
	}
	all := measure(curable)
	r.AddSample("time to detect", "s", result.Ours, "", all.detected, all.n-len(all.detected))
	r.AddSample("time to name the cause", "s", result.Ours, "", all.named, all.n-len(all.named))
	r.AddSample("time from detection to the named cause", "s", result.Ours, "", all.rooted, all.n-len(all.rooted))
	r.AddSample("time to act", "s", result.Ours, "", all.acted, all.n-len(all.acted))
	r.AddSample("time to recover", "s", result.Ours, "", all.recovered, all.n-len(all.recovered))
	r.AddSample("time to recover without the start-up of pods", "s", result.Ours, "", all.net, all.n-len(all.net))
	r.AddSample("time until the recovery was verified", "s", result.Ours, "", all.verified, all.n-len(all.verified))
	for _, kind := range kindsOf(curable) {
		m := measure(ofKind(curable, kind))
		r.AddSample("time to detect", "s", result.Ours, string(kind), m.detected, m.n-len(m.detected))
		r.AddSample("time to recover", "s", result.Ours, string(kind), m.recovered, m.n-len(m.recovered))
	}
	alerted, humans, complaints := thresholdTimes(theirs)
	r.AddSample("time to detect", "s", result.Thresholds, "", alerted, len(theirs)-len(alerted))
	r.AddSample("time to recover", "s", result.Thresholds, "", humans, len(theirs)-len(humans))
	r.AddSample("time to recover", "s", result.Manual, "", complaints, 0)
	perSeed := func(f func(measured) float64) []float64 {
		var out []float64
		for _, seed := range o.Seeds {
			out = append(out, f(measure(ofSeed(curable, seed))))
		}
		return out
	}
	for _, f := range []struct {
		name string
		of   func(measured) float64
	}{{"success rate", measured.success}, {"impact radius", measured.meanImpact}, {"actions verified as cures", measured.cures}} {
		r.AddFigure(f.name, "%", result.Ours, "", f.of(all), perSeed(f.of))
	}
	r.AddFigure("wrong actions", "", result.Ours, "", float64(all.wrong), perSeed(func(m measured) float64 { return float64(m.wrong) }))
	r.AddFigure("harmful actions", "", result.Ours, "", float64(all.harmful), perSeed(func(m measured) float64 { return float64(m.harmful) }))
	r.Tables = append(r.Tables, compared(all, theirs), byKind(curable), caseTable(curable))
	goals(r, all, curable)
	r.Note("The onset of a bad release is when its first pod serves requests. A fault has recovered when it is gone and neither the users nor any service fared worse for 15 s; only the crowd of a surge may still be there.")
	r.Note("An action is harmful when it disturbs a service that is well, or when more of the users' requests fail after it than before. Impact is the greatest share of services that fared worse at a time.")
	r.Note("The times of people are drawn from the model in experiments/internal/thresholds, which is an assumption and no measurement.")
	return r, nil
}

// measured are the figures of some cases.
type measured struct {
	n, recoveredAndJudged                                          int
	detected, named, rooted, acted, recovered, net, verified       []float64
	impacts, degraded                                              []float64
	actions, cured, wrong, harmful, futile, escalated, withReports int
}

func measure(records []record) (m measured) {
	put := func(list *[]float64, v *float64) {
		if v != nil {
			*list = append(*list, *v)
		}
	}
	m.n = len(records)
	for i := range records {
		r := &records[i]
		put(&m.detected, r.Detected)
		put(&m.named, r.Named)
		put(&m.acted, r.Acted)
		put(&m.recovered, r.Recovered)
		put(&m.verified, r.Verified)
		if r.Detected != nil && r.Named != nil {
			m.rooted = append(m.rooted, *r.Named-*r.Detected)
		}
		if n := r.net(); n != nil {
			m.net = append(m.net, *n)
		}
		m.impacts = append(m.impacts, r.Impact)
		m.degraded = append(m.degraded, r.Degraded)
		if r.handled() {
			m.recoveredAndJudged++
		}
		if r.Escalated != nil {
			m.escalated++
			if r.Report {
				m.withReports++
			}
		}
		for _, a := range r.Actions {
			m.actions++
			if a.Verdict == "succeeded" {
				m.cured++
			} else {
				m.futile++
			}
			if !a.Right {
				m.wrong++
			}
			if a.Harm {
				m.harmful++
			}
		}
	}
	return m
}

// net is the time to recover without what the pods that an action started took to start.
func (r *record) net() *float64 {
	if r.Recovered == nil {
		return nil
	}
	n := *r.Recovered
	if r.Acted != nil && r.Started != nil {
		n -= max(0, min(*r.Started, *r.Recovered)-*r.Acted)
	}
	return &n
}

// handled reports whether the fault was cured by an action that was seen to help, and nobody had to be called.
func (r *record) handled() bool { return r.Recovered != nil && r.Verified != nil && r.Escalated == nil }

func share(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

func (m measured) success() float64 { return share(m.recoveredAndJudged, m.n) }
func (m measured) cures() float64   { return share(m.cured, m.actions) }
func (m measured) meanImpact() float64 {
	if len(m.impacts) == 0 {
		return 0
	}
	sum := 0.0
	for _, i := range m.impacts {
		sum += i
	}
	return sum / float64(len(m.impacts))
}

func kindsOf(records []record) []shop.FaultKind {
	var out []shop.FaultKind
	for i := range records {
		if !slices.Contains(out, records[i].Kind) {
			out = append(out, records[i].Kind)
		}
	}
	slices.Sort(out)
	return out
}

func ofKind(records []record, kind shop.FaultKind) []record {
	return slices.DeleteFunc(slices.Clone(records), func(r record) bool { return r.Kind != kind })
}

func ofSeed(records []record, seed uint64) []record {
	return slices.DeleteFunc(slices.Clone(records), func(r record) bool { return r.Seed != seed })
}

// startUps is what a team's own restart or rollback takes until its pods are up, in seconds.
const startUps = 12.0

// thresholdTimes are when alerts fired, when people who answer them are done, and when people who wait for complaints are.
func thresholdTimes(twins []twin) (alerted, repaired, manual []float64) {
	for i := range twins {
		t := &twins[i]
		work := (t.Times.Triage + t.Times.Repair).Seconds() + startUps
		if t.Alerted != nil {
			alerted = append(alerted, *t.Alerted)
			repaired = append(repaired, *t.Alerted+work)
		}
		manual = append(manual, t.Times.Notice.Seconds()+work)
	}
	return alerted, repaired, manual
}

// compared is the table of the paper.
func compared(m measured, twins []twin) result.Table {
	alerted, repaired, manual := thresholdTimes(twins)
	// Services stay as badly off as they are in the twin until people are done.
	var triage, notice, impact, byThresholds, byHand []float64
	for i := range twins {
		triage = append(triage, twins[i].Times.Triage.Seconds())
		notice = append(notice, twins[i].Times.Notice.Seconds())
		impact = append(impact, twins[i].Impact)
		byHand = append(byHand, twins[i].Degraded*manual[i])
		if a := twins[i].Alerted; a != nil {
			byThresholds = append(byThresholds, twins[i].Degraded*(*a+(twins[i].Times.Triage+twins[i].Times.Repair).Seconds()+startUps))
		}
	}
	mean := measured{impacts: impact}.meanImpact()
	return result.Table{
		Title: "Manual, static thresholds and ours",
		Head:  []string{"", "detect, median", "triage, median", "recovery since the fault, median", "success", "services affected, mean", "service-minutes degraded, median"},
		Rows: [][]string{
			{"manual (assumed times)", median(notice, 0), median(triage, 0), median(manual, 0), "-", percent(mean), minutes(byHand, 0)},
			{"static thresholds, then people (assumed times)", median(alerted, len(twins)-len(alerted)), median(triage, 0), median(repaired, len(twins)-len(repaired)), percent(share(len(alerted), len(twins))), percent(mean), minutes(byThresholds, len(twins)-len(byThresholds))},
			{"ours", median(m.detected, m.n-len(m.detected)), median(m.rooted, m.n-len(m.rooted)), median(m.recovered, m.n-len(m.recovered)), percent(m.success()), percent(m.meanImpact()), minutes(m.degraded, 0)},
			{"ours, without the start-up of pods", "", "", median(m.net, m.n-len(m.net)), "", "", ""},
			{"paper, reached", "15 s", "45 s", "120 s", "95 %", "5 %", ""},
			{"paper, aimed at", "10 s", "30 s", "90 s", "99 %", "2 %", ""},
		},
		Note: "Triage is from the detection to the named cause. Success of thresholds is that an alert fired at all within 12 minutes.",
	}
}

func byKind(records []record) result.Table {
	t := result.Table{
		Title: "By kind of fault (medians in seconds since the onset)",
		Head:  []string{"fault", "cases", "detected", "right cause named", "acted", "recovered", "without start-up", "verified", "handled", "wrong actions", "services affected"},
	}
	for _, kind := range kindsOf(records) {
		m := measure(ofKind(records, kind))
		never := func(list []float64) string { return median(list, m.n-len(list)) }
		t.Rows = append(t.Rows, []string{
			string(kind), strconv.Itoa(m.n), never(m.detected), never(m.named), never(m.acted), never(m.recovered), never(m.net), never(m.verified),
			percent(m.success()), strconv.Itoa(m.wrong), percent(m.meanImpact()),
		})
	}
	return t
}

func caseTable(records []record) result.Table {
	t := result.Table{
		Title: "All cases",
		Head:  []string{"fault", "seed", "detected", "named", "acted", "recovered", "verified", "escalated", "actions", "last cause"},
	}
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b record) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Seed, b.Seed)) })
	for i := range sorted {
		r := &sorted[i]
		var actions []string
		for _, a := range r.Actions {
			actions = append(actions, fmt.Sprintf("%s of %s: %s", a.Action, workload(a.Target), cmp.Or(a.Verdict, "open")))
		}
		name := fmt.Sprintf("%s of %s", r.Kind, r.Service)
		if r.Lasting {
			name += ", incurable"
		}
		t.Rows = append(t.Rows, []string{
			name, strconv.FormatUint(r.Seed, 10), seconds(r.Detected), seconds(r.Named), seconds(r.Acted), seconds(r.Recovered),
			seconds(r.Verified), seconds(r.Escalated), strings.Join(actions, "; "), r.Cause,
		})
	}
	return t
}

func median(values []float64, never int) string {
	m := result.Summarise(values, never).Median
	if m == nil {
		return "never"
	}
	return fmt.Sprintf("%.1f s", *m)
}

func minutes(seconds []float64, never int) string {
	m := result.Summarise(seconds, never).Median
	if m == nil {
		return "never ends"
	}
	return fmt.Sprintf("%.1f", *m/60)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// goals judges the figures.
func goals(r *result.Result, m measured, records []record) {
	med := func(list []float64, of int) *float64 { return result.Summarise(list, of-len(list)).Median }
	slow := func(pick func(*record) *float64, limit float64) string {
		var names []string
		for i := range records {
			if v := pick(&records[i]); v == nil || *v > limit {
				names = append(names, fmt.Sprintf("%s of %s (seed %d, %s)", records[i].Kind, records[i].Service, records[i].Seed, seconds(v)))
			}
		}
		return "slower: " + strings.Join(names, ", ")
	}
	detected := func(r *record) *float64 { return r.Detected }
	named := func(r *record) *float64 { return r.Named }
	recovered := func(r *record) *float64 { return r.Recovered }
	r.AddGoal(result.FromProject, "median time to detect", "s", "<=", 10, med(m.detected, m.n), slow(detected, 10))
	r.AddGoal(result.FromProject, "median time to a named cause", "s", "<=", 15, med(m.named, m.n), slow(named, 15))
	r.AddGoal(result.FromProject, "median time to recover without the start-up of pods", "s", "<=", 45, med(m.net, m.n), slow((*record).net, 45))
	r.AddGoal(result.FromProject, "automatic actions verified as cures", "%", ">=", 0.95, new(m.cures()), unverified(records))
	r.AddGoal(result.FromProject, "harmful actions", "", "=", 0, new(float64(m.harmful)), harmful(records))
	r.AddGoal(result.FromPaper, "time to detect (median)", "s", "<=", 15, med(m.detected, m.n), slow(detected, 15))
	r.AddGoal(result.FromPaper, "time to detect (median), second paper", "s", "<=", 12, med(m.detected, m.n), slow(detected, 12))
	r.AddGoal(result.FromPaper, "triage: detection to cause (median)", "s", "<=", 5, med(m.rooted, m.n), "the second opinion comes with the next bucket")
	r.AddGoal(result.FromPaper, "injection to recovery (median)", "s", "<=", 48, med(m.recovered, m.n), slow(recovered, 48))
	r.AddGoal(result.FromPaper, "success rate", "%", ">=", 0.95, new(m.success()), unverified(records))
	r.AddGoal(result.FromPaper, "impact radius", "%", "<=", 0.05, new(m.meanImpact()),
		"one of 15 services is 6.7 % already; callers fare worse with what they call from the first second on, before anything can be detected")
	if crashes := ofKind(records, shop.Crash); len(crashes) > 0 {
		c := measure(crashes)
		r.AddGoal(result.FromPaper, "process crashes: time to detect (median)", "s", "<=", 15.2, med(c.detected, c.n), slow(detected, 15.2))
		r.AddGoal(result.FromPaper, "process crashes: time to repair, without start-up (median, from detection)", "s", "<=", 9.9, repair(crashes),
			"what is repaired counts only when users fare as before, which the slow first seconds of new pods delay")
	}
}

// repair is the median time from the detection to the recovery without the start-up of pods.
func repair(records []record) *float64 {
	var list []float64
	for i := range records {
		if n := records[i].net(); n != nil && records[i].Detected != nil {
			list = append(list, *n-*records[i].Detected)
		}
	}
	return result.Summarise(list, len(records)-len(list)).Median
}

func unverified(records []record) string {
	var names []string
	for i := range records {
		if r := &records[i]; !r.handled() {
			names = append(names, fmt.Sprintf("%s of %s (seed %d)", r.Kind, r.Service, r.Seed))
		}
	}
	return "not handled: " + strings.Join(names, ", ")
}

func harmful(records []record) string {
	var names []string
	for i := range records {
		for _, a := range records[i].Actions {
			if a.Harm {
				names = append(names, fmt.Sprintf("%s of %s for %s of %s (seed %d)", a.Action, workload(a.Target), records[i].Kind, records[i].Service, records[i].Seed))
			}
		}
	}
	return strings.Join(names, ", ")
}
