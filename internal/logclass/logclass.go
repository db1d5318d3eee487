// Package logclass says what kind of failure a log template tells of, by rules over its words, and puts templates that say
// nearly the same into one cluster.
//
// The rules are data: rules.yaml in this package, and further ones of users in the same form. They look at words, not at
// characters: "OutOfMemoryError", "out of memory" and "Out-of-memory" are the same to them, and "timeout" in a word such as
// "timeoutSettings" is not found by a rule that asks for "timed out".
package logclass

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed rules.yaml
var embedded []byte

// Limits of what is read.
const (
	// maxWords is how many words of a template are looked at.
	maxWords = 256
	// maxGap is how many words ".." stands for at most.
	maxGap = 4
	// maxRules and maxPhrases bound the rules of a user, and the phrases of a rule.
	maxRules, maxPhrases = 1000, 500
)

// Rule gives templates a category.
type Rule struct {
	// Category is the name, in lower case with '_' between words.
	Category string `mapstructure:"category" yaml:"category"`
	// About says in a sentence what the category means.
	About string `mapstructure:"about" yaml:"about"`
	// Any are the phrases of which one must be there, None those of which none may be.
	Any  []string `mapstructure:"any"  yaml:"any"`
	None []string `mapstructure:"none" yaml:"none"`
	// Replace puts the rule in place of the embedded ones with its category.
	Replace bool `mapstructure:"replace" yaml:"replace"`
}

// Embedded returns the rules that come with the program.
func Embedded() ([]Rule, error) { return Parse(embedded) }

// Parse reads rules. Errors name the rule.
func Parse(data []byte) ([]Rule, error) {
	var rules []Rule
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		return nil, fmt.Errorf("read classification rules: %w", err)
	}
	return rules, Validate(rules)
}

// Validate reports everything that is wrong with rules.
func Validate(rules []Rule) error {
	var errs []error
	if len(rules) > maxRules {
		errs = append(errs, fmt.Errorf("rules must be at most %d, got %d; merge those of one category", maxRules, len(rules)))
	}
	for i, r := range rules {
		where := fmt.Sprintf("rules[%d]", i)
		if !isName(r.Category) {
			errs = append(errs, fmt.Errorf("%s.category must be letters, digits and '_', at most 64, got %q", where, r.Category))
		}
		if len(r.Any) == 0 {
			errs = append(errs, fmt.Errorf("%s.any must have a phrase, got none; a rule without one never applies", where))
		}
		if n := len(r.Any) + len(r.None); n > maxPhrases {
			errs = append(errs, fmt.Errorf("%s must have at most %d phrases, got %d; split it", where, maxPhrases, n))
		}
		for _, list := range [][]string{r.Any, r.None} {
			for _, text := range list {
				if err := checkPhrase(text); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", where, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Classifier finds the categories of templates. It does not change and may be used by several goroutines.
type Classifier struct {
	rules []rule
	// first has the rules by the first words of their phrases, wild those by phrases that start with a prefix.
	first map[string][]entry
	wild  []entry
}

type rule struct {
	category string
	none     []phrase
}

// entry is a phrase of a rule.
type entry struct {
	rule   int
	phrase phrase
}

// New returns a Classifier with the rules of a user before the embedded ones.
func New(extra ...Rule) (*Classifier, error) {
	if err := Validate(extra); err != nil {
		return nil, err
	}
	standard, err := Embedded()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(extra)
	for _, r := range standard {
		if !slices.ContainsFunc(extra, func(e Rule) bool { return e.Replace && e.Category == r.Category }) {
			all = append(all, r)
		}
	}
	c := &Classifier{first: map[string][]entry{}}
	for i, r := range all {
		compiled := rule{category: r.Category}
		for _, text := range r.None {
			compiled.none = append(compiled.none, parsePhrase(text))
		}
		c.rules = append(c.rules, compiled)
		for _, text := range r.Any {
			e := entry{rule: i, phrase: parsePhrase(text)}
			if e.phrase[0].prefix {
				c.wild = append(c.wild, e)
			} else {
				c.first[e.phrase[0].text] = append(c.first[e.phrase[0].text], e)
			}
		}
	}
	return c, nil
}

// Categories returns the categories of a template in the order of the rules, each once; none where no rule applies.
func (c *Classifier) Categories(template string) []string {
	words := Words(template)
	var hits []int
	note := func(e entry, at int) {
		if !slices.Contains(hits, e.rule) && e.phrase.matches(words, at) {
			hits = append(hits, e.rule)
		}
	}
	for at, w := range words {
		for _, e := range c.first[w] {
			note(e, at)
		}
		for _, e := range c.wild {
			note(e, at)
		}
	}
	slices.Sort(hits)
	var out []string
	for _, h := range hits {
		r := c.rules[h]
		vetoed := slices.ContainsFunc(r.none, func(p phrase) bool { return p.within(words) })
		if !vetoed && !slices.Contains(out, r.category) {
			out = append(out, r.category)
		}
	}
	return out
}
