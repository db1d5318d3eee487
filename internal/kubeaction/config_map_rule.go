package kubeaction

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// ConfigMapRule allows patch_config_map to set some keys of one config map to some values.
type ConfigMapRule struct {
	// Name is the config map's, in each namespace of the playbook's scope.
	Name string `mapstructure:"name"`
	// Keys are those that may be set.
	Keys []string `mapstructure:"keys"`
	// Paths, if set, are JSON pointers: the keys hold JSON, of which only the values there may be set.
	Paths []string `mapstructure:"paths"`
	// Values may be set as they stand, and so may what Pattern (RE2) matches from beginning to end.
	Values  []string `mapstructure:"values"`
	Pattern string   `mapstructure:"pattern"`
}

// Validate says everything that is wrong with the rule.
func (r *ConfigMapRule) Validate() error {
	var errs []error
	if msgs := validation.IsDNS1123Subdomain(r.Name); len(msgs) > 0 {
		errs = append(errs, fmt.Errorf("name must be that of a config map, got %q: %s", r.Name, strings.Join(msgs, "; ")))
	}
	if len(r.Keys) == 0 {
		errs = append(errs, errors.New("keys must name at least one key, got none"))
	}
	for _, key := range r.Keys {
		if msgs := validation.IsConfigMapKey(key); len(msgs) > 0 {
			errs = append(errs, fmt.Errorf("keys must be keys of a config map, got %q: %s", key, strings.Join(msgs, "; ")))
		}
	}
	for _, path := range r.Paths {
		if err := validPath(path); err != nil {
			errs = append(errs, fmt.Errorf("paths %w", err))
		}
	}
	if len(r.Values) == 0 && r.Pattern == "" {
		errs = append(errs, errors.New("values or pattern must say what may be set, got neither"))
	}
	if _, err := regexp.Compile(r.Pattern); err != nil {
		errs = append(errs, fmt.Errorf("pattern must be a regular expression (RE2), got %q: %w", r.Pattern, err))
	}
	return errors.Join(errs...)
}

func validPath(path string) error {
	if !strings.HasPrefix(path, "/") || len(path) > maxConfigPath {
		return fmt.Errorf("must be JSON pointers of at most %d bytes such as /flags/checkout/state, got %q", maxConfigPath, path)
	}
	return nil
}

func (r *ConfigMapRule) allows(name, key, path, value string) bool {
	if r.Name != name || !slices.Contains(r.Keys, key) {
		return false
	}
	if path == "" && len(r.Paths) > 0 || path != "" && !slices.Contains(r.Paths, path) {
		return false
	}
	if slices.Contains(r.Values, value) {
		return true
	}
	if r.Pattern == "" {
		return false
	}
	pattern, err := regexp.Compile(`\A(?:` + r.Pattern + `)\z`)
	return err == nil && pattern.MatchString(value)
}
