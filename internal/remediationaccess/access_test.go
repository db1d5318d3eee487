package remediationaccess

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

var update = flag.Bool("update", false, "rewrite the golden manifests")

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

func load(t *testing.T, options Options, uris ...string) *Access {
	t.Helper()
	executors, err := Load(t.Context(), uris, strings.NewReader(""))
	require.NoError(t, err)
	a, err := New(executors, options)
	require.NoError(t, err)
	return a
}

func printed(t *testing.T, a *Access) string {
	t.Helper()
	text, err := a.YAML()
	require.NoError(t, err)
	return string(text)
}

func TestGoldenManifests(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		files   []string
	}{
		"one":           {Options{Optional: true}, []string{"one"}},
		"one-required":  {Options{Namespace: "ops", ServiceAccount: "collector", Name: "remedy"}, []string{"one"}},
		"two":           {Options{Optional: true}, []string{"two"}},
		"two-and-one":   {Options{}, []string{"one", "two"}},
		"nodes":         {Options{}, []string{"nodes"}},
		"webhooks-only": {Options{Optional: true}, []string{"webhooks"}},
	} {
		t.Run(name, func(t *testing.T) {
			var uris []string
			for _, file := range tc.files {
				uris = append(uris, filepath.Join("testdata", file+".yaml"))
			}
			got := printed(t, load(t, tc.options, uris...))
			for range 10 {
				require.Equal(t, got, printed(t, load(t, tc.options, uris...)), "always the same")
			}
			golden := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got, "run with -update and look at the difference")
			assert.NotContains(t, got, "*", "nothing is granted by wildcard")
			assert.NotContains(t, got, "secrets")
			assert.NotContains(t, got, "kube-system")
		})
	}
}

func TestAProtectedNamespaceIsToldOf(t *testing.T) {
	a := load(t, Options{}, "testdata/one.yaml")
	assert.Equal(t, []string{"playbook flag-off: namespace kube-system is protected and never touched, so nothing is granted there"}, a.Warnings)
	a = load(t, Options{Namespace: "shop"}, "testdata/one.yaml")
	assert.Contains(t, a.Warnings, "playbook crash-loop: namespace shop is protected and never touched, so nothing is granted there")
	assert.NotContains(t, printed(t, a), "deployments, for", "our own namespace")
}

// What the whole cluster has been granted is not granted in a namespace again.
func TestNothingIsGrantedTwice(t *testing.T) {
	for _, files := range [][]string{{"testdata/one.yaml"}, {"testdata/two.yaml"}, {"testdata/nodes.yaml"}} {
		seen := map[place]bool{}
		for _, g := range load(t, Options{Optional: true}, files...).grants {
			at := place{g.namespace, g.Group, g.Resource, g.Verb, g.Name}
			assert.False(t, seen[at], "%+v", at)
			seen[at] = true
			assert.NotEmpty(t, g.users)
			if g.namespace != "" {
				assert.False(t, seen[place{"", g.Group, g.Resource, g.Verb, g.Name}], "%+v", at)
			}
		}
	}
}

