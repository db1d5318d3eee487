package incidentconnector

import (
	"regexp"
	"strings"
)

// globs are patterns in which * stands for any text, also none; one of them must match all of a name.
type globs []*regexp.Regexp

func newGlobs(patterns []string) globs {
	var out globs
	for _, pattern := range patterns {
		parts := strings.Split(pattern, "*")
		for i := range parts {
			// As runes, for an expression must be valid text; a broken byte in a name matches the rune that stands for it.
			parts[i] = regexp.QuoteMeta(string([]rune(parts[i])))
		}
		out = append(out, regexp.MustCompile("(?s)^"+strings.Join(parts, ".*")+"$"))
	}
	return out
}

func (g globs) match(name string) bool {
	for _, pattern := range g {
		if pattern.MatchString(name) {
			return true
		}
	}
	return false
}
