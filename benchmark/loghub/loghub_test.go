package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

func TestScoreByHand(t *testing.T) {
	truth := strings.Fields("A A A B B C C C D D")
	for name, tc := range map[string]struct {
		groups string
		want   scores
	}{
		"all right": {"1 1 1 2 2 3 3 3 4 4", scores{ga: 1, fga: 1, groups: 4, truth: 4}},
		// A is split in two: 7 of 10 lines are in right groups; 3 of 5 groups are right, 3 of 4 are found.
		"split": {"1 1 5 2 2 3 3 3 4 4", scores{ga: 0.7, fga: 2 * 0.6 * 0.75 / 1.35, groups: 5, truth: 4}},
		// B and D are one: 6 of 10 lines; 2 of 3 groups, 2 of 4.
		"merged": {"1 1 1 2 2 3 3 3 2 2", scores{ga: 0.6, fga: 2 * (2.0 / 3) * 0.5 / (2.0/3 + 0.5), groups: 3, truth: 4}},
		// One line of C is taken for one of A: A and C are both wrong.
		"moved": {"1 1 1 2 2 3 3 1 4 4", scores{ga: 0.4, fga: 0.5, groups: 4, truth: 4}},
		"none":  {"1 1 1 1 1 1 1 1 1 1", scores{groups: 1, truth: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			got := score(strings.Fields(tc.groups), make([]string, 10), truth)
			assert.InDelta(t, tc.want.ga, got.ga, 1e-12)
			assert.InDelta(t, tc.want.fga, got.fga, 1e-12)
			assert.Equal(t, tc.want.groups, got.groups)
			assert.Equal(t, tc.want.truth, got.truth)
		})
	}
}

func TestTemplateAccuracyByHand(t *testing.T) {
	truth := []string{"a <*>", "a <*>", "b <*> c", "b <*> c", "d"}
	// The text of the second template is wrong; the third group is right in both.
	got := score([]string{"1", "1", "2", "2", "3"}, []string{"a <*>", "a <*>", "b x c", "b x c", "d"}, truth)
	assert.InDelta(t, 0.6, got.pa, 1e-12)
	assert.InDelta(t, 2.0/3, got.fta, 1e-12, "2 of 3 found, 2 of 3 true ones")
	// The right text with a wrong group counts for PA and not for FTA.
	got = score([]string{"1", "4", "2", "2", "3"}, []string{"a <*>", "a <*>", "b <*> c", "b <*> c", "d"}, truth)
	assert.InDelta(t, 1, got.pa, 1e-12)
	assert.InDelta(t, 2*(2.0/4)*(2.0/3)/(2.0/4+2.0/3), got.fta, 1e-12)
}

func TestComparable(t *testing.T) {
	assert.Equal(t, comparable("took <*>ms  at <*>"), comparable("took <*>ms at <*>:<*>"))
	assert.NotEqual(t, comparable("took <*> ms"), comparable("took <*>"))
}

// writeSystem writes a small annotated log and returns its folder.
func writeSystem(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(data, "Toy"), 0o750))
	text := "LineId,Content,EventTemplate\n"
	for i, user := range []string{"root", "news", "cyrus", "test"} {
		text += string(rune('1'+i)) + ",\"opened, for user " + user + "\",\"opened, for user <*>\"\n"
	}
	text += "5,closed 7,closed <*>\n"
	require.NoError(t, os.WriteFile(filepath.Join(data, "Toy", "Toy_2k.log_structured.csv"), []byte(text), 0o600))
	return data
}

func TestRun(t *testing.T) {
	data, out := writeSystem(t), t.TempDir()
	var report strings.Builder
	require.NoError(t, run(&report, options{data: data, out: out}))
	assert.Contains(t, report.String(), "| Toy | 5 | 2 | 2 | 1.000 | 1.000 | 0.200 | 1.000 | 1.000 |")
	written, err := os.ReadFile(filepath.Join(out, "Toy.csv"))
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(string(written)), "\n")
	require.Len(t, rows, 6)
	assert.Equal(t, "LineId,PatternId,Template", rows[0])
	m := logpattern.New(logpattern.DefaultSettings())
	p, _ := m.Match("closed 8", 1)
	assert.Equal(t, "5,"+p.ID.String()+",closed <*>", rows[5])
	report.Reset()
	require.NoError(t, run(&report, options{data: data, errors: true}))
	report.Reset()
	require.NoError(t, run(&report, options{data: data, perturbed: true}))
	assert.Contains(t, report.String(), "| Toy |")
	require.NoError(t, os.WriteFile(filepath.Join(data, "Toy", "Toy_structured_corrected.csv"), []byte("Content,EventTemplate\nx\n"), 0o600))
	require.ErrorContains(t, run(&report, options{data: data}), "row 2 has 1 columns", "the corrected file comes first")
	require.ErrorContains(t, run(&report, options{}), "-data")
	require.ErrorContains(t, run(&report, options{data: t.TempDir()}), "no folder")
}

func TestPlainLoopsSeeTheSameTokens(t *testing.T) {
	// The loops that logpattern is compared with hash every token: another token is another hash.
	for _, loop := range []func(string) uint64{tokenizeAndHash, tokensInPlace, hashBytes} {
		assert.Equal(t, loop("a bc d"), loop("a bc d"))
		assert.NotEqual(t, loop("a bc d"), loop("a b cd"))
		assert.NotEqual(t, loop("a bc d"), loop("bc a d"))
	}
}
