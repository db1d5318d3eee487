package grafana

import (
	"encoding/json"
	"html"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxTag bounds a tag, and maxTags all of them with their punctuation, as Grafana documents; runes and bytes alike stay below.
	maxTag  = 100
	maxTags = 500
	// maxUserTag bounds a tag of the user's, in bytes.
	maxUserTag = 50
	// maxText bounds a text in runes: what one sees on hovering.
	maxText = 4000
	// maxLine bounds each of its lines.
	maxLine = 300
)

// annotation is what POST takes; times are in milliseconds.
type annotation struct {
	DashboardUID string   `json:"dashboardUID,omitempty"`
	PanelID      int64    `json:"panelId,omitempty"`
	Time         int64    `json:"time"`
	TimeEnd      int64    `json:"timeEnd,omitempty"`
	Tags         []string `json:"tags"`
	Text         string   `json:"text"`
}

// change is what PATCH takes. What has no end ends where it begins, also where it had an end before.
func (a *annotation) change() any {
	return struct {
		Text    string   `json:"text"`
		Tags    []string `json:"tags"`
		Time    int64    `json:"time"`
		TimeEnd int64    `json:"timeEnd"`
	}{a.Text, a.Tags, a.Time, max(a.Time, a.TimeEnd)}
}

// translate returns the annotation of a message, and the tag that it alone has.
func (g *grafana) translate(m *notifier.Message) (a *annotation, mark string) {
	mark = tag("event", m.ID)
	if m.IsIncident() {
		mark = tag("incident", m.Key)
		if m.Occurrence > 1 {
			mark = tag("incident", m.Key+"-"+strconv.Itoa(m.Occurrence))
		}
	}
	a = &annotation{DashboardUID: g.cfg.Dashboard, PanelID: g.cfg.Panel, Text: text(m)}
	if a.Time = milliseconds(m.Time); a.Time == 0 {
		a.Time = milliseconds(m.Now)
	}
	own := []string{mark}
	switch {
	case m.IsIncident():
		own = append(own, "incident")
		if at := m.Incident.StartedAt; at != nil && milliseconds(*at) > 0 {
			a.Time = milliseconds(*at)
		}
		if m.Incident.Status == semconv.StatusResolved {
			end := m.Time
			if at := m.Incident.ResolvedAt; at != nil {
				end = *at
			}
			a.TimeEnd = max(milliseconds(end), a.Time+1) // a region has a length
		}
	case m.Storm != nil:
		own = append(own, "storm")
		a.Time, a.TimeEnd = milliseconds(m.Storm.From), milliseconds(m.Storm.To)
	case m.Remediation != nil:
		own = append(own, "remediation", tag("playbook", m.Remediation.Playbook))
		if m.Key != "" {
			own = append(own, tag("of_incident", m.Key))
		}
	}
	if inc := m.Incident; inc != nil {
		own = append(own, tag("severity", string(inc.Severity)))
		if len(inc.Causes) > 0 {
			own = append(own, tag(string(inc.Causes[0].Entity.Type), inc.Causes[0].Entity.Name))
		}
	}
	if m.Cluster != "" {
		own = append(own, tag("cluster", m.Cluster))
	}
	if m.Test {
		own = append(own, "test")
	}
	a.Tags = fit(own[:1], append(append([]string(nil), g.cfg.Tags...), own[1:]...))
	return a, mark
}

// tag makes one of at most 100 bytes: Grafana keeps what stands before and behind the first colon in columns of that length.
func tag(name, value string) string {
	t := strings.ReplaceAll(notifier.Line(name, maxTag), ":", "_") + ":" + notifier.Line(value, maxTag)
	for n := maxTag; len(t) > maxTag; n -= 10 {
		t = notifier.Line(t, n)
	}
	return t
}

// fit adds tags, each once, while all of them have room.
func fit(tags, more []string) []string {
	for _, t := range more {
		with := append(tags[:len(tags):len(tags)], t)
		seen := map[string]bool{}
		for _, s := range tags {
			seen[s] = true
		}
		if b, err := json.Marshal(with); err == nil && len(b) <= maxTags && !seen[t] {
			tags = with
		}
	}
	return tags
}

// text is the annotation's text in HTML.
func text(m *notifier.Message) string {
	s := wording.Tell(m)
	headline := html.EscapeString(notifier.Line(s.Headline, maxLine))
	if wording.Linkable(m.Links.Incident) {
		headline = `<a href="` + html.EscapeString(m.Links.Incident) + `">` + headline + `</a>`
	}
	out := headline
	n := len(headline)
	for _, f := range s.Facts {
		line := "<br>" + html.EscapeString(f.Name+": "+notifier.Line(f.Value, maxLine))
		if n += len(line); n > maxText { // a line is left out as a whole, so that no entity is cut in two
			return out + "<br>…"
		}
		out += line
	}
	return out
}

// milliseconds is a time as Grafana takes it; 0 for what cannot be one.
func milliseconds(t time.Time) int64 {
	if t.IsZero() || t.Unix() < 0 {
		return 0
	}
	return t.UnixMilli()
}
