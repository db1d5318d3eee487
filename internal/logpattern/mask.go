package logpattern

import "strings"

const (
	// longWord is from how many bytes on a word may be a secret or an identifier as a whole.
	longWord = 20
	// hexWord is from how many bytes on a word of hexadecimal digits is a number.
	hexWord = 4
	// nameDigits is how many digits in one run within a name are part of the name.
	nameDigits = 2
)

// chunk takes what stands between two delimiters where it is not plainly a word, and returns where it ends.
func (s *scanner) chunk(start, end int, seen uint16) int {
	if s.assigned || s.scheme {
		if rest := s.secret(start, end); rest > 0 {
			return rest
		}
	} else if seen&classDigit != 0 && s.lastIsSecret() {
		s.addValue(start, end)
		return end
	}
	first, last := classOf[s.line[start]], classOf[s.line[end-1]]
	switch {
	case seen&^classPlain == 0 && seen&classLetter != 0:
		return s.plain(start, end)
	case seen&(classLetter|classDigit|classHigh|classJoin) == 0 && seen&classSlash == 0:
		s.punctuation(start, end)
		return end
	case seen&^classNumber == 0 && (first&classDigit != 0 || first&classDash != 0 && classOf[s.line[min(start+1, end-1)]]&classDigit != 0):
		tail := end
		for classOf[s.line[tail-1]]&(classColon|classDot) != 0 {
			tail--
		}
		if classOf[s.line[tail-1]]&classDigit == 0 {
			break
		}
		if tail < end {
			s.addValue(start, tail)
			s.punctuation(tail, end)
			return end
		}
		end = s.sized(start, end, end)
		s.addValue(start, end)
		return end
	case seen&^(classPlain|classColon|classDot) == 0 && last&(classColon|classDot) != 0 && isPlain(s.line[start:end-1]):
		// A word with a colon or a full stop behind it.
		stop := s.plain(start, end-1)
		if stop == end-1 {
			s.punctuation(stop, end)
			return end
		}
		return stop
	case seen&classDigit != 0 && seen&(classColon|classRest|classDot) == 0 && last&(classLetter|classDigit) != 0 &&
		(first&classDigit != 0 || first&(classLetter|classSlash) != 0 && (seen&(classSlash|classAt) != 0 || seen&(classJoin|classDash) != 0 && manyDigits(s.line[start:end]))):
		s.addValue(start, end)
		return end
	case seen&classColon != 0 && seen&classSlash != 0:
		if at := strings.Index(s.line[start:end], "://"); at > 0 {
			return s.url(start, start+at)
		}
	}
	return s.piece(start, end)
}

// plain takes a word of letters.
func (s *scanner) plain(start, end int) int {
	text := s.line[start:end]
	if len(text) == 3 {
		if stop := s.date(start, end); stop > 0 {
			return stop
		}
	}
	if len(text) >= longWord && isRandom(text) || len(text) >= 2*hexWord && isHexText(text) {
		s.addValue(start, end)
	} else {
		s.addText(start, end, word)
	}
	return end
}

// isHexText reports whether a text is of hexadecimal letters alone.
func isHexText(text string) bool {
	for i := range len(text) {
		if classOf[text[i]] != classHex {
			return false
		}
	}
	return true
}

// manyDigits reports whether a text has more digits than a name has.
func manyDigits(text string) bool {
	n := 0
	for i := range len(text) {
		if c := text[i]; c >= '0' && c <= '9' {
			n++
		}
	}
	return n > nameDigits
}

// isPlain reports whether a text is of letters and what goes on within a word.
func isPlain(text string) bool {
	letters := uint16(0)
	for i := range len(text) {
		class := classOf[text[i]]
		if class&^classPlain != 0 {
			return false
		}
		letters |= class & classLetter
	}
	return letters != 0
}

// url takes a URL, of which only the scheme stays: user names, passwords and keys hide anywhere in it.
func (s *scanner) url(start, colon int) int {
	for start < colon && classOf[s.line[start]]&(classLetter|classDigit) == 0 {
		s.punctuation(start, start+1)
		start++
	}
	end := colon + len("://")
	for end < len(s.line) && s.line[end] > ' ' && strings.IndexByte("\"'`<>()[]{}|", s.line[end]) < 0 {
		end++
	}
	for end > colon+3 && strings.IndexByte(",;.:!?", s.line[end-1]) >= 0 {
		end--
	}
	// What stands before the last colon is no scheme, as in "jar:file://".
	if at := strings.LastIndexByte(s.line[start:colon], ':'); at >= 0 {
		s.piece(start, start+at)
		s.punctuation(start+at, start+at+1)
		start += at + 1
	}
	if colon > start {
		s.addText(start, colon, word)
	}
	s.punctuation(colon, colon+3)
	if end > colon+3 {
		s.addValue(colon+3, end)
	}
	return end
}

