package anomalyprocessor

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/baseline"
)

// rules are what the configuration says about a metric; nil stands for "not selected".
type rules struct {
	value, rate, mean, quantile baseline.Limits
	// least and most are the ends of the valid range of values.
	least, most float64
	// explain says that every point is explained.
	explain bool
	// ratios are those that the metric is counted in.
	ratios []ratioUse
}

// limits returns what matters for a signal of the metric.
func (r *rules) limits(what signalKind) *baseline.Limits {
	switch what {
	case signalValue, signalRatio:
		return &r.value
	case signalRate:
		return &r.rate
	case signalMean:
		return &r.mean
	default:
		return &r.quantile
	}
}

// ruleKey is all that the rules of a metric depend on.
type ruleKey struct{ name, unit string }

// selector decides by name which metrics are scored and which deviations of theirs matter.
type selector struct {
	include, exclude, explain []*regexp.Regexp
	policies                  []compiledPolicy
	ratios                    map[string][]ratioUse
	// known remembers decisions, because expressions are slow, but those of long names. Past limit it begins anew.
	known map[ruleKey]*rules
	limit int
}

type compiledPolicy struct {
	match *regexp.Regexp
	Policy
}

// mostKnown bounds the decisions that are remembered, to about 30 MB should somebody send such names.
const mostKnown = 1 << 15

func newSelector(cfg *Config) (*selector, error) {
	s := &selector{known: map[ruleKey]*rules{}, limit: min(cfg.MaxSeries, mostKnown)}
	var err error
	if s.include, err = compileAll(cfg.Include); err != nil {
		return nil, fmt.Errorf("compile include: %w", err)
	}
	if s.exclude, err = compileAll(cfg.Exclude); err != nil {
		return nil, fmt.Errorf("compile exclude: %w", err)
	}
	if s.explain, err = compileAll(cfg.Explain.Metrics); err != nil {
		return nil, fmt.Errorf("compile explain: %w", err)
	}
	for _, p := range cfg.Policies {
		match, err := compile(p.Match)
		if err != nil {
			return nil, fmt.Errorf("compile policy: %w", err)
		}
		s.policies = append(s.policies, compiledPolicy{match, p})
	}
	if s.ratios, err = newRatios(cfg, s); err != nil {
		return nil, err
	}
	return s, nil
}

func compileAll(patterns []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, p := range patterns {
		re, err := compile(p)
		if err != nil {
			return nil, err
		}
		all = append(all, re)
	}
	return all, nil
}

// rules returns the rules of a metric, nil when it is not to be scored.
func (s *selector) rules(name, unit string) *rules {
	if r, ok := s.known[ruleKey{name, unit}]; ok {
		return r
	}
	var r *rules
	if s.selected(name) {
		r = s.decide(name, unit)
	}
	if len(name) > maxName || len(unit) > maxName {
		return r
	}
	if len(s.known) >= s.limit {
		clear(s.known)
	}
	s.known[ruleKey{strings.Clone(name), strings.Clone(unit)}] = r
	return r
}

func (s *selector) selected(name string) bool {
	for i := range added {
		if name == added[i].name {
			return false
		}
	}
	matches := func(re *regexp.Regexp) bool { return re.MatchString(name) }
	if len(s.include) > 0 && !slices.ContainsFunc(s.include, matches) {
		return false
	}
	return !slices.ContainsFunc(s.exclude, matches)
}

func (s *selector) decide(name, unit string) *rules {
	level := levelLimits(name, unit, true)
	sample := levelLimits(name, unit, false)
	sample.Sampled = true
	r := &rules{value: level, rate: rateLimits(name, unit), mean: sample, quantile: sample, least: math.Inf(-1), most: math.Inf(1)}
	if isRatio(name) {
		// Less than nothing is how some say that they do not know.
		r.least = 0
	}
	r.ratios = s.ratios[name]
	r.explain = slices.ContainsFunc(s.explain, func(re *regexp.Regexp) bool { return re.MatchString(name) })
	for _, p := range s.policies {
		if p.match.MatchString(name) {
			for _, l := range []*baseline.Limits{&r.value, &r.rate, &r.mean, &r.quantile} {
				p.apply(l)
			}
			if v := p.ValidRange; v != nil {
				r.least, r.most = ending(v.Min, math.Inf(-1)), ending(v.Max, math.Inf(1))
			}
			break
		}
	}
	return r
}

func ending(v *float64, open float64) float64 {
	if v == nil {
		return open
	}
	return *v
}

func (p *compiledPolicy) apply(l *baseline.Limits) {
	if p.MinAbsolute != nil {
		l.MinAbsolute = *p.MinAbsolute
	}
	if p.MinRelative != nil {
		l.MinRelative = *p.MinRelative
	}
	if p.Direction != "" {
		l.IgnoreUp, l.IgnoreDown = p.Direction == DirectionDown, p.Direction == DirectionUp
	}
}
