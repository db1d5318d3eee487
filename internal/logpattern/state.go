package logpattern

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
)

// stateVersion is raised whenever templates are cut or encoded in another way.
const stateVersion = 1

// AppendState appends the state: templates with their figures and the aliases. The settings are not part of it.
func (m *Miner) AppendState(b []byte) []byte {
	c := binarystate.NewWriter(append(b, stateVersion))
	all := make([]*template, 0, len(m.byID))
	for _, t := range m.byID {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *template) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.ID, b.ID))
	})
	c.Length(len(all), 0)
	for _, t := range all {
		t.code(c)
	}
	type lead struct{ from, to uint64 }
	var leads []lead
	for i := range m.aliasOrder {
		from := m.aliasOrder[(m.aliasNext+i)%len(m.aliasOrder)]
		if to, ok := m.aliases[from]; ok {
			leads = append(leads, lead{uint64(from), uint64(to)})
		}
	}
	c.Length(len(leads), 0)
	for _, l := range leads {
		c.Uint64s(&l.from, &l.to)
	}
	return c.Written()
}

// Decode returns a Miner with a state that AppendState wrote. Where the settings allow fewer templates than it has, the
// ones that were not seen for longest are left out.
func Decode(data []byte, settings Settings) (*Miner, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("read the state of the log patterns: %w", binarystate.ErrShort)
	}
	if data[0] != stateVersion {
		return nil, fmt.Errorf("read the state of the log patterns: its version is %d, this program knows %d", data[0], stateVersion)
	}
	m := New(settings)
	c := binarystate.NewCodecReader(data[1:])
	n := c.Length(0, len(data))
	for range n {
		t := &template{}
		t.code(c)
		if c.Err() != nil {
			break
		}
		m.restore(t)
	}
	n = c.Length(0, len(data))
	for range n {
		var from, to uint64
		c.Uint64s(&from, &to)
		if m.byID[ID(to)] != nil && m.byID[ID(from)] == nil {
			m.alias(ID(from), ID(to))
		}
	}
	if err := c.Close(); err != nil {
		return nil, fmt.Errorf("read the state of the log patterns: %w", err)
	}
	return m, nil
}

// code writes or reads a template. What follows from its text is not in the state.
func (t *template) code(c *binarystate.Codec) {
	c.Flags(&t.tail, &t.list)
	c.Uint64s(&t.Count)
	c.Int64s(&t.First, &t.Last)
	c.String(&t.rest, maxText)
	n := c.Length(len(t.pieces), maxTokens)
	if c.Reading() {
		t.pieces = make([]piece, n)
	}
	for i := range t.pieces {
		p := &t.pieces[i]
		isSoft, isFixed := p.kind == soft, p.kind == fixed
		c.Flags(&isSoft, &isFixed)
		c.String(&p.before, maxText)
		c.String(&p.text, maxText)
		if c.Reading() {
			if p.text == "" || !utf8.ValidString(p.text) || !utf8.ValidString(p.before) {
				c.Fail(binarystate.ErrInvalid)
			}
			p.read(isSoft, isFixed)
		}
	}
	n = c.Length(len(t.Aliases), maxText)
	if c.Reading() && n > 0 {
		t.Aliases = make([]ID, n)
	}
	for i := range t.Aliases {
		id := uint64(t.Aliases[i])
		c.Uint64s(&id)
		t.Aliases[i] = ID(id)
	}
	if c.Reading() {
		if !utf8.ValidString(t.rest) {
			c.Fail(binarystate.ErrInvalid)
		}
		t.derive()
	}
}

// maxText bounds the texts in a state.
const maxText = 1 << 20

// read derives what follows from a piece's text.
func (p *piece) read(isSoft, isFixed bool) {
	stem, numbered := strings.CutSuffix(p.text, Wildcard)
	switch {
	case isFixed:
		p.kind, p.hash = fixed, hashOf(p.text)
	case p.text == Wildcard:
		p.kind, p.hash = value, wildHash
	case numbered:
		p.kind, p.hash = word, hashOf(stem)^wildHash
		if isSoft {
			p.kind = soft
		}
	case isSoft:
		p.kind, p.hash = soft, hashOf(p.text)
	default:
		p.kind, p.hash = word, hashOf(p.text)
	}
}

// derive makes the hashes, the text and the ID from the pieces, the same as the scanner made from the line.
func (t *template) derive() {
	s := scanner{gap: hashOffset}
	t.sum = 0
	for i := range t.pieces {
		p := &t.pieces[i]
		s.gapOf(p.before)
		mark := uint64(tokenMark)
		if s.spaced {
			mark ^= spaceMark
			s.spaced = false
		}
		s.gap = (s.gap ^ mark) * hashPrime
		t.sum += placed(p.hash, i)
	}
	if t.tail {
		s.spaced = false
		s.gap = (s.gap ^ tailMark) * hashPrime
	} else {
		s.gapOf(t.rest)
	}
	t.shape = s.shape()
	t.name()
}

// gapOf adds the text between two tokens to the hash of the gaps.
func (s *scanner) gapOf(text string) {
	for i := range len(text) {
		if text[i] == ' ' {
			s.spaced = true
			continue
		}
		s.line = text
		s.punctuation(i, i+1)
	}
}

// restore puts a decoded template in its place.
func (m *Miner) restore(t *template) {
	m.clock++
	if m.exact[t.key()] != nil || m.byID[t.ID] != nil {
		return
	}
	m.makeRoom(t)
	if n := len(t.Aliases) - m.settings.MaxPatternAliases; n > 0 {
		t.Aliases = t.Aliases[n:]
	}
	m.insert(t)
	m.generalize(t)
}
