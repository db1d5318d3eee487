package wording

import (
	"strings"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// Text is the story as lines, and what can be opened: a description for systems that show paragraphs. It has at most n runes; the
// addresses, secret ones too, are not what is cut off.
func Text(m *notifier.Message, n int) string {
	s := Tell(m)
	lines := append([]string{s.Headline}, s.Lines()...)
	body := strings.Join(append(lines, s.Footer), "\n")
	end := strings.Join(linkLines(m), "\n")
	room := n - utf8.RuneCountInString(end) - 1
	if end == "" || room < 1 { // addresses that do not fit are of no use cut
		return notifier.Clip(body, n)
	}
	return notifier.Clip(body, room) + "\n" + end
}

func linkLines(m *notifier.Message) []string {
	var out []string
	for _, l := range Links(m) {
		out = append(out, l.Text+": "+l.URL)
	}
	return out
}
