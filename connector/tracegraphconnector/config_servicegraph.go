package tracegraphconnector

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// servicegraphKeys are the keys of contrib's servicegraph connector (v0.145.0) that have another name here. Those of the same
// name are fields of Config.
type servicegraphKeys struct {
	LatencyHistogramBuckets     []time.Duration   `mapstructure:"latency_histogram_buckets"`
	ExponentialHistogramMaxSize int32             `mapstructure:"exponential_histogram_max_size"`
	Store                       servicegraphStore `mapstructure:"store"`
	CacheLoop                   time.Duration     `mapstructure:"cache_loop"`
	StoreExpirationLoop         time.Duration     `mapstructure:"store_expiration_loop"`
	MetricsFlushInterval        *time.Duration    `mapstructure:"metrics_flush_interval"`
}

type servicegraphStore struct {
	MaxItems int           `mapstructure:"max_items"`
	TTL      time.Duration `mapstructure:"ttl"`
}

// plainConfig is a Config without its Unmarshal.
type plainConfig Config

// Unmarshal implements confmap.Unmarshaler: it also takes the keys of a servicegraph configuration.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	both := struct {
		plainConfig      `mapstructure:",squash"`
		servicegraphKeys `mapstructure:",squash"`
	}{plainConfig: plainConfig(*c)}
	if err := conf.Unmarshal(&both); err != nil {
		return err
	}
	*c = Config(both.plainConfig)
	if c.VirtualNodePeerAttributes == nil { // written without a value
		c.VirtualNodePeerAttributes = slices.Clone(conventionalPeers)
	}
	return c.adopt(conf, &both.servicegraphKeys)
}

// adopt sets what the keys of a servicegraph configuration say. All errors name the key that was written.
func (c *Config) adopt(conf *confmap.Conf, keys *servicegraphKeys) error {
	var errs []error
	c.ignored = nil
	given := func(key string, means ...string) bool {
		if !conf.IsSet(key) {
			return false
		}
		for _, own := range means {
			if conf.IsSet(own) {
				errs = append(errs, fmt.Errorf("%s and %s mean the same: write only %s", key, own, own))
				return false
			}
		}
		return true
	}
	within := func(key string, low, value, high time.Duration, hint string) bool {
		if value >= low && value <= high {
			return true
		}
		errs = append(errs, fmt.Errorf("%s must be between %s and %s, got %s; %s", key, low, high, value, hint))
		return false
	}

	explicit := given("latency_histogram_buckets", "histogram::buckets", "histogram::type") && keys.LatencyHistogramBuckets != nil
	exponential := given("exponential_histogram_max_size", "histogram::max_size", "histogram::type") &&
		keys.ExponentialHistogramMaxSize != 0
	switch {
	case explicit && exponential:
		errs = append(errs, errors.New("use either latency_histogram_buckets or exponential_histogram_max_size"))
	case explicit:
		c.Histogram.Type, c.Histogram.Buckets = HistogramExplicit, keys.LatencyHistogramBuckets
		errs = append(errs, checkBuckets("latency_histogram_buckets", keys.LatencyHistogramBuckets)...)
	case exponential && (keys.ExponentialHistogramMaxSize < 2 || keys.ExponentialHistogramMaxSize > maxBuckets):
		errs = append(errs, fmt.Errorf("exponential_histogram_max_size must be between 2 and %d, got %d; it bounds memory",
			maxBuckets, keys.ExponentialHistogramMaxSize))
	case exponential:
		c.Histogram.Type, c.Histogram.MaxSize = HistogramExponential, int(keys.ExponentialHistogramMaxSize)
	}

	if given("store::ttl", "pair_timeout") && within("store::ttl", time.Second, keys.Store.TTL, maxPairing,
		"here it is a time of the spans, and does not depend on their arrival") {
		c.PairTimeout = keys.Store.TTL
	}
	if given("store::max_items", "max_pending") {
		if keys.Store.MaxItems > 0 && keys.Store.MaxItems <= maxPendingCap {
			c.MaxPending = keys.Store.MaxItems
		} else {
			errs = append(errs, fmt.Errorf("store::max_items must be between 1 and %d, got %d; it bounds memory",
				maxPendingCap, keys.Store.MaxItems))
		}
	}
	if given("metrics_flush_interval", "flush_interval") && keys.MetricsFlushInterval != nil &&
		within("metrics_flush_interval", 100*time.Millisecond, *keys.MetricsFlushInterval, maxInterval,
			"a flush ends an interval of the spans' time and not of their arrival, so there is none with each batch: write 100ms for the shortest") {
		c.FlushInterval = *keys.MetricsFlushInterval
	}
	for _, key := range []string{"cache_loop", "store_expiration_loop"} {
		if conf.IsSet(key) {
			c.ignored = append(c.ignored, key)
		}
	}
	c.fit(conf)
	return errors.Join(errs...)
}

// fit moves the settings that depend on an adopted one, and that nobody wrote, into their bounds.
func (c *Config) fit(conf *confmap.Conf) {
	if !slices.ContainsFunc([]string{"store::ttl", "metrics_flush_interval"}, conf.IsSet) {
		return
	}
	if !conf.IsSet("lateness") {
		c.Lateness = min(c.Lateness, c.FlushInterval)
	}
	if !conf.IsSet("idle_timeout") {
		c.IdleTimeout = max(c.IdleTimeout, c.FlushInterval, c.PairTimeout)
	}
	if !conf.IsSet("edge_ttl") {
		c.EdgeTTL = max(c.EdgeTTL, c.FlushInterval, c.PairTimeout)
	}
}
