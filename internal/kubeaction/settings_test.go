package kubeaction

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

func TestDefaultSettingsAreValid(t *testing.T) {
	settings := DefaultSettings()
	require.NoError(t, settings.Validate())
	assert.Equal(t, []string{"kube-system", "kube-public", "kube-node-lease"}, settings.ProtectedNamespaces)
	assert.Empty(t, settings.ConfigMaps)
}

func TestSettingsSayEverythingThatIsWrong(t *testing.T) {
	settings := Settings{
		AuthType: "token", ProtectedNamespaces: []string{"kube-*"}, ArgoCDNamespaces: []string{"Argo"}, OnGitOps: "maybe",
		OnOperator: "maybe", MinReady: 1.5, Timeout: time.Millisecond, QPS: 0.5, Burst: 0, ConfigMaps: []ConfigMapRule{{}},
	}
	err := settings.Validate()
	require.Error(t, err)
	for _, want := range []string{
		`auth_type must be serviceAccount or kubeConfig, got "token"`,
		`must be names of namespaces, got "kube-*"`,
		`must be names of namespaces, got "Argo"`,
		`on_gitops must be refuse or allow, got "maybe"`,
		`on_operator must be refuse or allow, got "maybe"`,
		"min_ready must be between 0 and 1, got 1.5",
		`field_manager must be 1 to 128 characters, got ""`,
		"timeout must be between 100ms and 5m, got 1ms",
		"qps must be between 1 and 10000, got 0.5",
		"burst must be between 1 and 10000, got 0",
		"config_maps::0: name must be that of a config map",
	} {
		assert.ErrorContains(t, err, want)
	}
	settings = DefaultSettings()
	settings.KubeConfig = "/etc/kubeconfig"
	require.EqualError(t, settings.Validate(), "kubeconfig and context must be empty with auth_type serviceAccount; set auth_type to kubeConfig")
	_, err = NewForConfig(&rest.Config{}, settings, TransportSettings{})
	require.ErrorContains(t, err, "kubeconfig and context must be empty")
}

func TestSettingsLocateThemselves(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "monitoring")
	t.Setenv("POD_NAME", "gateway-0")
	t.Setenv("NODE_NAME", "node-1")
	client, err := NewForConfig(&rest.Config{Host: "https://127.0.0.1:1"}, DefaultSettings(), TransportSettings{})
	require.NoError(t, err)
	assert.Equal(t, []string{"monitoring", "gateway-0", "node-1"}, []string{client.settings.Namespace, client.settings.Pod, client.settings.Node})
	given := DefaultSettings()
	given.Namespace, given.Pod, given.Node = "a", "b", "c"
	client, err = NewForConfig(&rest.Config{Host: "https://127.0.0.1:1"}, given, TransportSettings{})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c"}, []string{client.settings.Namespace, client.settings.Pod, client.settings.Node})
}

func TestNewReadsTheKubeconfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(`
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}, {name: b, cluster: {server: "https://127.0.0.1:2"}}]
contexts: [{name: one, context: {cluster: a}}, {name: two, context: {cluster: b}}]
current-context: one
`), 0o600))
	settings := DefaultSettings()
	settings.AuthType, settings.KubeConfig = AuthKubeConfig, path
	for name, host := range map[string]string{"": "https://127.0.0.1:1", "two": "https://127.0.0.1:2"} {
		settings.Context = name
		config, err := restConfig(settings)
		require.NoError(t, err)
		assert.Equal(t, host, config.Host)
		_, err = New(settings, TransportSettings{})
		require.NoError(t, err)
	}
	settings.Context = "three"
	_, err := New(settings, TransportSettings{})
	require.ErrorContains(t, err, "three")

	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err = New(DefaultSettings(), TransportSettings{})
	require.ErrorContains(t, err, "read how to reach the Kubernetes API")
}

func TestClusterMustBeTheIncidents(t *testing.T) {
	for _, test := range []struct {
		ours, theirs, refusal string
	}{
		{"", "", ""},
		{"prod", "", ""},
		{"prod", "prod", ""},
		{"prod", "test", `in cluster "test", this is "prod"`},
		{"", "test", "does not say which one this is"},
	} {
		c := &Client{settings: Settings{Cluster: test.ours}}
		err := c.checkCluster(Subject{Cluster: test.theirs})
		if test.refusal == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, test.refusal)
	}
}

func TestEveryActionHasItsOwnNameAndClass(t *testing.T) {
	seen := map[string]bool{}
	for _, act := range actions {
		assert.False(t, seen[act.name()], act.name())
		seen[act.name()] = true
		assert.NotEmpty(t, act.class(), act.name())
		assert.NotEmpty(t, act.needs(), act.name())
		found, err := actionNamed(act.name())
		require.NoError(t, err)
		assert.Same(t, act, found)
	}
	_, err := actionNamed("reboot")
	require.ErrorContains(t, err, `action must be one of`)
	both := Step{RolloutRestart: &RolloutRestart{}, Rollback: &Rollback{}}
	require.ErrorContains(t, both.Validate(), "got rollout_restart, rollback; one step is one action")
	assert.Empty(t, both.Name())
	assert.Empty(t, both.Class())
	one := restart()
	assert.Equal(t, "rollout_restart", one.Name())
	assert.Equal(t, ClassRestart, one.Class())
}

func TestCleanMakesTextHarmless(t *testing.T) {
	for _, test := range []struct {
		text  string
		limit int
		want  string
	}{
		{" a\nb\x1b[31m\x00c ", 20, "a b [31m c"}, {"ÄÖÜäöüß", 5, "ÄÖÜäö"}, {"\u202e\ufffd", 9, ""}, {"", 9, ""},
	} {
		assert.Equal(t, test.want, clean(test.text, test.limit))
	}
}

// A receipt of what was found done already may say little.
func TestReceiptsThatLackWhatIsNeeded(t *testing.T) {
	c := &Client{}
	_, err := c.Health(t.Context(), Receipt{Action: "rollout_restart", NoOp: true})
	require.ErrorContains(t, err, "names no object")
	_, err = c.Undo(t.Context(), Receipt{Action: "scale", NoOp: true})
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Contains(t, refusal.Detail, "had been done already")
}
