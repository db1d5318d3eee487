package logpattern

import "math/bits"

// kind says how sure it is that a token is a value.
type kind uint8

const (
	// word is text of the program until several others are seen in its place.
	word kind = iota
	// soft is a name, such as a dotted or a numbered one: likely a value, whatever else differs.
	soft
	// value is masked.
	value
	// fixed is text that stays whatever is seen in its place.
	fixed
)

// token is a piece of a line between delimiters.
type token struct {
	// start and end are its bytes in the line, keep is up to where its text stays; a wildcard stands for the rest.
	start, end, keep int32
	kind             kind
	hash             uint64
}

// scanner cuts lines into tokens in one pass over their bytes.
type scanner struct {
	line      string
	tokens    []token
	maxTokens int
	// gap is the hash of everything that is not a token: delimiters, runs of white space as one space, places of tokens.
	gap uint64
	// sum adds up the placed hashes of the tokens, so that one can be taken out of it.
	sum uint64
	// tail is whether something was left; seen has the classes of the bytes that may need another look.
	tail bool
	seen uint16
	// spaced is whether white space stands right before, assigned whether a '=' or ':' stands behind the last token.
	spaced, assigned bool
	// scheme is whether the last token was the name of a scheme of authentication, before which a key stood.
	scheme bool
	keys   [256]keyVerdict
}

// keyVerdict remembers whether a word names a secret.
type keyVerdict struct {
	hash   uint64
	secret bool
}

const (
	hashOffset = 0xcbf29ce484222325
	hashPrime  = 0x100000001b3
	mixPrime   = 0x9e3779b97f4a7c15
	// wildHash is the hash of a wildcard; the marks are those of a token's place, of white space before it, of a rest.
	wildHash  = 0x2545f4914f6cdd1d
	tokenMark = 0x151
	spaceMark = 0x220
	tailMark  = 0x37a
)

// placed returns the hash of a token at a place.
func placed(hash uint64, place int) uint64 {
	x := (hash ^ uint64(place)*mixPrime) * 0xff51afd7ed558ccd //nolint:gosec // a place is not negative
	return x ^ bits.RotateLeft64(x, 31)
}

// Classes of bytes.
const (
	classHex   uint16 = 1 << iota // a to f
	classOther                    // the other letters
	classDigit
	classJoin // '_' and what goes on within a word
	classDot
	classColon
	classSlash
	classDash
	classAt
	classBack
	classRest
	classDelimiter
	classSpace
	classQuote
	classHigh
	classControl // what ends a line or starts a control sequence; classSpace too

	classLetter = classHex | classOther
	classPlain  = classLetter | classJoin | classHigh
	classNumber = classDigit | classDot | classColon | classSlash | classDash
	classStop   = classDelimiter | classSpace | classQuote
)

var classOf = func() (t [256]uint16) {
	for i := range t {
		c := byte(i) //nolint:gosec // below 256
		switch {
		case c >= 0x80:
			t[i] = classHigh
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			t[i] = classHex
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			t[i] = classOther
		case c >= '0' && c <= '9':
			t[i] = classDigit
		case c <= ' ' || c == 0x7f:
			t[i] = classSpace
		default:
			t[i] = classRest
		}
	}
	for _, c := range []byte(",;()[]{}<>=|`\"") {
		t[c] = classDelimiter
	}
	t['\n'] |= classControl
	t[escape] |= classControl
	t['\''] = classQuote
	t['_'], t['$'] = classJoin, classJoin
	t['.'], t[':'], t['/'], t['\\'], t['@'] = classDot, classColon, classSlash, classBack, classAt
	t['-'], t['+'] = classDash, classDash
	return t
}()

