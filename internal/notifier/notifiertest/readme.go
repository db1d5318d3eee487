package notifiertest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Readme loads every yaml block of the README beside a driver's tests: each must have notifiers with a block of this driver that is
// valid over its defaults, once the references to the environment are replaced.
func Readme(t testing.TB, name string, environment map[string]string, defaults func() driver.Config) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		source := block[1]
		for variable, value := range environment {
			source = strings.ReplaceAll(source, "${env:"+variable+"}", value)
		}
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(source))
		require.NoError(t, err, block[1])
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		all, err := conf.Sub("exporters::remediation::notifiers")
		require.NoError(t, err)
		require.NotEmpty(t, all.ToStringMap(), block[1])
		for notifier := range all.ToStringMap() {
			own, err := all.Sub(notifier + "::" + name)
			require.NoError(t, err)
			c := defaults()
			require.NoError(t, own.Unmarshal(c), block[1])
			assert.NoError(t, c.Validate(), block[1])
		}
	}
}
