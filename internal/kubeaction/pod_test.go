package kubeaction

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func deletePod() Step { return Step{DeletePod: &DeletePod{}} }

func evictPod(deadline time.Duration) Step { return Step{EvictPod: &EvictPod{Deadline: deadline}} }

// serving makes a Deployment and returns its pods once they serve.
func (b *bench) serving(name string, replicas int32, change ...func(*corev1.PodTemplateSpec)) []corev1.Pod {
	b.Helper()
	web := kubetest.Deployment(b.ns, name, replicas)
	for _, f := range change {
		f(&web.Spec.Template)
	}
	b.lab.Create(b, web)
	b.lab.WaitRolledOut(b, web)
	return b.lab.Pods(b, b.ns, kubetest.Selector(name))
}

// budget makes a disruption budget and waits until it is in force.
func (b *bench) budget(name string, minAvailable, allowed int32) {
	b.Helper()
	pdb := kubetest.PodDisruptionBudget(b.ns, name, minAvailable)
	b.lab.Create(b, pdb)
	b.lab.WaitFor(b, pdb, "in force", func() error {
		if pdb.Status.ObservedGeneration < pdb.Generation || pdb.Status.DisruptionsAllowed != allowed {
			return assert.AnError
		}
		return nil
	})
}

func (b *bench) podOrder(intent string, step Step, pod *corev1.Pod) Order {
	order := b.order(intent, step, "", "")
	order.Subject.Pod, order.Subject.PodUID = pod.Name, string(pod.UID)
	return order
}

func (b *bench) podGone(pod *corev1.Pod) { b.lab.WaitGone(b, pod) }

func TestKubernetesTakePodAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		act  action
		step Step
		want string
	}{
		"delete": {&DeletePod{}, Step{DeletePod: &DeletePod{GracePeriod: 5 * time.Second}}, "delete pods "},
		"evict":  {&EvictPod{}, Step{EvictPod: &EvictPod{GracePeriod: 5 * time.Second}}, "create pods/eviction "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.act)
			pods := b.serving("web", 3)
			order := b.podOrder("take", test.step, &pods[1])
			var p Plan
			b.writes(func() { p = b.prepare(order) })
			assert.Equal(t, string(pods[1].UID), p.Target.UID)
			assert.Equal(t, 1, p.Weight)
			assert.Equal(t, 3, p.Population)
			assert.True(t, p.Destructive)
			assert.False(t, p.Undoable)
			assert.Equal(t, []string{"Deployment/" + b.ns + "/web", "Pod/" + b.ns + "/" + pods[1].Name}, p.Locks)
			assert.Equal(t, ClassPod, p.Class)

			var r Receipt
			b.writes(func() { r = b.apply(p) }, test.want+b.ns+"/"+pods[1].Name)
			assert.False(t, r.NoOp)
			assert.Contains(t, string(b.sent.Writes()[0].Body), string(pods[1].UID), "the UID is the precondition")
			b.podGone(&pods[1])
			h := b.healthy(r)
			assert.True(t, h.Ready, h.Detail)
			left := b.uids(kubetest.Selector("web"))
			assert.Len(t, left, 3)
			assert.NotContains(t, left, pods[1].UID)
			assert.Contains(t, left, pods[0].UID)
			assert.Contains(t, left, pods[2].UID)

			b.writes(func() { r = b.apply(p) })
			assert.True(t, r.NoOp, "repeating does nothing")
			b.refused(order, ReasonTargetMissing, "does not exist")
			_, err := b.client.Undo(permitted(t.Context()), r)
			b.refusal(err, ReasonUnsupported, "brought back")
		})
	}
}

func TestKubernetesTakePodAwayRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, &DeletePod{}, &EvictPod{})
	alone := kubetest.Pod(b.ns, "alone")
	pods := b.serving("web", 2)
	b.lab.Create(t, alone)
	for _, step := range []Step{deletePod(), evictPod(time.Second)} {
		b.refused(b.podOrder("a", step, alone), ReasonUnsupported, "no workload as its owner")
		b.refused(b.order("a", step, "Deployment", "web"), ReasonTargetMissing, "names no pod")

		order := b.podOrder("a", step, &pods[0])
		order.Subject.PodUID = "0b1e1c0a-0000-4000-8000-000000000000"
		b.refused(order, ReasonTargetChanged, "made anew")
		order = b.podOrder("a", step, &pods[0])
		order.Subject.Kind, order.Subject.Name = "Deployment", "other"
		b.refused(order, ReasonTargetChanged, "not to Deployment other")
		order = b.podOrder("a", step, &pods[0])
		order.Scope.Selector = "app=other"
		b.refused(order, ReasonOutOfScope, "do not match")
		order.Scope.Namespaces = []string{"elsewhere"}
		b.refused(order, ReasonOutOfScope, "not in the playbook's scope")
	}
}

// A pod that has recovered since the plan was made is left alone.
func TestKubernetesTakePodAwayStalePlan(t *testing.T) {
	t.Parallel()
	b := newBench(t, &DeletePod{}, &EvictPod{})
	pods := b.serving("web", 1)
	for _, step := range []Step{deletePod(), evictPod(time.Second)} {
		p := b.prepare(b.podOrder("stale", step, &pods[0]))
		p.Data = []byte(`{"owner":{"api_version":"apps/v1","kind":"Deployment","name":"web"},"ready":false}`)
		b.writes(func() {
			_, err := b.client.Apply(permitted(t.Context()), p)
			b.refusal(err, ReasonTargetChanged, "was not ready when this was planned, and is now")
		})
		other := p
		other.Target.UID = "0b1e1c0a-0000-4000-8000-000000000000"
		b.writes(func() { assert.True(t, b.apply(other).NoOp) })
	}
}

func TestKubernetesDeletePodRespectsBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, &DeletePod{})
	pods := b.serving("web", 2)
	p := b.prepare(b.podOrder("early", deletePod(), &pods[0]))
	b.budget("web", 2, 0)
	b.refused(b.podOrder("late", deletePod(), &pods[0]), ReasonDisruption, "PodDisruptionBudget web allows no disruption")
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonDisruption, "allows no disruption")
	})
}

// A pod that is not ready takes nothing with it: neither capacity nor a budget speaks for it.
func TestKubernetesDeletePodThatIsNotReady(t *testing.T) {
	t.Parallel()
	b := newBench(t, &DeletePod{})
	sick := kubetest.Deployment(b.ns, "sick", 2)
	sick.Spec.Template.Spec.Containers[0].Image = kubetest.Image("sick", kubetest.TagCrash)
	b.lab.Create(t, sick)
	b.budget("sick", 2, 0)
	var pod corev1.Pod
	kubetest.Eventually(t, "a pod runs", func() error {
		if pods := b.lab.Pods(t, b.ns, kubetest.Selector("sick")); len(pods) == 2 && pods[0].Spec.NodeName != "" {
			pod = pods[0]
			return nil
		}
		return assert.AnError
	})
	p := b.prepare(b.podOrder("sick", deletePod(), &pod))
	r := b.apply(p)
	b.podGone(&pod)
	kubetest.Eventually(t, "the new one crashes as well", func() error {
		if h, err := b.client.Health(t.Context(), r); err != nil || !h.Failed {
			return assert.AnError
		}
		return nil
	})
}

func TestKubernetesEvictPodRespectsBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, &EvictPod{})
	pods := b.serving("web", 2)
	b.budget("web", 2, 0)
	p := b.prepare(b.podOrder("evict", evictPod(time.Second), &pods[0]))
	assert.Contains(t, p.Checks, Check{Name: "disruption_budget", Detail: p.Checks[len(p.Checks)-2].Detail})
	assert.Contains(t, p.Checks[len(p.Checks)-2].Detail, "cannot be evicted now")
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonDisruption, "was not evicted within 1s")
		b.refusal(err, ReasonDisruption, "The disruption budget web needs 2 healthy pods")
	}, "create pods/eviction "+b.ns+"/"+pods[0].Name)
	assert.Equal(t, 429, b.sent.Writes()[0].Code)
	assert.Len(t, b.uids(kubetest.Selector("web")), 2, "nothing was taken away")

	// Giving up sooner than the deadline is the caller's right.
	p = b.prepare(b.podOrder("patient", evictPod(time.Minute), &pods[0]))
	ctx, cancel := context.WithTimeout(permitted(t.Context()), 200*time.Millisecond)
	defer cancel()
	_, err := b.client.Apply(ctx, p)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// With a second budget the API server can never answer.
	second := kubetest.PodDisruptionBudget(b.ns, "second", 1)
	second.Spec.Selector.MatchLabels = map[string]string{"app": "web"}
	b.lab.Create(t, second)
	kubetest.Eventually(t, "two budgets are seen", func() error {
		_, err := b.client.Prepare(t.Context(), b.podOrder("evict", evictPod(time.Second), &pods[0]))
		if err == nil {
			return assert.AnError
		}
		b.refusal(err, ReasonDisruption, "more than one PodDisruptionBudget")
		return nil
	})
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonDisruption, "more than one PodDisruptionBudget")
	}, "create pods/eviction "+b.ns+"/"+pods[0].Name)
}

// An eviction that the budget refuses at first is made when it allows it.
func TestKubernetesEvictPodWaitsForBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, &EvictPod{})
	pods := b.serving("web", 2)
	b.budget("web", 2, 0)
	p := b.prepare(b.podOrder("evict", evictPod(time.Minute), &pods[0]))
	web := kubetest.Deployment(b.ns, "web", 2)
	b.sent.Reset()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		kubetest.Eventually(t, "the eviction is asked for", func() error {
			if len(b.sent.Writes()) == 0 {
				return assert.AnError
			}
			return nil
		})
		b.lab.Patch(t, web, `{"spec":{"replicas":3}}`)
	}()
	r := b.apply(p)
	<-asked
	assert.False(t, r.NoOp)
	b.podGone(&pods[0])
	codes := map[int]int{}
	for _, write := range b.sent.Writes() {
		codes[write.Code]++
	}
	assert.Equal(t, 1, codes[201])
	assert.GreaterOrEqual(t, codes[429], 1)
}

// With exactly the permissions of one action the other is forbidden.
func TestKubernetesTakePodAwayForbidden(t *testing.T) {
	t.Parallel()
	b := newBench(t, &DeletePod{})
	pods := b.serving("web", 2)
	b.refused(b.podOrder("a", evictPod(0), &pods[0]), ReasonPermission, `resources: ["pods/eviction"], verbs: ["create"]`)
	for what, err := range map[string]error{
		"evict":  b.client.typed.CoreV1().Pods(b.ns).EvictV1(permitted(t.Context()), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pods[0].Name}}),
		"delete": b.client.typed.AppsV1().Deployments(b.ns).Delete(permitted(t.Context()), "web", metav1.DeleteOptions{}),
	} {
		require.ErrorContains(t, err, "forbidden", what)
	}
}

func TestPodParameters(t *testing.T) {
	require.NoError(t, (&DeletePod{}).validate())
	require.NoError(t, (&EvictPod{GracePeriod: time.Minute, Deadline: time.Hour}).validate())
	require.ErrorContains(t, (&DeletePod{GracePeriod: time.Millisecond}).validate(), "a pod is never killed without grace")
	require.ErrorContains(t, (&DeletePod{GracePeriod: time.Hour}).validate(), "between 1s and 10m0s, got 1h0m0s")
	err := (&EvictPod{GracePeriod: -1, Deadline: 2 * time.Hour}).validate()
	require.ErrorContains(t, err, "grace_period must be")
	require.ErrorContains(t, err, "deadline must be 0 (2m0s) or between 1s and 1h0m0s, got 2h0m0s")
}
