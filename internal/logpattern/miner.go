package logpattern

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Wildcard stands for a varying part in a template's text.
const Wildcard = "<*>"

// ID names a template. It is derived from the template's text: the same text has the same ID in every process.
type ID uint64

// String returns the ID in 16 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Pattern is what is known of a template.
type Pattern struct {
	ID ID
	// Template is the text, with a Wildcard for each varying part.
	Template string
	// Count is how many lines had the template, First and Last are the times of the first and the last of them, in
	// nanoseconds since 1970.
	Count       uint64
	First, Last int64
	// Aliases are the IDs, the most recent last, that the template had before it became more general, and those of the
	// templates that it took in. They must not be changed.
	Aliases []ID
}

// Novelty says what a line did to the templates.
type Novelty uint8

const (
	// KnownPattern is the novelty of a line whose template was there.
	KnownPattern Novelty = iota
	// NewPattern is that of a line that made a template.
	NewPattern
	// GeneralizedPattern is that of a line that made known templates more general: the result has a new ID, the former ones
	// are aliases.
	GeneralizedPattern
)

// Miner holds templates. It is not safe for concurrent use.
type Miner struct {
	settings Settings
	scanner  scanner
	stats    Stats
	buf      []byte
	// cut is whether the line was longer than MaxBytes.
	cut bool
	// tokenHash returns the hash of a token of the scanned line.
	tokenHash func(int) uint64
	// memory is about what the templates take, in bytes.
	memory int
	// clock counts lines: the age of templates for their eviction.
	clock uint64
	// recent finds the template of a line by the hash of the line. It may lose entries, but has no wrong ones.
	recent []recentEntry
	// exact has every template by its own hash, byID by its ID.
	exact map[uint64]*template
	byID  map[ID]*template
	// masks are, by the shape of lines, which sets of places are wildcards in the templates of that shape.
	masks map[uint64][]mask
	// soft has templates by their hash with all soft tokens taken for wildcards.
	soft map[uint64]*slot
	// slots have, by the hash of a template without one of its words, those that differ in that word alone.
	slots map[uint64]*slot
	// lists have templates with lists of values by their hash with each list as one wildcard.
	lists map[uint64]*template
	// aliases lead from an ID that is no more to the one that took its place, aliasOrder has them by age.
	aliases    map[ID]ID
	aliasOrder []ID
	aliasNext  int
}

type recentEntry struct {
	key      uint64
	template *template
}

// mask is a set of places.
type mask struct {
	bits [2]uint64
	// users is how many templates have it.
	users int
}

func (m *mask) set(i int)      { m.bits[i>>6] |= 1 << (i & 63) }
func (m *mask) has(i int) bool { return m.bits[i>>6]&(1<<(i&63)) != 0 }

// slot has the templates that differ in one word.
type slot struct{ members []*template }

// template is a Pattern with its tokens.
type template struct {
	// What every line of the template needs stands together.
	Pattern
	used uint64
	// successor is the template that took this one's place.
	successor *template
	gone      bool

	pieces []piece
	// rest is the text behind the last token.
	rest string
	// tail is whether more followed, which the template does not have.
	tail bool
	// list is whether a wildcard may stand for a list of values; listKey is the template's key in Miner.lists, or 0.
	list    bool
	listKey uint64
	// jointKey is the template's key in Miner.slots for values that vary together, or 0.
	jointKey   uint64
	shape, sum uint64
	// places are those of the wildcards.
	places mask
}

// piece is a token of a template.
type piece struct {
	// before is the text between the last token and this one.
	before, text string
	hash         uint64
	kind         kind
}

// Stats count what befell the lines.
type Stats struct {
	// Lines is how many were matched.
	Lines uint64
	// Truncated lines were longer than MaxBytes or had more tokens than MaxTokens, InvalidUTF8 ones were no valid UTF-8,
	// Binary ones were no text and share one template.
	Truncated, InvalidUTF8, Binary uint64
	// New, Generalized and Evicted count templates.
	New, Generalized, Evicted uint64
}

// New returns an empty Miner.
func New(settings Settings) *Miner {
	settings = settings.bounded()
	m := &Miner{
		settings: settings,
		exact:    map[uint64]*template{},
		byID:     map[ID]*template{},
		masks:    map[uint64][]mask{},
		soft:     map[uint64]*slot{},
		slots:    map[uint64]*slot{},
		lists:    map[uint64]*template{},
		aliases:  map[ID]ID{},
		recent:   make([]recentEntry, 1<<bits.Len(uint(4*settings.MaxTemplates-1))),
	}
	m.tokenHash = func(i int) uint64 { return m.scanner.tokens[i].hash }
	m.scanner.maxTokens = settings.MaxTokens
	m.scanner.tokens = make([]token, 0, settings.MaxTokens)
	return m
}

// Len returns the number of templates.
func (m *Miner) Len() int { return len(m.exact) }

// Memory returns about how many bytes the templates take.
func (m *Miner) Memory() int { return m.memory }

// Stats returns the counters.
func (m *Miner) Stats() Stats { return m.stats }

// Match returns the template of a line that was written at a time in nanoseconds since 1970, and counts the line. It keeps
// nothing of the line but the words of new templates.
func (m *Miner) Match(line string, at int64) (Pattern, Novelty) {
	t, novelty := m.match(line)
	t.Count++
	if t.First == 0 || at < t.First {
		t.First = at
	}
	t.Last = max(t.Last, at)
	return t.Pattern, novelty
}

