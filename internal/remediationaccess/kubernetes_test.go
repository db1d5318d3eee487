package remediationaccess

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// granted is a cluster in which the printed manifests of a configuration were applied.
type granted struct {
	lab        *kubetest.Lab
	home, shop string
	access     *Access
	executors  []Executor
	objects    []*unstructured.Unstructured
	account    *rest.Config
}

const everything = `
exporters:
  remediation:
    leader_elector: k8s_leader_elector
    kubernetes:
      namespace: HOME
      config_maps: [{name: flags, keys: [banner], values: ["off"]}]
    playbooks:
      - name: workload
        when: ['true']
        scope: {namespaces: [SHOP]}
        steps:
          - kubernetes: {rollout_restart: {}}
          - kubernetes: {scale: {by: 1, max: 5}}
          - kubernetes: {rollback: {}}
          - kubernetes: {patch_config_map: {name: flags, key: banner, value: "off"}}
      - name: pod
        when: ['true']
        scope: {namespaces: [SHOP]}
        steps:
          - kubernetes: {evict_pod: {}}
          - kubernetes: {delete_pod: {}}
      - name: job
        when: ['true']
        scope: {namespaces: [SHOP]}
        steps:
          - kubernetes: {suspend_cron_job: {}}
          - kubernetes: {resume_cron_job: {}}
          - kubernetes: {run_job: {cron_job: nightly}}
      - name: isolation
        when: ['true']
        scope: {namespaces: [SHOP]}
        steps:
          - kubernetes: {isolate: {pod: true}}
          - kubernetes: {isolate: {}}
      - name: overload
        when: ['true']
        scope: {namespaces: [SHOP]}
        steps:
          - kubernetes: {shed: {criticality: [low], max_workloads: 2}}
            continue: true
          - kubernetes: {restore: {max_workloads: 2}}
extensions:
  k8s_leader_elector: {lease_name: remediation, lease_namespace: HOME}
`

// grantIt prints the manifests of a configuration, in which HOME and SHOP stand for namespaces, and applies them.
func grantIt(t *testing.T, config string) *granted {
	t.Helper()
	lab := kubetest.Shared(t)
	g := &granted{lab: lab, home: lab.Namespace(t), shop: lab.Namespace(t)}
	file := filepath.Join(t.TempDir(), "config.yaml")
	config = strings.NewReplacer("HOME", g.home, "SHOP", g.shop).Replace(config)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	var err error
	g.executors, err = Load(t.Context(), []string{file}, nil)
	require.NoError(t, err)
	g.access, err = New(g.executors, Options{Name: "access-" + g.home, Optional: true})
	require.NoError(t, err)
	g.objects = lab.Apply(t, g.home, []byte(printed(t, g.access)))
	g.account = lab.Token(t, g.home, DefaultServiceAccount)
	g.eventually(t, "everything is granted", nil)
	return g
}

