package tracegraphconnector

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
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(block[1]))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		require.True(t, conf.IsSet("connectors::tracegraph"))
		sub, err := conf.Sub("connectors::tracegraph")
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
		want[k] = fmt.Sprint(conf.Get(k))
	}
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_:]+)` \\| [a-z]+ \\| `([^`]+)` \\|").FindAllStringSubmatch(readme(t), -1) {
		var values []string
		for v := range strings.SplitSeq(row[2], ", ") {
			if d, err := time.ParseDuration(v); err == nil {
				v = d.String()
			} else if v == "1000000" {
				v = fmt.Sprint(1e6)
			} else if v == "null" {
				v = "<nil>"
			}
			values = append(values, v)
		}
		got[row[1]] = strings.Join(values, " ")
		if len(values) > 1 {
			got[row[1]] = "[" + got[row[1]] + "]"
		}
	}
	assert.Equal(t, want, got)
}
