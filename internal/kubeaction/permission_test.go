package kubeaction

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func TestRulesAreMergedAndSorted(t *testing.T) {
	set := ruleSet{}
	set.add(permission{Group: "apps", Resource: "statefulsets", Verbs: []string{"list", "get"}})
	set.add(permission{Resource: "pods", Verbs: []string{"list"}})
	set.add(permission{Group: "apps", Resource: "deployments", Verbs: []string{"get"}})
	set.add(permission{Group: "apps", Resource: "deployments", Verbs: []string{"list"}})
	set.add(permission{Group: "apps", Resource: "deployments/scale", Verbs: []string{"update"}})
	assert.Equal(t, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}, Verbs: []string{"update"}},
	}, set.policyRules())
}

func TestRulesForScope(t *testing.T) {
	restart, invalid := restart(), &Step{}
	rules := RulesFor([]*Step{&restart, invalid, &restart}, Scope{Namespaces: []string{"shop", "bank"}})
	for _, rule := range rules.Cluster {
		assert.Equal(t, []string{"get"}, rule.Verbs, "only to learn how GitOps is set")
	}
	assert.Len(t, rules.Namespaced, 2)
	assert.Equal(t, rules.Namespaced["shop"], rules.Namespaced["bank"])
	assert.Contains(t, rules.Namespaced["shop"], rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "deployments", "statefulsets"}, Verbs: []string{"get", "list", "patch"},
	})
	for _, rule := range rules.Namespaced["shop"] {
		assert.NotContains(t, rule.Verbs, "*")
		assert.NotContains(t, rule.Resources, "secrets")
	}
	assert.Empty(t, RulesFor([]*Step{invalid}, Scope{Namespaces: []string{"shop"}}).Namespaced)
	assert.Equal(t, `{apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]} in a Role in namespace shop`,
		Missing{Group: "apps", Resource: "deployments", Verb: "patch", Namespace: "shop"}.String())
	assert.Equal(t, `{apiGroups: [""], resources: ["configmaps"], resourceNames: ["flags"], verbs: ["get"]} in a Role in namespace shop`,
		Missing{Resource: "configmaps", Name: "flags", Verb: "get", Namespace: "shop"}.String())
	assert.Equal(t, `{apiGroups: [""], resources: ["nodes"], verbs: ["patch"]} in a ClusterRole`, Missing{Resource: "nodes", Verb: "patch"}.String())
}

func TestPermissionsOfAStep(t *testing.T) {
	flag := Step{PatchConfigMap: &PatchConfigMap{Name: "flags", Key: "banner", Value: "off"}}
	list := flag.Permissions()
	assert.Contains(t, list, Permission{Resource: "configmaps", Verb: "get", Name: "flags"})
	assert.Contains(t, list, Permission{Resource: "configmaps", Verb: "patch", Name: "flags"}, "no other config map")
	assert.Contains(t, list, Permission{Resource: "events", Verb: "list", Optional: true})
	assert.Contains(t, list, Permission{Group: "argoproj.io", Resource: "applications", Verb: "get", Cluster: true, Optional: true})
	assert.IsIncreasing(t, slices.Collect(func(yield func(string) bool) {
		for _, p := range list {
			if !yield(p.Group + "\x00" + p.Resource + "\x00" + p.Name + "\x00" + p.Verb) {
				return
			}
		}
	}), "sorted, each once")
	assert.Contains(t, RulesFor([]*Step{&flag}, Scope{Namespaces: []string{"shop"}}).Namespaced["shop"], rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"flags"}, Verbs: []string{"get", "patch"},
	})
	assert.Empty(t, (&Step{}).Permissions(), "invalid")
	assert.Empty(t, (*Step)(nil).Permissions())
}

// A missing permission is named before it is needed, and nothing is tried without it.
func TestKubernetesMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	web := kubetest.Deployment(ns, "web", 1)
	lab.Create(t, web)
	lab.WaitRolledOut(t, web)
	step, scope := restart(), Scope{Namespaces: []string{ns}}
	rules := RulesFor([]*Step{&step}, scope).Namespaced[ns]
	var lacking []rbacv1.PolicyRule
	for _, rule := range rules {
		if len(rule.Verbs) == 3 && rule.APIGroups[0] == "apps" {
			rule.Verbs = []string{"get", "list"}
		}
		lacking = append(lacking, rule)
	}
	sent := &kubetest.Recorder{}
	settings := DefaultSettings()
	settings.Namespace = "paramedic"
	client, err := NewForConfig(sent.Watch(lab.ServiceAccount(t, ns, kubetest.Grant{Namespace: ns, Rules: lacking})), settings, TransportSettings{})
	require.NoError(t, err)
	now := time.Now()
	client.now = func() time.Time { return now }

	missing, err := client.Review(t.Context(), []*Step{&step}, scope)
	require.NoError(t, err)
	var names []string
	for _, m := range missing {
		if m.Optional {
			assert.Empty(t, m.Namespace, "the settings of GitOps tools")
			continue
		}
		names = append(names, m.Resource+" "+m.Verb)
	}
	assert.Equal(t, []string{"daemonsets patch", "deployments patch", "statefulsets patch"}, names)

	asked := len(sent.Requests())
	_, err = client.Review(t.Context(), []*Step{&step}, scope)
	require.NoError(t, err)
	assert.Len(t, sent.Requests(), asked, "believed for a minute")
	sent.Reset()
	b := &bench{T: t, lab: lab, ns: ns, sent: sent, client: client}
	b.refused(b.order("a", step, "Deployment", "web"), ReasonPermission, `{apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]} in a Role in namespace `+ns)
	assert.Empty(t, sent.Requests(), "nothing was tried")

	now = now.Add(reviewAge)
	b.refused(b.order("a", step, "Deployment", "web"), ReasonPermission, "grant it")
	assert.NotEmpty(t, sent.Requests(), "asked again after a minute")
}

// Asking for permissions delays no action while they are reviewed from time to time.
func TestKubernetesPlansBelieveWhatIsAllowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	now := time.Now()
	b.client.now = func() time.Time { return now }
	step := Step{RolloutRestart: &RolloutRestart{}}
	order := b.order("a", step, "Deployment", "web")
	asked := func(f func()) int {
		b.sent.Reset()
		f()
		n := 0
		for _, r := range b.sent.Requests() {
			if r.Group == "authorization.k8s.io" {
				n++
			}
		}
		return n
	}
	plan := func() { b.prepare(order) }
	assert.NotZero(t, asked(plan))
	now = now.Add(grantedAge - time.Second)
	assert.Zero(t, asked(plan))
	assert.NotZero(t, asked(func() {
		_, err := b.client.Review(t.Context(), []*Step{&step}, order.Scope)
		require.NoError(t, err)
	}))
	now = now.Add(grantedAge - time.Second)
	assert.Zero(t, asked(plan), "the review was a moment ago")
	now = now.Add(time.Second)
	assert.NotZero(t, asked(plan))
}
