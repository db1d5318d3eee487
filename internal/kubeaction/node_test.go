package kubeaction

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// nodeBench is a cluster of its own whose nodes a test may take away, and a client that may do what actions on nodes need.
type nodeBench struct {
	*bench
	pool []corev1.Node
	// config is that of the client's service account.
	config *rest.Config
}

func (b *nodeBench) with(t *testing.T) *nodeBench {
	inner := *b.bench
	inner.T = t
	return &nodeBench{bench: &inner, pool: b.pool, config: b.config}
}

// TestKubernetesNodes has all tests on nodes, one after the other: they share a cluster, of which each takes nodes away.
func TestKubernetesNodes(t *testing.T) {
	t.Parallel()
	lab := kubetest.Start(t, kubetest.Options{Nodes: 4})
	ns := lab.Namespace(t)
	sent := &kubetest.Recorder{}
	steps := []*Step{{Cordon: &Cordon{}}, {Uncordon: &Uncordon{}}, {Drain: &Drain{}}}
	rules := RulesFor(steps, Scope{NodeSelector: "pool=web"})
	require.Empty(t, rules.Namespaced)
	config := lab.ServiceAccount(t, ns, kubetest.Grant{Rules: rules.Cluster})
	settings := DefaultSettings()
	settings.Namespace = "paramedic"
	client, err := NewForConfig(sent.Watch(config), settings, TransportSettings{})
	require.NoError(t, err)
	b := &nodeBench{bench: &bench{T: t, lab: lab, ns: ns, sent: sent, client: client}, config: config}
	for _, node := range lab.Nodes(t) {
		lab.Patch(t, &node, `{"metadata":{"labels":{"pool":"web"}}}`)
	}
	for _, test := range []struct {
		name string
		run  func(*nodeBench)
	}{
		{"Cordon", (*nodeBench).cordon},
		{"CordonRefused", (*nodeBench).cordonRefused},
		{"UncordonOfSomebodyElses", (*nodeBench).uncordonForeign},
		{"Drain", (*nodeBench).drain},
		{"DrainRefused", (*nodeBench).drainRefused},
		{"DrainDeadline", (*nodeBench).drainDeadline},
		{"DrainStopsAtTwoBudgets", (*nodeBench).drainTwoBudgets},
		{"DrainKilled", (*nodeBench).drainKilled},
		{"DrainAmongFaults", (*nodeBench).drainAmongFaults},
		{"DrainStopsAtServerError", (*nodeBench).drainServerError},
		{"DrainResumed", (*nodeBench).drainResumed},
		{"DrainOneAtATime", (*nodeBench).drainOneAtATime},
		{"DrainOfCordonedNode", (*nodeBench).drainOfCordoned},
		{"Forbidden", (*nodeBench).forbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			inner := b.with(t)
			kubetest.Eventually(t, "the cluster is empty and all nodes take pods", func() error {
				inner.pool = lab.Nodes(t)
				if ready := len(readyNodes(inner.pool, "pool=web")); ready != len(inner.pool) {
					return fmt.Errorf("%d nodes", ready)
				}
				if pods := lab.Pods(t, "", ""); len(pods) > 0 {
					return fmt.Errorf("%d pods of the test before", len(pods))
				}
				return nil
			})
			inner.ns = lab.Namespace(t)
			test.run(inner)
		})
	}
}

func (b *nodeBench) nodeOrder(intent string, step Step, node string) Order {
	order := b.order(intent, step, "", "")
	order.Subject.Namespace, order.Subject.Node = "", node
	order.Scope = Scope{NodeSelector: "pool=web"}
	order.Reason = "disk\nfailing"
	return order
}

func (b *nodeBench) node(name string) *corev1.Node {
	b.Helper()
	for _, node := range b.lab.Nodes(b) {
		if node.Name == name {
			return &node
		}
	}
	b.Fatalf("no node %s", name)
	return nil
}

