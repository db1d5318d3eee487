package kubeaction

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// applied makes a deployment by server-side apply, as its owner does. extra is merged into what is declared.
func (b *bench) applied(name, manager string, extra fields) *unstructured.Unstructured {
	b.Helper()
	labels := fields{"app": name}
	declared := merge(fields{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": fields{"namespace": b.ns, "name": name, "labels": fields{"app": name}},
		"spec": fields{
			"selector": fields{"matchLabels": labels},
			"template": fields{
				"metadata": fields{"labels": labels},
				"spec":     fields{"containers": []any{fields{"name": "app", "image": kubetest.Image(name, "v1")}}},
			},
		},
	}, extra)
	u, err := b.lab.Dynamic().Resource(kindDeployment.resource).Namespace(b.ns).Apply(b.Context(), name,
		&unstructured.Unstructured{Object: declared}, metav1.ApplyOptions{FieldManager: manager, Force: true})
	require.NoError(b, err)
	return u
}

func replicasDeclared() fields { return fields{"spec": fields{"replicas": int64(2)}} }

func tracked(app string) fields {
	return fields{"metadata": fields{"annotations": fields{argoTracking: app + ":apps/Deployment:x/web"}}}
}

// What an owner declares and puts back is not changed; what it does not declare is.
func TestKubernetesOwners(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{}, &RolloutRestart{}, &Rollback{})
	b.lab.Install(t, kubetest.CustomTypes()...)
	argo := b.lab.Namespace(t)
	automated := func(selfHeal bool) map[string]any {
		return map[string]any{"syncPolicy": map[string]any{"automated": map[string]any{"selfHeal": selfHeal}}}
	}
	ignoring := automated(true)
	ignoring["ignoreDifferences"] = []any{map[string]any{"group": "apps", "kind": "Deployment", "jsonPointers": []any{"/spec/replicas"}}}
	off := automated(true)
	off["syncPolicy"].(map[string]any)["automated"].(map[string]any)["enabled"] = false
	flux := func(kind, name string) fields {
		return fields{"metadata": fields{"labels": fields{kind + ".toolkit.fluxcd.io/name": name, kind + ".toolkit.fluxcd.io/namespace": argo}}}
	}
	b.lab.Create(t,
		kubetest.ArgoApplication.New(argo, "healing", automated(true)), kubetest.ArgoApplication.New(argo, "syncing", automated(false)),
		kubetest.ArgoApplication.New(argo, "manual", map[string]any{}), kubetest.ArgoApplication.New(argo, "ignoring", ignoring),
		kubetest.ArgoApplication.New(argo, "off", off),
		kubetest.FluxKustomization.New(argo, "active", map[string]any{}), kubetest.FluxKustomization.New(argo, "suspended", map[string]any{"suspend": true}),
		kubetest.FluxHelmRelease.New(argo, "drift", map[string]any{"driftDetection": map[string]any{"mode": "enabled"}}),
		kubetest.FluxHelmRelease.New(argo, "plain", map[string]any{}), kubetest.FluxHelmRelease.New(argo, "stopped", map[string]any{"suspend": true}))
	b.client.settings.ArgoCDNamespaces = []string{argo}

	for _, test := range []struct {
		name, manager string
		extra         fields
		scale         string // the refusal's words; empty where it is allowed
		note          string // what the plan says
	}{
		{"argo-heals", "argocd-controller", merge(tracked("healing"), replicasDeclared()), "self-heal is on", ""},
		{"argo-heals-else", "argocd-controller", tracked("healing"), "", "does not declare what would be written"},
		{"argo-by-namespace", "argocd-controller", merge(tracked(argo+"_healing"), replicasDeclared()), "self-heal is on", ""},
		{"argo-syncs", "argocd-controller", merge(tracked("syncing"), replicasDeclared()), "", "self-heal is off"},
		{"argo-manual", "argocd-controller", merge(tracked("manual"), replicasDeclared()), "", "self-heal is off"},
		{"argo-disabled", "argocd-controller", merge(tracked("off"), replicasDeclared()), "", "self-heal is off"},
		{"argo-ignores", "argocd-controller", merge(tracked("ignoring"), replicasDeclared()), "", "does not declare"},
		{"argo-unreadable", "argocd-controller", merge(tracked("elsewhere"), replicasDeclared()), "cannot be read", ""},
		{
			"argo-by-label", "argocd-controller",
			merge(fields{"metadata": fields{"labels": fields{commonInstance: "healing"}}}, replicasDeclared()), "self-heal is on", "",
		},
		{
			"only-a-chart-label", "kubectl",
			merge(fields{"metadata": fields{"labels": fields{commonInstance: "my-release"}}}, replicasDeclared()), "", "when it is run again",
		},
		{"kustomize", "kustomize-controller", merge(flux("kustomize", "active"), replicasDeclared()), "reconciles at an interval", ""},
		{"kustomize-else", "kustomize-controller", flux("kustomize", "active"), "", "does not declare"},
		{"kustomize-suspended", "kustomize-controller", merge(flux("kustomize", "suspended"), replicasDeclared()), "", "it is suspended"},
		{"kustomize-unreadable", "kustomize-controller", merge(flux("kustomize", "none"), replicasDeclared()), "reconciles at an interval", ""},
		{
			"kustomize-disabled", "kustomize-controller",
			merge(merge(flux("kustomize", "active"), replicasDeclared()), fields{"metadata": fields{"annotations": fields{fluxReconcile: "disabled"}}}), "", "leave the object alone",
		},
		{"helm-drift", "helm-controller", merge(flux("helm", "drift"), replicasDeclared()), "drift detection is on", ""},
		{"helm-plain", "helm-controller", merge(flux("helm", "plain"), replicasDeclared()), "", "drift detection is off"},
		{"helm-stopped", "helm-controller", merge(flux("helm", "stopped"), replicasDeclared()), "", "it is suspended"},
		{"helm-unreadable", "helm-controller", merge(flux("helm", "none"), replicasDeclared()), "cannot be read", ""},
		{
			"helm-by-hand", "helm",
			merge(fields{"metadata": fields{"annotations": fields{"meta.helm.sh/release-name": "shop"}, "labels": fields{commonManagedBy: "Helm"}}}, replicasDeclared()), "", "Helm installed",
		},
		{"kubectl", "kubectl", replicasDeclared(), "", "when it is run again"},
		{"platform", "platform-operator", replicasDeclared(), `field manager "platform-operator" applies spec.replicas`, ""},
		{"platform-else", "platform-operator", nil, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &bench{T: t, lab: b.lab, ns: b.ns, sent: b.sent, client: b.client}
			b.applied(test.name, test.manager, test.extra)
			order := b.order("a", scaleTo(3, 5), "Deployment", test.name)
			if test.scale != "" {
				b.refused(order, ReasonOwner, test.scale)
				b.client.settings.OnGitOps = OwnerAllow
				assert.Contains(t, detailsOf(b.prepare(order), "owner"), "put it back")
				b.client.settings.OnGitOps = OwnerRefuse
			} else {
				assert.Contains(t, detailsOf(b.prepare(order), "owner"), test.note)
			}
			restarted := b.prepare(b.order("r", restart(), "Deployment", test.name))
			assert.False(t, restarted.NoOp, "nobody declares when it was restarted")
		})
	}
}

