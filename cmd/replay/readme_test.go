package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every flag has its row with the default that --help prints, and no row lacks its flag.
func TestReadmeListsTheFlags(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(readme), -1) {
		rows[m[1]] = strings.Trim(m[2], "`")
	}
	var help bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"--help"}, &help, &help))
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)[^\n]*\n[^\n]*?(?:\(default "?([^")]+)"?\))?$`).FindAllStringSubmatch(help.String(), -1)
	assert.Len(t, rows, len(flags))
	for _, f := range flags {
		name, value := f[1], f[2]
		require.Contains(t, rows, name)
		if value != "" && name != "insecure" {
			assert.Equal(t, value, rows[name], name)
		}
	}
	c := defaultConfig()
	assert.Equal(t, rows["timeout"], c.retry.timeout.String())
	assert.Equal(t, rows["max-elapsed"], c.retry.maxElapsed.String())
	assert.InDelta(t, 1, c.speed, 0)
}
