package logpattern

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzMatch: whatever the line, its template is bounded valid text, is found again, and survives the state.
func FuzzMatch(f *testing.F) {
	for _, l := range append(sampleLines(20), "a\xffb", "x () [] \"\"", "java.lang.Error: x\n\tat a.b(C.java:1)", "\x1b[31mred\x1b[0m 7",
		strings.Repeat("[", 300), strings.Repeat("a=b ", 200), "password='x y' z", "http://u:p@h/ x", "1.2.3.4:5 a:b:c d::e", "\x00\x01\x02") {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m := New(Settings{MaxTemplates: 8, MaxBytes: 256, MaxTokens: 32})
		p, novelty := m.Match(line, 5)
		require.Equal(t, NewPattern, novelty)
		require.True(t, utf8.ValidString(p.Template))
		require.LessOrEqual(t, len(p.Template), 256*(len(Wildcard)+1))
		again, novelty := m.Match(line, 7)
		require.Equal(t, KnownPattern, novelty)
		require.Equal(t, p.ID, again.ID)
		n, err := Decode(m.AppendState(nil), Settings{MaxTemplates: 8, MaxBytes: 256, MaxTokens: 32})
		require.NoError(t, err)
		restored, novelty := n.Match(line, 9)
		require.Equal(t, KnownPattern, novelty)
		require.Equal(t, p.ID, restored.ID)
		require.EqualValues(t, 3, restored.Count)
		// A merge with itself doubles the counts and adds no template.
		m.Merge(n)
		require.Equal(t, 1, m.Len())
	})
}

// FuzzLines: many lines in one miner keep its bounds, and each line is counted once.
func FuzzLines(f *testing.F) {
	f.Add(strings.Join(sampleLines(50), "\n"))
	f.Add("a b c\na b d\na b e\na b f\na b g\nx y 1, 2\nx y 1\nx y 1, 2, 3")
	f.Fuzz(func(t *testing.T, text string) {
		settings := Settings{MaxTemplates: 1000, MaxBytes: 128, MaxTokens: 16}
		m := New(settings)
		lines := strings.Split(text, "\n")
		if len(lines) > 200 {
			lines = lines[:200]
		}
		for _, l := range lines {
			m.Match(l, 1)
		}
		sum := uint64(0)
		for _, p := range m.Patterns() {
			sum += p.Count
			require.Equal(t, idOf(p.Template), p.ID)
		}
		require.EqualValues(t, len(lines), sum)
		n, err := Decode(m.AppendState(nil), settings)
		require.NoError(t, err)
		require.Equal(t, m.Patterns(), n.Patterns())
	})
}

// FuzzDecode: a state is taken or refused, and one that is taken is written back the same.
func FuzzDecode(f *testing.F) {
	m := New(DefaultSettings())
	for _, l := range sampleLines(60) {
		m.Match(l, 3)
	}
	f.Add(m.AppendState(nil))
	f.Add([]byte{stateVersion})
	f.Add([]byte{stateVersion, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		settings := Settings{MaxTemplates: 50}
		m, err := Decode(data, settings)
		if err != nil {
			return
		}
		require.LessOrEqual(t, m.Len(), 50)
		state := m.AppendState(nil)
		n, err := Decode(state, settings)
		require.NoError(t, err)
		require.Equal(t, m.Patterns(), n.Patterns())
		n.Match("a line to see it works", 1)
	})
}
