// Package logtemplate finds the template of a log message online: the text that the program wrote around the values that
// vary.
//
// It is a fixed-depth prefix tree over the message's first tokens, in the manner of Drain (P. He et al., "Drain: An Online
// Log Parsing Approach with Fixed Depth Tree", ICWS 2017): tokens that are plainly values (numbers, identifiers, times)
// are masked first, code locations such as "Order.java:17" or "OrderService#42" are kept, and where more different
// tokens come to stand in one place than a program would write, that place becomes a wildcard.
//
// Where a message names the place in the code that wrote it, that place is the statement: see [Miner.MatchStatement].
package logtemplate

import (
	"strings"
	"unicode/utf8"
)

// Wildcard stands for a varying part in a template's text.
const Wildcard = "<*>"

// Overflow is the template of messages that found no room for one of their own.
const Overflow = 0

// Limits bound a Miner.
type Limits struct {
	// MaxTemplates is the number of templates kept; messages that would need another one share the template [Overflow].
	MaxTemplates int
	// MaxChildren is how many different tokens may stand in one place before it becomes a wildcard.
	MaxChildren int
	// MaxTokens is how many tokens of a message are read, MaxBytes how many bytes.
	MaxTokens, MaxBytes int
}

// DefaultLimits fit one service.
func DefaultLimits() Limits {
	return Limits{MaxTemplates: 500, MaxChildren: 64, MaxTokens: 12, MaxBytes: 512}
}

// Miner holds the templates of one source of messages. It is not safe for concurrent use.
type Miner struct {
	limits    Limits
	root      node
	templates []string
	buf       []byte
	frozen    bool
}

type node struct {
	children map[string]*node
	wildcard *node
	// template is the index of the template that ends here, plus 1.
	template int
}

// NewMiner returns an empty Miner.
func NewMiner(limits Limits) *Miner {
	return &Miner{limits: limits, templates: []string{Wildcard}}
}

// Len returns the number of templates, the overflow template 0 included.
func (m *Miner) Len() int { return len(m.templates) }

// Freeze lets no further templates in, or lets them in again.
func (m *Miner) Freeze(frozen bool) { m.frozen = frozen }

// full reports whether there is no room for another template.
func (m *Miner) full() bool { return m.frozen || len(m.templates) >= m.limits.MaxTemplates }

// Text returns a template's text.
func (m *Miner) Text(template int) string { return m.templates[template] }

// Match returns the template of a message. An equal message always gets the same template as long as no place in it has
// become a wildcard. No memory of the message is kept but the tokens of new templates.
func (m *Miner) Match(message string) int { return m.match(message, false) }

// MatchStatement returns the template of a message like [Miner.Match], but takes the place in the code, where the message
// names one, for all there is to know: whatever stands behind it, the same statement wrote it. What varies there shows as
// wildcards in the text.
func (m *Miner) MatchStatement(message string) int { return m.match(message, true) }

func (m *Miner) match(message string, byStatement bool) int {
	if len(message) > m.limits.MaxBytes {
		message = message[:m.limits.MaxBytes]
	}
	n := &m.root
	rest := message
	for range m.limits.MaxTokens {
		var token string
		token, rest = nextToken(rest)
		if token == "" {
			break
		}
		if n = m.descend(n, token); n == nil {
			return Overflow
		}
		if byStatement && isCodeLocation(token) {
			return m.statement(n, message, rest)
		}
	}
	if n.template == 0 {
		if m.full() {
			return Overflow
		}
		m.templates = append(m.templates, m.render(message))
		n.template = len(m.templates)
	}
	return n.template - 1
}

// statement returns the template of the statement at a node of the tree, with what stands behind its place in the code
// generalized over all its messages.
func (m *Miner) statement(n *node, message, rest string) int {
	if n.template == 0 {
		if m.full() {
			return Overflow
		}
		m.templates = append(m.templates, m.maskedText(message))
		n.template = len(m.templates)
		return n.template - 1
	}
	id := n.template - 1
	text := m.templates[id]
	// The places of both up to here are the same: skip them.
	place := text
	for before := message[:len(message)-len(rest)]; ; {
		var token string
		if token, before = nextToken(before); token == "" {
			break
		}
		_, place = nextToken(place)
	}
	// open is true behind a wildcard, which may stand for several words at the end of a text.
	open := false
	for range m.limits.MaxTokens {
		var token, known string
		token, rest = nextToken(rest)
		known, place = nextToken(place)
		if known == Wildcard {
			open = true
			continue
		}
		if known == "" && (token == "" || open) {
			break
		}
		open = false
		m.buf = appendMasked(m.buf[:0], token)
		if string(m.buf) != known {
			m.templates[id] = m.generalized(text, message)
			break
		}
	}
	return id
}

// maskedText returns the first tokens of a message, masked.
func (m *Miner) maskedText(message string) string {
	var text []byte
	rest := message
	for range m.limits.MaxTokens {
		var token string
		if token, rest = nextToken(rest); token == "" {
			break
		}
		if len(text) > 0 {
			text = append(text, ' ')
		}
		text = appendMasked(text, token)
	}
	if strings.TrimSpace(rest) != "" {
		text = append(text, " "+Wildcard...)
	}
	return strings.ToValidUTF8(string(text), string(utf8.RuneError))
}

// generalized returns a text with wildcards where a message differs from it; what one of them has more is a wildcard too.
func (m *Miner) generalized(text, message string) string {
	a, b := strings.Split(text, " "), strings.Split(m.maskedText(message), " ")
	out := make([]string, 0, len(a))
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			out = append(out, a[i])
		} else {
			out = append(out, Wildcard)
		}
	}
	if len(a) != len(b) && (len(out) == 0 || out[len(out)-1] != Wildcard) {
		out = append(out, Wildcard)
	}
	return strings.Join(out, " ")
}

// descend returns the child of n for a token, making it while there is room, or nil.
func (m *Miner) descend(n *node, token string) *node {
	m.buf = appendMasked(m.buf[:0], token)
	if child, ok := n.children[string(m.buf)]; ok {
		return child
	}
	if len(n.children) >= m.limits.MaxChildren {
		if n.wildcard == nil && !m.full() {
			n.wildcard = &node{}
		}
		return n.wildcard
	}
	if m.full() {
		return nil
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	child := &node{}
	n.children[string(m.buf)] = child
	return child
}

// render returns the text of a new template for the message that made it.
func (m *Miner) render(message string) string {
	var text []byte
	n := &m.root
	rest := message
	for range m.limits.MaxTokens {
		var token string
		token, rest = nextToken(rest)
		if token == "" {
			break
		}
		if len(text) > 0 {
			text = append(text, ' ')
		}
		m.buf = appendMasked(m.buf[:0], token)
		if child, ok := n.children[string(m.buf)]; ok {
			text = append(text, m.buf...)
			n = child
		} else {
			text = append(text, Wildcard...)
			n = n.wildcard
		}
	}
	if strings.TrimSpace(rest) != "" {
		text = append(text, " "+Wildcard...)
	}
	return strings.ToValidUTF8(string(text), string(utf8.RuneError))
}

// nextToken cuts the first token off a message.
func nextToken(s string) (token, rest string) {
	start := 0
	for start < len(s) && isSpace(s[start]) {
		start++
	}
	end := start
	for end < len(s) && !isSpace(s[end]) {
		end++
	}
	return s[start:end], s[end:]
}

func isSpace(c byte) bool { return c <= ' ' || c == ',' || c == '=' }
