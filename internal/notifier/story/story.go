// Package story says in plain words what a message is about: what the notifiers of chats, cards and annotations have in common
// before each puts it into the shape, and within the limits, of its system.
//
// Every text of a [Story] is one line of printable characters with a bound in runes. It is not escaped: each system has its own
// rules for that.
package story

import (
	"cmp"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Level is how grave a story is, for colours.
type Level int

// The levels, from the best news to the worst.
const (
	Good Level = iota
	Neutral
	Warning
	Critical
)

// Bounds of a story, in runes and items.
const (
	maxHeadline = 300
	maxName     = 200
	maxText     = 500
	maxItems    = 5
)

// Story is what people are told.
type Story struct {
	// Headline says it all in one line, of at most 300 runes.
	Headline string
	Level    Level
	// Facts are the most important first.
	Facts []Fact
	// Lists hold what there may be more of; none is empty.
	Lists []List
	// Footer says where it comes from.
	Footer string
}

// Fact is a name of ours, and a value of at most 500 runes.
type Fact struct{ Name, Value string }

// List is a few lines under a title of ours, of at most 500 runes each.
type List struct {
	Title string
	Items []string
}

// Tell tells what a message is about. It always has a headline.
func Tell(m *notifier.Message) *Story {
	s := &Story{Level: Neutral}
	switch {
	case m.Storm != nil:
		s.tellStorm(m.Storm)
	case m.Guard != nil:
		s.tellGuard(m)
	case m.Remediation != nil:
		s.tellRemediation(m)
	case m.Incident != nil:
		s.tellIncident(m)
	default:
		s.Headline = "News of Paramedic: " + string(m.Type)
	}
	if m.Test {
		s.Headline = "TEST, nothing is wrong · " + s.Headline
	}
	s.Headline = notifier.Line(s.Headline, maxHeadline)
	s.add("Cluster", m.Cluster)
	var from []string
	if m.Incident != nil {
		from = append(from, "incident "+m.Incident.ID)
	}
	if m.Truncated {
		from = append(from, "shortened")
	}
	s.Footer = notifier.Line(strings.Join(append(from, "from Paramedic, "+m.Source), " · "), maxText)
	return s
}

// Line is the whole story in one line of at most n runes.
func (s *Story) Line(n int) string {
	line := s.Headline
	for _, f := range s.Facts[:min(3, len(s.Facts))] {
		line += " · " + f.Name + ": " + f.Value
	}
	return notifier.Line(line, n)
}

// add adds a fact, unless there is nothing to say.
func (s *Story) add(name, value string) {
	if value = notifier.Line(value, maxText); value != "" {
		s.Facts = append(s.Facts, Fact{Name: name, Value: value})
	}
}

// list adds at most [maxItems] lines and says how many more there are.
func (s *Story) list(title string, items []string) {
	var lines []string
	more := 0
	for _, item := range items {
		switch item = notifier.Line(item, maxText); {
		case item == "":
		case len(lines) == maxItems:
			more++
		default:
			lines = append(lines, item)
		}
	}
	if more > 0 {
		lines = append(lines, "and "+count(more, "more", "more"))
	}
	if len(lines) > 0 {
		s.Lists = append(s.Lists, List{Title: title, Items: lines})
	}
}

// Severity is the word for a severity, in capitals; what is not known is said so.
func Severity(s semconv.Severity) string {
	switch s {
	case semconv.SeverityCritical, semconv.SeverityMajor, semconv.SeverityMinor:
		return strings.ToUpper(string(s))
	default:
		return cmp.Or(notifier.Line(strings.ToUpper(string(s)), maxName), "UNKNOWN")
	}
}

// Cause names the first cause of an incident as in "memory of service shop/cart", or returns "".
func Cause(inc *eventdata.Incident) string {
	if inc == nil || len(inc.Causes) == 0 {
		return ""
	}
	return nameCause(&inc.Causes[0])
}

func nameCause(c *eventdata.Cause) string {
	return notifier.Line(string(c.Kind)+" of "+nameEntity(c.Entity), maxName)
}

func nameEntity(e eventdata.Entity) string { return notifier.Line(string(e.Type)+" "+e.Name, maxName) }
