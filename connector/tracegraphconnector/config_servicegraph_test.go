package tracegraphconnector

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
)

func parse(t testing.TB, text string) *confmap.Conf {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
	require.NoError(t, err)
	conf, err := retrieved.AsConf()
	require.NoError(t, err)
	return conf
}

// load reads a configuration as the collector does.
func load(t testing.TB, text string) (*Config, error) {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	if err := parse(t, text).Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, xconfmap.Validate(cfg)
}

// TestServicegraphKeys takes each key of contrib's connector.
func TestServicegraphKeys(t *testing.T) {
	yes, no := true, false
	for _, tc := range []struct {
		name, text string
		want       func(*Config)
		err        string
	}{
		{name: "none", text: "", want: func(*Config) {}},
		{name: "latency_histogram_buckets", text: "latency_histogram_buckets: [100ms, 1s]", want: func(c *Config) {
			c.Histogram.Buckets = []time.Duration{100 * time.Millisecond, time.Second}
		}},
		{name: "latency_histogram_buckets in nanoseconds", text: "latency_histogram_buckets: [1, 2]", want: func(c *Config) {
			c.Histogram.Buckets = []time.Duration{1, 2}
		}},
		{
			name: "latency_histogram_buckets without any", text: "latency_histogram_buckets: []",
			err: "latency_histogram_buckets must have between 1 and 1000 bounds, got 0",
		},
		{
			name: "latency_histogram_buckets in no order", text: "latency_histogram_buckets: [2s, 1s]",
			err: "latency_histogram_buckets must increase, got 1s after 2s",
		},
		{
			name: "latency_histogram_buckets below 0", text: "latency_histogram_buckets: [-1s, 1s]",
			err: "latency_histogram_buckets must be greater than 0s, got [-1s 1s]",
		},
		{name: "exponential_histogram_max_size", text: "exponential_histogram_max_size: 20", want: func(c *Config) {
			c.Histogram.Type, c.Histogram.MaxSize = HistogramExponential, 20
		}},
		{name: "exponential_histogram_max_size of 0", text: "exponential_histogram_max_size: 0", want: func(*Config) {}},
		{
			name: "negative exponential_histogram_max_size", text: "exponential_histogram_max_size: -1",
			err: "exponential_histogram_max_size must be between 2 and 1000, got -1; it bounds memory",
		},
		{
			name: "both histograms", text: "{latency_histogram_buckets: [1s], exponential_histogram_max_size: 20}",
			err: "use either latency_histogram_buckets or exponential_histogram_max_size",
		},
		{name: "dimensions", text: "dimensions: [a, b]", want: func(c *Config) { c.Dimensions = []string{"a", "b"} }},
		{name: "store", text: "store: {ttl: 2m, max_items: 10}", want: func(c *Config) {
			c.PairTimeout, c.MaxPending, c.IdleTimeout = 2*time.Minute, 10, 2*time.Minute
		}},
		{
			name: "store::ttl too short", text: "store: {ttl: 10ms}",
			err: "store::ttl must be between 1s and 10m0s, got 10ms; here it is a time of the spans, and does not depend on their arrival",
		},
		{
			name: "store::max_items of none", text: "store: {max_items: 0}",
			err: "store::max_items must be between 1 and 50000000, got 0; it bounds memory",
		},
		{name: "loops", text: "{cache_loop: 2m, store_expiration_loop: 10s}", want: func(c *Config) {
			c.ignored = []string{"cache_loop", "store_expiration_loop"}
		}},
		{
			name: "virtual_node_peer_attributes", text: "virtual_node_peer_attributes: [db.name, rpc.service]",
			want: func(c *Config) { c.VirtualNodePeerAttributes = []string{"db.name", "rpc.service"} },
		},
		{name: "no virtual_node_peer_attributes", text: "virtual_node_peer_attributes: []", want: func(c *Config) {
			c.VirtualNodePeerAttributes = []string{}
		}},
		{name: "virtual_node_peer_attributes without a value", text: "virtual_node_peer_attributes:", want: func(*Config) {}},
		{name: "virtual_node_extra_label", text: "virtual_node_extra_label: true", want: func(c *Config) {
			c.VirtualNodeExtraLabel = &yes
		}},
		{name: "no virtual_node_extra_label", text: "virtual_node_extra_label: false", want: func(c *Config) {
			c.VirtualNodeExtraLabel = &no
		}},
		{name: "metrics_flush_interval", text: "metrics_flush_interval: 1m", want: func(c *Config) {
			c.FlushInterval, c.IdleTimeout = time.Minute, time.Minute
		}},
		{name: "short metrics_flush_interval", text: "metrics_flush_interval: 1s", want: func(c *Config) {
			c.FlushInterval, c.Lateness = time.Second, time.Second
		}},
		{
			name: "metrics_flush_interval of 0", text: "metrics_flush_interval: 0s",
			err: "metrics_flush_interval must be between 100ms and 10m0s, got 0s; a flush ends an interval of the spans' time and not of " +
				"their arrival, so there is none with each batch: write 100ms for the shortest",
		},
		{name: "metrics_flush_interval without a value", text: "metrics_flush_interval:", want: func(*Config) {}},
		{name: "database_name_attributes", text: "database_name_attributes: [db.namespace]", want: func(c *Config) {
			c.DatabaseNameAttributes = []string{"db.namespace"}
		}},
		{name: "metrics_timestamp_offset", text: "metrics_timestamp_offset: 30s", want: func(c *Config) {
			c.MetricsTimestampOffset = 30 * time.Second
		}},
		{name: "what depends is left when written", text: "{store: {ttl: 20s}, idle_timeout: 40s, edge_ttl: 1m}", want: func(c *Config) {
			c.PairTimeout, c.IdleTimeout, c.EdgeTTL = 20*time.Second, 40*time.Second, time.Minute
		}},
		{name: "unknown", text: "store: {max_itemz: 1}", err: "max_itemz"},
		{
			name: "two for the buckets", text: "{latency_histogram_buckets: [1s], histogram: {buckets: [1s]}}",
			err: "latency_histogram_buckets and histogram::buckets mean the same: write only histogram::buckets",
		},
		{
			name: "two for the size", text: "{exponential_histogram_max_size: 20, histogram: {max_size: 20}}",
			err: "exponential_histogram_max_size and histogram::max_size mean the same: write only histogram::max_size",
		},
		{
			name: "two for the time", text: "{store: {ttl: 20s}, pair_timeout: 20s}",
			err: "store::ttl and pair_timeout mean the same: write only pair_timeout",
		},
		{
			name: "two for the room", text: "{store: {max_items: 20}, max_pending: 20}",
			err: "store::max_items and max_pending mean the same: write only max_pending",
		},
		{
			name: "two for the interval", text: "{metrics_flush_interval: 20s, flush_interval: 20s}",
			err: "metrics_flush_interval and flush_interval mean the same: write only flush_interval",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := load(t, tc.text)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			want := createDefaultConfig().(*Config)
			tc.want(want)
			assert.Equal(t, want, got)
		})
	}
}

