package remediationexporter

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

// KubernetesConfig is the cluster on which playbooks act.
type KubernetesConfig struct {
	kubeaction.Settings `mapstructure:",squash"`
	// Workers is how many steps are prepared and carried out at the same time.
	Workers int `mapstructure:"workers"`
	// Rate is how many requests that change something may be made per second, and ActionBurst how many at once.
	Rate        float64 `mapstructure:"rate"`
	ActionBurst int     `mapstructure:"action_burst"`
	// Coordination is where several replicas agree on who acts.
	Coordination CoordinationConfig `mapstructure:"coordination"`
}

// CoordinationConfig is the ConfigMap in which replicas agree on who acts, by compare-and-set.
type CoordinationConfig struct {
	// Enabled is false for a replica that is always alone.
	Enabled bool `mapstructure:"enabled"`
	// Namespace and Name are those of the ConfigMap; an empty namespace is our own.
	Namespace string `mapstructure:"namespace"`
	Name      string `mapstructure:"name"`
	// Holder is this replica: unique in the fleet, the same after a restart. Empty is the pod's name, or the host's.
	Holder string `mapstructure:"holder"`
	// Window is how long reservations are kept, Skew by how much clocks may differ.
	Window time.Duration `mapstructure:"window"`
	Skew   time.Duration `mapstructure:"skew"`
	// MaxEntries bounds the reservations of a window, MaxAttempts the writes that another replica got ahead of.
	MaxEntries  int `mapstructure:"max_entries"`
	MaxAttempts int `mapstructure:"max_attempts"`
}

func defaultCoordination() CoordinationConfig {
	d := kubeaction.DefaultReservationSettings()
	return CoordinationConfig{
		Enabled: true, Name: d.Name, Window: d.Window, Skew: d.Skew, MaxEntries: d.MaxEntries, MaxAttempts: d.MaxAttempts,
	}
}

// settings fills in where and who we are.
func (c *CoordinationConfig) settings(k *kubeaction.Settings) kubeaction.ReservationSettings {
	here := k.Located()
	host, _ := os.Hostname() // without a name the settings are refused with what is missing
	return kubeaction.ReservationSettings{
		Namespace: cmp.Or(c.Namespace, here.Namespace), Name: c.Name, Holder: cmp.Or(c.Holder, here.Pod, host),
		Window: c.Window, Skew: c.Skew, MaxEntries: c.MaxEntries, MaxAttempts: c.MaxAttempts,
	}
}

// Validate leaves out what is only known where we run.
func (c *CoordinationConfig) Validate() error {
	if !c.Enabled {
		return nil
	}
	s := c.settings(&kubeaction.Settings{Namespace: "here", Pod: "us"})
	return s.Validate()
}

func defaultKubernetes() KubernetesConfig {
	return KubernetesConfig{
		Settings: kubeaction.DefaultSettings(), Workers: 4, Rate: 5, ActionBurst: 10,
		Coordination: defaultCoordination(),
	}
}

// Validate checks our own bounds; those of the actions check themselves.
func (c *KubernetesConfig) Validate() error {
	var errs []error
	if c.Workers < 1 || c.Workers > 64 {
		errs = append(errs, fmt.Errorf("workers must be between 1 and 64, got %d", c.Workers))
	}
	if !(c.Rate > 0 && c.Rate <= 1000) {
		errs = append(errs, fmt.Errorf("rate must be more than 0 and at most 1000 requests a second, got %v", c.Rate))
	}
	if c.ActionBurst < 1 || c.ActionBurst > 1000 {
		errs = append(errs, fmt.Errorf("action_burst must be between 1 and 1000, got %d", c.ActionBurst))
	}
	return errors.Join(errs...)
}