// eventually waits until a check names just these as missing.
func (g *granted) eventually(t *testing.T, what string, want []string) {
	t.Helper()
	client := kubernetes.NewForConfigOrDie(g.account)
	kubetest.Eventually(t, what, func() error {
		user, missing, err := g.access.Check(t.Context(), client)
		if err != nil {
			return err
		}
		if user != "system:serviceaccount:"+g.home+":"+DefaultServiceAccount {
			return fmt.Errorf("asked as %s", user)
		}
		var got []string
		for _, m := range missing {
			got = append(got, m.Missing.String())
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			return fmt.Errorf("missing:\n%s\nwanted:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
}

type allow struct{}

func (allow) Allow(context.Context, kubeaction.Request) error { return nil }

// Each action does what it says, and takes it back, with the manifests that are printed for its playbook.
func TestKubernetesManifestsAreEnough(t *testing.T) {
	t.Parallel()
	g := grantIt(t, everything)
	web, ads := kubetest.Deployment(g.shop, "web", 2), kubetest.Deployment(g.shop, "ads", 2)
	ads.Labels["service.criticality"] = "low"
	g.lab.Create(t, web, ads, kubetest.CronJob(g.shop, "nightly"),
		kubetest.ConfigMap(g.shop, "flags", map[string]string{"banner": "on"}))
	g.lab.WaitRolledOut(t, web)
	g.lab.WaitRolledOut(t, ads)
	g.lab.Patch(t, web, `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+kubetest.Image("web", "v2")+`"}]}}}}`)
	g.lab.WaitRolledOut(t, web)

	x := g.executors[0]
	settings := x.Kubernetes.Get().Settings
	client, err := kubeaction.NewForConfig(g.account, settings, kubeaction.TransportSettings{})
	require.NoError(t, err)
	ctx := kubeaction.WithPermit(t.Context(), allow{})
	for _, p := range x.Playbooks {
		for i, step := range p.Steps {
			name := step.Kubernetes.Name()
			subject := kubeaction.Subject{Namespace: g.shop, Kind: "Deployment", Name: "web"}
			if step.Kubernetes.Class() == kubeaction.ClassJob {
				subject.Kind, subject.Name = "CronJob", "nightly"
			}
			missing, err := client.Review(t.Context(), []*kubeaction.Step{step.Kubernetes}, p.Scope)
			require.NoError(t, err)
			assert.Empty(t, missing, name)
			var plan kubeaction.Plan
			kubetest.Eventually(t, name+" is prepared", func() error {
				if class := step.Kubernetes.Class(); class == kubeaction.ClassPod || class == kubeaction.ClassNetwork {
					for _, pod := range g.lab.Pods(t, g.shop, kubetest.Selector("web")) {
						if kubetest.PodReady(&pod) {
							subject.Pod = pod.Name
						}
					}
				}
				var err error
				plan, err = client.Prepare(t.Context(), kubeaction.Order{
					Intent: fmt.Sprintf("%s-%d", p.Name, i), Incident: "i-1", Playbook: p.Name, Step: step.Kubernetes, Subject: subject, Scope: p.Scope,
				})
				return err
			})
			receipt, err := client.Apply(ctx, plan)
			require.NoError(t, err, name)
			if name != "resume_cron_job" { // nothing is to do, since undoing the step before has resumed it
				assert.False(t, receipt.NoOp, name)
			}
			if _, err := client.Health(t.Context(), receipt); err != nil {
				assert.NoError(t, err, name)
			}
			if plan.Undoable && name != "shed" {
				_, err := client.Undo(ctx, receipt)
				require.NoError(t, err, name)
			}
			g.lab.WaitRolledOut(t, web)
		}
	}
	reservations, err := client.Reservations(kubeaction.ReservationSettings{
		Namespace: g.home, Name: x.Kubernetes.Get().Coordination.Name, Holder: "a", Window: x.Kubernetes.Get().Coordination.Window,
		Skew: x.Kubernetes.Get().Coordination.Skew, MaxEntries: 10, MaxAttempts: 5,
	})
	require.NoError(t, err)
	_, err = reservations.Reserve(ctx, kubeaction.Claim{
		Key: "k", Locks: []string{"l"}, Class: kubeaction.ClassRestart, Namespace: g.shop, Weight: 1,
		Lease: x.Kubernetes.Get().Coordination.Window / 10, Limits: kubeaction.Limits{Window: x.Kubernetes.Get().Coordination.Window, Total: 5, Class: 5, Weight: 5},
	})
	require.NoError(t, err)
}

// What no playbook needs is forbidden.
func TestKubernetesManifestsAreNotTooMuch(t *testing.T) {
	t.Parallel()
	g := grantIt(t, everything)
	other := g.lab.Namespace(t)
	web := kubetest.Deployment(g.shop, "web", 1)
	g.lab.Create(t, web, kubetest.ConfigMap(g.shop, "settings", map[string]string{"a": "b"}), kubetest.Deployment(other, "web", 1))
	g.lab.WaitRolledOut(t, web)
	pod := g.lab.Pods(t, g.shop, kubetest.Selector("web"))[0].Name
	c := kubernetes.NewForConfigOrDie(g.account)
	ctx := t.Context()
	try := []string{metav1.DryRunAll}
	nothing := []byte(`{"metadata":{"annotations":{"a":"b"}}}`)
	for name, do := range map[string]func() error{
		"delete a deployment": func() error {
			return c.AppsV1().Deployments(g.shop).Delete(ctx, "web", metav1.DeleteOptions{DryRun: try})
		},
		"create a deployment": func() error {
			_, err := c.AppsV1().Deployments(g.shop).Create(ctx, kubetest.Deployment(g.shop, "x", 1), metav1.CreateOptions{DryRun: try})
			return err
		},
		"patch another namespace": func() error {
			_, err := c.AppsV1().Deployments(other).Patch(ctx, "web", types.MergePatchType, nothing, metav1.PatchOptions{DryRun: try})
			return err
		},
		"list another namespace": func() error {
			_, err := c.CoreV1().Pods(other).List(ctx, metav1.ListOptions{})
			return err
		},
		"list the pods of the cluster": func() error {
			_, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
			return err
		},
		"create a pod": func() error {
			_, err := c.CoreV1().Pods(g.shop).Create(ctx, kubetest.Pod(g.shop, "x"), metav1.CreateOptions{DryRun: try})
			return err
		},
		"delete all pods": func() error {
			return c.CoreV1().Pods(g.shop).DeleteCollection(ctx, metav1.DeleteOptions{DryRun: try}, metav1.ListOptions{})
		},
		"replace a pod": func() error {
			_, err := c.CoreV1().Pods(g.shop).Update(ctx, kubetest.Pod(g.shop, pod), metav1.UpdateOptions{DryRun: try})
			return err
		},
		"evict elsewhere": func() error {
			return c.CoreV1().Pods(other).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
		},
		"read a secret": func() error {
			_, err := c.CoreV1().Secrets(g.shop).List(ctx, metav1.ListOptions{})
			return err
		},
		"read another config map": func() error {
			_, err := c.CoreV1().ConfigMaps(g.shop).Get(ctx, "settings", metav1.GetOptions{})
			return err
		},
		"patch another config map": func() error {
			_, err := c.CoreV1().ConfigMaps(g.shop).Patch(ctx, "settings", types.MergePatchType, nothing, metav1.PatchOptions{DryRun: try})
			return err
		},
		"read the nodes": func() error {
			_, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
			return err
		},
		"create a cron job": func() error {
			_, err := c.BatchV1().CronJobs(g.shop).Create(ctx, kubetest.CronJob(g.shop, "x"), metav1.CreateOptions{DryRun: try})
			return err
		},
		"delete a job": func() error {
			return c.BatchV1().Jobs(g.shop).Delete(ctx, "x", metav1.DeleteOptions{DryRun: try})
		},
		"lift a budget": func() error {
			return c.PolicyV1().PodDisruptionBudgets(g.shop).Delete(ctx, "web", metav1.DeleteOptions{DryRun: try})
		},
		"read our own pods": func() error {
			_, err := c.CoreV1().Pods(g.home).List(ctx, metav1.ListOptions{})
			return err
		},
		"take another lease": func() error {
			_, err := c.CoordinationV1().Leases(g.home).Get(ctx, "other", metav1.GetOptions{})
			return err
		},
		"grant itself more": func() error {
			_, err := c.RbacV1().Roles(g.shop).Patch(ctx, g.access.Name, types.MergePatchType, nothing, metav1.PatchOptions{DryRun: try})
			return err
		},
		"act as another": func() error {
			_, err := c.CoreV1().ServiceAccounts(g.shop).CreateToken(ctx, "default", nil, metav1.CreateOptions{})
			return err
		},
		"look into a pod": func() error {
			return c.CoreV1().Pods(g.shop).GetLogs(pod, &corev1.PodLogOptions{}).Do(ctx).Error()
		},
	} {
		err := do()
		assert.True(t, apierrors.IsForbidden(err), "%s: %v", name, err)
	}
}

// Whatever rule is taken away, a check names it.
func TestKubernetesCheckNamesEveryRule(t *testing.T) {
	t.Parallel()
	g := grantIt(t, everything)
	checked := 0
	for _, object := range g.objects {
		if object.GetKind() != "Role" && object.GetKind() != "ClusterRole" {
			continue
		}
		g.lab.Refresh(t, object)
		rules, _, err := unstructured.NestedSlice(object.Object, "rules")
		require.NoError(t, err)
		for i := range rules {
			var left []any
			left = append(append(left, rules[:i]...), rules[i+1:]...)
			g.setRules(t, object, left)
			var gone rbacv1.PolicyRule
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(rules[i].(map[string]any), &gone))
			var want []string
			for _, resource := range gone.Resources {
				for _, verb := range gone.Verbs {
					m := kubeaction.Missing{Group: gone.APIGroups[0], Resource: resource, Verb: verb, Namespace: object.GetNamespace()}
					if len(gone.ResourceNames) > 0 {
						m.Name = gone.ResourceNames[0]
					}
					want = append(want, m.String())
				}
			}
			g.eventually(t, fmt.Sprintf("%s without rule %d", object.GetName(), i), want)
			checked++
		}
		g.setRules(t, object, rules)
		g.eventually(t, "everything is granted again", nil)
	}
	assert.Greater(t, checked, 15)
}

func (g *granted) setRules(t *testing.T, object *unstructured.Unstructured, rules []any) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"rules": rules})
	require.NoError(t, err)
	g.lab.Patch(t, object, string(patch))
}
