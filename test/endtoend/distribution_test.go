package endtoend

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// output runs the collector's binary to its end and returns what it prints.
func output(t *testing.T, args ...string) (stdout string, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, collectorBinary(t), args...)
	cmd.SysProcAttr = childAttributes()
	cmd.Dir = repository
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestExamples validates every configuration that is shipped.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(repository + "/examples/*/config*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name, err := filepath.Rel(repository, file)
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, err := output(t, "validate", "--config", name)
			require.NoError(t, err, stderr)
		})
	}
	t.Run("a broken one fails", func(t *testing.T) {
		t.Parallel()
		_, stderr, err := output(t, "validate", "--config", "examples/quickstart/config.yaml", "--set", "connectors::incident::limits::edges=0")
		require.Error(t, err)
		assert.Contains(t, stderr, "edges must be greater than 0")
	})
}

// manifest is what builder-config.yaml says of each class of components.
type manifest map[string][]struct {
	Gomod  string
	Import string
}

// class is the end of a component's package name.
var class = regexp.MustCompile(`(receiver|processor|exporter|connector|extension)$`)

// TestComponents compares what the binary has with what the manifest promises.
func TestComponents(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(repository + "/builder-config.yaml")
	require.NoError(t, err)
	var sections map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &sections))
	promised := manifest{}
	for _, kind := range []string{"receivers", "processors", "exporters", "connectors", "extensions"} {
		section := sections[kind]
		entries := promised[kind]
		require.NoError(t, section.Decode(&entries))
		promised[kind] = entries
	}

	stdout, stderr, err := output(t, "components")
	require.NoError(t, err, stderr)
	var has map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(stdout), &has))
	for kind, parts := range promised {
		require.NotEmpty(t, parts, kind)
		var want, got []string
		for _, p := range parts {
			if p.Import == "" {
				want = append(want, p.Gomod)
				continue
			}
			// Components of one module are told apart by their names.
			name := class.ReplaceAllString(filepath.Base(p.Import), "")
			module, _, _ := strings.Cut(p.Gomod, " ")
			want = append(want, module+" "+name)
		}
		var present []struct{ Name, Module string }
		section := has[kind]
		require.NoError(t, section.Decode(&present))
		for _, p := range present {
			module, _, _ := strings.Cut(p.Module, " ")
			if strings.HasPrefix(p.Module, ownModule+" ") {
				got = append(got, module+" "+p.Name)
			} else {
				got = append(got, p.Module)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		got = slices.Compact(got) // a renamed component is listed under both names
		assert.Equal(t, want, got, kind)
	}
}

const ownModule = "github.com/paramedic-otel/paramedic"

// TestTimeZones shows that the time zones of maintenance windows are known where none are installed, as in an empty image.
func TestTimeZones(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile(collectorBinary(t))
	require.NoError(t, err)
	assert.True(t, bytes.Contains(binary, []byte("time/tzdata")), "package time/tzdata is not in the binary: see cmd/otelcol-paramedic/timezones.go")
	_, stderr, err := output(t, "validate", "--config", "examples/quickstart/config.yaml", "--config",
		"yaml:exporters: {remediation: {windows: [{name: night, kind: deny, from: '22:00', to: '06:00', timezone: Europe/Berlin}]}}")
	require.NoError(t, err, stderr)
	_, stderr, err = output(t, "validate", "--config", "examples/quickstart/config.yaml", "--config",
		"yaml:exporters: {remediation: {windows: [{name: night, kind: deny, from: '22:00', to: '06:00', timezone: Europe/Nowhere}]}}")
	require.Error(t, err)
	assert.Contains(t, stderr, "Europe/Nowhere")
}
