package kubetest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// Each change that a test makes is told, and what controllers make of it is not.
func TestKubernetesChanges(t *testing.T) {
	t.Parallel()
	lab := kubetest.Start(t, kubetest.Options{Nodes: 1})
	ns, other := lab.Namespace(t), lab.Namespace(t)
	lab.Install(t, kubetest.KEDAScaledObject)
	web, flags := kubetest.Deployment(ns, "web", 2), kubetest.ConfigMap(ns, "flags", map[string]string{"a": "1"})
	alone := kubetest.Pod(ns, "alone")
	alone.Spec.TerminationGracePeriodSeconds = new(int64)
	scaled := kubetest.KEDAScaledObject.New(ns, "web", map[string]any{"minReplicaCount": int64(2)})
	lab.Create(t, web, flags, scaled, alone)
	lab.WaitRolledOut(t, web)
	lab.WaitPodReady(t, alone)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lab-node-0"}}

	tests := []struct {
		name string
		do   func()
		want []string
	}{
		{"nothing", func() { lab.Refresh(t, web) }, []string{}},
		{"a status", func() { lab.PatchStatus(t, scaled, `{"status":{"phase":"Active"}}`) }, []string{}},
		{"elsewhere", func() { lab.Create(t, kubetest.ConfigMap(other, "flags", nil)) }, []string{}},
		{"a restart", func() {
			lab.Patch(t, web, `{"spec":{"template":{"metadata":{"annotations":{"restartedAt":"now"}}}}}`)
			lab.WaitRolledOut(t, web)
		}, []string{"updated Deployment web: spec.template.metadata.annotations"}},
		{"a scale and a flag", func() {
			lab.Patch(t, web, `{"spec":{"replicas":1}}`)
			lab.Patch(t, flags, `{"data":{"a":"2"}}`)
			lab.WaitRolledOut(t, web)
		}, []string{"updated ConfigMap flags: data.a", "updated Deployment web: spec.replicas"}},
		{"a custom object", func() {
			lab.Patch(t, scaled, `{"metadata":{"annotations":{"autoscaling.keda.sh/paused":"true"}}}`)
		}, []string{"updated ScaledObject web: metadata.annotations"}},
		{"something new", func() { lab.Create(t, kubetest.NetworkPolicy(ns, "web")) }, []string{"created NetworkPolicy web"}},
		{"a pod", func() {
			lab.Delete(t, alone)
			lab.WaitGone(t, alone)
		}, []string{"deleted Pod alone"}},
		{"a cordon", func() {
			lab.Patch(t, node, `{"spec":{"unschedulable":true}}`)
			lab.WaitFor(t, node, "tainted by its controller", func() error {
				if len(node.Spec.Taints) == 0 {
					return assert.AnError
				}
				return nil
			})
		}, []string{"updated Node lab-node-0: spec.unschedulable"}},
		{"a label of the namespace", func() {
			lab.Patch(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, `{"metadata":{"labels":{"team":"shop"}}}`)
		}, []string{"updated Namespace " + ns + ": metadata.labels.team"}},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, lab.Changes(t, test.do, ns).Strings(), test.name)
	}

	owned := lab.Changes(t, func() {
		pod := lab.Pods(t, ns, kubetest.Selector("web"))[0]
		lab.Delete(t, &pod)
		lab.WaitGone(t, &pod)
	}, ns)
	assert.Empty(t, owned.Direct)
	require.NotEmpty(t, owned.Owned, "a pod with an owner")
	var deleted []string
	for _, change := range owned.Owned {
		if change.What == "deleted" {
			deleted = append(deleted, change.Kind)
		}
	}
	assert.Equal(t, []string{"Pod"}, deleted)
}

// Objects of the ecosystem's controllers are served, with status and scale.
func TestKubernetesCustomTypes(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	lab.Install(t, kubetest.CustomTypes()...)
	lab.Install(t, kubetest.CustomTypes()...) // another test's call changes nothing
	ns := lab.Namespace(t)
	for _, c := range kubetest.CustomTypes() {
		object := c.New(ns, "web", map[string]any{"replicas": int64(2), "anything": map[string]any{"goes": true}})
		lab.Create(t, object)
		lab.PatchStatus(t, object, `{"status":{"replicas":2,"selector":"app=web"}}`)
		lab.Refresh(t, object)
		assert.Contains(t, object.Object["spec"], "anything", c.Kind)
		assert.Contains(t, object.Object["status"], "selector", c.Kind)
	}
	scale, err := lab.Dynamic().Resource(kubetest.ArgoRollout.Resource()).Namespace(ns).Get(t.Context(), "web", metav1.GetOptions{}, "scale")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"replicas": int64(2)}, scale.Object["spec"])
}