func (m *Miner) match(line string) (*template, Novelty) {
	m.clock++
	m.stats.Lines++
	m.cut = false
	line = m.bounded(line)
	m.scanner.scan(line, len(line), m.cut)
	if m.scanner.seen&strange != 0 || m.scanner.tail {
		if text, literal := m.repaired(line); text != line || literal < len(line) {
			line = text
			m.scanner.scan(line, literal, m.cut)
		}
	}
	if m.scanner.tail && !m.cut {
		m.stats.Truncated++
	}
	key := m.scanner.key()
	entry := &m.recent[key&uint64(len(m.recent)-1)]
	if entry.key == key && entry.template != nil {
		if t := entry.template.current(); t != nil {
			entry.template = t
			t.used = m.clock
			if t.Template == binaryText {
				m.stats.Binary++
			}
			return t, KnownPattern
		}
	}
	t, novelty := m.find(key, m.scanner.shape(), m.tokenHash), KnownPattern
	if t == nil {
		t, novelty = m.learnLine(line)
	}
	t.used = m.clock
	*entry = recentEntry{key: key, template: t}
	return t, novelty
}

// learnLine makes a template of the scanned line.
func (m *Miner) learnLine(line string) (*template, Novelty) {
	if !isBinary(line) {
		return m.learn(m.fromScan())
	}
	m.stats.Binary++
	t := &template{rest: binaryText}
	t.derive()
	return m.learn(t)
}

// current returns the template that took this one's place, itself if none did, or nil when it was evicted.
func (t *template) current() *template {
	for t.successor != nil {
		t = t.successor
	}
	if t.gone {
		return nil
	}
	return t
}

// find returns the template with such tokens at each place, or with wildcards in place of some.
func (m *Miner) find(key, shape uint64, hashAt func(int) uint64) *template {
	if t := m.exact[key]; t != nil {
		return t
	}
	masks := m.masks[shape]
	for i := range masks {
		k := key
		for w, b := range masks[i].bits {
			for ; b != 0; b &= b - 1 {
				place := w<<6 + bits.TrailingZeros64(b)
				k += placed(wildHash, place) - placed(hashAt(place), place)
			}
		}
		if t := m.exact[k]; t != nil {
			return t
		}
	}
	return nil
}

// fromScan returns the template that the scanned line makes.
func (m *Miner) fromScan() *template {
	s := &m.scanner
	t := &template{pieces: make([]piece, 0, len(s.tokens)), shape: s.shape(), sum: s.sum, tail: s.tail}
	last := 0
	for i := range s.tokens {
		tok := &s.tokens[i]
		p := piece{before: gapText(s.line[last:tok.start], i == 0), hash: tok.hash, kind: tok.kind}
		if tok.kind == value || tok.keep < tok.end {
			p.text = s.line[tok.start:tok.keep] + Wildcard
		} else {
			p.text = strings.Clone(s.line[tok.start:tok.end])
		}
		t.pieces = append(t.pieces, p)
		last = int(tok.end)
	}
	if s.tail {
		t.rest = " " + Wildcard
	} else {
		t.rest = strings.TrimRight(gapText(s.line[last:], len(s.tokens) == 0), " ")
	}
	t.name()
	return t
}

// gapText returns the text between tokens with each run of white space as one space.
func gapText(text string, first bool) string {
	if text == " " && !first {
		return " "
	}
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		switch {
		case classOf[text[i]]&classSpace == 0:
			out = append(out, text[i])
		case (len(out) > 0 || !first) && (len(out) == 0 || out[len(out)-1] != ' '):
			out = append(out, ' ')
		}
	}
	return string(out)
}

// name renders the text and derives the ID.
func (t *template) name() {
	n := len(t.rest)
	for i := range t.pieces {
		n += len(t.pieces[i].before) + len(t.pieces[i].text)
	}
	text := make([]byte, 0, n)
	for i := range t.pieces {
		text = append(text, t.pieces[i].before...)
		text = append(text, t.pieces[i].text...)
	}
	text = append(text, t.rest...)
	t.Template = string(text)
	t.ID = idOf(t.Template)
}

// idOf derives an ID from a text: its FNV-1a hash, mixed.
func idOf(text string) ID {
	x := uint64(hashOffset)
	for i := range len(text) {
		x = (x ^ uint64(text[i])) * hashPrime
	}
	x *= mixPrime
	return ID(x ^ x>>32)
}

// Patterns returns all templates, ordered by ID.
func (m *Miner) Patterns() []Pattern {
	out := make([]Pattern, 0, len(m.byID))
	for _, t := range m.byID {
		out = append(out, t.Pattern)
	}
	slices.SortFunc(out, func(a, b Pattern) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// Resolve returns the ID of the template that one with this ID has become.
func (m *Miner) Resolve(id ID) ID {
	for range m.settings.MaxAliases {
		next, ok := m.aliases[id]
		if !ok {
			break
		}
		id = next
	}
	return id
}

// Lookup returns the pattern with an ID or an alias.
func (m *Miner) Lookup(id ID) (Pattern, bool) {
	t, ok := m.byID[m.Resolve(id)]
	if !ok {
		return Pattern{}, false
	}
	return t.Pattern, true
}
