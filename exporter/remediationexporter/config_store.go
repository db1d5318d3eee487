package remediationexporter

import (
	"errors"
	"fmt"
	"time"
)

// StoreConfig says how the exporter works with the incident store that incident_store names.
type StoreConfig struct {
	// Name is this executor: unique among the replicas, the same after a restart. Empty is kubernetes::coordination::holder, or the
	// pod's name, or the host's, with the ID of the exporter.
	Name string `mapstructure:"name"`
	// QueueSize and QueueBytes bound the records that wait for the store; past either the oldest are dropped.
	QueueSize  int `mapstructure:"queue_size"`
	QueueBytes int `mapstructure:"queue_bytes"`
	// Timeout bounds each call to the store.
	Timeout time.Duration `mapstructure:"timeout"`
	// PollInterval is how often the store is asked for commands, the pause, silences and acknowledgments, where it does not tell of
	// them itself.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// ReportInterval is how often the store is told how the executor is.
	ReportInterval time.Duration `mapstructure:"report_interval"`
	// SimilarIncidents is how many past incidents news tells of, and LookupTimeout how long a decision waits for them.
	SimilarIncidents int           `mapstructure:"similar_incidents"`
	LookupTimeout    time.Duration `mapstructure:"lookup_timeout"`
	// Caution is for how long after people called an incident of the same fingerprint a false alarm a playbook in mode auto asks
	// people first; 0 is off.
	Caution time.Duration `mapstructure:"caution"`
}

func defaultStore() StoreConfig {
	return StoreConfig{
		QueueSize: 10_000, QueueBytes: 64 << 20, Timeout: 5 * time.Second, PollInterval: 500 * time.Millisecond, ReportInterval: 5 * time.Second,
		SimilarIncidents: 3, LookupTimeout: 500 * time.Millisecond, Caution: 30 * 24 * time.Hour,
	}
}

// Validate checks the bounds.
func (c *StoreConfig) Validate() error {
	var errs []error
	if c.Name != "" && !isPerson(c.Name) {
		errs = append(errs, fmt.Errorf("name must have at most %d printable bytes, got %.80q", maxPersonLen, c.Name))
	}
	if c.QueueSize < 100 || c.QueueSize > 100_000 {
		errs = append(errs, fmt.Errorf("queue_size must be between 100 and 100000, got %d; it bounds memory", c.QueueSize))
	}
	if c.QueueBytes < 1<<20 || c.QueueBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("queue_bytes must be between %d and %d, got %d; it bounds memory", 1<<20, 1<<30, c.QueueBytes))
	}
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"timeout", c.Timeout, 100 * time.Millisecond, time.Minute},
		{"poll_interval", c.PollInterval, 50 * time.Millisecond, 10 * time.Second},
		{"report_interval", c.ReportInterval, time.Second, 5 * time.Minute},
		{"lookup_timeout", c.LookupTimeout, 10 * time.Millisecond, 5 * time.Second},
		{"caution", c.Caution, 0, 365 * 24 * time.Hour},
	} {
		if d.value < d.least || d.value > d.most {
			errs = append(errs, fmt.Errorf("%s must be between %s and %s, got %s", d.name, d.least, d.most, d.value))
		}
	}
	if c.SimilarIncidents < 0 || c.SimilarIncidents > maxSimilar {
		errs = append(errs, fmt.Errorf("similar_incidents must be between 0 and %d, got %d; messages are small", maxSimilar, c.SimilarIncidents))
	}
	return errors.Join(errs...)
}

// Coordination is where the replicas agree on who acts.
type Coordination string

// The places where replicas agree.
const (
	// CoordinationCluster is the ConfigMap of kubernetes::coordination, for actions on Kubernetes alone.
	CoordinationCluster Coordination = "cluster"
	// CoordinationStore is the incident store, for all actions.
	CoordinationStore Coordination = "store"
)

// UnmarshalText reads where replicas agree.
func (c *Coordination) UnmarshalText(text []byte) error {
	return choose(c, text, "coordination", CoordinationCluster, CoordinationStore)
}
