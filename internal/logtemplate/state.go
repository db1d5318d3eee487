package logtemplate

import "github.com/paramedic-otel/paramedic/internal/binarystate"

// ModelVersion is the version of how messages are taken apart: with another one, other templates come of them.
const ModelVersion = 1

// grown is how much longer than its message a template's text can be: a byte that is masked becomes a wildcard, and one
// that is no text a replacement character.
const grown = 4

// Code writes or reads the templates and how messages find them. Reading fails the codec when there is more than the
// limits allow, or what cannot be.
func (m *Miner) Code(c *binarystate.Codec) {
	most := grown * (m.limits.MaxBytes + len(Wildcard))
	n := c.Length(len(m.templates), m.limits.MaxTemplates)
	if c.Reading() {
		m.templates = make([]string, n)
		if n == 0 {
			c.Fail(binarystate.ErrInvalid)
		}
	}
	for i := range m.templates {
		c.String(&m.templates[i], most)
	}
	nodes := m.limits.MaxTemplates * (m.limits.MaxTokens + 1)
	m.root.code(c, m, 0, &nodes)
}

// code writes or reads a node and what lies below it. nodes is how many there may still be.
func (n *node) code(c *binarystate.Codec, m *Miner, depth int, nodes *int) {
	if *nodes--; *nodes < 0 || depth > m.limits.MaxTokens {
		c.Fail(binarystate.ErrInvalid)
	}
	if c.Err() != nil {
		return
	}
	n.template = c.Count(n.template, len(m.templates))
	wild := n.wildcard != nil
	c.Flags(&wild)
	if wild {
		if c.Reading() {
			n.wildcard = &node{}
		}
		n.wildcard.code(c, m, depth+1, nodes)
	}
	children := c.Length(len(n.children), m.limits.MaxChildren)
	most := grown * (m.limits.MaxBytes + len(Wildcard))
	if !c.Reading() {
		for token, child := range n.children {
			c.String(&token, most)
			child.code(c, m, depth+1, nodes)
		}
		return
	}
	if children > 0 {
		n.children = make(map[string]*node, children)
	}
	for range children {
		var token string
		c.String(&token, most)
		child := &node{}
		child.code(c, m, depth+1, nodes)
		if c.Err() != nil {
			return
		}
		n.children[token] = child
	}
}
