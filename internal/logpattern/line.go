package logpattern

import (
	"strings"
	"unicode/utf8"
)

// bounded returns what is read of a line: at most MaxBytes.
func (m *Miner) bounded(line string) string {
	if len(line) > m.settings.MaxBytes {
		n := m.settings.MaxBytes
		for n > m.settings.MaxBytes-utf8.UTFMax && !utf8.RuneStart(line[n]) {
			n--
		}
		line = line[:n]
		m.stats.Truncated++
		m.cut = true
	}
	return line
}

// strange are the classes of bytes that make a line need another look.
const strange = classHigh | classControl | classBack

// repaired returns a line that has strange bytes as it is to be read: as valid UTF-8, without the sequences that colour a
// terminal, and a stack trace as its type and top frames, which are literal from the returned offset on.
func (m *Miner) repaired(line string) (text string, literal int) {
	if !utf8.ValidString(line) {
		m.stats.InvalidUTF8++
		line = strings.ToValidUTF8(line, string(utf8.RuneError))
	}
	if strings.IndexByte(line, escape) >= 0 {
		line = m.withoutColours(line)
	}
	if strings.IndexByte(line, '\\') >= 0 && (strings.Contains(line, `\n\tat `) || strings.Contains(line, `\n  File `)) {
		// A stack trace within JSON.
		line = strings.ReplaceAll(strings.ReplaceAll(line, `\n`, "\n"), `\t`, "\t")
	}
	if strings.IndexByte(line, '\n') >= 0 {
		if trace, at := m.trace(line); at > 0 {
			return trace, at
		}
	}
	return line, len(line)
}

const escape = 0x1b

// withoutColours takes the control sequences of terminals out of a line.
func (m *Miner) withoutColours(line string) string {
	m.buf = m.buf[:0]
	for i := 0; i < len(line); i++ {
		if line[i] != escape {
			m.buf = append(m.buf, line[i])
			continue
		}
		if i+1 < len(line) && line[i+1] == '[' {
			for i += 2; i < len(line) && (line[i] < '@' || line[i] > '~'); {
				i++
			}
		}
	}
	return string(m.buf)
}

// binaryText is the template of what is no text.
const binaryText = "<binary>"

// isBinary reports whether an eighth of a line or more is made of bytes that no text has.
func isBinary(line string) bool {
	strange := 0
	for i, r := range line {
		switch {
		case r == utf8.RuneError:
			strange++
		case r < ' ' && r != '\t' && r != '\n' && r != '\r':
			strange++
		case r == 0x7f:
			strange++
		}
		if i > binaryWindow {
			break
		}
	}
	return 8*strange >= min(len(line), binaryWindow) && strange > 0
}

// binaryWindow is how many bytes are looked at to tell text from other data.
const binaryWindow = 512