// piece takes a chunk: punctuation around it goes into the gap.
func (s *scanner) piece(start, end int) int {
	line := s.line
	head := start
	for head < end && classOf[line[head]]&(classLetter|classDigit|classHigh|classJoin) == 0 && !s.leads(head, end) {
		head++
	}
	tail := end
	for tail > head && classOf[line[tail-1]]&(classLetter|classDigit|classHigh|classJoin|classSlash) == 0 {
		tail--
	}
	s.punctuation(start, head)
	stop := end
	if tail > head {
		stop = s.core(head, tail, end)
	}
	if stop == tail || stop < tail {
		s.punctuation(tail, end)
		return end
	}
	return stop
}

// leads reports whether the punctuation at i is part of what follows: a sign, a path's slash, a decimal point.
func (s *scanner) leads(i, end int) bool {
	switch c := s.line[i]; c {
	case '/':
		return i+1 < end && s.line[i+1] != '/'
	case '.':
		return i+1 < end && (classOf[s.line[i+1]]&classDigit != 0 && (i == 0 || s.line[i-1] != '.') || s.line[i+1] == '/')
	case '-', '+':
		return i+1 < end && classOf[s.line[i+1]]&classDigit != 0
	default:
		return false
	}
}

// tally counts the classes of a piece.
type tally struct {
	seen                            uint16
	digits, runs, colons, slashes   int
	backslashes, letters, dots, hex int
	// inside is whether every run of digits has letters on both sides; twoDots where ".." stands, or -1.
	inside      bool
	firstColon  int
	firstDigit  int
	doubledDots int
}

func tallyOf(text string) tally {
	t := tally{inside: true, firstColon: -1, firstDigit: -1, doubledDots: -1}
	digit := false
	for i := range len(text) {
		class := classOf[text[i]]
		t.seen |= class
		switch {
		case class&classDigit != 0:
			t.digits++
			if !digit {
				t.runs++
				if i == 0 {
					t.inside = false
				}
			}
			if t.firstDigit < 0 {
				t.firstDigit = i
			}
		case class&classLetter != 0:
			t.letters++
			if class&classHex != 0 {
				t.hex++
			}
		case class&classColon != 0:
			if t.firstColon < 0 {
				t.firstColon = i
			}
			t.colons++
		case class&classSlash != 0:
			t.slashes++
		case class&classBack != 0:
			t.backslashes++
		case class&classDot != 0:
			t.dots++
			if i > 0 && text[i-1] == '.' && t.doubledDots < 0 {
				t.doubledDots = i - 1
			}
		}
		if digit && class&(classDigit|classLetter|classJoin) == 0 {
			t.inside = false
		}
		digit = class&classDigit != 0
	}
	if digit {
		t.inside = false
	}
	return t
}

// core takes a piece without the punctuation around it. It returns where it ends: end, or further on where a unit or a date
// goes on behind it.
func (s *scanner) core(start, end, limit int) int {
	text := s.line[start:end]
	t := tallyOf(text)
	switch {
	case t.doubledDots >= 0:
		// A leader: "enabled......1".
		after := start + t.doubledDots
		s.core(start, after, after)
		rest := after
		for rest < end && s.line[rest] == '.' {
			rest++
		}
		s.punctuation(after, rest)
		if rest < end {
			s.core(rest, end, limit)
		}
		return end
	case t.digits == 0:
		return s.withoutDigits(start, end, t)
	case t.letters == 0 && t.seen&classHigh == 0:
		s.addValue(start, s.sized(start, end, limit))
		return int(s.tokens[len(s.tokens)-1].end)
	case t.seen&classAt != 0 || t.backslashes > 0:
		s.addValue(start, end)
	case t.colons > 0:
		s.pair(start, end, t)
	case t.slashes > 0 || t.firstDigit == 0 || isHex(text, t):
		s.addValue(start, end)
	case t.inside && t.digits <= nameDigits && t.runs == 1 && len(text) < 2*longWord && !isKey(text):
		// A digit within a name, as in jk2_init, is part of the name.
		s.addText(start, end, s.softUnlessFirst())
	case len(text) < longWord && t.runs == 1 && t.letters+t.digits == len(text) && t.firstDigit == t.letters:
		// A numbered name, as in node17.
		keep := start + t.firstDigit
		s.add(start, end, keep, s.softUnlessFirst(), hashOf(s.line[start:keep])^wildHash)
	default:
		s.addValue(start, end)
	}
	return end
}

