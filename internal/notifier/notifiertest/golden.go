package notifiertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// updateGolden is the environment variable that, when it is set, makes [Golden] write what it would compare.
const updateGolden = "UPDATE_GOLDEN"

// Golden compares requests, their method, path, the named headers and the body, with a file in testdata.
func Golden(t testing.TB, name string, requests []Request, headers ...string) {
	t.Helper()
	var out strings.Builder
	for _, q := range requests {
		fmt.Fprintf(&out, "%s %s", q.Method, q.Path)
		if q.Query != "" {
			fmt.Fprintf(&out, "?%s", q.Query)
		}
		out.WriteByte('\n')
		for _, h := range headers {
			fmt.Fprintf(&out, "%s: %s\n", h, q.Header.Get(h))
		}
		var body bytes.Buffer
		if len(q.Body) > 0 {
			require.NoError(t, json.Indent(&body, q.Body, "", "  "), "the body must be JSON")
		}
		out.Write(body.Bytes())
		out.WriteString("\n\n")
	}
	path := filepath.Join("testdata", name+".txt")
	if os.Getenv(updateGolden) != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(out.String()), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "set %s to write it", updateGolden)
	assert.Equal(t, string(want), out.String(), "set %s to accept it", updateGolden)
}
