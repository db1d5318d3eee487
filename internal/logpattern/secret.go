package logpattern

import (
	"bytes"
	"strings"
	"unicode"
)

// secretNames are what the name of a secret contains, in lower case and without '_' and '-'.
var secretNames = [][]byte{
	[]byte("password"), []byte("passwd"), []byte("passphrase"), []byte("pwd"), []byte("secret"), []byte("token"), []byte("credential"),
	[]byte("apikey"), []byte("accesskey"), []byte("privatekey"), []byte("authorization"), []byte("cookie"), []byte("signature"),
	[]byte("connectionstring"),
}

// secretWords are names of secrets as a whole: within another word they are no sign of one.
var secretWords = []string{"pass", "passcode", "passwort", "jwt", "otp", "pin"}

// secret takes a chunk behind the name of a secret, masked, and returns where it ends; 0 when it is none.
func (s *scanner) secret(start, end int) int {
	scheme := s.scheme
	s.scheme = false
	if !scheme && !s.lastIsSecret() {
		return 0
	}
	end = s.secretEnd(start, end, scheme)
	if isScheme(s.line[start:end]) {
		s.addText(start, end, word)
		s.scheme, s.assigned = true, true
	} else {
		s.addValue(start, end)
		if end < len(s.line) && s.line[end] == '=' {
			// A pair within the secret: its value is one too.
			s.scheme, s.assigned = true, true
		}
	}
	return end
}

// secretEnd returns where a secret ends whose first chunk is given: with the quote or the bracket that it is in, however
// many words it has, and with the line for a header of credentials.
func (s *scanner) secretEnd(start, end int, scheme bool) int {
	stop := byte(0)
	if start > 0 {
		switch c := s.line[start-1]; c {
		case '"', '\'', '`':
			stop = c
		case '[':
			stop = ']'
		}
	}
	if stop == 0 && start > 0 && s.line[start-1] == '=' {
		// In a connection string a secret goes on up to the semicolon.
		if at := strings.IndexAny(s.line[end:], ";="); at >= 0 && s.line[end+at] == ';' {
			return end + at
		}
	}
	if stop == 0 && (scheme || !namesHeader(s.line[s.tokens[len(s.tokens)-1].start:s.tokens[len(s.tokens)-1].end])) {
		return end
	}
	if stop != 0 {
		if at := strings.IndexByte(s.line[end:], stop); at >= 0 {
			return end + at
		}
	}
	if at := strings.IndexByte(s.line[end:], '\n'); at >= 0 {
		return end + at
	}
	return len(s.line)
}

// namesHeader reports whether a secret is a header that has several words: credentials or cookies.
func namesHeader(name string) bool {
	return len(name) >= len("cookie") && (strings.EqualFold(name[len(name)-len("cookie"):], "cookie") || len(name) >= len("authorization") && strings.EqualFold(name[len(name)-len("authorization"):], "authorization"))
}

// isScheme reports whether a word is a scheme of authentication, which the secret follows.
func isScheme(text string) bool {
	for _, scheme := range []string{"bearer", "basic", "digest", "negotiate"} {
		if strings.EqualFold(text, scheme) {
			return true
		}
	}
	return false
}

// lastIsSecret reports whether the last token names a secret.
func (s *scanner) lastIsSecret() bool {
	if len(s.tokens) == 0 {
		return false
	}
	t := &s.tokens[len(s.tokens)-1]
	if t.kind == value {
		return false
	}
	known := &s.keys[t.hash%uint64(len(s.keys))]
	if known.hash != t.hash {
		*known = keyVerdict{hash: t.hash, secret: namesSecret(s.line[t.start:t.end])}
	}
	return known.secret
}

// namesSecret reports whether a word names a secret.
func namesSecret(name string) bool {
	var buf [128]byte
	text := buf[:0]
	name = name[max(0, len(name)-len(buf)):]
	for i := range len(name) {
		c := name[i]
		if c == '_' || c == '-' {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		text = append(text, c)
	}
	for _, n := range secretNames {
		if bytes.Contains(text, n) {
			return true
		}
	}
	for _, w := range secretWords {
		if string(text) == w {
			return true
		}
	}
	return false
}

// isRandom reports whether a long word is no text: words of every language that is written in Latin letters have a vowel
// for three consonants or so, random letters have far fewer.
func isRandom(text string) bool {
	letters, vowels := 0, 0
	for i := range len(text) {
		if classOf[text[i]]&classLetter == 0 {
			continue
		}
		letters++
		switch text[i] | 0x20 {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			vowels++
		}
	}
	return letters >= longWord && 4*vowels < letters
}

// isKey reports whether a word with digits may be a key: it is long, and all in capitals or no text.
func isKey(text string) bool {
	return len(text) >= longWord-4 && (strings.IndexFunc(text, unicode.IsLower) < 0 || len(text) >= longWord && isRandom(text))
}

// keyMark surrounds the head of a key in PEM.
const keyMark = "-----"

// pem takes what follows the head of a private key, masked, up to its end. It returns where it ends.
func (s *scanner) pem(start int) int {
	end := len(s.line)
	if at := strings.Index(s.line[start:], keyMark); at >= 0 {
		end = start + at
	}
	if strings.TrimSpace(s.line[start:end]) == "" {
		return start
	}
	for start < end && classOf[s.line[start]]&classSpace != 0 {
		s.spaced = true
		start++
	}
	s.addValue(start, end)
	return end
}
