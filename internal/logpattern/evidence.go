package logpattern

import (
	"strings"
	"unicode/utf8"
)

// covering returns, of templates that differ in names alone, those that have nothing but wildcards where they differ from a
// template or that it has wildcards for, with the template itself.
func covering(t *template, others []*template) []*template {
	var out []*template
	for _, o := range others {
		if t.covers(o) || o.covers(t) {
			out = append(out, o)
		}
	}
	return out
}

// covers reports whether a template has wildcards wherever it differs from another of its shape.
func (t *template) covers(other *template) bool {
	for i := range t.pieces {
		if a, b := t.pieces[i].hash, other.pieces[i].hash; a != b && a != wildHash {
			return false
		}
	}
	return true
}

// distinct is how many different words must have been seen at a place for them to be values; 0 if none would do.
func (m *Miner) distinct(t *template, i int) int {
	if !t.stands(i) || isSeverity(t.pieces[i].text) {
		return 0
	}
	switch {
	case t.isExpected(i):
		return m.settings.DistinctValues
	case i == 0:
		// What a message starts with is mostly what it is about.
		return m.settings.DistinctSubjects
	default:
		return m.settings.DistinctWords
	}
}

// isExpected reports whether a value is to be expected at a place. Words in capitals, such as NEW and RUNNING, are states
// that a program gave names to, and not expected.
func (t *template) isExpected(i int) bool {
	if isCapitals(t.pieces[i].text) {
		return false
	}
	before := strings.TrimRight(t.pieces[i].before, " ")
	if before == "" {
		return i > 0 && announces(t.pieces[i-1].text)
	}
	return strings.IndexByte("=:\"'`([{<", before[len(before)-1]) >= 0
}

// isSeverity reports whether a word says how severe a message is: that never is a value.
func isSeverity(text string) bool {
	for _, s := range []string{"trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "fatal"} {
		if strings.EqualFold(text, s) {
			return true
		}
	}
	return false
}

func isCapitals(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= 'a' && c <= 'z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return len(text) > 1
}

// announces reports whether the word before a place lets expect a value there: a preposition, or the word for who acts.
func announces(before string) bool {
	switch before {
	case "for", "from", "by", "to", "of", "on", "at", "in", "as", "with", "via", "into", "user", "User", "host", "named", "called":
		return true
	default:
		return false
	}
}

// stands reports whether enough of a template's text is left when one more of its tokens, or none where place is below 0,
// becomes a wildcard: two words, or one that is not alone with what varies.
func (t *template) stands(place int) bool {
	words := t.words()
	if place >= 0 && t.isWord(place) {
		words--
	}
	return words >= minWords
}

// words is how many words a template has.
func (t *template) words() int {
	n := 0
	for i := range t.pieces {
		if t.isWord(i) {
			n++
		}
	}
	return n
}

func (t *template) isWord(i int) bool {
	p := &t.pieces[i]
	return (p.kind == word || p.kind == fixed) && len(p.text) > 1
}

// minWords is how many words a template keeps.
const minWords = 2