// scan cuts a line. From the offset literal on there are only words between white space, which stay. More is whether the
// line went on.
func (s *scanner) scan(line string, literal int, more bool) {
	s.line, s.tokens = line, s.tokens[:0]
	s.gap, s.sum, s.tail, s.spaced, s.assigned, s.scheme = hashOffset, 0, false, false, false, false
	// What every word needs is in local variables, which the fields get wherever another method is called.
	tokens, sum, gap, spaced, began, all := s.tokens, s.sum, s.gap, false, false, uint16(0)
	i := 0
	for i < literal {
		c := line[i]
		class := classOf[c]
		if class&classStop != 0 {
			i++
			if class&classSpace != 0 {
				all |= class
				spaced = began
				continue
			}
			if spaced {
				gap ^= spaceMark
				spaced = false
			}
			gap = (gap ^ uint64(c)) * hashPrime
			if c == '=' {
				s.assigned = true
			} else if i < len(line) && line[i] == closing(c) && (i < 2 || !began || classOf[line[i-2]]&(classSpace|classColon) != 0 || line[i-2] == '=') {
				// Nothing in brackets or quotes is a value that is missing.
				s.tokens, s.sum, s.gap, s.spaced = tokens, sum, gap, false
				s.addValue(i, i)
				tokens, sum, gap = s.tokens, s.sum, s.gap
			}
			began = true
			continue
		}
		began = true
		if len(tokens) >= s.maxTokens {
			s.tail = true
			break
		}
		start, seen := i, class
		for i++; i < len(line); i++ {
			c = line[i]
			class = classOf[c]
			if class&classStop != 0 {
				if class&classQuote == 0 || !isApostrophe(line, i) {
					break
				}
				class = classJoin
			}
			seen |= class
		}
		all |= seen
		if seen&^classPlain == 0 && seen&classLetter != 0 && !s.assigned && i-start < longWord && (seen != classHex || i-start < 8) && !isDateWord(line[start:i]) {
			mark := uint64(tokenMark)
			if spaced {
				mark ^= spaceMark
				spaced = false
			}
			gap = (gap ^ mark) * hashPrime
			hash := hashOf(line[start:i])
			sum += placed(hash, len(tokens))
			//nolint:gosec // lines are cut far below
			tokens = append(tokens, token{start: int32(start), end: int32(i), keep: int32(i), hash: hash})
			continue
		}
		s.tokens, s.sum, s.gap, s.spaced = tokens, sum, gap, spaced
		i = s.chunk(start, i, seen)
		tokens, sum, gap, spaced = s.tokens, s.sum, s.gap, s.spaced
	}
	s.tokens, s.sum = tokens, sum
	if i < len(line) && !s.tail {
		s.gap, s.spaced = gap, spaced
		s.literal(i)
		gap = s.gap
	}
	s.seen = all
	s.tail = s.tail || more
	if s.tail {
		gap = (gap ^ tailMark) * hashPrime
	}
	s.gap = gap
}

// literal takes the words from an offset on as they are.
func (s *scanner) literal(i int) {
	for i < len(s.line) {
		if classOf[s.line[i]]&classSpace != 0 {
			s.spaced = true
			i++
			continue
		}
		start := i
		for i < len(s.line) && classOf[s.line[i]]&classSpace == 0 {
			i++
		}
		s.addText(start, i, fixed)
	}
}

// closing is what closes a bracket or a quote; 0 for anything else.
func closing(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '[':
		return ']'
	case '{':
		return '}'
	case '"':
		return '"'
	default:
		return 0
	}
}

// key is the hash of the line: of what stands between the tokens and of the tokens with their places.
func (s *scanner) key() uint64 { return s.sum + s.shape() }

// shape is the hash of what stands between the tokens.
func (s *scanner) shape() uint64 {
	x := s.gap * mixPrime
	return x ^ x>>32
}

// isApostrophe reports whether the quote at i stands within a word.
func isApostrophe(line string, i int) bool {
	return i > 0 && i+1 < len(line) && classOf[line[i-1]]&classLetter != 0 && classOf[line[i+1]]&classLetter != 0
}

// punctuation puts what is no token into the gap.
func (s *scanner) punctuation(start, end int) {
	for _, c := range []byte(s.line[start:end]) {
		if s.spaced {
			s.gap ^= spaceMark
			s.spaced = false
		}
		s.gap = (s.gap ^ uint64(c)) * hashPrime
		if c == ':' {
			s.assigned = true
		}
	}
}

// add appends a token.
func (s *scanner) add(start, end, keep int, k kind, hash uint64) {
	if len(s.tokens) >= s.maxTokens {
		s.tail = true
		return
	}
	mark := uint64(tokenMark)
	if s.spaced {
		mark ^= spaceMark
		s.spaced = false
	}
	s.gap = (s.gap ^ mark) * hashPrime
	s.sum += placed(hash, len(s.tokens))
	//nolint:gosec // lines are cut far below
	s.tokens = append(s.tokens, token{start: int32(start), end: int32(end), keep: int32(keep), kind: k, hash: hash})
	s.assigned = false
}

func (s *scanner) addValue(start, end int) { s.add(start, end, start, value, wildHash) }

func (s *scanner) addText(start, end int, k kind) {
	s.add(start, end, end, k, hashOf(s.line[start:end]))
}

// hashOf returns the hash of a token's text, eight bytes at a time.
func hashOf(text string) uint64 {
	n := len(text)
	h := uint64(n) * hashPrime //nolint:gosec // a length is not negative
	switch {
	case n > 8:
		for i := 0; i < n-8; i += 8 {
			h = (h ^ load64(text, i)) * mixPrime
			h ^= h >> 32
		}
		h ^= load64(text, n-8)
	case n >= 4:
		h ^= uint64(load32(text, 0)) | uint64(load32(text, n-4))<<32
	case n > 0:
		h ^= uint64(text[0]) | uint64(text[n/2])<<8 | uint64(text[n-1])<<16
	}
	h *= mixPrime
	return h ^ h>>29
}

func load64(s string, i int) uint64 {
	return uint64(load32(s, i)) | uint64(load32(s, i+4))<<32
}

func load32(s string, i int) uint32 {
	s = s[i : i+4]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
