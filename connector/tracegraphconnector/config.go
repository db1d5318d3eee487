package tracegraphconnector

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Temporality says from when the counts of a data point count.
type Temporality string

// The temporalities.
const (
	TemporalityCumulative Temporality = "cumulative"
	TemporalityDelta      Temporality = "delta"
)

// UnmarshalText reads a temporality.
func (t *Temporality) UnmarshalText(text []byte) error {
	switch v := Temporality(text); v {
	case TemporalityCumulative, TemporalityDelta:
		*t = v
		return nil
	default:
		return fmt.Errorf("temporality must be cumulative or delta, got %q", text)
	}
}

// HistogramType is the sort of a histogram's buckets.
type HistogramType string

// The histogram types.
const (
	HistogramExplicit    HistogramType = "explicit"
	HistogramExponential HistogramType = "exponential"
)

// UnmarshalText reads a histogram type.
func (t *HistogramType) UnmarshalText(text []byte) error {
	switch v := HistogramType(text); v {
	case HistogramExplicit, HistogramExponential:
		*t = v
		return nil
	default:
		return fmt.Errorf("type must be explicit or exponential, got %q", text)
	}
}

// HistogramConfig is the form of the duration histograms.
type HistogramConfig struct {
	Type HistogramType `mapstructure:"type"`
	// Buckets are the upper bounds of explicit buckets.
	Buckets []time.Duration `mapstructure:"buckets"`
	// MaxSize is the greatest number of exponential buckets.
	MaxSize int `mapstructure:"max_size"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// OperationsConfig says what is kept of the operations of each edge.
type OperationsConfig struct {
	// Enabled sends the metrics of operations.
	Enabled bool `mapstructure:"enabled"`
	// MaxPerEdge bounds the operations of one edge.
	MaxPerEdge int `mapstructure:"max_per_edge"`
	// MaxTotal bounds the operations of all edges.
	MaxTotal int `mapstructure:"max_total"`
	// MaxVariants bounds the combinations of an error type and a version of one operation.
	MaxVariants int `mapstructure:"max_variants"`
	// MaxSize is the greatest number of buckets of an operation's duration histograms.
	MaxSize int `mapstructure:"max_size"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Config is the configuration of the tracegraph connector. It may also be written with the keys of contrib's servicegraph
// connector, see servicegraphKeys.
type Config struct {
	// FlushInterval is the length, in event time, of the intervals at whose ends metrics are sent.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	// Lateness is how far, in event time, spans must be past the end of an interval to close it.
	Lateness time.Duration `mapstructure:"lateness"`
	// PairTimeout is how long, in event time, a span waits for its counterpart.
	PairTimeout time.Duration `mapstructure:"pair_timeout"`
	// FailedPairTimeout is how long, in event time, a failed call whose peer has a name waits for its counterpart; never
	// longer than PairTimeout.
	FailedPairTimeout time.Duration `mapstructure:"failed_pair_timeout"`
	// IdleTimeout is how long spans must not arrive for what waits to be settled and sent.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// MaxClockSkew is how far ahead of all others a span may end and still be believed.
	MaxClockSkew time.Duration `mapstructure:"max_clock_skew"`
	// EdgeTTL is how long, in event time, an edge without calls is reported.
	EdgeTTL time.Duration `mapstructure:"edge_ttl"`
	// MaxPending bounds the spans in flight.
	MaxPending int `mapstructure:"max_pending"`
	// MaxEdges bounds the edges.
	MaxEdges int `mapstructure:"max_edges"`
	// MaxLinks bounds the links followed of one span.
	MaxLinks int `mapstructure:"max_links"`
	// MaxNameLength bounds the bytes of each part of a name.
	MaxNameLength int `mapstructure:"max_name_length"`
	// MaxSamplingWeight bounds the number of calls that one sampled span may stand for.
	MaxSamplingWeight float64 `mapstructure:"max_sampling_weight"`
	// SamplingRatio is the share of traces that samplers kept which do not say so in the tracestate.
	SamplingRatio float64 `mapstructure:"sampling_ratio"`
	// Dimensions are attributes of resources and spans that tell series apart.
	Dimensions []string `mapstructure:"dimensions"`
	// FailedAttribute counts failed calls apart, told by an attribute.
	FailedAttribute bool `mapstructure:"failed_attribute"`
	// DatabaseNameAttributes are the attributes that name a database, the first that is present; without any, it is named by
	// host and namespace.
	DatabaseNameAttributes []string `mapstructure:"database_name_attributes"`
	// VirtualNodePeerAttributes are the attributes that name the other side of a call that nothing answers, the first that is
	// present; an empty list counts no such calls.
	VirtualNodePeerAttributes []string `mapstructure:"virtual_node_peer_attributes"`
	// VirtualNodeExtraLabel puts virtual_node on all edges, or on none; nil on those that have a virtual node.
	VirtualNodeExtraLabel *bool `mapstructure:"virtual_node_extra_label"`
	// MetricsTimestampOffset is subtracted from the times of all points.
	MetricsTimestampOffset time.Duration `mapstructure:"metrics_timestamp_offset"`
	// MaxExemplars bounds the calls told as examples of an edge in one interval, of the failed and of the others.
	MaxExemplars int `mapstructure:"max_exemplars"`
	// MaxUnsent bounds the flushes that wait while the next component is busy.
	MaxUnsent int `mapstructure:"max_unsent"`
	// Temporality is that of all metrics.
	Temporality Temporality      `mapstructure:"temporality"`
	Histogram   HistogramConfig  `mapstructure:"histogram"`
	Operations  OperationsConfig `mapstructure:"operations"`

	// ignored are the keys of a servicegraph configuration that are of no use here.
	ignored []string

	// prevent unkeyed literal initialization
	_ struct{}
}

// conventionalPeers are the attributes of the semantic conventions, now and before, that name the other side of a call.
var conventionalPeers = []string{
	"service.peer.name", "peer.service", "server.address", "net.peer.name", "http.host", "network.peer.address", "net.sock.peer.addr",
}

func createDefaultConfig() component.Config {
	return &Config{
		FlushInterval:     3 * time.Second,
		Lateness:          2 * time.Second,
		PairTimeout:       10 * time.Second,
		FailedPairTimeout: 3 * time.Second,
		IdleTimeout:       10 * time.Second,
		MaxClockSkew:      10 * time.Second,
		EdgeTTL:           15 * time.Minute,
		MaxPending:        500_000,
		MaxEdges:          10_000,
		MaxLinks:          128,
		MaxNameLength:     256,
		MaxSamplingWeight: 1_000_000,
		SamplingRatio:     1,
		FailedAttribute:   true,

		VirtualNodePeerAttributes: slices.Clone(conventionalPeers),

		MaxExemplars: 2,
		MaxUnsent:    64,
		Temporality:  TemporalityCumulative,
		Histogram: HistogramConfig{
			Type: HistogramExplicit,
			Buckets: []time.Duration{
				2 * time.Millisecond, 4 * time.Millisecond, 6 * time.Millisecond, 8 * time.Millisecond,
				10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond,
				400 * time.Millisecond, 800 * time.Millisecond, time.Second, 1400 * time.Millisecond,
				2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second,
			},
			MaxSize: 160,
		},
		Operations: OperationsConfig{
			Enabled: true, MaxPerEdge: 32, MaxTotal: 20_000, MaxVariants: 16, MaxSize: 64,
		},
	}
}

const (
	maxInterval   = 10 * time.Minute
	maxPairing    = 10 * time.Minute
	maxIdle       = time.Hour
	maxPendingCap = 50_000_000
	maxBuckets    = 1_000
	maxExemplars  = 16
	maxDimensions = 32
	maxOffset     = 24 * time.Hour
	// minRatio keeps the weight of a span within what can be counted.
	minRatio = 1e-6
)

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.FlushInterval >= 100*time.Millisecond && c.FlushInterval <= maxInterval,
		"flush_interval must be between 100ms and %s, got %s", maxInterval, c.FlushInterval)
	check(c.Lateness >= 0 && c.Lateness <= c.FlushInterval,
		"lateness must be between 0s and flush_interval (%s), got %s; at most two intervals are open at a time", c.FlushInterval, c.Lateness)
	check(c.PairTimeout >= time.Second && c.PairTimeout <= maxPairing,
		"pair_timeout must be between 1s and %s, got %s", maxPairing, c.PairTimeout)
	check(c.FailedPairTimeout >= 0 && c.FailedPairTimeout <= maxPairing,
		"failed_pair_timeout must be between 0s and %s, got %s", maxPairing, c.FailedPairTimeout)
	check(c.IdleTimeout >= c.PairTimeout && c.IdleTimeout >= c.FlushInterval && c.IdleTimeout <= maxIdle,
		"idle_timeout must be at least pair_timeout (%s) and flush_interval (%s) and at most %s, got %s",
		c.PairTimeout, c.FlushInterval, maxIdle, c.IdleTimeout)
	check(c.MaxClockSkew >= time.Second && c.MaxClockSkew >= c.Lateness,
		"max_clock_skew must be at least 1s and lateness (%s), got %s", c.Lateness, c.MaxClockSkew)
	check(c.EdgeTTL >= c.FlushInterval && c.EdgeTTL >= c.PairTimeout,
		"edge_ttl must be at least flush_interval (%s) and pair_timeout (%s), got %s", c.FlushInterval, c.PairTimeout, c.EdgeTTL)
	check(c.MaxPending > 0 && c.MaxPending <= maxPendingCap,
		"max_pending must be between 1 and %d, got %d; it bounds memory", maxPendingCap, c.MaxPending)
	check(c.MaxEdges > 0, "max_edges must be greater than 0, got %d; it bounds memory", c.MaxEdges)
	check(c.MaxLinks > 0, "max_links must be greater than 0, got %d", c.MaxLinks)
	check(c.MaxNameLength >= 16, "max_name_length must be at least 16, got %d", c.MaxNameLength)
	check(c.MaxSamplingWeight >= 1, "max_sampling_weight must be at least 1, got %v; 1 ignores sampling", c.MaxSamplingWeight)
	check(c.SamplingRatio >= minRatio && c.SamplingRatio <= 1,
		"sampling_ratio must be between %v and 1, got %v; it is the share of traces that are kept", minRatio, c.SamplingRatio)
	check(len(c.Dimensions) <= maxDimensions, "dimensions must be at most %d, got %d", maxDimensions, len(c.Dimensions))
	for i, d := range c.Dimensions {
		check(d != "", "dimensions must not be empty, got an empty name at %d", i)
		check(!slices.Contains(c.Dimensions[:i], d), "dimensions must differ, got %q twice", d)
	}
	for _, attrs := range []struct {
		key   string
		names []string
	}{
		{"database_name_attributes", c.DatabaseNameAttributes},
		{"virtual_node_peer_attributes", c.VirtualNodePeerAttributes},
	} {
		check(!slices.Contains(attrs.names, ""), "%s must not be empty, got %q", attrs.key, attrs.names)
	}
	check(c.MetricsTimestampOffset >= -maxOffset && c.MetricsTimestampOffset <= maxOffset,
		"metrics_timestamp_offset must be between -%s and %s, got %s", maxOffset, maxOffset, c.MetricsTimestampOffset)
	check(c.MaxExemplars >= 0 && c.MaxExemplars <= maxExemplars,
		"max_exemplars must be between 0 and %d, got %d; 0 sends none", maxExemplars, c.MaxExemplars)
	check(c.MaxUnsent > 0, "max_unsent must be greater than 0, got %d", c.MaxUnsent)
	check(c.Temporality != "", "temporality must be cumulative or delta, got nothing")
	return errors.Join(errs...)
}

