package logtemplate

// appendMasked appends the token with its varying parts replaced. A token of digits, hexadecimal digits and punctuation
// is a value; in any other token runs of digits are, unless the token is a code location.
func appendMasked(dst []byte, token string) []byte {
	digits, others := 0, 0
	for i := range len(token) {
		switch c := token[i]; {
		case isDigit(c):
			digits++
		case !isHexLetter(c) && !isPunctuation(c):
			others++
		}
	}
	switch {
	case digits == 0:
		return append(dst, token...)
	case others == 0:
		return append(dst, Wildcard...)
	case isCodeLocation(token):
		return append(dst, token...)
	}
	inDigits := false
	for i := range len(token) {
		c := token[i]
		if isDigit(c) {
			if !inDigits {
				dst = append(dst, Wildcard...)
			}
			inDigits = true
			continue
		}
		inDigits = false
		dst = append(dst, c)
	}
	return dst
}

// isCodeLocation reports whether a token is an identifier followed by '#' or ':' and a line number, as loggers print it.
func isCodeLocation(token string) bool {
	i := 0
	for i < len(token) && (isLetter(token[i]) || token[i] == '.' || token[i] == '_' || token[i] == '$' || token[i] == '[' || token[i] == ']' || token[i] == '/' || (i > 0 && isDigit(token[i]))) {
		i++
	}
	if i == 0 || i >= len(token)-1 || (token[i] != '#' && token[i] != ':') {
		return false
	}
	line := token[i+1:]
	if line[len(line)-1] == ':' {
		line = line[:len(line)-1]
	}
	if line == "" || len(line) > 5 {
		return false
	}
	for j := range len(line) {
		if !isDigit(line[j]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isLetter(c byte) bool    { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isHexLetter(c byte) bool { return 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

func isPunctuation(c byte) bool {
	return c < 0x80 && !isLetter(c) && !isDigit(c)
}
