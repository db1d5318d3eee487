// Package kubernetes_test shows of the manifests of this folder that they are current, and that a real API server accepts them.
package kubernetes_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/remediationaccess"
)

var update = flag.Bool("update", false, "rewrite the manifests that are made from others")

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

const (
	namespace = "paramedic"
	account   = "paramedic-gateway"
	library   = "../playbooks"
)

// access is what the gateway's playbooks need, with the environment that the manifests give it.
func access(t *testing.T) *remediationaccess.Access {
	t.Helper()
	t.Setenv("PLAYBOOKS", library)
	for _, e := range gateway(t).Spec.Template.Spec.Containers[0].Env {
		if strings.HasPrefix(e.Name, "PLAYBOOK_") {
			t.Setenv(e.Name, e.Value)
		}
	}
	executors, err := remediationaccess.Load(t.Context(), []string{"config-gateway.yaml"}, nil)
	require.NoError(t, err)
	a, err := remediationaccess.New(executors, remediationaccess.Options{ServiceAccount: account, Optional: true})
	require.NoError(t, err)
	return a
}

func gateway(t *testing.T) *appsv1.StatefulSet {
	t.Helper()
	text, err := os.ReadFile("manifests/50-gateway.yaml")
	require.NoError(t, err)
	for _, document := range strings.Split(string(text), "\n---\n") {
		set := &appsv1.StatefulSet{}
		require.NoError(t, yaml.Unmarshal([]byte(document), set))
		if set.Kind == "StatefulSet" {
			return set
		}
	}
	t.Fatal("there is no StatefulSet")
	return nil
}

// configMaps are the configurations and the playbooks that the gateway includes, as manifests.
func configMaps(t *testing.T) string {
	t.Helper()
	read := func(path string) string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	config := read("config-gateway.yaml")
	playbooks := map[string]string{}
	for _, m := range regexp.MustCompile(`/([a-z-]+)/playbook\.yaml}`).FindAllStringSubmatch(config, -1) {
		playbooks[m[1]+".yaml"] = read(filepath.Join(library, m[1], "playbook.yaml"))
	}
	var out strings.Builder
	out.WriteString("# The configurations and playbooks as config maps. Made by go test ./examples/kubernetes -update: change the files themselves.\n")
	for _, m := range []struct {
		name string
		data map[string]string
	}{
		{"paramedic-agent", map[string]string{"config.yaml": read("config-agent.yaml")}},
		{"paramedic-gateway", map[string]string{"config.yaml": config}},
		{"paramedic-playbooks", playbooks},
	} {
		fmt.Fprintf(&out, "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\ndata:\n", m.name, namespace)
		for _, key := range slices.Sorted(maps.Keys(m.data)) {
			fmt.Fprintf(&out, "  %s: |\n", key)
			for _, line := range strings.Split(strings.TrimSuffix(m.data[key], "\n"), "\n") {
				out.WriteString(strings.TrimRight("    "+line, " ") + "\n")
			}
		}
	}
	return out.String()
}

// What is made from other files is as those are now: the roles are exactly the ones that remediation-rbac prints.
func TestManifestsAreCurrent(t *testing.T) {
	roles, err := access(t).YAML()
	require.NoError(t, err)
	for path, want := range map[string]string{"manifests/10-remediation.yaml": string(roles), "manifests/30-config.yaml": configMaps(t)} {
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, want, string(got), "run go test ./examples/kubernetes -update")
	}
}

// The playbooks that the gateway includes are those that it is given.
func TestThePlaybooksAreMounted(t *testing.T) {
	config, err := os.ReadFile("config-gateway.yaml")
	require.NoError(t, err)
	var mounted []string
	for _, volume := range gateway(t).Spec.Template.Spec.Volumes {
		if volume.Name == "playbooks" {
			for _, item := range volume.ConfigMap.Items {
				mounted = append(mounted, item.Path)
				assert.Equal(t, item.Key, strings.TrimSuffix(item.Path, "/playbook.yaml")+".yaml")
			}
		}
	}
	for _, path := range mounted {
		assert.Contains(t, string(config), "/"+path+"}")
	}
	assert.Equal(t, strings.Count(string(config), "/playbook.yaml}"), len(mounted))
}

// surroundings are the namespace in which playbooks act, and volumes, since the lab has nobody who makes them.
const surroundings = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: paramedic-0}
spec: {capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /state}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: paramedic-1}
spec: {capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /state}}
`

// A real API server accepts every manifest and knows every field; the pods come up with what they mount, and the gateway's account
// may do what its playbooks need.
func TestKubernetesManifests(t *testing.T) {
	lab := kubetest.Shared(t)
	a := access(t)
	lab.Apply(t, "", []byte(surroundings))
	files, err := filepath.Glob("manifests/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 7)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, object := range lab.Apply(t, "", text) {
			if ns := object.GetNamespace(); ns != "" {
				assert.Contains(t, []string{namespace, "shop"}, ns, "%s %s", object.GetKind(), object.GetName())
			}
		}
	}
	for _, workload := range []kubetest.Object{
		&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "paramedic-agent"}},
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "paramedic-gateway"}},
	} {
		lab.WaitRolledOut(t, workload)
	}
	for _, pod := range lab.Pods(t, namespace, "") {
		for _, volume := range pod.Spec.Volumes {
			if volume.ConfigMap != nil && volume.ConfigMap.Optional == nil {
				object := kubetest.ConfigMap(namespace, volume.ConfigMap.Name, nil)
				require.True(t, lab.Exists(t, object), volume.ConfigMap.Name)
				lab.Refresh(t, object)
				for _, item := range volume.ConfigMap.Items {
					assert.Contains(t, object.Data, item.Key)
				}
			}
		}
	}
	client := kubernetes.NewForConfigOrDie(lab.Token(t, namespace, account))
	kubetest.Eventually(t, "the playbooks may act", func() error {
		user, missing, err := a.Check(t.Context(), client)
		if err == nil && len(missing) > 0 {
			err = fmt.Errorf("%s lacks %v", user, missing)
		}
		return err
	})
	kubetest.Eventually(t, "the gateway may observe", func() error {
		_, err := client.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{})
		_, err2 := client.CoreV1().Events("").List(t.Context(), metav1.ListOptions{})
		return errors.Join(err, err2)
	})
	_, err = client.CoreV1().Secrets("shop").List(t.Context(), metav1.ListOptions{})
	require.Error(t, err)
}
