package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	shownEvidence = 4
	shownLogLines = 12
)

// tellEvent prints an incident event as it comes in.
func (t *teller) tellEvent(e *seenEvent) {
	inc := &e.Incident
	short := inc.ID[:min(8, len(inc.ID))]
	switch e.Name {
	case semconv.EventIncidentOpened:
		t.say(e.seen, red, "incident %s opened (%s): %s", short, inc.Severity, inc.Title)
		t.tellCauses(inc)
	case semconv.EventIncidentUpdated:
		t.say(e.seen, yellow, "incident %s updated (revision %d): %s", short, inc.Revision, inc.Title)
		t.tellCauses(inc)
	case semconv.EventIncidentResolved:
		t.say(e.seen, green, "incident %s resolved: %s", short, inc.Resolution)
	}
}

func (t *teller) tellCauses(inc *semconv.Incident) {
	if len(inc.Causes) == 0 {
		t.detail("no cause can be named")
		return
	}
	c := inc.Causes[0]
	t.detail("cause: %s of %s %s, confidence %.0f %%", c.Kind, c.Entity.Type, c.Entity.Name, 100*c.Confidence)
	for _, e := range c.Evidence[:min(shownEvidence, len(c.Evidence))] {
		t.detail("  - %s: %s", e.Signal, e.Summary)
	}
	if len(inc.Causes) > 1 {
		t.detail("then: %s", ranking(inc.Causes[1:]))
	}
}

func ranking(causes []semconv.Cause) string {
	var names []string
	for i := range causes {
		names = append(names, fmt.Sprintf("%s (%s, %.0f %%)", causes[i].Entity.Name, causes[i].Kind, 100*causes[i].Confidence))
	}
	return strings.Join(names, ", ")
}

// tellDelivery prints a webhook as the shop received it.
func (t *teller) tellDelivery(at time.Time, d *delivery) {
	signature, c := "signature verified", plain
	if !d.Verified {
		signature, c = "SIGNATURE NOT VERIFIED", red
	}
	name := strings.TrimSuffix(strings.TrimPrefix(d.Type, "io.paramedic."), ".v1")
	t.say(at, c, "webhook %s, %s, answered %d", name, signature, d.Status)
	if d.Action != "" {
		t.detail("action: %s %s: %s", d.Action, d.Service, d.Result)
	}
}

// tellVerdict prints the summary of a run.
func (t *teller) tellVerdict(f *facts, v *verdict) {
	t.line(plain, "")
	t.line(bold, "%s of %s", f.fault.Kind, f.fault.Service)
	rows := [][]string{{"what", "result"}}
	add := func(what, format string, args ...any) {
		rows = append(rows, []string{what, fmt.Sprintf(format, args...)})
	}
	if f.early > 0 {
		add("incidents before the fault", "%d", f.early)
	}
	if v.opened != nil {
		wall, event := v.detection(f)
		add("time to detect (MTTD)", "%s wall clock, %s event time", seconds(wall), seconds(event))
		add("named at opening", "%s; %s is %s", ranking(v.opened.Incident.Causes[:min(1, len(v.opened.Incident.Causes))]), f.fault.Service, place(v.rankAtOpening))
	}
	if v.named != nil {
		add("time to the right cause", "%s", seconds(v.named.seen.Sub(f.injected)))
	}
	if v.acting != nil && v.action != nil {
		add("ranking when acting", "%s", ranking(v.acting.Incident.Causes))
	}
	if v.action != nil {
		add("action", "%s %s after %s: %s", v.action.Action, v.action.Service, seconds(v.action.Time.Sub(f.injected)), v.action.Result)
	}
	if v.resolved != nil {
		add("time to recover (MTTR)", "%s until resolved was reported, symptoms gone after %s",
			seconds(v.resolved.seen.Sub(f.injected)), seconds(v.resolved.Incident.ResolvedAt.Sub(f.fault.Since)))
	}
	if v.others > 0 {
		add("further incidents", "%d", v.others)
	}
	t.table(rows)
	t.tellTrail(f, v)
	t.line(plain, "")
	if v.closed() {
		t.line(green, "THE LOOP CLOSED")
		return
	}
	t.line(red, "THE LOOP DID NOT CLOSE")
	for _, m := range v.missing {
		t.line(red, "  %s", m)
	}
}

// tellTrail prints who did what when, of the incident in question.
func (t *teller) tellTrail(f *facts, v *verdict) {
	if v.opened == nil {
		return
	}
	id := v.opened.Incident.ID
	rows := [][]string{{"audit trail of " + id, "verified", "action", "answer"}}
	for i := range f.deliveries {
		d := &f.deliveries[i]
		if d.Incident != id {
			continue
		}
		rows = append(rows, []string{
			fmt.Sprintf("%s %s", d.Time.UTC().Format(time.RFC3339), d.Type), strconv.FormatBool(d.Verified),
			strings.TrimSpace(d.Action + " " + d.Service), fmt.Sprintf("%d %s", d.Status, d.Result),
		})
	}
	t.line(plain, "")
	t.table(rows)
}

func place(rank int) string {
	if rank == 0 {
		return "not among the causes"
	}
	return "number " + strconv.Itoa(rank)
}

// outcome is a run with its verdict, for the table at the end.
type outcome struct {
	kind    string
	facts   facts
	verdict verdict
	err     error
}

// tellOutcomes prints the table of several runs.
func (t *teller) tellOutcomes(outcomes []outcome) {
	rows := [][]string{{"fault", "service", "detected", "at opening", "right cause", "acted", "resolved", "before", "result"}}
	closed := 0
	for i := range outcomes {
		o := &outcomes[i]
		v, f := &o.verdict, &o.facts
		row := []string{o.kind, f.fault.Service, "-", "-", "-", "-", "-", strconv.Itoa(f.early), "closed"}
		if v.opened != nil {
			row[2], row[3] = seconds(v.opened.seen.Sub(f.injected)), place(v.rankAtOpening)
		}
		if v.named != nil {
			row[4] = seconds(v.named.seen.Sub(f.injected))
		}
		if v.action != nil {
			row[5] = fmt.Sprintf("%s %s, %s", v.action.Action, v.action.Service, seconds(v.action.Time.Sub(f.injected)))
		}
		if v.resolved != nil {
			row[6] = seconds(v.resolved.seen.Sub(f.injected))
		}
		switch {
		case o.err != nil:
			row[8] = o.err.Error()
		case !v.closed():
			row[8] = strings.Join(v.missing, "; ")
		default:
			closed++
		}
		rows = append(rows, row)
	}
	t.line(plain, "")
	t.table(rows)
	t.line(bold, "%d of %d closed the loop", closed, len(outcomes))
}
