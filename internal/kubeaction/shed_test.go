package kubeaction

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func shed(limit int) Step {
	return Step{Shed: &Shed{Criticality: []string{"low"}, MaxWorkloads: limit}}
}
func restore(limit int) Step { return Step{Restore: &Restore{MaxWorkloads: limit}} }

func TestShedValidate(t *testing.T) {
	low := shed(3)
	require.NoError(t, low.Validate())
	err := (&Step{Shed: &Shed{Criticality: []string{"critical"}, To: -1}}).Validate()
	require.EqualError(t, err, `criticality must be of low, medium, high, got "critical"
to must be between 0 and 10000, got -1
max_workloads must be between 1 and 100, got 0; it bounds what one step may change`)
	require.ErrorContains(t, (&Step{Shed: &Shed{MaxWorkloads: 1}}).Validate(), "criticality must name at least one of low, medium, high")
	err = (&Step{Restore: &Restore{Criticality: []string{"none"}, MaxWorkloads: 101}}).Validate()
	require.EqualError(t, err, `criticality must be of low, medium, high, got "none"
max_workloads must be between 1 and 100, got 101; it bounds what one step may change`)
}

// tier makes a deployment of a tier.
func (b *bench) tier(name, tier string, replicas int32) *appsv1.Deployment {
	b.Helper()
	d := kubetest.Deployment(b.ns, name, replicas)
	if tier != "" {
		d.Labels["service.criticality"] = tier
	}
	b.lab.Create(b.T, d)
	b.lab.WaitRolledOut(b.T, d)
	return d
}

func (b *bench) shedOrder(intent string, step Step) Order { return b.order(intent, step, "", "") }

func TestKubernetesShedAndRestore(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Shed{}, &Restore{})
	b.tier("ads", "low", 3)
	b.tier("mail", "low", 2)
	b.tier("idle", "low", 0)
	b.tier("cart", "high", 2)
	b.tier("tools", "", 1)
	reports := kubetest.StatefulSet(b.ns, "reports", 1)
	reports.Spec.Template.Annotations["service.criticality"] = "low"
	b.lab.Create(t, reports)
	b.lab.WaitRolledOut(t, reports)

	b.refused(b.shedOrder("many", shed(2)), ReasonBounds, "3 workloads would be shed, more than max_workloads (2)")
	b.refused(b.shedOrder("none", restore(9)), ReasonTargetMissing, "nothing in")
	p := b.prepare(b.order("shed", shed(3), "Deployment", "cart"))
	assert.Contains(t, string(p.Evidence), `"name":"cart"`, "for whose sake")
	assert.Equal(t, 6, p.Weight)
	assert.Equal(t, 9, p.Population)
	assert.True(t, p.Destructive)
	assert.Equal(t, "low", p.Criticality)
	assert.Equal(t, []string{"Deployment/" + b.ns + "/ads", "Deployment/" + b.ns + "/mail", "StatefulSet/" + b.ns + "/reports"}, p.Locks)
	const (
		marked = ": metadata.annotations, metadata.labels.paramedic.io/shed, spec.replicas"
		back   = ": metadata.annotations.paramedic.io/undone, metadata.labels.paramedic.io/shed, spec.replicas"
	)
	b.once(p,
		[]string{"updated Deployment ads" + marked, "updated Deployment mail" + marked, "updated StatefulSet reports" + marked},
		[]string{"updated Deployment ads" + back, "updated Deployment mail" + back, "updated StatefulSet reports" + back})

	// A second time; the receipt is lost, and somebody scales one of them meanwhile.
	r := b.apply(b.prepare(b.shedOrder("shed-2", shed(3))))
	assert.Len(t, r.Objects, 3)
	b.refused(b.shedOrder("shed-3", shed(3)), ReasonTargetMissing, "is shed already")
	mail := kubetest.Deployment(b.ns, "mail", 0)
	b.lab.Refresh(t, mail)
	b.lab.Patch(t, mail, `{"spec":{"replicas":1}}`)
	b.refused(b.shedOrder("restore", restore(2)), ReasonBounds, "3 workloads would be restored")
	p = b.prepare(b.shedOrder("restore", restore(3)))
	assert.Equal(t, 5, p.Weight)
	assert.False(t, p.Destructive)
	const restored = ": metadata.annotations.paramedic.io/intent, metadata.labels.paramedic.io/shed"
	b.once(p, []string{"updated Deployment ads" + restored + ", spec.replicas", "updated Deployment mail" + restored, "updated StatefulSet reports" + restored + ", spec.replicas"}, nil)
	_, err := b.client.Undo(permitted(t.Context()), r)
	require.NoError(t, err, "restored already, so there is nothing to undo")
	ads := kubetest.Deployment(b.ns, "ads", 0)
	b.lab.Refresh(t, ads, mail, reports)
	assert.Equal(t, int32(3), *ads.Spec.Replicas)
	assert.Equal(t, int32(1), *mail.Spec.Replicas, "what somebody set stays")
	assert.Equal(t, int32(1), *reports.Spec.Replicas)
}

