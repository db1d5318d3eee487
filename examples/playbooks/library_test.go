// Package playbooks_test shows of each playbook of the library that it loads, that it is asked for the incidents it is for and no
// others, and what it does to a real cluster.
package playbooks_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/remediationaccess"
	"github.com/paramedic-otel/paramedic/semconv"
	"github.com/paramedic-otel/paramedic/test/executor"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

// all are the names of the playbooks: the folders.
func all(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*/playbook.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 12)
	var names []string
	for _, file := range files {
		names = append(names, filepath.Dir(file))
	}
	return names
}

// configuration is that of a collector with one playbook, included as users do.
func configuration(name, kubernetes string) string {
	list := "[ '${file:" + name + "/playbook.yaml}' ]"
	if name == "starter-pack" {
		list = "${file:starter-pack/playbook.yaml}"
	}
	return "exporters:\n  remediation:\n    kubernetes: " + kubernetes + "\n    playbooks: " + list + "\n"
}

// exporterOf is the exporter's part of a configuration, with everything filled in, as YAML.
func exporterOf(t *testing.T, uri string) string {
	t.Helper()
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{uri},
		ProviderFactories: []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory()},
		DefaultScheme:     "env",
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(t.Context())
	require.NoError(t, err)
	text, err := json.Marshal(conf.ToStringMap()["exporters"].(map[string]any)["remediation"])
	require.NoError(t, err)
	var settings any
	require.NoError(t, json.Unmarshal(text, &settings))
	text, err = json.Marshal(values(settings))
	require.NoError(t, err)
	return string(text)
}

// values puts values in the place of what the resolver leaves for variables in files: the value, and the text it was made of.
func values(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if value, ok := v["Value"]; ok && len(v) == 2 {
			return values(value)
		}
		for key := range v {
			v[key] = values(v[key])
		}
	case []any:
		for i := range v {
			v[i] = values(v[i])
		}
	}
	return v
}

func load(t *testing.T, name string) *remediationexporter.Config {
	t.Helper()
	cfg, err := executor.ParseConfig(exporterOf(t, "yaml:"+configuration(name, "{auth_type: kubeConfig}")))
	require.NoError(t, err)
	return cfg
}

// Nothing acts until somebody says so, and its README says how.
func TestEveryPlaybookBeginsHarmlessly(t *testing.T) {
	variable := regexp.MustCompile(`\$\{env:([A-Z_]+):-([^}]*)\}`)
	for _, name := range all(t) {
		t.Run(name, func(t *testing.T) {
			cfg := load(t, name)
			for i := range cfg.Playbooks {
				p := &cfg.Playbooks[i]
				switch name {
				case "starter-pack":
					assert.EqualValues(t, "suggest", p.Mode)
					assert.Empty(t, p.Modes)
				case "pod-isolation":
					assert.EqualValues(t, "approve", p.Mode)
					assert.Equal(t, 2, p.Approval.Approvers)
					assert.Empty(t, p.Modes)
				default:
					assert.Equal(t, name, p.Name)
					assert.EqualValues(t, "observe", p.Mode)
					assert.EqualValues(t, "observe", p.Modes["critical"])
				}
				for _, step := range p.Steps {
					if step.Kubernetes.Destructive() {
						assert.GreaterOrEqual(t, p.MinWitnesses, 2)
					}
				}
				last := p.Steps[len(p.Steps)-1].OnFailure
				assert.True(t, last != "next" || name == "starter-pack", "somebody is called when nothing has helped")
			}
			executors, err := remediationaccess.Load(t.Context(), []string{"yaml:" + configuration(name, "{}")}, nil)
			require.NoError(t, err)
			access, err := remediationaccess.New(executors, remediationaccess.Options{})
			require.NoError(t, err)
			manifests, err := access.YAML()
			require.NoError(t, err)
			for i := range cfg.Playbooks {
				assert.Contains(t, string(manifests), "# "+cfg.Playbooks[i].Name+", step 1 (", "its permissions can be printed")
			}

			source, err := os.ReadFile(filepath.Join(name, "playbook.yaml"))
			require.NoError(t, err)
			readme, err := os.ReadFile(filepath.Join(name, "README.md"))
			require.NoError(t, err)
			for _, section := range []string{
				"What it does", "What it does not do", "Before you use it", "Bounds", "Modes", "Verification", "What to check first, as a person", "Turning it on",
			} {
				assert.Contains(t, string(readme), "\n## "+section+"\n")
			}
			for _, m := range variable.FindAllStringSubmatch(string(source), -1) {
				assert.Contains(t, string(readme), "| `"+m[1]+"` | `"+m[2]+"` |")
			}
			for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(string(readme), -1) {
				assert.Contains(t, string(source), "${env:"+m[1]+":-", "the README tells of a variable that is not there")
			}
		})
	}
}

