package tracegraphconnector

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
)

func TestConfig(t *testing.T) {
	yes := true
	all := &Config{
		FlushInterval: 10 * time.Second, Lateness: 3 * time.Second, PairTimeout: 20 * time.Second, FailedPairTimeout: 5 * time.Second,
		IdleTimeout: 30 * time.Second, MaxClockSkew: 40 * time.Second, EdgeTTL: time.Hour,
		MaxPending: 1000, MaxEdges: 100, MaxLinks: 16, MaxNameLength: 64, MaxSamplingWeight: 100, SamplingRatio: 0.1,
		Dimensions: []string{"k8s.cluster.name", "http.request.method"}, DatabaseNameAttributes: []string{"db.name"},
		VirtualNodePeerAttributes: []string{"peer.service"}, VirtualNodeExtraLabel: &yes, MetricsTimestampOffset: time.Minute,
		MaxExemplars: 4, MaxUnsent: 8, Temporality: TemporalityDelta,
		Histogram: HistogramConfig{
			Type: HistogramExponential, Buckets: []time.Duration{10 * time.Millisecond, time.Second}, MaxSize: 80,
		},
		Operations: OperationsConfig{MaxPerEdge: 8, MaxTotal: 800, MaxVariants: 4, MaxSize: 40},
	}
	for _, tc := range []struct {
		name      string
		want      *Config
		unmarshal string
		invalid   []string
	}{
		{name: "", want: createDefaultConfig().(*Config)},
		{name: "all", want: all},
		{name: "wrong", invalid: []string{
			"flush_interval must be between 100ms and 10m0s, got 10ms",
			"lateness must be between 0s and flush_interval (10ms), got 20ms; at most two intervals are open at a time",
			"pair_timeout must be between 1s and 10m0s, got 10ms",
			"failed_pair_timeout must be between 0s and 10m0s, got -1s",
			"idle_timeout must be at least pair_timeout (10ms) and flush_interval (10ms) and at most 1h0m0s, got 1ms",
			"max_clock_skew must be at least 1s and lateness (20ms), got 1ms",
			"edge_ttl must be at least flush_interval (10ms) and pair_timeout (10ms), got 1ms",
			"max_pending must be between 1 and 50000000, got 0; it bounds memory",
			"max_edges must be greater than 0, got 0; it bounds memory",
			"max_links must be greater than 0, got 0",
			"max_name_length must be at least 16, got 1",
			"max_sampling_weight must be at least 1, got 0.5; 1 ignores sampling",
			"sampling_ratio must be between 1e-06 and 1, got 0; it is the share of traces that are kept",
			"dimensions must not be empty, got an empty name at 1",
			"dimensions must differ, got \"a\" twice",
			"database_name_attributes must not be empty, got [\"\"]",
			"virtual_node_peer_attributes must not be empty, got [\"\" \"x\"]",
			"metrics_timestamp_offset must be between -24h0m0s and 24h0m0s, got 25h0m0s",
			"max_exemplars must be between 0 and 16, got 17; 0 sends none",
			"max_unsent must be greater than 0, got 0",
		}},
		{name: "operations", invalid: []string{
			"operations: max_per_edge must be between 1 and 1000, got 0; it bounds memory",
			"max_total must be between 1 and 1000000, got 0; it bounds memory",
			"max_variants must be between 1 and 1000, got 0; it bounds memory",
			"max_size must be between 2 and 1000, got 1; it bounds memory",
		}},
		{name: "too_much", invalid: []string{
			"flush_interval must be between 100ms and 10m0s, got 1h0m0s",
			"pair_timeout must be between 1s and 10m0s, got 1h0m0s",
			"idle_timeout must be at least pair_timeout (1h0m0s) and flush_interval (1h0m0s) and at most 1h0m0s, got 2h0m0s",
			"max_pending must be between 1 and 50000000, got 1000000000; it bounds memory",
		}},
		{name: "temporality", unmarshal: `temporality must be cumulative or delta, got "both"`},
		{name: "histogram_type", unmarshal: `type must be explicit or exponential, got "round"`},
		{name: "buckets_order", invalid: []string{"histogram: buckets must increase, got 1s after 1s"}},
		{name: "buckets_negative", invalid: []string{"histogram: buckets must be greater than 0s, got [-1s 1s]"}},
		{name: "buckets_none", invalid: []string{"histogram: buckets must have between 1 and 1000 bounds, got 0"}},
		{name: "max_size", invalid: []string{"histogram: max_size must be between 2 and 1000, got 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
			require.NoError(t, err)
			sub, err := conf.Sub(component.NewIDWithName(metadata.Type, tc.name).String())
			require.NoError(t, err)
			cfg := createDefaultConfig().(*Config)
			err = sub.Unmarshal(cfg)
			if tc.unmarshal != "" {
				require.ErrorContains(t, err, tc.unmarshal)
				return
			}
			require.NoError(t, err)
			err = xconfmap.Validate(cfg)
			if tc.invalid == nil {
				require.NoError(t, err)
				assert.Equal(t, tc.want, cfg)
				return
			}
			require.Error(t, err)
			want := ""
			for i, line := range tc.invalid {
				if i > 0 {
					want += "\n"
				}
				want += line
			}
			assert.Equal(t, want, err.Error())
		})
	}
}

func TestConfigWithoutChoices(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.Temporality, cfg.Histogram.Type = "", ""
	err := xconfmap.Validate(cfg)
	require.ErrorContains(t, err, "temporality must be cumulative or delta, got nothing")
	require.ErrorContains(t, err, "histogram: type must be explicit or exponential, got nothing")
}