func TestKubernetesShedStalePlanTakesTheRest(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Shed{})
	ads, mail := b.tier("ads", "low", 1), b.tier("mail", "low", 1)
	p := b.prepare(b.shedOrder("shed", shed(5)))
	b.lab.Patch(t, ads, `{"spec":{"replicas":2}}`)
	var r Receipt
	b.writes(func() { r = b.apply(p) }, "patch deployments "+b.ns+"/mail")
	assert.Contains(t, r.Summary, "ads has been scaled to 2")
	assert.Len(t, r.Objects, 1)
	b.undo(r)
	b.lab.Refresh(t, ads, mail)
	assert.Equal(t, int32(2), *ads.Spec.Replicas)
	assert.Equal(t, int32(1), *mail.Spec.Replicas)

	p = b.prepare(b.shedOrder("shed-2", shed(5)))
	b.lab.Patch(t, ads, `{"spec":{"replicas":3}}`)
	b.lab.Patch(t, mail, `{"spec":{"replicas":3}}`)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "meanwhile")
	})
}

func TestKubernetesShedScope(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Shed{})
	b.tier("ads", "low", 1)
	order := b.shedOrder("a", shed(5))
	order.Scope.Selector = "app=mail"
	b.refused(order, ReasonTargetMissing, "none has this label")
	order.Scope.Namespaces = append(order.Scope.Namespaces, "kube-system")
	b.refused(order, ReasonProtected, "kube-system")
	order.Scope.Namespaces = nil
	b.refused(order, ReasonOutOfScope, "no namespaces")
}

func TestKubernetesShedAutoscaled(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Shed{}, &Restore{})
	b.lab.Install(t, kubetest.KEDAScaledObject)
	ads, mail := b.tier("ads", "low", 2), b.tier("mail", "low", 2)
	scaler := kubetest.HorizontalPodAutoscaler(b.ns, "ads", 2, 4)
	scaled := kubetest.KEDAScaledObject.New(b.ns, "mail", map[string]any{"scaleTargetRef": map[string]any{"name": "mail"}})
	b.lab.Create(t, scaler, scaled)

	one := shed(5)
	one.Shed.To = 1
	p := b.prepare(b.shedOrder("one", one))
	require.Len(t, p.Objects, 1)
	assert.Equal(t, "ScaledObject", p.Objects[0].Kind)
	assert.Contains(t, p.leftOut(), "would scale it up again")

	p = b.prepare(b.shedOrder("shed", shed(5)))
	assert.Contains(t, p.Commands[1], "autoscaling.keda.sh/paused-replicas=0")
	b.changes(func() { b.apply(p) },
		"updated Deployment ads: metadata.annotations, metadata.labels.paramedic.io/shed, spec.replicas",
		"updated ScaledObject mail: metadata.annotations, metadata.labels.paramedic.io/shed")
	b.lab.Refresh(t, scaled)
	assert.Equal(t, "0", scaled.GetAnnotations()["autoscaling.keda.sh/paused-replicas"])
	b.lab.WaitFor(t, ads, "stays at zero under its autoscaler", func() error {
		if ads.Status.Replicas != 0 {
			return &Refusal{Detail: "pods are left"}
		}
		return nil
	})
	b.apply(b.prepare(b.shedOrder("restore", restore(5))))
	b.lab.Refresh(t, ads, mail, scaled)
	assert.Equal(t, int32(2), *ads.Spec.Replicas)
	assert.Equal(t, int32(2), *mail.Spec.Replicas, "KEDA's own")
	assert.NotContains(t, scaled.GetAnnotations(), "autoscaling.keda.sh/paused-replicas")

	b.lab.Patch(t, scaled, `{"metadata":{"annotations":{"autoscaling.keda.sh/paused":"true"}}}`)
	p = b.prepare(b.shedOrder("shed-2", shed(5)))
	assert.Contains(t, p.leftOut(), "is paused")
}

func TestKubernetesShedForgedNote(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Restore{})
	ads := b.tier("ads", "low", 0)
	b.lab.Patch(t, ads, `{"metadata":{"labels":{"paramedic.io/shed":"0-of-99999999"}}}`)
	b.refused(b.shedOrder("a", restore(5)), ReasonTargetChanged, "must be two numbers")
}
