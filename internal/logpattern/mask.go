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
		if end == start+1 && first&classDash != 0 && start > 0 && s.line[start-1] == '=' {
			s.addValue(start, end) // a value that is missing
			return end
		}
		s.punctuation(start, end)
		return end
	case seen&classHigh != 0 && seen&classDigit != 0:
		return s.mixed(start, end)
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
	case first&classSlash != 0 && seen&classRest != 0 && strings.IndexByte(s.line[start:end], '?') > 0:
		// A path with a query is one value whatever the query has.
		end = s.addressEnd(end)
		s.addValue(start, end)
		return end
	case seen&classColon != 0 && seen&classSlash != 0:
		if at := strings.Index(s.line[start:end], "://"); at > 0 {
			return s.url(start, start+at)
		}
	}
	return s.piece(start, end)
}

// mixed takes a chunk of a script that may have no spaces, with digits: each run of digits is a value.
func (s *scanner) mixed(start, end int) int {
	for start < end {
		digit := classOf[s.line[start]]&classDigit != 0
		next := start
		for next < end && (classOf[s.line[next]]&classDigit != 0) == digit {
			next++
		}
		if digit {
			s.addValue(start, next)
		} else {
			s.piece(start, next)
		}
		start = next
	}
	return end
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

// url takes a URL, of which only the scheme stays: user names, passwords and keys hide anywhere in it.
func (s *scanner) url(start, colon int) int {
	for start < colon && classOf[s.line[start]]&(classLetter|classDigit) == 0 {
		s.punctuation(start, start+1)
		start++
	}
	end := max(colon+3, s.addressEnd(colon+3))
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

// addressEnd returns where a URL or a path with a query ends that goes on at an offset.
func (s *scanner) addressEnd(end int) int {
	for end < len(s.line) && s.line[end] > ' ' && strings.IndexByte("\"'`<>()[]{}|", s.line[end]) < 0 {
		end++
	}
	for strings.IndexByte(",;.:!?", s.line[end-1]) >= 0 {
		end--
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
	if stop > tail {
		return stop
	}
	s.punctuation(tail, end)
	if line[tail:end] == keyMark && strings.EqualFold(line[head:tail], "key") {
		return s.pem(end)
	}
	if head == start+2 && line[start:head] == "--" && s.lastIsSecret() {
		s.assigned = true // an option of a command line
	}
	return end
}

// leads reports whether the punctuation at i is part of what follows: a sign, a path's slash, a decimal point,
// the colons of an address.
func (s *scanner) leads(i, end int) bool {
	switch c := s.line[i]; c {
	case '/':
		return i+1 < end && s.line[i+1] != '/'
	case ':':
		return strings.HasPrefix(s.line[i:end], "::") && strings.Trim(s.line[i:end], ":0123456789abcdefABCDEF.") == "" && i+2 < end
	case '.':
		return i+1 < end && (classOf[s.line[i+1]]&classDigit != 0 && (i == 0 || s.line[i-1] != '.') || s.line[i+1] == '/')
	case '-', '+':
		return i+1 < end && classOf[s.line[i+1]]&classDigit != 0
	default:
		return false
	}
}

// core takes a piece without the punctuation around it. It returns where it ends: end, or further on where a unit or a date
// goes on behind it.
func (s *scanner) core(start, end, limit int) int {
	text := s.line[start:end]
	t := tallyOf(text)
	if t.dots > 1 {
		if at := strings.Index(text, ".."); at >= 0 {
			return s.leader(start, start+at, end, limit)
		}
	}
	switch {
	case t.digits == 0:
		return s.withoutDigits(start, end, t)
	case t.letters == 0 && isASCII(text):
		s.addValue(start, s.sized(start, end, limit))
		return int(s.tokens[len(s.tokens)-1].end)
	case t.ats > 0 || t.backslashes > 0:
		s.addValue(start, end)
		return end
	case t.colons > 0:
		s.pair(start, end, t)
		return end
	case t.slashes > 0 || classOf[text[0]]&classDigit != 0 || isHex(text, t) || t.digits > nameDigits && t.letters+t.digits < len(text):
		s.addValue(start, end)
		return end
	}
	first, runs, inside := digitsIn(text)
	switch {
	case inside && t.digits <= nameDigits && runs == 1 && len(text) < 2*longWord && !isKey(text):
		// A digit within a name, as in jk2_init, is part of the name.
		s.addText(start, end, s.softUnlessFirst())
	case len(text) < longWord && runs == 1 && t.letters+t.digits == len(text) && first == t.letters:
		// A numbered name, as in node17.
		keep := start + first
		s.add(start, end, keep, s.softUnlessFirst(), hashOf(s.line[start:keep])^wildHash)
	default:
		s.addValue(start, end)
	}
	return end
}

// leader takes a piece with dots that lead the eye, as in "enabled......1".
func (s *scanner) leader(start, dots, end, limit int) int {
	s.core(start, dots, dots)
	rest := dots
	for rest < end && s.line[rest] == '.' {
		rest++
	}
	s.punctuation(dots, rest)
	if rest < end {
		s.core(rest, end, limit)
	}
	return end
}

// sized returns the end of a number with the unit of a size behind it, as in "5.2 KB", or of a time of
// twelve hours: such units change with the number.
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
	case "AM", "PM", "am", "pm":
		if strings.IndexByte(s.line[start:end], ':') > 0 {
			return end + 1 + n
		}
		return end
	case "B", "KB", "MB", "GB", "TB", "PB", "kB", "KiB", "MiB", "GiB", "TiB", "PiB":
		return end + 1 + n
	default:
		return end
	}
}

// pair takes a piece with a colon and digits: a key with its value, or one value such as an address.
func (s *scanner) pair(start, end int, t tally) {
	colon := start + strings.IndexByte(s.line[start:end], ':')
	left := s.line[start:colon]
	if isSource(left) {
		// A place in the code, as in main.go:17, tells messages apart.
		s.addText(start, colon, word)
		s.colonRest(colon, end)
		return
	}
	if t.colons >= 3 && t.hex == t.letters || len(left) < 2 || !isKeyName(left) {
		s.addValue(start, end)
		return
	}
	s.addText(start, colon, word)
	s.colonRest(colon, end)
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
	case t.colons > 0 && t.ats == 0:
		colon := start + strings.IndexByte(text, ':')
		if colon == start+1 && t.backslashes+t.slashes > 0 {
			s.addValue(start, end) // a drive's letter
			return end
		}
		if colon > start {
			s.piece(start, colon)
		}
		s.colonRest(colon, end)
	case t.ats > 0 || (text[0] == '/' || text[0] == '.') && len(text) > 1 || t.slashes > 1 || t.slashes == 1 && t.dots > 0 || t.backslashes > 1:
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
