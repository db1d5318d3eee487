package anomalyprocessor

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
)

func TestReadmeConfigurationsLoad(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 8)
	for _, block := range blocks {
		retrieved, err := confmap.NewRetrievedFromYAML(block[1])
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		sub, err := conf.Sub("processors::anomaly")
		require.NoError(t, err)
		cfg := createDefaultConfig()
		require.NoError(t, sub.Unmarshal(cfg))
		require.NoError(t, xconfmap.Validate(cfg))
	}
}

// Every setting stands in the README, with the default of the code.
func TestReadmeDefaults(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.\\[\\]]+)` \\| [^|]+ \\| ([^|]*) \\|").FindAllSubmatch(readme, -1) {
		documented[string(row[1])] = strings.TrimSpace(string(row[2]))
	}
	var check func(prefix string, v reflect.Value)
	check = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("mapstructure")
			if name == "" {
				continue
			}
			name = prefix + name
			switch f := v.Field(i); f.Kind() {
			case reflect.Struct:
				switch f.Interface().(type) {
				case configoptional.Optional[Shadow]:
					f = reflect.ValueOf(Shadow{})
				case configoptional.Optional[Entities]:
					f = reflect.ValueOf(defaultEntities())
				case configoptional.Optional[Seasonal]:
					f = reflect.ValueOf(defaultSeasonal())
				}
				check(name+".", f)
			case reflect.Slice, reflect.Map, reflect.String, reflect.Pointer:
				assert.Contains(t, documented, name)
				if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
					check(name+"[].", reflect.New(f.Type().Elem()).Elem())
				}
			default:
				assert.Equal(t, fmt.Sprint(f.Interface()), documented[name], name)
			}
		}
	}
	check("", reflect.ValueOf(createDefaultConfig()).Elem())
}
