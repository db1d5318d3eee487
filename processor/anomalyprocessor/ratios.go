package anomalyprocessor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

const (
	// defaultMinDenominator is the denominator from which on a share means something.
	defaultMinDenominator = 20
	// sameInterval is how far apart, in nanoseconds, points of one interval may lie: some SDKs stamp each instrument.
	sameInterval = 500_000_000
)

// ratio is a configured ratio.
type ratio struct {
	name   string
	key    seriesidentity.Key
	ignore []string
	least  float64
	rules  *rules
}

// ratioUse says that a metric is counted in a ratio.
type ratioUse struct {
	ratio     *ratio
	numerator bool
	where     []condition
}

type condition struct {
	name  string
	match *regexp.Regexp
}

// join is the state of one ratio of one resource and set of attributes.
type join struct {
	// began is the time of the first point of the interval at hand, at that of its newest.
	began, at              int64
	numerator, denominator float64
	// parts counts the points of the interval, usual those of the one before.
	parts, usual int32
	// counted says that what was counted are whole things, done that the interval was judged.
	counted, done bool
	ratio         *ratio
	attributes    pcommon.Map
}

// newRatios returns the uses of metrics by name.
func newRatios(cfg *Config, s *selector) (map[string][]ratioUse, error) {
	uses := map[string][]ratioUse{}
	var encoder seriesidentity.Encoder
	for i := range cfg.Ratios {
		c := &cfg.Ratios[i]
		r := &ratio{
			name: c.Name, ignore: c.Ignore, least: c.MinDenominator, rules: s.ratio(c.Name, c.Numerator.Metric),
			key: encoder.Metric(seriesidentity.Key{}, c.Name, "", int(kindRatio)),
		}
		if r.least == 0 {
			r.least = defaultMinDenominator
		}
		for j, part := range []*RatioPart{&c.Numerator, &c.Denominator} {
			use := ratioUse{ratio: r, numerator: j == 0}
			for name, pattern := range part.Where {
				match, err := compile(pattern)
				if err != nil {
					return nil, fmt.Errorf("compile ratio: %w", err)
				}
				use.where = append(use.where, condition{name, match})
			}
			uses[part.Metric] = append(uses[part.Metric], use)
		}
	}
	return uses, nil
}

// ratio returns the rules of a ratio.
func (s *selector) ratio(name, numerator string) *rules {
	limits := baseline.Limits{MinAbsolute: 0.01, MinRelative: 0.25, IgnoreDown: isFailure(name) || isFailure(numerator)}
	r := s.decide(name, "")
	r.value = limits
	for i := range s.policies {
		if s.policies[i].match.MatchString(name) {
			s.policies[i].apply(&r.value)
			break
		}
	}
	return r
}

// contribute counts what a point says in the ratios of its metric. whole says that things were counted.
func (b *batch) contribute(t int64, amount float64, whole bool) {
	for i := range b.rules.ratios {
		use := &b.rules.ratios[i]
		if b.selects(use.where) {
			b.join(use, t, amount, whole)
		}
	}
}

// selects says whether the point at hand fulfils all conditions.
func (b *batch) selects(where []condition) bool {
	for i := range where {
		v, ok := b.judged.attributes.Get(where[i].name)
		if !ok {
			return false
		}
		switch v.Type() {
		case pcommon.ValueTypeStr:
			ok = where[i].match.MatchString(v.Str())
		case pcommon.ValueTypeInt:
			b.p.digits = strconv.AppendInt(b.p.digits[:0], v.Int(), 10)
			ok = where[i].match.Match(b.p.digits)
		default:
			ok = where[i].match.MatchString(v.AsString())
		}
		if !ok {
			return false
		}
	}
	return true
}

func (b *batch) join(use *ratioUse, t int64, amount float64, whole bool) {
	table := &b.p.table
	key := b.p.encoder.Except(use.ratio.key, b.judged.resourceKey, b.judged.attributes, use.ratio.ignore)
	slot, ok := table.lookup(key)
	if !ok {
		if !fits(b.judged.attributes, use.ratio.ignore) {
			b.unjoined++
			return
		}
		s := table.add(key, kindRatio, b.now)
		if s == nil {
			b.unjoined++
			return
		}
		b.attach(s)
		b.inheritRatio(s, use.ratio)
		slot, _ = table.lookup(key)
	}
	s := table.streams.at(slot)
	s.arrived = b.now
	j := table.joins.at(s.totals - 1)
	if j.ratio == nil {
		// It is new, or was restored.
		j.ratio, j.attributes = use.ratio, pcommon.NewMap()
		for name, v := range b.judged.attributes.All() {
			if !slices.Contains(use.ratio.ignore, name) {
				v.CopyTo(j.attributes.PutEmpty(strings.Clone(name)))
			}
		}
	}
	switch {
	case t > j.began+sameInterval:
		if j.began != 0 && !j.done {
			b.judgeRatio(s, j)
		}
		j.began, j.at, j.usual, j.parts, j.done = t, t, j.parts, 0, false
		j.numerator, j.denominator = 0, 0
	case t < j.began || j.done:
		// Too late: the interval was judged.
		b.unjoined++
		return
	}
	j.at = max(j.at, t)
	j.parts++
	j.counted = whole
	if use.numerator {
		j.numerator += amount
	} else {
		j.denominator += amount
	}
	b.p.touched = append(b.p.touched, slot)
}

// judgeRatios judges the intervals that are complete: as many points have come as in the one before. The others wait
// for the first point of the next one.
func (b *batch) judgeRatios() {
	for _, slot := range b.p.touched {
		s := b.p.table.streams.at(slot)
		if s.kind != kindRatio {
			continue // evicted meanwhile
		}
		if j := b.p.table.joins.at(s.totals - 1); !j.done && j.parts >= j.usual && j.usual > 0 {
			b.judgeRatio(s, j)
		}
	}
	b.p.touched = b.p.touched[:0]
}

func (b *batch) judgeRatio(s *stream, j *join) {
	j.done = true
	if j.denominator < j.ratio.least || j.at <= s.last {
		return
	}
	rules, at := b.rules, b.judged
	b.rules = j.ratio.rules
	b.judged.metric, b.judged.unit, b.judged.attributes, b.judged.stream = j.ratio.name, "1", j.attributes, s
	quantum := 0.0
	if j.counted {
		// The spread of a share of so many.
		quantum = 1 / j.denominator
	}
	s.last = j.at
	b.observe(&s.first, j.at, j.numerator/j.denominator, quantum)
	b.rules, b.judged = rules, at
}
