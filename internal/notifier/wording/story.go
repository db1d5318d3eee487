// Package wording says in plain words what a message is about: what every notifier has in common before it puts the words into the
// shape, and within the limits, of its system.
//
//   - [Tell] tells it as a headline, facts and lists, for cards, annotations and descriptions; [Text] is the same as lines.
//   - [Title], [Service], [Place] and [Kind] are for systems that page people and have fields of their own for the rest.
//   - [News] is a note on what is known already, [Remediation], [Resolution] and [Acknowledgment] one sentence of it.
//   - [Fields] and [NewDetails] are for programs; [Gist] and [About] say what a message is to be told as.
//   - [Links] are what people can open.
//
// What comes from telemetry is hostile input: it ends up as lines of printable characters with a bound in runes. It is not escaped:
// each system has its own rules for that.
package wording

import (
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier"
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
	maxNames    = 10
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
	case m.Delivery != nil:
		s.tellDelivery(m)
	case m.Guard != nil:
		s.tellGuard(m)
	case m.Remediation != nil:
		s.tellRemediation(m)
	case m.Incident != nil:
		s.tellIncident(m)
	default:
		s.Headline = "News of Paramedic: " + string(m.Type)
	}
	s.Headline = notifier.Line(marked(m, s.Headline), maxHeadline)
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

// Lines are the facts and the lists, a line each.
func (s *Story) Lines() []string {
	var out []string
	for _, f := range s.Facts {
		out = append(out, f.Name+": "+f.Value)
	}
	for _, l := range s.Lists {
		out = append(out, l.Title+":")
		for _, item := range l.Items {
			out = append(out, "- "+item)
		}
	}
	return out
}

// marked puts the mark of a test before what is said.
func marked(m *notifier.Message, text string) string {
	if m.Test {
		return "TEST, nothing is wrong · " + text
	}
	return text
}

// add adds a fact, unless there is nothing to say.
func (s *Story) add(name, value string) {
	if value = notifier.Line(value, maxText); value != "" {
		s.Facts = append(s.Facts, Fact{Name: name, Value: value})
	}
}

// list adds a line for each of the first items and says how many more there are.
func list[T any](s *Story, title string, items []T, say func(*T) string) {
	if lines := sayFirst(items, maxItems, say); len(lines) > 0 {
		if more := len(items) - maxItems; more > 0 {
			lines = append(lines, "and "+strconv.Itoa(more)+" more")
		}
		s.Lists = append(s.Lists, List{Title: title, Items: lines})
	}
}

// sayFirst says a line for each of the first n items, without those of which there is nothing to say.
func sayFirst[T any](items []T, n int, say func(*T) string) []string {
	var lines []string
	for i := range items[:min(n, len(items))] {
		if line := notifier.Line(say(&items[i]), maxText); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func itself(s *string) string { return *s }