// The modes follow the environment, those of critical targets by themselves.
func TestModesAreSetByTheEnvironment(t *testing.T) {
	for _, name := range all(t) {
		if name == "starter-pack" || name == "pod-isolation" {
			continue
		}
		variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		t.Setenv(variable+"_MODE", "auto")
		t.Setenv(variable+"_MODE_CRITICAL", "approve")
		t.Setenv("PLAYBOOK_NAMESPACES", "[shop, bank]")
		p := load(t, name).Playbooks[0]
		assert.EqualValues(t, "auto", p.Mode, name)
		assert.EqualValues(t, "approve", p.Modes["critical"], name)
		if p.Scope.NodeSelector == "" {
			assert.Equal(t, []string{"shop", "bank"}, p.Scope.Namespaces, name)
		}
	}
}

// The whole library in one exporter is in the folder's own configuration.
func TestTheWholeLibraryIsIncluded(t *testing.T) {
	t.Setenv("PLAYBOOKS", ".")
	cfg, err := executor.ParseConfig(exporterOf(t, "config.yaml"))
	require.NoError(t, err)
	var names []string
	for _, p := range cfg.Playbooks {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	assert.Equal(t, slices.DeleteFunc(all(t), func(n string) bool { return n == "starter-pack" }), names)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, name := range all(t) {
		assert.Contains(t, string(readme), "]("+name+")")
	}
}

// incidents are one for each playbook, of a kind and an entity.
var incidents = map[string]func(*executor.Incident){
	"a crash":                cause(semconv.CauseCrash, semconv.EntityService, "shop/payment"),
	"a bad version":          changed("image", "shop/payment"),
	"a changed flag":         changed("config", "shop/recommendation"),
	"a minor bad version":    severity(semconv.SeverityMinor, changed("image", "shop/payment")),
	"a leak":                 cause(semconv.CauseMemory, semconv.EntityService, "shop/catalog"),
	"a flood of visitors":    cause(semconv.CauseTraffic, semconv.EntityService, "shop/web"),
	"too little CPU":         cause(semconv.CauseCPU, semconv.EntityDeployment, "shop/web"),
	"an overload":            severity(semconv.SeverityCritical, cause(semconv.CauseTraffic, semconv.EntityService, "shop/web")),
	"a noisy pod":            cause(semconv.CauseCPU, semconv.EntityPod, "shop/batch-7d9"),
	"a flooding pod":         cause(semconv.CauseNetwork, semconv.EntityPod, "shop/batch-7d9"),
	"a sick node":            cause(semconv.CauseDisk, semconv.EntityNode, "node-1"),
	"a stale cache":          cause(semconv.CauseErrors, semconv.EntityService, "shop/cache"),
	"a stuck job":            cause(semconv.CauseUnknown, semconv.EntityService, "shop/nightly-report"),
	"a pool that ran out":    cause(semconv.CauseSaturation, semconv.EntityService, "shop/orders"),
	"a full disk":            cause(semconv.CauseDisk, semconv.EntityService, "shop/uploads"),
	"a slow service":         cause(semconv.CauseLatency, semconv.EntityService, "shop/search"),
	"a slow database":        cause(semconv.CauseSaturation, semconv.EntityDatabase, "postgresql://orders"),
	"nobody knows what":      func(i *executor.Incident) { i.Causes = nil },
	"a guess":                confidence(0.4, cause(semconv.CauseCrash, semconv.EntityService, "shop/payment")),
	"a guess about a deploy": confidence(0.4, changed("image", "shop/payment")),
}

func cause(kind semconv.CauseKind, entity semconv.EntityType, name string) func(*executor.Incident) {
	return func(i *executor.Incident) {
		i.Causes[0].Kind, i.Causes[0].Entity = kind, semconv.Entity{Type: entity, Name: name}
	}
}

func changed(kind, name string) func(*executor.Incident) {
	return func(i *executor.Incident) {
		cause(semconv.CauseChange, semconv.EntityService, name)(i)
		i.Causes[0].Change = &semconv.Change{Time: time.Now().Add(-time.Minute), Entity: i.Causes[0].Entity, Summary: "1.4 to 1.5", Kind: kind}
	}
}

func severity(s semconv.Severity, edit func(*executor.Incident)) func(*executor.Incident) {
	return func(i *executor.Incident) {
		edit(i)
		i.Severity = s
	}
}

func confidence(c float64, edit func(*executor.Incident)) func(*executor.Incident) {
	return func(i *executor.Incident) {
		edit(i)
		i.Causes[0].Confidence = c
	}
}

// Each playbook is asked for the incidents that it is for, and not for their neighbours.
func TestPlaybooksMatchTheirIncidents(t *testing.T) {
	want := map[string][]string{
		"bad-deploy-rollback":     {"a bad version"},
		"cache-flush":             {"a stale cache"},
		"connection-pool-restart": {"a pool that ran out"},
		"crash-loop-restart":      {"a crash"},
		"cron-job-suspend":        {"a stuck job"},
		"disk-cleanup":            {"a full disk"},
		"feature-flag-off":        {"a changed flag"},
		"memory-leak-restart":     {"a leak"},
		"noisy-pod-eviction":      {"a noisy pod"},
		"overload-shedding":       {"an overload"},
		"pod-isolation":           {"a flooding pod"},
		"saturation-scale-up":     {"a flood of visitors", "an overload", "too little CPU"},
		"sick-node-drain":         {"a sick node"},
		"starter-pack": {
			"a bad version", "a changed flag", "a crash", "a flood of visitors", "a leak", "a minor bad version", "a pool that ran out", "an overload", "too little CPU",
		},
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"x",`+
		`"clusters":[{"name":"x","cluster":{"server":"http://127.0.0.1:1"}}],"contexts":[{"name":"x","context":{"cluster":"x"}}]}`), 0o600))
	for _, name := range all(t) {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			x, err := executor.Start(t.Context(), executor.Options{
				Config: exporterOf(t, "yaml:"+configuration(name, "{auth_type: kubeConfig, kubeconfig: "+kubeconfig+", namespace: here, coordination: {enabled: false}}")),
				Logger: zap.New(core),
			})
			require.NoError(t, err)
			defer func() { require.NoError(t, x.Stop(t.Context())) }()
			for _, id := range slices.Sorted(maps.Keys(incidents)) {
				incident := executor.NewIncident(strings.ReplaceAll(id, " ", "-"), "shop", "web")
				incidents[id](incident)
				require.NoError(t, x.Tell(t.Context(), incident.Opened()))
			}
			var got []string
			for _, decision := range logs.FilterMessage("remediation decision").All() {
				fields := decision.ContextMap()
				if fields["outcome"] == "planned" {
					got = append(got, strings.ReplaceAll(fields["incident_id"].(string), "-", " "))
				}
			}
			slices.Sort(got)
			assert.Equal(t, want[name], got)
		})
	}
}
