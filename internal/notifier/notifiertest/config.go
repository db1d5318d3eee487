package notifiertest

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"gopkg.in/yaml.v3"
)

// Settings reads settings from YAML, in which ${env:NAME} is replaced.
func Settings(t testing.TB, text string) *confmap.Conf {
	t.Helper()
	text = regexp.MustCompile(`\$\{env:(\w+)\}`).ReplaceAllStringFunc(text, func(v string) string { return os.Getenv(v[6 : len(v)-1]) })
	var raw map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &raw))
	return confmap.NewFromStringMap(raw)
}

// Example reads the settings of a driver from the first block of YAML in a README, wherever they stand there under notifiers.
func Example(t testing.TB, readme, driver string) *confmap.Conf {
	t.Helper()
	b, err := os.ReadFile(readme)
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(b)
	require.NotNil(t, block, "the README must have an example")
	notifiers, err := Settings(t, string(block[1])).Sub("exporters::remediation::notifiers")
	require.NoError(t, err)
	for name := range notifiers.ToStringMap() {
		if conf, err := notifiers.Sub(name + "::" + driver); err == nil && len(conf.AllKeys()) > 0 {
			return conf
		}
	}
	t.Fatalf("%s has no example of %s", readme, driver)
	return nil
}
