package slack

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
)

// Limits in runes. Slack documents 150 for a header, 255 for a block's ID, 75 for the text of a button and 4000 for the text of an
// update, and refuses blocks of some 13000 in all (https://github.com/slackapi/bolt-js/issues/2509); we stay well below.
const (
	maxHeader   = 150
	maxBlockID  = 255
	maxFallback = 1000
	maxPlain    = 3500
	maxBlocks   = 10000
	maxFooter   = 300
)

// payload is a message for Slack.
type payload struct {
	// text is what notifications show, and all there is where the blocks are not taken.
	text   string
	blocks []slack.Block
	// plain is the message without blocks.
	plain string
}

// sizes are how much is shown, from everything to what fits in any case.
var sizes = []struct{ facts, value, lists, items, item int }{
	{20, 500, 8, 6, 500},
	{20, 300, 4, 4, 200},
	{12, 150, 2, 3, 150},
	{8, 80, 0, 0, 0},
}

// translate puts a message into Slack's shape. id names it, so that it can be found again.
func translate(m *notifier.Message, id string) payload {
	s := wording.Tell(m)
	buttons := wording.Links(m)
	p := payload{text: clipEscaped(s.Line(maxFallback), maxFallback), plain: plain(s, buttons)}
	for level := range sizes {
		p.blocks = blocks(s, buttons, id, level)
		if b, err := json.Marshal(p.blocks); err == nil && utf8.RuneCount(b) <= maxBlocks {
			break
		}
	}
	return p
}

// brief is a message in one line, for a thread that has the whole above it.
func brief(m *notifier.Message, id string) payload {
	s := wording.Tell(m)
	line := s.Headline
	for _, f := range s.Facts {
		if f.Name == "Lasted" || f.Name == "Acknowledged by" || f.Name == "Comment" {
			line += " · " + f.Name + ": " + f.Value
		}
	}
	line = notifier.Line(line, maxFallback)
	return payload{
		text: clipEscaped(line, maxFallback), plain: clipEscaped(line, maxFallback),
		blocks: []slack.Block{slack.NewRichTextBlock(notifier.Clip(id, maxBlockID), slack.NewRichTextSection(literal(line)))},
	}
}

func blocks(s *wording.Story, buttons []wording.Link, id string, level int) []slack.Block {
	size := sizes[level]
	out := []slack.Block{slack.NewHeaderBlock(plainText(s.Headline, maxHeader), slack.HeaderBlockOptionBlockID(notifier.Clip(id, maxBlockID)))}
	var facts []slack.RichTextSectionElement
	for i, f := range s.Facts[:min(size.facts, len(s.Facts))] {
		name := f.Name + ": "
		if i > 0 {
			name = "\n" + name
		}
		facts = append(facts, bold(name), literal(notifier.Line(f.Value, size.value)))
	}
	if len(facts) > 0 {
		out = append(out, slack.NewRichTextBlock("", slack.NewRichTextSection(facts...)))
	}
	for _, l := range s.Lists[:min(size.lists, len(s.Lists))] {
		var items []slack.RichTextElement
		for _, item := range l.Items[:min(size.items, len(l.Items))] {
			items = append(items, slack.NewRichTextSection(literal(notifier.Line(item, size.item))))
		}
		out = append(out, slack.NewRichTextBlock("",
			slack.NewRichTextSection(bold(l.Title)), slack.NewRichTextList(slack.RTEListBullet, 0, items...)))
	}
	if len(buttons) > 0 {
		var elements []slack.BlockElement
		for _, b := range buttons {
			element := slack.NewButtonBlockElement("", "", slack.NewTextBlockObject(slack.PlainTextType, b.Text, false, false)).WithURL(b.URL)
			elements = append(elements, element.WithStyle(slack.Style(b.Style)))
		}
		out = append(out, slack.NewActionBlock("", elements...))
	}
	footer := s.Footer
	if level > 0 {
		footer = "shortened · " + footer
	}
	return append(out, slack.NewContextBlock("", plainText(footer, maxFooter)))
}

// plain is the message as text: what is sent when the blocks are refused.
func plain(s *wording.Story, buttons []wording.Link) string {
	text := clipEscaped(strings.Join(append([]string{s.Headline}, s.Lines()...), "\n"), maxPlain)
	for _, button := range buttons {
		if !button.Secret {
			text += "\n<" + escapeURL(button.URL) + "|" + button.Text + ">"
		}
	}
	return text
}

// Text of rich text elements is literal: Slack looks for neither markup, nor links, nor mentions in it.
func literal(s string) slack.RichTextSectionElement {
	return slack.NewRichTextSectionTextElement(orDash(s), nil)
}

func bold(s string) slack.RichTextSectionElement {
	return slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Bold: true})
}

func plainText(s string, n int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, orDash(clipEscaped(s, n)), false, false)
}

// orDash keeps texts from being empty, which Slack refuses.
func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape keeps a text from holding links and mentions, such as <!channel>
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escape(s string) string { return entities.Replace(s) }

var urlEntities = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C")

func escapeURL(s string) string { return urlEntities.Replace(s) }

// clipEscaped escapes a text so that at most n runes come of it; no entity is cut in two.
func clipEscaped(s string, n int) string {
	for limit := n; limit > 0; {
		out := escape(notifier.Clip(s, limit))
		over := utf8.RuneCountInString(out) - n
		if over <= 0 {
			return out
		}
		// An entity is at most four runes longer than what it stands for.
		limit = min(limit, utf8.RuneCountInString(s)) - max(over/5, 1)
	}
	return ""
}
