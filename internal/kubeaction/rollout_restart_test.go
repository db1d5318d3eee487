package kubeaction

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func restart() Step { return Step{RolloutRestart: &RolloutRestart{}} }

func TestKubernetesRolloutRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	web, db, agent := kubetest.Deployment(b.ns, "web", 3), kubetest.StatefulSet(b.ns, "db", 2), kubetest.DaemonSet(b.ns, "agent")
	web.Labels["service.criticality"] = "high"
	b.lab.Create(t, web, db, agent)
	for _, workload := range []kubetest.Object{web, db, agent} {
		b.lab.WaitRolledOut(t, workload)
	}
	const nodes = 3
	b.lab.WaitFor(t, agent, "runs on all nodes", func() error {
		if n := agent.Status.NumberAvailable; n != nodes {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
	for kind, name := range map[string]string{"Deployment": "web", "StatefulSet": "db", "DaemonSet": "agent"} {
		t.Run(kind, func(t *testing.T) {
			b := &bench{T: t, lab: b.lab, ns: b.ns, sent: b.sent, client: b.client}
			before := b.uids(kubetest.Selector(name))
			var p Plan
			b.writes(func() { p = b.prepare(b.order("restart-"+name, restart(), kind, name)) })
			assert.Equal(t, len(before), p.Weight)
			assert.Equal(t, 5+nodes, p.Population)
			assert.Equal(t, 5+nodes, p.Healthy)
			assert.Equal(t, []string{kind + "/" + b.ns + "/" + name}, p.Locks)
			assert.False(t, p.Undoable)

			var r Receipt
			b.writes(func() { r = b.apply(p) }, "patch "+lower(kind)+"s "+b.ns+"/"+name)
			assert.False(t, r.NoOp)
			h := b.healthy(r)
			assert.True(t, h.Ready, h.Detail)
			after := b.uids(kubetest.Selector(name))
			assert.Len(t, after, len(before))
			for uid := range after {
				assert.NotContains(t, before, uid, "every pod is a new one")
			}

			b.writes(func() { r = b.apply(p) })
			assert.True(t, r.NoOp, "repeating does nothing")
			again := b.prepare(b.order("restart-"+name, restart(), kind, name))
			assert.True(t, again.NoOp)
		})
	}
	b.lab.Refresh(t, web)
	assert.Equal(t, "7f3c0a52", web.Annotations["paramedic.io/incident"])
}

func (b *bench) uids(selector string) map[types.UID]bool {
	uids := map[types.UID]bool{}
	for _, pod := range b.lab.Pods(b, b.ns, selector) {
		if pod.DeletionTimestamp == nil {
			uids[pod.UID] = true
		}
	}
	return uids
}

func TestKubernetesRolloutRestartOfPodsOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	pod := b.lab.Pods(t, b.ns, kubetest.Selector("web"))[0]
	order := b.order("by-pod", restart(), "", "")
	order.Subject.Pod, order.Subject.PodUID = pod.Name, string(pod.UID)
	p := b.prepare(order)
	assert.Equal(t, string(web.UID), p.Target.UID)

	order.Subject.PodUID = "0b1e1c0a-0000-4000-8000-000000000000"
	b.refused(order, ReasonTargetChanged, "made anew")
	order.Subject.Pod = "web-gone"
	b.refused(order, ReasonTargetChanged, "is gone")
	order.Subject.PodUID = ""
	b.refused(order, ReasonTargetMissing, "does not exist")

	alone := kubetest.Pod(b.ns, "alone")
	b.lab.Create(t, alone)
	order.Subject.Pod = "alone"
	b.refused(order, ReasonUnsupported, "no workload")
}

func TestKubernetesRolloutRestartRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	zero, paused := kubetest.Deployment(b.ns, "zero", 0), kubetest.Deployment(b.ns, "paused", 1)
	paused.Spec.Paused = true
	manual := kubetest.StatefulSet(b.ns, "manual", 1)
	manual.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	b.lab.Create(t, zero, paused, manual)

	b.refused(b.order("a", restart(), "Deployment", "none"), ReasonTargetMissing, "does not exist")
	b.refused(b.order("a", restart(), "Deployment", "zero"), ReasonUnsupported, "scaled to zero")
	b.refused(b.order("a", restart(), "Deployment", "paused"), ReasonUnsupported, "is paused")
	b.refused(b.order("a", restart(), "StatefulSet", "manual"), ReasonUnsupported, "OnDelete")
	b.refused(b.order("a", restart(), "ConfigMap", "kube-root-ca.crt"), ReasonPermission, "may not get")
	b.refused(b.order("a", restart(), "Elephant", "zero"), ReasonUnsupported, "not known")
	b.refused(b.order("a", restart(), "", ""), ReasonTargetMissing, "neither a workload nor a pod")
	b.refused(b.order("a", restart(), "Deployment", ""), ReasonTargetMissing, "without a name")
	b.refused(b.order("a", restart(), "Deployment", "../../secrets/token"), ReasonTargetMissing, "which no object can have")
	b.refused(b.order("", restart(), "Deployment", "zero"), ReasonUnsupported, "intent must be")
	b.refused(b.order("a", Step{}, "Deployment", "zero"), ReasonUnsupported, "exactly one")

	order := b.order("a", restart(), "Deployment", "zero")
	order.Scope.Selector = "app=web"
	b.refused(order, ReasonOutOfScope, "do not match")
	order.Scope.Namespaces = []string{"elsewhere"}
	b.refused(order, ReasonOutOfScope, "not in the playbook's scope")
	order.Subject.Cluster = "prod-us"
	b.refused(order, ReasonOutOfScope, "which one this is")
	for _, namespace := range []string{"kube-system", "paramedic"} {
		order := b.order("a", restart(), "Deployment", "zero")
		order.Subject.Namespace, order.Scope.Namespaces = namespace, []string{namespace}
		b.refused(order, ReasonProtected, namespace)
	}
}

// A plan that the world has left behind writes nothing.
func TestKubernetesRolloutRestartStalePlan(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	p := b.prepare(b.order("first", restart(), "Deployment", "web"))

	b.lab.Patch(t, web, `{"metadata":{"labels":{"unrelated":"change"}}}`)
	other := b.prepare(b.order("second", restart(), "Deployment", "web"))
	b.apply(other)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "restarted by somebody else")
	})

	b.lab.Delete(t, web)
	b.lab.WaitGone(t, web)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetMissing, "does not exist")
	})
	anew := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, anew)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "made anew")
	})
	b.lab.Refresh(t, anew)
	require.Empty(t, anew.Spec.Template.Annotations)
}
