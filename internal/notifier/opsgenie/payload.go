package opsgenie

import (
	"strings"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
)

// Lengths in characters, and numbers, that the documentation gives.
const (
	maxMessage     = 130
	maxDescription = 15_000
	maxEntity      = 512
	maxUser        = 100
	maxNote        = 25_000
	maxTag         = 50
	maxTags        = 20
	maxResponders  = 50
	// maxDetails is of all names and values together.
	maxDetails = 8000
	// maxDetail is ours: one value leaves room for the others.
	maxDetail = 1000

	sourceName = "otelcol-paramedic"
	userName   = "paramedic"
)

// alert is the body of a request for a new alert.
type alert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description,omitempty"`
	Responders  []Responder       `json:"responders,omitempty"`
	Tags        []string          `json:"tags,omitempty"`
	Details     map[string]string `json:"details,omitempty"`
	Entity      string            `json:"entity,omitempty"`
	Source      string            `json:"source"`
	Priority    string            `json:"priority"`
	User        string            `json:"user"`
}

// action is the body of all other requests.
type action struct {
	User     string   `json:"user,omitempty"`
	Source   string   `json:"source,omitempty"`
	Note     string   `json:"note,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Priority string   `json:"priority,omitempty"`
}

func (d *destination) alert(m *notifier.Message, alias, priority string) *alert {
	a := &alert{
		Message: text(notifier.Line(wording.Title(m), maxMessage), maxMessage), Alias: alias, Description: text(wording.Text(m, maxDescription), maxDescription),
		Tags: d.tags(m), Details: details(m), Entity: text(wording.Place(m), maxEntity), Source: sourceName, Priority: priority, User: userName,
		Responders: d.responders(m),
	}
	return a
}

// text takes the meaning of markup from what is shown as such. It keeps the number of characters.
func text(s string, n int) string { return notifier.Clip(unmarked.Replace(s), n) }

var unmarked = strings.NewReplacer("<", "‹", ">", "›", "](", "]❨")

func (d *destination) responders(m *notifier.Message) []Responder {
	out := append([]Responder(nil), d.cfg.Responders...)
	if team := notifier.Line(m.Owner, maxUser); d.cfg.OwnerTeam && team != "" && len(out) < maxResponders {
		out = append(out, Responder{Type: "team", Name: team})
	}
	return out
}

func (d *destination) tags(m *notifier.Message) []string {
	tags := append([]string{"paramedic"}, d.cfg.Tags...)
	add := func(name, value string) {
		if value = notifier.Line(value, maxTag); value != "" {
			tags = append(tags, name+":"+value)
		}
	}
	if m.Test {
		tags = append(tags, "test")
	}
	if m.Incident != nil {
		add("severity", string(m.Incident.Severity))
		add("kind", wording.Kind(m))
	}
	add("cluster", m.Cluster)
	add("owner", m.Owner)
	tags = tags[:min(len(tags), maxTags)]
	for i, t := range tags {
		tags[i] = notifier.Line(text(t, maxTag), maxTag)
	}
	return tags
}

// details are the fields that rules can look at, as many as fit.
func details(m *notifier.Message) map[string]string {
	out := map[string]string{}
	room := maxDetails
	for _, f := range wording.Fields(m, maxDetail) {
		value := text(f.Value, maxDetail)
		if need := utf8.RuneCountInString(f.Name) + utf8.RuneCountInString(value); need <= room {
			out[f.Name] = value
			room -= need
		}
	}
	return out
}
