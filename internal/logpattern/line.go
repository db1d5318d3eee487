package logpattern

import (
	"strings"
	"unicode/utf8"
)

// bounded cuts a line to what is read of it.
func (m *Miner) bounded(line string) string {
	if len(line) > m.settings.MaxBytes {
		n := m.settings.MaxBytes
		for n > m.settings.MaxBytes-utf8.UTFMax && !utf8.RuneStart(line[n]) {
			n--
		}
		line = line[:n]
		m.stats.Truncated++
	}
	if !utf8.ValidString(line) {
		m.stats.InvalidUTF8++
		line = strings.ToValidUTF8(line, string(utf8.RuneError))
	}
	return line
}