// checkBuckets reports what is wrong with bounds that were written under a key.
func checkBuckets(key string, bounds []time.Duration) []error {
	var errs []error
	if len(bounds) == 0 || len(bounds) > maxBuckets {
		errs = append(errs, fmt.Errorf("%s must have between 1 and %d bounds, got %d", key, maxBuckets, len(bounds)))
	}
	if slices.ContainsFunc(bounds, func(d time.Duration) bool { return d <= 0 }) {
		errs = append(errs, fmt.Errorf("%s must be greater than 0s, got %s", key, bounds))
	}
	for i := 1; i < len(bounds); i++ {
		if bounds[i] <= bounds[i-1] {
			errs = append(errs, fmt.Errorf("%s must increase, got %s after %s", key, bounds[i], bounds[i-1]))
			break
		}
	}
	return errs
}

// Validate reports everything that is wrong.
func (c *HistogramConfig) Validate() error {
	var errs []error
	switch c.Type {
	case HistogramExplicit:
		errs = checkBuckets("buckets", c.Buckets)
	case HistogramExponential:
		if c.MaxSize < 2 || c.MaxSize > maxBuckets {
			errs = append(errs, fmt.Errorf("max_size must be between 2 and %d, got %d", maxBuckets, c.MaxSize))
		}
	default:
		errs = append(errs, errors.New("type must be explicit or exponential, got nothing"))
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong.
func (c *OperationsConfig) Validate() error {
	if !c.Enabled {
		return nil
	}
	var errs []error
	for _, bound := range []struct {
		key            string
		value, low, to int
	}{
		{"max_per_edge", c.MaxPerEdge, 1, 1_000},
		{"max_total", c.MaxTotal, 1, 1_000_000},
		{"max_variants", c.MaxVariants, 1, 1_000},
		{"max_size", c.MaxSize, 2, maxBuckets},
	} {
		if bound.value < bound.low || bound.value > bound.to {
			errs = append(errs, fmt.Errorf("%s must be between %d and %d, got %d; it bounds memory",
				bound.key, bound.low, bound.to, bound.value))
		}
	}
	return errors.Join(errs...)
}