func detailsOf(p Plan, check string) string {
	var text string
	for _, c := range p.Checks {
		if c.Name == check {
			text += c.Detail + "\n"
		}
	}
	return text
}

// Who declares the annotation of a restart would restart again; a rollback is the repository's to make.
func TestKubernetesOwnersOfTheTemplate(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{}, &Rollback{})
	pinned := merge(tracked("none"), nest("2026-01-01T00:00:00Z", "spec", "template", "metadata", "annotations", annotationRestarted))
	b.applied("pinned", "argocd-controller", pinned)
	b.refused(b.order("a", restart(), "Deployment", "pinned"), ReasonOwner, "restartedAt")

	b.applied("web", "argocd-controller", tracked("none"))
	b.lab.WaitRolledOut(t, kubetest.Deployment(b.ns, "web", 1))
	second := merge(tracked("none"), nest("v2", "spec", "template", "metadata", "annotations", "version"))
	b.applied("web", "argocd-controller", second)
	b.lab.WaitRolledOut(t, kubetest.Deployment(b.ns, "web", 1))
	b.refused(b.order("a", rollback(), "Deployment", "web"), ReasonOwner, "change it in the application's repository")
	b.apply(b.prepare(b.order("r", restart(), "Deployment", "web")))
}

// Argo CD's client-side apply leaves its declaration in an annotation, also when somebody has changed the field since.
func TestKubernetesOwnersLastApplied(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	for name, spec := range map[string]string{"declared": `{"spec":{"replicas":2}}`, "broken": `{`} {
		web := kubetest.Deployment(b.ns, name, 2)
		web.Annotations = map[string]string{argoTracking: "none:apps/Deployment:x/web", lastApplied: spec}
		b.lab.Create(t, web)
		b.lab.Patch(t, web, `{"spec":{"replicas":3}}`)
		b.refused(b.order("a", scaleTo(4, 5), "Deployment", name), ReasonOwner, "declares spec.replicas")
	}
	open := kubetest.Deployment(b.ns, "open", 2)
	open.Annotations = map[string]string{argoTracking: "none:apps/Deployment:x/web", lastApplied: `{"spec":{}}`}
	b.lab.Create(t, open)
	b.prepare(b.order("a", scaleTo(4, 5), "Deployment", "open"))
}