func (b *nodeBench) cordon() {
	name := b.pool[0].Name
	var p Plan
	b.writes(func() { p = b.prepare(b.nodeOrder("cordon", Step{Cordon: &Cordon{}}, name)) })
	assert.Equal(b, []int{1, 4, 4}, []int{p.Weight, p.Population, p.Healthy})
	assert.Equal(b, []string{"Node//" + name}, p.Locks)
	assert.True(b, p.Undoable)
	assert.True(b, p.Destructive)
	var r Receipt
	changes := b.lab.Changes(b, func() {
		b.writes(func() { r = b.apply(p) }, "patch nodes "+name)
	}, b.ns)
	assert.Equal(b, []string{"updated Node " + name}, without(changes.Strings(), ":"))
	node := b.node(name)
	assert.True(b, node.Spec.Unschedulable)
	note, found := noteOn(node.Annotations)
	assert.True(b, found)
	assert.Equal(b, []string{p.Key, "7f3c0a52", "test", "disk failing"}, []string{note.Key, note.Incident, note.Playbook, note.Reason})
	h := b.healthy(r)
	assert.True(b, h.Ready, h.Detail)

	b.writes(func() { assert.True(b, b.apply(p).NoOp, "repeating does nothing") })
	b.writes(func() { assert.True(b, b.prepare(b.nodeOrder("other", Step{Cordon: &Cordon{}}, name)).NoOp) })

	undo := func() Receipt {
		undone, err := b.client.Undo(permitted(b.Context()), r)
		require.NoError(b, err)
		return undone
	}
	b.writes(func() { assert.False(b, undo().NoOp) }, "patch nodes "+name)
	b.writes(func() { assert.True(b, undo().NoOp) })
	node = b.node(name)
	assert.False(b, node.Spec.Unschedulable)
	assert.NotContains(b, node.Annotations, annotationCordoned)
	assert.True(b, b.healthy(r).Failed, "it is no longer as it was left")

	// A cordon of ours can be lifted by a step too.
	p = b.prepare(b.nodeOrder("again", Step{Cordon: &Cordon{}}, name))
	b.apply(p)
	r = b.apply(b.prepare(b.nodeOrder("lift", Step{Uncordon: &Uncordon{}}, name)))
	assert.False(b, b.node(name).Spec.Unschedulable)
	assert.True(b, b.healthy(r).Ready)
	assert.True(b, b.prepare(b.nodeOrder("lift2", Step{Uncordon: &Uncordon{}}, name)).NoOp)
	b.writes(func() { assert.True(b, b.apply(stored(b.T, p)).NoOp, "what was lifted is not done again") })
}

// without cuts each text at a mark.
func without(list []string, mark string) []string {
	var cut []string
	for _, s := range list {
		before, _, _ := strings.Cut(s, mark)
		cut = append(cut, before)
	}
	return cut
}

