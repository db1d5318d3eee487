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

	"github.com/paramedic-otel/paramedic/semconv"
)

// updateGolden is the environment variable that, when it is set, makes [Golden] and [GoldenJSON] write what it would compare.
const updateGolden = "UPDATE_GOLDEN"

// Name is a type as the settings and the golden files name it, such as incident.opened.
func Name(typ semconv.EventType) string {
	return strings.TrimSuffix(strings.TrimPrefix(string(typ), "io.paramedic."), ".v1")
}

// GoldenJSON compares v, as indented JSON, with a file in testdata.
func GoldenJSON(t testing.TB, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	require.NoError(t, err)
	golden(t, name+".json", string(got)+"\n")
}

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
	golden(t, name+".txt", out.String())
}

func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv(updateGolden) != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "set %s to write it", updateGolden)
	assert.Equal(t, string(want), got, "set %s to accept it", updateGolden)
}
