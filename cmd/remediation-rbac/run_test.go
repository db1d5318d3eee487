package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

const config = `exporters:
  remediation:
    webhooks: {chat: {endpoint: "https://chat.example.com", secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}}
    kubernetes: {}
    playbooks:
      - name: crash-loop
        when: ['true']
        scope: {namespaces: [SHOP, kube-system]}
        steps: [{kubernetes: {rollout_restart: {}}}]
`

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(config, "SHOP", "shop")), 0o600))
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	for name, tc := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"file":           {[]string{file}, exitOK, "# crash-loop, step 1 (rollout_restart)\n", "kube-system is protected"},
		"standard input": {[]string{"-"}, exitOK, "  name: paramedic-remediation\n  namespace: shop\n", "warning: "},
		"names":          {[]string{"-namespace", "ops", "-service-account", "agent", "-name", "cure", file}, exitOK, "  name: cure\n  namespace: shop\n", "warning: "},
		"required only":  {[]string{"-optional=false", file}, exitOK, "kind: Role\n", "warning: "},
		"merged":         {[]string{"yaml:exporters::debug::verbosity: basic", file}, exitOK, "kind: Role\n", "warning: "},
		"help":           {[]string{"-h"}, exitOK, "", "usage: remediation-rbac"},
		"nothing":        {nil, exitError, "", "usage: remediation-rbac"},
		"no such flag":   {[]string{"-x", file}, exitError, "", "flag provided but not defined"},
		"no such file":   {[]string{"none.yaml"}, exitError, "", "no such file"},
		"no such name":   {[]string{"-name", "a b", file}, exitError, "", "name must be a name that Kubernetes accepts"},
		"no kubeconfig":  {[]string{"-check", "-kubeconfig", kubeconfig, file}, exitError, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), tc.args, strings.NewReader(strings.ReplaceAll(config, "SHOP", "shop")), &stdout, &stderr)
			assert.Equal(t, tc.code, code, stderr.String())
			assert.Contains(t, stdout.String(), tc.stdout)
			assert.Contains(t, stderr.String(), tc.stderr)
			assert.NotContains(t, stdout.String()+stderr.String(), "whsec_")
			assert.Equal(t, name == "required only", !strings.Contains(stdout.String(), "optional") && tc.stdout != "", "only what cannot be done without")
		})
	}
}

// The answer of a cluster is an exit code and the missing rules, of ourselves or of the account that is named.
func TestKubernetesCheck(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	home, shop := lab.Namespace(t), lab.Namespace(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(config, "SHOP", shop)), 0o600))
	account := lab.ServiceAccount(t, home)
	nobody := lab.KubeconfigFile(t, account)
	try := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(append([]string{"-check", "-namespace", home}, args...), file), nil, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	code, stdout, stderr := try("-kubeconfig", lab.Kubeconfig)
	assert.Equal(t, exitOK, code, stdout)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "lacks 0 permissions")

	lacking := `{apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]} in a Role in namespace ` + shop + ", for crash-loop, step 1 (rollout_restart)\n"
	code, stdout, stderr = try("-kubeconfig", nobody)
	assert.Equal(t, exitMissing, code)
	assert.Contains(t, stdout, lacking)
	assert.Contains(t, stdout, "optional: {apiGroups: [\"\"], resources: [\"events\"]")
	assert.Contains(t, stderr, "system:serviceaccount:"+home+":account-")

	code, stdout, stderr = try("-kubeconfig", lab.Kubeconfig, "-as", "system:serviceaccount:"+home+":other", "-optional=false")
	assert.Equal(t, exitMissing, code)
	assert.Contains(t, stdout, lacking)
	assert.NotContains(t, stdout, "optional")
	assert.Contains(t, stderr, "system:serviceaccount:"+home+":other lacks")

	code, _, stderr = try("-kubeconfig", nobody, "-as", "somebody")
	assert.Equal(t, exitError, code, "not allowed to impersonate")
	assert.Contains(t, stderr, "impersonate")
	code, _, _ = try("-kubeconfig", nobody, "-context", "none")
	assert.Equal(t, exitError, code)
}
