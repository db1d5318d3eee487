package kubeaction

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func isolateStep(i Isolate) Step { return Step{Isolate: &i} }

// policies are the NetworkPolicies of the namespace.
func (b *bench) policies() []networkingv1.NetworkPolicy {
	b.Helper()
	list, err := b.lab.Client().NetworkingV1().NetworkPolicies(b.ns).List(b.Context(), metav1.ListOptions{})
	require.NoError(b, err)
	return list.Items
}

func TestKubernetesIsolateWorkload(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Isolate{})
	b.serving("web", 2)
	b.lab.Create(t, kubetest.NetworkPolicy(b.ns, "other"))
	step := isolateStep(Isolate{
		Directions: []Direction{Ingress, Egress}, AllowNamespaces: []string{"monitoring"}, AllowCIDRs: []string{"10.1.0.0/16"}, ExpiresAfter: 30 * time.Minute,
	})
	now := time.Now().Truncate(time.Second)
	b.client.now = func() time.Time { return now }
	var p Plan
	b.writes(func() { p = b.prepare(b.order("cut", step, "Deployment", "web")) })
	assert.Equal(t, []int{2, 2, 2}, []int{p.Weight, p.Population, p.Healthy})
	assert.True(t, p.Destructive)
	assert.True(t, p.Undoable)
	assert.Equal(t, []string{"Deployment/" + b.ns + "/web"}, p.Locks)
	assert.Contains(t, p.Summary, "(ingress and egress), for 30m0s at most")

	var r Receipt
	changes := b.lab.Changes(t, func() {
		b.writes(func() { r = b.apply(p) }, "create networkpolicies "+b.ns+"/")
	}, b.ns)
	name := "paramedic-isolate-" + p.Key[:20]
	assert.Equal(t, []string{"created NetworkPolicy " + name}, changes.Strings())
	assert.Equal(t, name, r.Objects[0].Name)
	made := b.policies()[1]
	require.Equal(t, name, made.Name)
	assert.Equal(t, map[string]string{"app": "web"}, made.Spec.PodSelector.MatchLabels)
	assert.Equal(t, []networkingv1.PolicyType{"Ingress", "Egress"}, made.Spec.PolicyTypes)
	assert.Len(t, made.Spec.Ingress, 1)
	assert.Equal(t, "monitoring", made.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	assert.Equal(t, "10.1.0.0/16", made.Spec.Ingress[0].From[1].IPBlock.CIDR)
	assert.Len(t, made.Spec.Egress, 2)
	assert.EqualValues(t, 53, made.Spec.Egress[0].Ports[0].Port.IntVal)
	assert.Empty(t, made.Spec.Egress[0].To, "DNS stays")
	assert.Equal(t, now.Add(30*time.Minute).UTC().Format(time.RFC3339), made.Annotations[annotationExpires])
	assert.Equal(t, "7f3c0a52", made.Annotations[annotationIncident])
	h, err := b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.True(t, h.Ready)

	// Repeating does nothing, and gives a receipt that undoes the same.
	again := b.apply(p)
	assert.True(t, again.NoOp)
	assert.Equal(t, r.Objects, again.Objects)
	assert.Len(t, b.policies(), 2)
	assert.True(t, b.prepare(b.order("cut", step, "Deployment", "web")).NoOp)
	b.refused(b.order("twice", step, "Deployment", "web"), ReasonTargetChanged, "isolated already")

	b.writes(func() { assert.False(t, b.undo(again).NoOp) }, "delete networkpolicies "+b.ns+"/"+name)
	assert.Contains(t, string(b.sent.Writes()[0].Body), r.Objects[0].UID)
	assert.True(t, b.undo(r).NoOp)
	assert.Len(t, b.policies(), 1, "the other one stays")
	h, err = b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.True(t, h.Failed)

	// One of the same name that is not ours is neither taken for ours nor deleted.
	foreign := kubetest.NetworkPolicy(b.ns, name)
	b.lab.Create(t, foreign)
	_, err = b.client.Apply(permitted(t.Context()), p)
	b.refusal(err, ReasonTargetChanged, "is not of this order")
	assert.True(t, b.undo(r).NoOp)
	assert.True(t, b.lab.Exists(t, foreign))
}

func TestKubernetesIsolatePod(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Isolate{Pod: true})
	pods := b.serving("web", 2)
	order := b.podOrder("cut", isolateStep(Isolate{Pod: true}), &pods[0])
	var p Plan
	b.writes(func() { p = b.prepare(order) })
	assert.Equal(t, 1, p.Weight)
	var r Receipt
	b.writes(func() { r = b.apply(p) }, "create networkpolicies "+b.ns+"/", "patch pods "+b.ns+"/"+pods[0].Name)
	b.lab.Refresh(t, &pods[0])
	made := b.policies()[0]
	assert.Equal(t, map[string]string{labelIsolated: p.Key}, made.Spec.PodSelector.MatchLabels)
	assert.Equal(t, []networkingv1.PolicyType{"Ingress"}, made.Spec.PolicyTypes)
	assert.Empty(t, made.Spec.Ingress)
	assert.Equal(t, p.Key, pods[0].Labels[labelIsolated])
	assert.Len(t, b.lab.Pods(t, b.ns, labelIsolated), 1, "only this one")
	assert.True(t, b.apply(p).NoOp)
	b.refused(b.podOrder("twice", isolateStep(Isolate{Pod: true}), &pods[0]), ReasonTargetChanged, "isolated already")

	b.undo(r)
	assert.Empty(t, b.policies())
	assert.Empty(t, b.lab.Pods(t, b.ns, labelIsolated))
	b.writes(func() { assert.True(t, b.apply(p).NoOp, "what was taken back is not done again") })

	// After a crash between the two writes the rest is made up for.
	p = b.prepare(b.podOrder("crash", isolateStep(Isolate{Pod: true}), &pods[1]))
	_, err := b.client.Apply(WithPermit(t.Context(), &allowFirst{n: 1}), p)
	require.ErrorIs(t, err, assert.AnError)
	assert.Len(t, b.policies(), 1)
	r = b.apply(p)
	assert.False(t, r.NoOp)
	assert.Len(t, b.lab.Pods(t, b.ns, labelIsolated), 1)

	// When its time is over it can be released, by anybody who looks.
	expired, err := b.client.Expired(t.Context(), p.Order.Scope)
	require.NoError(t, err)
	assert.Empty(t, expired)
	late := time.Now().Add(61 * time.Minute)
	b.client.now = func() time.Time { return late }
	expired, err = b.client.Expired(t.Context(), p.Order.Scope)
	require.NoError(t, err)
	require.Len(t, expired, 1)
	assert.Equal(t, p.Key, expired[0].Key)
	b.undo(expired[0])
	assert.Empty(t, b.policies())
	assert.Empty(t, b.lab.Pods(t, b.ns, labelIsolated))
}

func TestKubernetesIsolateRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Isolate{})
	b.serving("web", 1)
	stale := b.prepare(b.order("stale", isolateStep(Isolate{}), "Deployment", "web"))
	open := kubetest.NetworkPolicy(b.ns, "web")
	open.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	b.lab.Create(t, open)
	b.refused(b.order("a", isolateStep(Isolate{}), "Deployment", "web"), ReasonUnsupported, "NetworkPolicy "+b.ns+"/web lets Ingress traffic")
	b.prepare(b.order("a", isolateStep(Isolate{Directions: []Direction{Egress}}), "Deployment", "web"))
	b.lab.Delete(t, open)

	stranger := kubetest.Pod(b.ns, "stranger")
	stranger.Labels = map[string]string{"app": "db"}
	db := kubetest.StatefulSet(b.ns, "db", 1)
	b.lab.Create(t, stranger, db)
	b.refused(b.order("a", isolateStep(Isolate{}), "StatefulSet", "db"), ReasonOutOfScope, "which is not its own")
	b.refused(b.order("a", Step{Isolate: &Isolate{Pod: true}}, "Deployment", "web"), ReasonPermission, `resources: ["pods"], verbs: ["patch"]`)

	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Delete(t, web)
	b.lab.WaitGone(t, web)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), stale)
		b.refusal(err, ReasonTargetMissing, "does not exist")
	})
	assert.Empty(t, b.policies())
}

func TestKubernetesRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Isolate{Pod: true}, &Release{})
	pods := b.serving("web", 2)
	b.serving("db", 1)
	b.apply(b.prepare(b.podOrder("one", isolateStep(Isolate{Pod: true}), &pods[0])))
	b.apply(b.prepare(b.order("all", isolateStep(Isolate{}), "Deployment", "web")))
	b.apply(b.prepare(b.order("all", isolateStep(Isolate{}), "Deployment", "db")))
	foreign := kubetest.NetworkPolicy(b.ns, "foreign")
	b.lab.Create(t, foreign)
	require.Len(t, b.policies(), 4)

	var p Plan
	b.writes(func() { p = b.prepare(b.order("release", Step{Release: &Release{}}, "Deployment", "web")) })
	assert.Len(t, p.Objects, 2)
	b.sent.Reset()
	r := b.apply(p)
	assert.False(t, r.NoOp)
	var verbs []string
	for _, write := range b.sent.Writes() {
		verbs = append(verbs, write.Verb+" "+write.Resource)
	}
	assert.ElementsMatch(t, []string{"delete networkpolicies", "delete networkpolicies", "patch pods"}, verbs)
	assert.True(t, b.healthy(r).Ready)
	left := b.policies()
	require.Len(t, left, 2)
	assert.Equal(t, "foreign", left[0].Name)
	assert.True(t, strings.HasPrefix(left[1].Name, "paramedic-isolate-"), "that of the other workload stays")
	assert.Empty(t, b.lab.Pods(t, b.ns, labelIsolated))

	assert.True(t, b.apply(p).NoOp)
	assert.True(t, b.prepare(b.order("release", Step{Release: &Release{}}, "Deployment", "web")).NoOp)
	_, err := b.client.Undo(permitted(t.Context()), r)
	b.refusal(err, ReasonUnsupported, "isolate again")
}

func TestIsolateParameters(t *testing.T) {
	require.NoError(t, (&Isolate{}).validate())
	err := (&Isolate{
		Directions: []Direction{"sideways", Ingress, Ingress}, AllowNamespaces: []string{"A"}, AllowCIDRs: []string{"10.0.0.1/8", "x"}, ExpiresAfter: time.Second,
	}).validate()
	for _, want := range []string{
		`directions must be of ingress and egress, each once, got "sideways"`, `each once, got "ingress"`, `allow_namespaces must be names of namespaces, got "A"`,
		`allow_cidrs must be networks such as 10.1.0.0/16, got "10.0.0.1/8"`, `got "x"`, "expires_after must be 0 (1h0m0s) or between 1m and 24h0m0s, got 1s",
	} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, (&Isolate{AllowCIDRs: make([]string, 21)}).validate(), "at most 20 each, got 0 and 21")
	require.NoError(t, (&Release{}).validate())
}