// TestServicegraphConfigurations starts with every configuration that contrib's connector shows in its README and tests, with
// only the type changed.
func TestServicegraphConfigurations(t *testing.T) {
	dir := contribDir(t)
	texts := map[string]string{}
	for _, file := range []string{"README.md", filepath.Join("testdata", "service-graph-connector-config.yaml")} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		if filepath.Ext(file) == ".yaml" {
			texts[file] = string(text)
			continue
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(block[1], "connectors:") {
				texts[block[1]] = block[1]
			}
		}
	}
	require.Len(t, texts, 3)
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			sub, err := parse(t, text).Sub("connectors::servicegraph")
			require.NoError(t, err)
			theirs := servicegraphconnector.NewFactory().CreateDefaultConfig()
			require.NoError(t, sub.Unmarshal(theirs))
			cfg := createDefaultConfig().(*Config)
			require.NoError(t, sub.Unmarshal(cfg))
			require.NoError(t, xconfmap.Validate(cfg))
			c, err := NewFactory().CreateTracesToMetrics(
				t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
			require.NoError(t, err)
			require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
			require.NoError(t, c.Shutdown(t.Context()))
		})
	}
}

func TestIgnoredKeysAreTold(t *testing.T) {
	cfg, err := load(t, "{cache_loop: 2m, store_expiration_loop: 10s}")
	require.NoError(t, err)
	core, logs := observer.New(zap.InfoLevel)
	set := connectortest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	_, err = NewFactory().CreateTracesToMetrics(t.Context(), set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	var keys []any
	for _, entry := range logs.All() {
		keys = append(keys, entry.ContextMap()["setting"])
	}
	assert.Equal(t, []any{"cache_loop", "store_expiration_loop"}, keys)
}

// TestConfigurationSurvivesMarshaling asserts that nothing changes when a collector's effective configuration is read again.
func TestConfigurationSurvivesMarshaling(t *testing.T) {
	for _, text := range []string{"", "virtual_node_peer_attributes: []", "store: {ttl: 20s}", "virtual_node_extra_label: false"} {
		cfg, err := load(t, text)
		require.NoError(t, err)
		conf := confmap.New()
		require.NoError(t, conf.Marshal(cfg))
		again := createDefaultConfig().(*Config)
		require.NoError(t, conf.Unmarshal(again))
		if len(again.Dimensions) == 0 {
			again.Dimensions = nil
		}
		if len(again.DatabaseNameAttributes) == 0 {
			again.DatabaseNameAttributes = nil
		}
		assert.Equal(t, cfg, again, text)
	}
}

// FuzzConfig asserts that whatever is read either is refused or starts.
func FuzzConfig(f *testing.F) {
	f.Add("store: {ttl: 20s, max_items: 3}")
	f.Add("{metrics_flush_interval: 1s, exponential_histogram_max_size: 3, virtual_node_peer_attributes: []}")
	f.Add("{latency_histogram_buckets: [1, 2s], sampling_ratio: 0.5, dimensions: [a]}")
	f.Add("operations: {enabled: true, max_size: 2}")
	f.Fuzz(func(t *testing.T, text string) {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
		if err != nil {
			return
		}
		conf, err := retrieved.AsConf()
		if err != nil {
			return
		}
		cfg := createDefaultConfig().(*Config)
		if conf.Unmarshal(cfg) != nil || xconfmap.Validate(cfg) != nil {
			return
		}
		cfg.MaxPending = min(cfg.MaxPending, 1000)
		c, err := NewFactory().CreateTracesToMetrics(
			t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, 0)...)))
		require.NoError(t, c.Shutdown(t.Context()))
	})
}
