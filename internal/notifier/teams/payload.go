package teams

import (
	"encoding/json"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
)

// maxCard bounds a message, in bytes. Microsoft documents 28 KB; what is known to arrive is some 21 KB
// (https://stackoverflow.com/questions/58474127).
const maxCard = 20_000

// message is what the trigger of a workflow takes.
type message struct {
	Type        string       `json:"type"`
	Summary     string       `json:"summary"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"`
	Content     card    `json:"content"`
}

// card is an adaptive card; version 1.4 is what Teams takes on every device.
type card struct {
	Schema       string    `json:"$schema"`
	Type         string    `json:"type"`
	Version      string    `json:"version"`
	FallbackText string    `json:"fallbackText"`
	Teams        width     `json:"msteams"`
	Body         []element `json:"body"`
	Actions      []action  `json:"actions,omitempty"`
}

type width struct {
	Width string `json:"width"`
}

// element is a RichTextBlock. Its runs are literal: unlike the text of a TextBlock or of a fact, they are not read as Markdown
// (https://learn.microsoft.com/en-us/adaptive-cards/schema-explorer/text-run), which cannot be escaped in the same way on every device.
type element struct {
	Type      string `json:"type"`
	Separator bool   `json:"separator,omitempty"`
	Spacing   string `json:"spacing,omitempty"`
	Inlines   []run  `json:"inlines"`
}

type run struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Color  string `json:"color,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
	Style string `json:"style,omitempty"`
}

// sizes are how much is shown, from everything to what fits in any case: a headline, and the way to the rest.
var sizes = []struct{ headline, facts, value, lists, items, item int }{
	{300, 20, 500, 8, 6, 500},
	{300, 20, 300, 4, 4, 200},
	{200, 12, 150, 2, 3, 150},
	{150, 6, 80, 0, 0, 0},
	{100, 0, 0, 0, 0, 0},
}

// smallest is the last of the sizes.
var smallest = len(sizes) - 1

// encode puts a message into the shape of Teams, no more of it than the level tells, and no more than fits.
func encode(m *notifier.Message, level int) ([]byte, error) {
	s, buttons := wording.Tell(m), wording.Links(m)
	for ; ; level++ {
		body, err := json.Marshal(translate(s, buttons, level))
		if err != nil || len(body) <= maxCard || level == smallest {
			return body, err
		}
	}
}

var colors = map[wording.Level]string{wording.Good: "Good", wording.Neutral: "Default", wording.Warning: "Warning", wording.Critical: "Attention"}

func translate(s *wording.Story, buttons []wording.Link, level int) message {
	size := sizes[level]
	headline := notifier.Line(s.Headline, size.headline)
	c := card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Teams: width{"Full"},
		FallbackText: headline,
		Body:         []element{rich(run{Text: headline, Weight: "Bolder", Size: "Large", Color: colors[s.Level]})},
	}
	for _, f := range s.Facts[:min(size.facts, len(s.Facts))] {
		e := rich(run{Text: f.Name + ": ", Weight: "Bolder"}, run{Text: notifier.Line(f.Value, size.value)})
		e.Spacing = "Small"
		c.Body = append(c.Body, e)
	}
	for _, l := range s.Lists[:min(size.lists, len(s.Lists))] {
		title := rich(run{Text: l.Title, Weight: "Bolder"})
		title.Separator = true
		c.Body = append(c.Body, title)
		for _, item := range l.Items[:min(size.items, len(l.Items))] {
			e := rich(run{Text: "• " + notifier.Line(item, size.item)})
			e.Spacing = "None"
			c.Body = append(c.Body, e)
		}
	}
	footer := notifier.Line(s.Footer, 200)
	if level > 0 {
		footer = "shortened · " + footer
	}
	foot := rich(run{Text: footer, Size: "Small", Subtle: true})
	foot.Separator = true
	c.Body = append(c.Body, foot)
	for _, b := range buttons {
		a := action{Type: "Action.OpenUrl", Title: b.Text, URL: b.URL}
		switch b.Style {
		case "primary":
			a.Style = "positive"
		case "danger":
			a.Style = "destructive"
		}
		c.Actions = append(c.Actions, a)
	}
	return message{
		Type: "message", Summary: headline,
		Attachments: []attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: c}},
	}
}

func rich(runs ...run) element {
	for i := range runs {
		runs[i].Type = "TextRun"
	}
	return element{Type: "RichTextBlock", Inlines: runs}
}