func (b *nodeBench) cordonRefused() {
	name := b.pool[0].Name
	cordon := Step{Cordon: &Cordon{}}
	b.refused(b.nodeOrder("a", cordon, ""), ReasonTargetMissing, "names no node")
	b.refused(b.nodeOrder("a", cordon, "none"), ReasonTargetMissing, "does not exist")
	order := b.nodeOrder("a", cordon, name)
	order.Scope.NodeSelector = ""
	b.refused(order, ReasonOutOfScope, "set node_selector")
	order.Scope.NodeSelector = "pool=other"
	b.refused(order, ReasonOutOfScope, "do not match")
	order = b.nodeOrder("a", cordon, name)
	order.Subject.Cluster = "elsewhere"
	b.refused(order, ReasonOutOfScope, "which one this is")
	b.refused(b.nodeOrder("a", Step{Cordon: &Cordon{MinReadyNodes: 4}}, name), ReasonCapacity, "only 3 ready nodes of the scope would take pods, min_ready_nodes is 4")

	own := b.client.settings
	b.client.settings.Node = name
	b.refused(b.nodeOrder("a", cordon, name), ReasonProtected, "runs ourselves")
	b.client.settings = own
	b.client.settings.Namespace = b.ns
	us := kubetest.Pod(b.ns, "us")
	us.Spec.NodeName = name
	b.lab.Create(b, us)
	b.refused(b.nodeOrder("a", cordon, name), ReasonProtected, "which is of our own namespace")
	b.client.settings = own

	node := b.node(name)
	p := b.prepare(b.nodeOrder("a", Step{Cordon: &Cordon{}}, name))
	b.lab.Patch(b, node, `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`)
	b.refused(b.nodeOrder("a", cordon, name), ReasonProtected, "one of the control plane")
	b.writes(func() {
		_, err := b.client.Apply(permitted(b.Context()), p)
		b.refusal(err, ReasonProtected, "one of the control plane")
	})
	b.lab.Patch(b, node, `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":null}}}`)
	stale := p
	stale.Target.UID = "0b1e1c0a-0000-4000-8000-000000000000"
	b.writes(func() {
		_, err := b.client.Apply(permitted(b.Context()), stale)
		b.refusal(err, ReasonTargetChanged, "made anew")
	})
}

func (b *nodeBench) uncordonForeign() {
	node := b.node(b.pool[1].Name)
	ours := b.apply(b.prepare(b.nodeOrder("ours", Step{Cordon: &Cordon{}}, node.Name)))
	b.lab.Patch(b, node, `{"metadata":{"annotations":{"paramedic.io/cordoned":null}}}`)
	_, err := b.client.Undo(permitted(b.Context()), ours)
	b.refusal(err, ReasonTargetChanged, "cordoned by somebody else since")
	b.refused(b.nodeOrder("a", Step{Uncordon: &Uncordon{}}, node.Name), ReasonOwner, "cordoned by somebody else")
	b.apply(b.prepare(b.nodeOrder("a", Step{Uncordon: &Uncordon{Force: true}}, node.Name)))
	assert.False(b, b.node(node.Name).Spec.Unschedulable)
}

func TestNodeParameters(t *testing.T) {
	require.NoError(t, (&Drain{}).validate())
	require.NoError(t, (&Drain{Deadline: time.Hour, GracePeriod: time.Minute, MaxPods: 250, MinReadyNodes: 1000}).validate())
	err := (&Drain{Deadline: time.Second, GracePeriod: time.Hour, MaxPods: 251, MinReadyNodes: -1}).validate()
	for _, want := range []string{
		"deadline must be 0 (10m0s) or between 10s and 1h0m0s, got 1s", "grace_period must be", "max_pods must be 0 (30) or between 1 and 250, got 251",
		"min_ready_nodes must be 0 (2) or between 1 and 1000, got -1",
	} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, (&Cordon{MinReadyNodes: 1001}).validate(), "got 1001")
	require.NoError(t, (&Uncordon{Force: true}).validate())
}

// The service account of node steps can do nothing else.
func (b *nodeBench) forbidden() {
	ctx, core := permitted(b.Context()), b.client.typed.CoreV1()
	node := b.pool[0].Name
	require.ErrorContains(b, core.Nodes().Delete(ctx, node, metav1.DeleteOptions{}), "forbidden")
	require.ErrorContains(b, core.Pods(b.ns).Delete(ctx, "any", metav1.DeleteOptions{}), "forbidden")
	_, err := core.Nodes().UpdateStatus(ctx, &b.pool[0], metav1.UpdateOptions{})
	require.ErrorContains(b, err, "forbidden")
	_, err = core.Pods(b.ns).Create(ctx, kubetest.Pod(b.ns, "any"), metav1.CreateOptions{})
	require.ErrorContains(b, err, "forbidden")
	_, err = core.Secrets(b.ns).List(ctx, metav1.ListOptions{})
	require.ErrorContains(b, err, "forbidden")
}
