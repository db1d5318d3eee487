package remediationaccess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/httpprovider"
	"go.opentelemetry.io/collector/confmap/provider/httpsprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
)

// Executor is one remediation exporter of a configuration, as far as Kubernetes is concerned.
type Executor struct {
	ID         component.ID
	Playbooks  []remediationexporter.PlaybookConfig
	Kubernetes configoptional.Optional[remediationexporter.KubernetesConfig]
	// Lease is what its leader elector holds; nil without one.
	Lease *Lease
}

// Lease is the object by which replicas choose who leads.
type Lease struct{ Namespace, Name string }

// settings are those of the exporter's settings that matter here. The others are not even decoded, so that no secret of a
// webhook has to be known, nor can be told by an error.
type settings struct {
	Playbooks     []remediationexporter.PlaybookConfig                          `mapstructure:"playbooks"`
	Kubernetes    configoptional.Optional[remediationexporter.KubernetesConfig] `mapstructure:"kubernetes"`
	LeaderElector *component.ID                                                 `mapstructure:"leader_elector"`
}

// Load reads a configuration as the collector does from its --config options: files, env:, yaml:, http: and https:, merged in
// this order. "-" is standard input. It returns the remediation exporters in the order of their IDs, and an error when
// there is none or when a playbook or the kubernetes block is wrong.
func Load(ctx context.Context, uris []string, stdin io.Reader) ([]Executor, error) {
	conf, err := resolve(ctx, uris, stdin)
	if err != nil {
		return nil, err
	}
	exporters, err := section(conf, "exporters")
	if err != nil {
		return nil, err
	}
	var list []Executor
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(exporters)) {
		var id component.ID
		if err := id.UnmarshalText([]byte(key)); err != nil || id.Type() != remediationexporter.NewFactory().Type() {
			continue // what is wrong with others, the collector says
		}
		x, err := executor(conf, id, exporters[key])
		if err != nil {
			errs = append(errs, fmt.Errorf("exporters::%s: %w", id, err))
		}
		list = append(list, x)
	}
	if len(list) == 0 {
		errs = append(errs, errors.New("exporters must hold a remediation exporter, got none; name the files that the collector gets with --config"))
	}
	return list, errors.Join(errs...)
}

func resolve(ctx context.Context, uris []string, stdin io.Reader) (*confmap.Conf, error) {
	uris = slices.Clone(uris)
	for i, uri := range uris {
		if uri == "-" {
			uris[i] = stdinScheme + ":-"
		}
	}
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: uris,
		ProviderFactories: []confmap.ProviderFactory{
			envprovider.NewFactory(), fileprovider.NewFactory(), httpprovider.NewFactory(), httpsprovider.NewFactory(),
			yamlprovider.NewFactory(), stdinFactory(stdin),
		},
		DefaultScheme: "env",
	})
	if err != nil {
		return nil, err
	}
	conf, err := resolver.Resolve(ctx)
	return conf, errors.Join(err, resolver.Shutdown(ctx))
}

// section returns a part of the configuration; one that is not there is empty.
func section(conf *confmap.Conf, key string) (map[string]any, error) {
	sub, err := conf.Sub(key)
	if err != nil {
		return nil, fmt.Errorf("%s must be a map of components: %w", key, err)
	}
	return sub.ToStringMap(), nil
}

func executor(conf *confmap.Conf, id component.ID, raw any) (Executor, error) {
	x := Executor{ID: id}
	all, ok := raw.(map[string]any)
	if !ok && raw != nil {
		return x, errors.New("it must be a map of settings")
	}
	some := map[string]any{}
	for _, key := range []string{"playbooks", "kubernetes", "leader_elector"} {
		if value, ok := all[key]; ok {
			some[key] = value
		}
	}
	defaults := remediationexporter.NewFactory().CreateDefaultConfig().(*remediationexporter.Config)
	s := settings{Kubernetes: defaults.Kubernetes}
	if err := confmap.NewFromStringMap(some).Unmarshal(&s); err != nil {
		return x, err
	}
	if err := xconfmap.Validate(&s); err != nil {
		return x, err
	}
	x.Playbooks, x.Kubernetes = s.Playbooks, s.Kubernetes
	if s.LeaderElector == nil {
		return x, nil
	}
	var err error
	x.Lease, err = leaseOf(conf, *s.LeaderElector)
	return x, err
}

// leaseOf reads the settings of a k8s_leader_elector extension.
func leaseOf(conf *confmap.Conf, elector component.ID) (*Lease, error) {
	extensions, err := section(conf, "extensions")
	if err != nil {
		return nil, err
	}
	for key, raw := range extensions {
		var id component.ID
		if id.UnmarshalText([]byte(key)) != nil || id != elector {
			continue
		}
		all, _ := raw.(map[string]any)
		name, _ := all["lease_name"].(string)
		namespace, _ := all["lease_namespace"].(string)
		if name == "" {
			return nil, fmt.Errorf("leader_elector: extension %s must have a lease_name", elector)
		}
		return &Lease{Namespace: namespace, Name: name}, nil
	}
	return nil, fmt.Errorf("leader_elector must be an extension of the configuration, got %s", elector)
}

const stdinScheme = "stdin"

// stdinProvider hands out what comes from standard input.
type stdinProvider struct{ in io.Reader }

// maxStdin bounds a configuration from standard input, in bytes.
const maxStdin = 16 << 20

func stdinFactory(in io.Reader) confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return &stdinProvider{in} })
}

// Retrieve implements confmap.Provider.
func (p *stdinProvider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	if !strings.HasPrefix(uri, stdinScheme+":") {
		return nil, fmt.Errorf("%q is not standard input", uri)
	}
	text, err := io.ReadAll(io.LimitReader(p.in, maxStdin+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(text) > maxStdin {
		return nil, fmt.Errorf("standard input must have at most %d bytes", maxStdin)
	}
	return confmap.NewRetrievedFromYAML(text)
}

// Scheme implements confmap.Provider.
func (*stdinProvider) Scheme() string { return stdinScheme }

// Shutdown implements confmap.Provider.
func (*stdinProvider) Shutdown(context.Context) error { return nil }
