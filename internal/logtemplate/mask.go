package logtemplate

import "bytes"

// appendMasked appends the token with its varying parts replaced. A token is a code location, which stays, or words
// between punctuation. A word with a digit is a value when it is a number or an identifier, of hexadecimal digits or long;
// in any other only the digits vary.
func appendMasked(dst []byte, token string) []byte {
	if isCodeLocation(token) {
		return append(dst, token...)
	}
	start := len(dst)
	for i := 0; i < len(token); {
		if !isWordByte(token[i]) {
			dst = append(dst, token[i])
			i++
			continue
		}
		end := i
		for end < len(token) && isWordByte(token[end]) {
			end++
		}
		dst = appendMaskedWord(dst, token[i:end])
		i = end
	}
	return joinWildcards(dst, start)
}

// longWord is from how many bytes on a word with digits is an identifier as a whole.
const longWord = 16

func appendMaskedWord(dst []byte, word string) []byte {
	digits, others := 0, 0
	for i := range len(word) {
		switch c := word[i]; {
		case isDigit(c):
			digits++
		case !isHexLetter(c):
			others++
		}
	}
	switch {
	case digits == 0:
		return append(dst, word...)
	case others == 0 || len(word) >= longWord:
		return append(dst, Wildcard...)
	}
	inDigits := false
	for i := range len(word) {
		c := word[i]
		if !isDigit(c) {
			dst = append(dst, c)
		} else if !inDigits {
			dst = append(dst, Wildcard...)
		}
		inDigits = isDigit(c)
	}
	return dst
}

// joinWildcards makes one wildcard of those that only separators of identifiers, numbers and times stand between, and of
// the hexadecimal words that such an identifier is made of.
func joinWildcards(dst []byte, start int) []byte {
	wildcard := []byte(Wildcard)
	out := start
	for i := start; i < len(dst); {
		if !bytes.HasPrefix(dst[i:], wildcard) {
			dst[out] = dst[i]
			out++
			i++
			continue
		}
		for {
			i += len(wildcard)
			next := i
			for next < len(dst) && (isSeparator(dst[next]) || isHexLetter(dst[next])) {
				next++
			}
			if next == i || !isSeparator(dst[i]) || !bytes.HasPrefix(dst[min(next, len(dst)):], wildcard) {
				break
			}
			i = next
		}
		out += copy(dst[out:], wildcard)
	}
	return dst[:out]
}

func isSeparator(c byte) bool { return c == '-' || c == '.' || c == ':' || c == '/' || c == '_' }

func isWordByte(c byte) bool { return isDigit(c) || isLetter(c) || c == '_' || c >= 0x80 }

// isCodeLocation reports whether a token is an identifier followed by '#' or ':' and a line number, as loggers print it.
func isCodeLocation(token string) bool {
	i := 0
	for i < len(token) && (isLetter(token[i]) || bytes.IndexByte([]byte("._$[]/"), token[i]) >= 0 || (i > 0 && isDigit(token[i]))) {
		i++
	}
	if i == 0 || i >= len(token)-1 || (token[i] != '#' && token[i] != ':') {
		return false
	}
	line := token[i+1:]
	if line[len(line)-1] == ':' {
		line = line[:len(line)-1]
	}
	if line == "" || len(line) > 5 || !hasLetter(token[:i]) {
		return false
	}
	for j := range len(line) {
		if !isDigit(line[j]) {
			return false
		}
	}
	return true
}

func hasLetter(s string) bool {
	for i := range len(s) {
		if isLetter(s[i]) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isLetter(c byte) bool    { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isHexLetter(c byte) bool { return 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
