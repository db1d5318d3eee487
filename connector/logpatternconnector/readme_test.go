package logpatternconnector

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
)

func readme(t *testing.T) string {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(text)
}

func TestReadmeConfigurations(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(block[1]))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		require.True(t, conf.IsSet("connectors::logpattern"))
		sub, err := conf.Sub("connectors::logpattern")
		require.NoError(t, err)
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, sub.Unmarshal(cfg))
		require.NoError(t, xconfmap.Validate(cfg))
	}
}

func TestReadmeDefaults(t *testing.T) {
	conf := confmap.New()
	require.NoError(t, conf.Marshal(createDefaultConfig()))
	want := map[string]string{}
	for _, k := range conf.AllKeys() {
		if v := conf.Get(k); v != nil {
			want[k] = fmt.Sprint(v)
		}
	}
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_:]+)` \\| [a-z]+ \\| `([^`]+)` \\|").FindAllStringSubmatch(readme(t), -1) {
		v := row[2]
		if d, err := time.ParseDuration(v); err == nil {
			v = d.String()
		}
		if strings.Contains(v, ", ") {
			v = "[" + strings.ReplaceAll(v, ", ", " ") + "]"
		}
		got[row[1]] = v
	}
	assert.Equal(t, want, got)
	rows := len(regexp.MustCompile("(?m)^\\| `([a-z_:]+)` \\| [a-zID]+ \\|").FindAllString(readme(t), -1))
	assert.Equal(t, len(want)+1, rows, "storage has no default")
}
