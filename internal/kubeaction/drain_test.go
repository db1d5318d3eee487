package kubeaction

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// pinned makes a Deployment whose pods start on one node, and may go to any other.
func (b *nodeBench) pinned(name, node string, replicas int32, change ...func(*corev1.PodSpec)) {
	b.Helper()
	web := kubetest.Deployment(b.ns, name, replicas)
	web.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 100,
			Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}}},
		}},
	}}
	for _, f := range change {
		f(&web.Spec.Template.Spec)
	}
	b.lab.Create(b, web)
	b.lab.WaitRolledOut(b, web)
	require.Equal(b, int(replicas), b.on(node, name), "all start on the node")
}

// on counts an app's pods on a node.
func (b *nodeBench) on(node, app string) int {
	b.Helper()
	n := 0
	for _, pod := range b.lab.Pods(b, b.ns, kubetest.Selector(app)) {
		if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

func drainStep(d Drain) Step { return Step{Drain: &d} }

func (b *nodeBench) drain() {
	name := b.pool[2].Name
	agent := kubetest.DaemonSet(b.ns, "agent")
	b.lab.Create(b, agent)
	b.lab.WaitRolledOut(b, agent)
	b.pinned("web", name, 3)
	b.budget("web", 2, 1)
	order := b.nodeOrder("drain", drainStep(Drain{GracePeriod: 2 * time.Second}), name)
	var p Plan
	b.writes(func() { p = b.prepare(order) })
	assert.Equal(b, []string{lockDrain, "Node//" + name}, p.Locks)
	assert.Contains(b, p.Summary, "evict 3 pods one by one within 10m0s")
	assert.Equal(b, 1, p.Weight)

	b.sent.Reset()
	r := b.apply(p)
	var writes []string
	for _, write := range b.sent.Writes() {
		if write.Code < 300 {
			writes = append(writes, write.Verb+" "+write.Resource)
		}
	}
	assert.Equal(b, []string{"patch nodes", "create pods/eviction", "create pods/eviction", "create pods/eviction", "patch nodes"}, writes)
	assert.Zero(b, b.on(name, "web"))
	assert.Equal(b, 1, b.on(name, "agent"), "pods of DaemonSets stay")
	node := b.node(name)
	assert.True(b, node.Spec.Unschedulable)
	assert.NotContains(b, node.Annotations, annotationDraining)
	h := b.healthy(r)
	assert.True(b, h.Ready, h.Detail)

	b.writes(func() { assert.True(b, b.apply(p).NoOp, "repeating does nothing") })
	lost := b.prepare(order)
	assert.True(b, lost.NoOp, "a plan that was lost can be made anew")
	b.writes(func() { r = b.apply(lost) })
	undo := func() {
		_, err := b.client.Undo(permitted(b.Context()), r)
		require.NoError(b, err)
	}
	b.writes(undo, "patch nodes "+name)
	b.writes(undo)
	assert.False(b, b.node(name).Spec.Unschedulable)
	b.writes(func() {
		_, err := b.client.Apply(permitted(b.Context()), p)
		halted := &Halted{}
		require.ErrorAs(b, err, &halted, "what was taken back is not done again")
	})
}

func (b *nodeBench) drainRefused() {
	name := b.pool[2].Name
	b.pinned("web", name, 2)
	refused := func(d Drain, reason Reason, words string) {
		b.Helper()
		b.refused(b.nodeOrder("a", drainStep(d), name), reason, words)
	}
	refused(Drain{MaxPods: 1}, ReasonBounds, "2 pods would have to be evicted, max_pods is 1")
	refused(Drain{MinReadyNodes: 4}, ReasonCapacity, "min_ready_nodes is 4")

	bare := kubetest.Pod(b.ns, "bare")
	bare.Spec.NodeName = name
	b.lab.Create(b, bare)
	refused(Drain{}, ReasonProtected, "nobody makes anew would be lost: "+b.ns+"/bare")
	assert.Contains(b, b.prepare(b.nodeOrder("a", drainStep(Drain{AllowBarePods: true}), name)).Summary, "evict 3 pods")
	b.lab.Delete(b, bare)
	b.lab.WaitGone(b, bare)

	b.pinned("local", name, 1, func(spec *corev1.PodSpec) {
		spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	})
	refused(Drain{}, ReasonProtected, "data in emptyDir volumes would be lost: "+b.ns+"/local")
	assert.Contains(b, b.prepare(b.nodeOrder("a", drainStep(Drain{AllowEmptyDir: true}), name)).Summary, "evict 3 pods")
	local := kubetest.Deployment(b.ns, "local", 1)
	b.lab.Delete(b, local)
	kubetest.Eventually(b, "it is gone", func() error {
		if len(b.lab.Pods(b, b.ns, kubetest.Selector("local"))) > 0 {
			return assert.AnError
		}
		return nil
	})

	own := b.client.settings
	b.client.settings.ProtectedNamespaces = []string{b.ns}
	refused(Drain{}, ReasonProtected, "pods of protected namespaces would be evicted")
	b.prepare(b.nodeOrder("a", drainStep(Drain{AllowProtected: true}), name))
	b.client.settings = own

	b.pinned("huge", name, 1, func(spec *corev1.PodSpec) {
		spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5")}
	})
	filler := kubetest.DaemonSet(b.ns, "filler")
	p := b.prepare(b.nodeOrder("early", drainStep(Drain{}), name))
	filler.Spec.Template.Spec.NodeSelector = map[string]string{"fill": "yes"}
	filler.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}
	for _, node := range b.lab.Nodes(b) {
		if node.Name != name {
			b.lab.Patch(b, &node, `{"metadata":{"labels":{"fill":"yes"}}}`)
			defer b.lab.Patch(b, &node, `{"metadata":{"labels":{"fill":null}}}`)
		}
	}
	b.lab.Create(b, filler)
	b.lab.WaitRolledOut(b, filler)
	refused(Drain{}, ReasonCapacity, "have no room for what 1 pods of Node "+name+" request: "+b.ns+"/huge")
	b.writes(func() {
		_, err := b.client.Apply(permitted(b.Context()), p)
		b.refusal(err, ReasonCapacity, "have no room")
	})
}

func (b *nodeBench) halted(err error) *Halted {
	b.Helper()
	halted := &Halted{}
	require.ErrorAs(b, err, &halted)
	return halted
}

func (b *nodeBench) drainDeadline() {
	name := b.pool[3].Name
	b.pinned("web", name, 2)
	b.pinned("free", name, 1)
	b.budget("web", 2, 0)
	p := b.prepare(b.nodeOrder("drain", drainStep(Drain{Deadline: 10 * time.Second}), name))
	var budgets int
	for _, check := range p.Checks {
		if check.Name == "disruption_budget" && !check.Passed {
			budgets++
		}
	}
	assert.Equal(b, 2, budgets, "noted before acting")
	ctx, cancel := context.WithTimeout(permitted(b.Context()), time.Minute)
	defer cancel()
	_, err := b.client.Apply(ctx, p)
	halted := b.halted(err)
	require.ErrorIs(b, err, errDrainDeadline)
	assert.True(b, halted.Restored)
	assert.Equal(b, 1, halted.Done)
	assert.Len(b, halted.Left, 2)
	assert.Contains(b, err.Error(), "it was put back")
	node := b.node(name)
	assert.False(b, node.Spec.Unschedulable, "uncordoned")
	assert.NotContains(b, node.Annotations, annotationDraining)
	assert.Equal(b, 2, b.on(name, "web"), "the budget was respected")
	b.writes(func() {
		_, err := b.client.Apply(permitted(b.Context()), p)
		b.halted(err)
	})
}

func (b *nodeBench) drainTwoBudgets() {
	name := b.pool[3].Name
	b.pinned("web", name, 2)
	p := b.prepare(b.nodeOrder("drain-two", drainStep(Drain{}), name))
	for _, budget := range []string{"one", "two"} {
		pdb := kubetest.PodDisruptionBudget(b.ns, budget, 1)
		pdb.Spec.Selector.MatchLabels = map[string]string{"app": "web"}
		b.lab.Create(b, pdb)
	}
	kubetest.Eventually(b, "both budgets are seen", func() error {
		if _, err := b.client.Prepare(b.Context(), b.nodeOrder("x", drainStep(Drain{}), name)); err == nil {
			return assert.AnError
		}
		return nil
	})
	b.refused(b.nodeOrder("late", drainStep(Drain{}), name), ReasonDisruption, "more than one PodDisruptionBudget")
	b.sent.Reset()
	_, err := b.client.Apply(permitted(b.Context()), p)
	halted := b.halted(err)
	assert.True(b, halted.Restored)
	assert.Zero(b, halted.Done)
	b.refusal(halted.Why, ReasonDisruption, "more than one PodDisruptionBudget")
	var asked int
	for _, write := range b.sent.Writes() {
		if write.Resource == "pods/eviction" {
			asked++
		}
	}
	assert.Equal(b, 1, asked, "stopped at once")
	assert.False(b, b.node(name).Spec.Unschedulable)
}

// The kill switch in the midst of a drain stops it; whether the node is uncordoned is the permit's to say.
func (b *nodeBench) drainKilled() {
	name := b.pool[3].Name
	b.pinned("web", name, 3)
	killed := errors.New("kill switch is on")
	for _, test := range []struct {
		intent  string
		restore bool
	}{{"restored", true}, {"left", false}} {
		p := b.prepare(b.nodeOrder(test.intent, drainStep(Drain{}), name))
		evictions := 0
		_, err := b.client.Apply(WithPermit(b.Context(), permitFunc(func(_ context.Context, request Request) error {
			switch {
			case request.Restoring && test.restore:
				return nil
			case request.Resource == "pods/eviction":
				if evictions++; evictions > 1 {
					return killed
				}
				return nil
			case evictions > 1:
				return killed
			}
			return nil
		})), p)
		halted := b.halted(err)
		require.ErrorIs(b, err, killed)
		assert.Equal(b, 1, halted.Done)
		assert.Equal(b, test.restore, halted.Restored)
		assert.Equal(b, !test.restore, b.node(name).Spec.Unschedulable)
	}
	// A person asks to uncordon it.
	b.refused(b.nodeOrder("lift", Step{Uncordon: &Uncordon{}}, name), ReasonOwner, "is being drained by us")
	b.apply(b.prepare(b.nodeOrder("lift", Step{Uncordon: &Uncordon{Force: true}}, name)))
}

// An executor that is stopped in the midst of a drain goes on with it, in the time that is left.
func (b *nodeBench) drainResumed() {
	name := b.pool[1].Name
	b.pinned("web", name, 3)
	p := b.prepare(b.nodeOrder("drain", drainStep(Drain{}), name))
	ctx, crash := context.WithCancel(b.Context())
	evictions := 0
	_, err := b.client.Apply(WithPermit(ctx, permitFunc(func(_ context.Context, request Request) error {
		if request.Resource == "pods/eviction" {
			if evictions++; evictions > 1 {
				crash()
			}
		}
		return nil
	})), p)
	require.ErrorIs(b, err, context.Canceled)
	halted := &Halted{}
	require.NotErrorAs(b, err, &halted)
	node := b.node(name)
	require.True(b, node.Spec.Unschedulable)
	since := drainOf(node.Annotations)
	assert.Equal(b, p.Key, since.key)

	// The plan comes back from storage. One that was lost is made anew, and still knows whose cordon it is.
	anew := b.prepare(b.nodeOrder("drain", drainStep(Drain{}), name))
	assert.False(b, anew.NoOp)
	assert.NotContains(b, string(anew.Data), "was_cordoned")
	b.sent.Reset()
	r := b.apply(stored(b.T, p))
	assert.False(b, r.NoOp)
	assert.Zero(b, b.on(name, "web"))
	_, err = b.client.Undo(permitted(b.Context()), r)
	require.NoError(b, err)
}

// through makes the client go through faults.
func (b *nodeBench) through(rules ...kubetest.FaultRule) *kubetest.FaultProxy {
	b.Helper()
	proxy := b.lab.FaultProxy(b, 1)
	client, err := NewForConfig(proxy.Config(b, b.config), b.client.settings, TransportSettings{})
	require.NoError(b, err)
	b.client = client
	proxy.Inject(rules...)
	return proxy
}

// Whatever gets lost on the way, each pod is evicted once, and the drain comes to its end.
func (b *nodeBench) drainAmongFaults() {
	name := b.pool[1].Name
	b.pinned("web", name, 3)
	p := b.prepare(b.nodeOrder("faults", drainStep(Drain{}), name))
	eviction := []string{"pods/eviction"}
	proxy := b.through(
		kubetest.FaultRule{Fault: kubetest.FaultConflict, Verbs: []string{"patch"}, Times: 1},
		kubetest.FaultRule{Fault: kubetest.FaultResetAfter, Verbs: []string{"patch"}, Skip: 1, Times: 1},
		kubetest.FaultRule{Fault: kubetest.FaultResetAfter, Resources: eviction, Times: 1},
		kubetest.FaultRule{Fault: kubetest.FaultUnavailable, Resources: eviction, Skip: 1, Times: 1},
		kubetest.FaultRule{Fault: kubetest.FaultThrottled, Verbs: []string{"list"}, Resources: []string{"pods"}, Skip: 3, Times: 1},
		kubetest.FaultRule{Fault: kubetest.FaultTruncated, Verbs: []string{"get"}, Resources: []string{"nodes"}, Skip: 5, Times: 1},
	)
	var r Receipt
	attempts := 0
	for ; attempts < 5; attempts++ {
		var err error
		if r, err = b.client.Apply(permitted(b.Context()), p); err == nil {
			break
		}
		halted := &Halted{}
		require.NotErrorAs(b, err, &halted)
	}
	assert.Less(b, attempts, 5)
	for fault, times := range proxy.Injected() {
		assert.Positive(b, times, fault)
	}
	assert.Len(b, proxy.Injected(), 5)
	evicted := map[string]int{}
	for _, write := range proxy.Reached.Writes() {
		if write.Resource == "pods/eviction" && write.Code == 201 {
			evicted[write.Name]++
		}
	}
	assert.Len(b, evicted, 3)
	for pod, times := range evicted {
		assert.Equal(b, 1, times, pod)
	}
	assert.Zero(b, b.on(name, "web"))
	b.undo(r)
}

// An internal error may be one that comes every time: the drain stops at once, even if uncordoning needs several attempts.
func (b *nodeBench) drainServerError() {
	name := b.pool[0].Name
	b.pinned("web", name, 2)
	p := b.prepare(b.nodeOrder("error", drainStep(Drain{}), name))
	proxy := b.through(
		kubetest.FaultRule{Fault: kubetest.FaultServerError, Resources: []string{"pods/eviction"}},
		kubetest.FaultRule{Fault: kubetest.FaultResetBefore, Verbs: []string{"patch"}, Skip: 1, Times: 1},
		kubetest.FaultRule{Fault: kubetest.FaultResetAfter, Verbs: []string{"patch"}, Skip: 2, Times: 1},
	)
	_, err := b.client.Apply(permitted(b.Context()), p)
	halted := b.halted(err)
	assert.True(b, halted.Restored, "%v", err)
	assert.Equal(b, 1, proxy.Injected()[kubetest.FaultServerError], "asked once")
	assert.Equal(b, 2, b.on(name, "web"))
	assert.False(b, b.node(name).Spec.Unschedulable)
}

func (b *nodeBench) drainOneAtATime() {
	first, second := b.pool[0], b.pool[1]
	b.lab.Patch(b, &first, `{"metadata":{"annotations":{"paramedic.io/draining":"somebody 2026-01-01T00:00:00Z"}}}`)
	b.refused(b.nodeOrder("a", drainStep(Drain{}), second.Name), ReasonBounds, "kubectl annotate node "+first.Name+" paramedic.io/draining-")
	b.lab.Patch(b, &first, `{"metadata":{"annotations":{"paramedic.io/draining":null}}}`)
}

func (b *nodeBench) drainOfCordoned() {
	node := b.pool[0]
	b.pinned("web", node.Name, 1)
	p := b.prepare(b.nodeOrder("a", drainStep(Drain{}), node.Name))
	b.lab.Patch(b, &node, `{"spec":{"unschedulable":true}}`)
	b.writes(func() {
		_, err := b.client.Apply(permitted(b.Context()), p)
		b.refusal(err, ReasonTargetChanged, "unschedulable of Node "+node.Name)
	})
	r := b.apply(b.prepare(b.nodeOrder("b", drainStep(Drain{}), node.Name)))
	assert.Zero(b, b.on(node.Name, "web"))
	b.writes(func() {
		undone, err := b.client.Undo(permitted(b.Context()), r)
		require.NoError(b, err)
		assert.True(b, undone.NoOp)
	})
	assert.True(b, b.node(node.Name).Spec.Unschedulable, "it stays as somebody else left it")
	assert.True(b, b.prepare(b.nodeOrder("c", drainStep(Drain{}), node.Name)).NoOp)
	b.lab.Patch(b, &node, `{"spec":{"unschedulable":null}}`)
}
