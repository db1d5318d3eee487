package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const document = "# Title\n\n$ not a command\n\n```console\n$ one\nold\nolder\n$ two\nold two\n```\n\n```yaml\n$ nor this\nkept\n```\n"

func TestRenewReplacesOutputs(t *testing.T) {
	var ran []string
	run := func(command string) (string, error) {
		ran = append(ran, command)
		return "\n  new " + command + "   \nlast\n\n", nil
	}
	got, err := renew(document, run, "")
	require.NoError(t, err)
	assert.Equal(t, []string{"one", "two"}, ran)
	assert.Equal(t, strings.NewReplacer("old\nolder\n", "new one\nlast\n", "old two\n", "new two\nlast\n").Replace(document), got)

	ran = nil
	got, err = renew(document, run, "two")
	require.NoError(t, err)
	assert.Equal(t, []string{"two"}, ran)
	assert.Equal(t, strings.Replace(document, "old two\n", "new two\nlast\n", 1), got)

	_, err = renew(document, func(string) (string, error) { return "", errors.New("broken") }, "")
	assert.EqualError(t, err, "one: broken")
}

func TestRefreshRunsTheShell(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(path, []byte("```console\n$ echo $((6*7))\n41\n```\n"), 0o600))
	require.NoError(t, refresh(t.Context(), path, ""))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "```console\n$ echo $((6*7))\n42\n```\n", string(got))
	assert.Error(t, refresh(t.Context(), path+"x", ""))
}
