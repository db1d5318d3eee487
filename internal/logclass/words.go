package logclass

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words returns the words of a template in lower case, names cut at changes of case, wildcards left out. At most 256 are
// returned.
func Words(template string) []string {
	var words []string
	start := -1
	end := func(i int) {
		if start >= 0 && len(words) < maxWords {
			words = append(words, strings.ToLower(template[start:i]))
		}
		start = -1
	}
	previous := rune(0)
	for i, r := range template {
		if len(words) >= maxWords {
			break
		}
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && (r != '\'' || start < 0 || i+1 == len(template) || !isLetter(template[i+1])):
			end(i)
		case start < 0:
			start = i
		case unicode.IsUpper(r) && unicode.IsLower(previous):
			end(i)
			start = i
		case unicode.IsUpper(previous) && unicode.IsUpper(r) && i-start > 0 && startsWord(template[i:]):
			// The last capital of several starts a word: "OOMKilled".
			end(i)
			start = i
		}
		previous = r
	}
	end(len(template))
	return words
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// startsWord reports whether a text starts with a capital and two small letters: "EOFs" is one word.
func startsWord(text string) bool {
	_, n := utf8.DecodeRuneInString(text)
	small := 0
	for _, r := range text[n:] {
		if !unicode.IsLower(r) {
			break
		}
		if small++; small == 2 {
			return true
		}
	}
	return false
}

// phrase is a sequence of words.
type phrase []part

// part is a word of a phrase.
type part struct {
	text string
	// prefix is whether the word may go on, gap whether up to maxGap words may stand before it.
	prefix, gap bool
}

// parsePhrase takes a phrase that checkPhrase has let pass.
func parsePhrase(text string) phrase {
	var p phrase
	gap := false
	for _, field := range strings.Fields(text) {
		if field == ".." {
			gap = true
			continue
		}
		stem, prefix := strings.CutSuffix(field, "*")
		words := Words(strings.ToLower(stem))
		for i, w := range words {
			p = append(p, part{text: w, gap: gap, prefix: prefix && i == len(words)-1})
			gap = false
		}
	}
	return p
}

func checkPhrase(text string) error {
	fields := strings.Fields(text)
	if len(fields) == 0 || len(fields) > 16 || fields[0] == ".." || fields[len(fields)-1] == ".." {
		return fmt.Errorf("a phrase must have 1 to 16 words and \"..\" only between them, got %q", text)
	}
	for _, f := range fields {
		stem, _ := strings.CutSuffix(f, "*")
		if f != ".." && (len(Words(stem)) == 0 || strings.Contains(stem, "*")) {
			return fmt.Errorf("a phrase's words must have letters or digits and a \"*\" only at their end, got %q", text)
		}
	}
	return nil
}

func (p part) is(w string) bool {
	return w == p.text || p.prefix && strings.HasPrefix(w, p.text)
}

// matches reports whether the phrase stands at a place.
func (p phrase) matches(words []string, at int) bool {
	if at >= len(words) || !p[0].is(words[at]) {
		return false
	}
	if len(p) == 1 {
		return true
	}
	if !p[1].gap {
		return p[1:].matches(words, at+1)
	}
	for skip := range maxGap + 1 {
		if p[1:].matches(words, at+1+skip) {
			return true
		}
	}
	return false
}

// within reports whether the phrase stands anywhere.
func (p phrase) within(words []string) bool {
	return slices.ContainsFunc(words, p[0].is) && func() bool {
		for at := range words {
			if p.matches(words, at) {
				return true
			}
		}
		return false
	}()
}
