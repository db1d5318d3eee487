package notifier

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes one line of at most n runes of text that comes from telemetry: what is not printable is left out, and what is
// too long ends in an ellipsis.
func Line(s string, n int) string {
	return Clip(strings.Join(strings.Fields(printable(s)), " "), n)
}

// Clip returns at most n runes of valid UTF-8, ending in an ellipsis when something was cut off.
func Clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	count := 0
	for i := range s {
		if count++; count == n {
			return s[:i] + "…"
		}
	}
	return s
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		default:
			return -1
		}
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
