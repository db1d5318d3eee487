// Package story says in plain words what a message is about: what the notifiers of chats, cards and annotations have in common
// before each puts it into the shape, and within the limits, of its system.
//
// Every text of a [Story] is one line of printable characters with a bound in runes. It is not escaped: each system has its own
// rules for that.
package story

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
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
		s.tellDelivery(m.Delivery)
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

// list adds a line for each of the first items and says how many more there are.
func list[T any](s *Story, title string, items []T, say func(*T) string) {
	var lines []string
	shown := items[:min(maxItems, len(items))]
	for i := range shown {
		if line := notifier.Line(say(&shown[i]), maxText); line != "" {
			lines = append(lines, line)
		}
	}
	if more := len(items) - len(shown); more > 0 && len(lines) > 0 {
		lines = append(lines, "and "+strconv.Itoa(more)+" more")
	}
	if len(lines) > 0 {
		s.Lists = append(s.Lists, List{Title: title, Items: lines})
	}
}

// names joins the first names and says how many more there are.
func names(all []string) string {
	var out []string
	for _, name := range all[:min(maxNames, len(all))] {
		out = append(out, notifier.Line(name, maxName))
	}
	text := strings.Join(out, ", ")
	if more := len(all) - len(out); more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

func itself(s *string) string { return *s }

// Gist changes when something changes that is worth telling again to people who have read the story: whether and how the incident
// ended, how grave it is, its first cause, who has taken it on, and where users feel it.
func Gist(m *notifier.Message) string {
	inc := m.Incident
	if inc == nil {
		return ""
	}
	points := slices.Sorted(slices.Values(inc.EntryPoints))
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", append([]string{
		string(inc.Status), string(inc.Resolution), string(inc.Severity), Cause(inc), m.Acknowledged, strconv.FormatInt(inc.Reopened, 10),
	}, points...))
	return strconv.FormatUint(h.Sum64(), 36)
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