func TestWrongNames(t *testing.T) {
	executors, err := Load(t.Context(), []string{"yaml:exporters: {remediation: {kubernetes: {}, " +
		"playbooks: [{name: a, when: ['true'], scope: {namespaces: [\"a b\"]}, steps: [{kubernetes: {rollout_restart: {}}}]}]}}"}, nil)
	require.NoError(t, err)
	_, err = New(executors, Options{Namespace: "A", ServiceAccount: "b c", Name: "a/b"})
	for _, want := range []string{
		`namespace must be a name that Kubernetes accepts, got "A"`, `service account must be a name that Kubernetes accepts, got "b c"`,
		`name must be a name that Kubernetes accepts, got "a/b"`, `playbook a: scope::namespaces::0 must be a name`,
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestLoad(t *testing.T) {
	const valid = "exporters: {remediation: {kubernetes: {}, playbooks: [{name: a, when: ['true'], scope: {namespaces: [shop]}, steps: [{kubernetes: {rollout_restart: {}}}]}]}}"
	t.Setenv("REMEDIATION_ACCESS_TEST", valid)
	playbook := filepath.Join(t.TempDir(), "playbook.yaml")
	require.NoError(t, os.WriteFile(playbook, []byte("{name: of-a-file, when: ['true'], scope: {namespaces: [shop]}, steps: [{kubernetes: {rollback: {}}}]}"), 0o600))
	for name, tc := range map[string]struct {
		uris  []string
		stdin string
		err   string
	}{
		"environment":         {uris: []string{"env:REMEDIATION_ACCESS_TEST"}},
		"text":                {uris: []string{"yaml:" + valid}},
		"standard input":      {uris: []string{"-"}, stdin: valid},
		"a playbook's file":   {uris: []string{"yaml:" + strings.Replace(valid, "playbooks: [", "playbooks: ['${file:"+playbook+"}', ", 1)}},
		"merged":              {uris: []string{"yaml:receivers: {otlp: {}}", "yaml:" + valid}},
		"nothing":             {uris: []string{"yaml:exporters: {debug: {}}"}, err: "exporters must hold a remediation exporter, got none"},
		"no file":             {uris: []string{"testdata/none.yaml"}, err: "no such file"},
		"no configuration":    {uris: []string{"yaml:exporters: 5"}, err: "exporters must be a map of components"},
		"no settings":         {uris: []string{"yaml:exporters: {remediation: 5}"}, err: "exporters::remediation: it must be a map of settings"},
		"an unknown action":   {uris: []string{"yaml:exporters: {remediation: {kubernetes: {}, playbooks: [{steps: [{kubernetes: {reboot: {}}}]}]}}"}, err: "reboot"},
		"a wrong playbook":    {uris: []string{"yaml:exporters: {remediation: {kubernetes: {}, playbooks: [{name: a}]}}"}, err: "playbooks::0: when must not be empty"},
		"a wrong cluster":     {uris: []string{"yaml:exporters: {remediation: {kubernetes: {workers: 0}}}"}, err: "kubernetes: workers must be between 1 and 64"},
		"no such elector":     {uris: []string{"yaml:exporters: {remediation: {leader_elector: k8s_leader_elector}}"}, err: "leader_elector must be an extension of the configuration, got k8s_leader_elector"},
		"a nameless elector":  {uris: []string{"yaml:{exporters: {remediation: {leader_elector: k8s_leader_elector}}, extensions: {k8s_leader_elector: }}"}, err: "extension k8s_leader_elector must have a lease_name"},
		"too much":            {uris: []string{"-"}, stdin: strings.Repeat("#", maxStdin+1), err: "standard input must have at most"},
		"broken":              {uris: []string{"-"}, stdin: "a: [", err: "yaml"},
		"an unknown provider": {uris: []string{"s3:bucket"}, err: "s3"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Load(t.Context(), tc.uris, strings.NewReader(tc.stdin))
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, list, 1)
			assert.Equal(t, "a", list[0].Playbooks[len(list[0].Playbooks)-1].Name)
		})
	}
}

// A secret is told nowhere, whatever is wrong around it.
func TestSecretsAreNotTold(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	t.Setenv("CHAT_SECRET", secret)
	for _, config := range []string{
		"webhooks: {chat: {endpoint: x, secrets: '${env:CHAT_SECRET}'}}, playbooks: 5",
		"webhooks: {chat: {headers: {authorization: '${env:CHAT_SECRET}'}}}, kubernetes: {qps: many}",
		"webhooks: '${env:CHAT_SECRET}'",
	} {
		var told bytes.Buffer
		executors, err := Load(t.Context(), []string{"yaml:exporters: {remediation: {" + config + "}}"}, nil)
		if err != nil {
			told.WriteString(err.Error())
		}
		if a, err := New(executors, Options{}); err == nil {
			told.WriteString(printed(t, a))
		}
		assert.NotEmpty(t, told.String())
		assert.NotContains(t, told.String(), secret)
	}
}