func TestKubernetesOwnersOperator(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	parent := kubetest.ConfigMap(b.ns, "parent", nil)
	b.lab.Create(t, parent)
	controller := true
	db := kubetest.StatefulSet(b.ns, "db", 1)
	db.OwnerReferences = []metav1.OwnerReference{{APIVersion: "postgresql.example.com/v1", Kind: "Cluster", Name: "main", UID: parent.UID, Controller: &controller}}
	b.lab.Create(t, db)
	b.refused(b.order("a", restart(), "StatefulSet", "db"), ReasonOwner, "made by an operator from Cluster "+b.ns+"/main")
	b.client.settings.OnOperator = OwnerAllow
	p := b.prepare(b.order("a", restart(), "StatefulSet", "db"))
	assert.Contains(t, p.Locks, "Cluster/"+b.ns+"/main")
}

func TestKubernetesArgoRolloutIsRestartedItsWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{}, &Scale{})
	b.lab.Install(t, kubetest.ArgoRollout)
	rollout := kubetest.ArgoRollout.New(b.ns, "canary", map[string]any{
		"replicas": int64(2), "selector": map[string]any{"matchLabels": map[string]any{"app": "canary"}},
	})
	b.lab.Create(t, rollout)
	b.lab.PatchStatus(t, rollout, `{"status":{"replicas":2,"readyReplicas":2,"updatedReplicas":2,"availableReplicas":2,"observedGeneration":"1","phase":"Healthy"}}`)
	p := b.prepare(b.order("a", restart(), "Rollout", "canary"))
	assert.Contains(t, p.Commands[0], "kubectl argo rollouts")
	var r Receipt
	b.changes(func() { r = b.apply(p) }, "updated Rollout canary: metadata.annotations, spec.restartAt")
	h, err := b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.False(t, h.Ready, "nobody has restarted it yet")
	b.lab.Refresh(t, rollout)
	status, err := json.Marshal(fields{"status": fields{"observedGeneration": "2", "restartedAt": stringAt(rollout, "spec", "restartAt")}})
	require.NoError(t, err)
	b.lab.PatchStatus(t, rollout, string(status))
	h, err = b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.True(t, h.Ready, h.Detail)
	b.lab.PatchStatus(t, rollout, `{"status":{"phase":"Degraded","message":"ProgressDeadlineExceeded"}}`)
	h, err = b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.True(t, h.Failed, h.Detail)

	up := b.prepare(b.order("up", scaleBy(1, 5), "Rollout", "canary"))
	b.changes(func() { b.apply(up) }, "updated Rollout canary: metadata.annotations.paramedic.io/intent, metadata.annotations.paramedic.io/previous, spec.replicas")
}