// isHex reports whether a piece is a hexadecimal number.
func isHex(text string, t tally) bool {
	if t.hex == t.letters && t.hex+t.digits == len(text) {
		return len(text) >= hexWord
	}
	return false
}

// sized returns the end of a number with the unit of a size behind it, as in "5.2 KB": such units change with the number.
func (s *scanner) sized(start, end, limit int) int {
	if end != limit || end+2 >= len(s.line) || s.line[end] != ' ' {
		return end
	}
	rest := s.line[end+1:]
	n := 0
	for n < len(rest) && n < 4 && classOf[rest[n]]&classLetter != 0 {
		n++
	}
	if n < len(rest) && classOf[rest[n]]&(classLetter|classDigit|classJoin|classDash) != 0 {
		return end
	}
	switch rest[:n] {
	case "B", "KB", "MB", "GB", "TB", "PB", "kB", "KiB", "MiB", "GiB", "TiB", "PiB":
		return end + 1 + n
	default:
		return end
	}
}

// pair takes a piece with a colon and digits: a key with its value, or one value such as an address.
func (s *scanner) pair(start, end int, t tally) {
	left := s.line[start : start+t.firstColon]
	l := tallyOf(left)
	if isSource(left) {
		// A place in the code, as in main.go:17, tells messages apart.
		s.addText(start, start+t.firstColon, word)
		s.colonRest(start+t.firstColon, end)
		return
	}
	if t.colons >= 3 && t.hex == t.letters || l.digits > 0 || l.seen&^(classPlain|classDash) != 0 || len(left) < 2 {
		s.addValue(start, end)
		return
	}
	s.addText(start, start+t.firstColon, word)
	s.colonRest(start+t.firstColon, end)
}

// colonRest takes the colons at the start of a rest and what follows.
func (s *scanner) colonRest(start, end int) {
	rest := start
	for rest < end && s.line[rest] == ':' {
		rest++
	}
	s.punctuation(start, rest)
	if rest < end {
		if s.secret(rest, end) > 0 {
			return
		}
		s.piece(rest, end)
	}
}

// withoutDigits takes a piece that has no digit.
func (s *scanner) withoutDigits(start, end int, t tally) int {
	text := s.line[start:end]
	switch {
	case t.colons > 0 && t.seen&classAt == 0:
		if t.firstColon == 1 && t.backslashes+t.slashes > 0 {
			s.addValue(start, end) // a drive's letter
			return end
		}
		if t.firstColon > 0 {
			s.piece(start, start+t.firstColon)
		}
		s.colonRest(start+t.firstColon, end)
	case t.seen&classAt != 0 || (text[0] == '/' || text[0] == '.') && len(text) > 1 || t.slashes > 1 || t.slashes == 1 && t.dots > 0 || t.backslashes > 1:
		s.addValue(start, end)
	case (t.dots > 0 || t.backslashes > 0 || t.slashes > 0) && !isFailure(text):
		s.addText(start, end, s.softUnlessFirst())
	default:
		return s.plain(start, end)
	}
	return end
}

// softUnlessFirst is soft but for the first token: what a message starts with is mostly what it is about.
func (s *scanner) softUnlessFirst() kind {
	if len(s.tokens) == 0 {
		return word
	}
	return soft
}

// isFailure reports whether a name is that of an exception or an error, which tells messages apart.
func isFailure(name string) bool {
	return strings.HasSuffix(name, "Exception") || strings.HasSuffix(name, "Error")
}

// isSource reports whether a name is that of a source file.
func isSource(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || strings.IndexByte(name, '/') >= 0 {
		return false
	}
	switch name[dot+1:] {
	case "go", "java", "kt", "scala", "py", "rb", "js", "ts", "tsx", "jsx", "mjs", "c", "cc", "cpp", "cxx", "h", "hpp", "rs", "php", "cs", "swift", "ex", "erl", "pl", "lua":
		return true
	default:
		return false
	}
}
