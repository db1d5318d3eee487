package kubeaction

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func scaleBy(by, limit int) Step { return Step{Scale: &Scale{By: by, Max: limit}} }
func scaleTo(to, limit int) Step { return Step{Scale: &Scale{To: &to, Max: limit}} }
func scaleFactor(f float64) Step { return Step{Scale: &Scale{Factor: f, Max: 10}} }
func number(n int) *int          { return &n }

func TestScaleValidate(t *testing.T) {
	for want, step := range map[string]Scale{
		"": {By: 1, Max: 5},
		"exactly one of to, by and factor, got 0":        {Max: 5},
		"exactly one of to, by and factor, got 2":        {By: 1, Factor: 2, Max: 5},
		"factor must be between 0 and 100, got -1":       {Factor: -1, Max: 5},
		"by must be between -10000 and 10000, got 20000": {By: 20000, Max: 5},
		"max must be between 1 and 10000, got 0":         {By: 1, Min: number(0)},
		"min must be between 0 and max, got 6":           {By: 1, Min: number(6), Max: 5},
		"to must be between min (1) and max (5), got 0":  {To: number(0), Max: 5},
		"to must be between min (2) and max (5), got 1":  {To: number(1), Min: number(2), Max: 5},
	} {
		err := (&Step{Scale: &step}).Validate()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestScaleWanted(t *testing.T) {
	for _, test := range []struct {
		step          Scale
		current, want int
	}{
		{Scale{By: 2, Max: 10}, 3, 5},
		{Scale{By: 2, Max: 4}, 3, 4},
		{Scale{By: 2, Max: 3}, 3, -1},  // at its bound
		{Scale{By: 2, Max: 3}, 5, -1},  // beyond it: not brought back
		{Scale{By: -2, Max: 10}, 2, 1}, // never below 1 unless stated
		{Scale{By: -2, Max: 10}, 1, -1},
		{Scale{By: -2, Min: number(0), Max: 10}, 2, 0},
		{Scale{Factor: 1.5, Max: 10}, 3, 5},
		{Scale{Factor: 0.5, Max: 10}, 3, 2},
		{Scale{Factor: 1, Max: 10}, 3, -1},
		{Scale{Factor: 2, Max: 10}, 0, -1},
		{Scale{To: number(4), Max: 10}, 0, 4},
		{Scale{To: number(4), Max: 10}, 4, 4},
	} {
		got, err := test.step.wanted(test.current)
		if test.want < 0 {
			assert.Error(t, err, "%+v of %d", test.step, test.current)
			continue
		}
		assert.NoError(t, err)
		assert.Equal(t, test.want, got, "%+v of %d", test.step, test.current)
	}
}

func TestKubernetesScale(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web, db := kubetest.Deployment(b.ns, "web", 2), kubetest.StatefulSet(b.ns, "db", 2)
	b.lab.Create(t, web, db)
	b.lab.WaitRolledOut(t, web)
	b.lab.WaitRolledOut(t, db)
	for kind, name := range map[string]string{"Deployment": "web", "StatefulSet": "db"} {
		var p Plan
		b.writes(func() { p = b.prepare(b.order("up-"+name, scaleBy(1, 5), kind, name)) })
		assert.Equal(t, 1, p.Weight)
		assert.False(t, p.Destructive)
		assert.Equal(t, []string{fmt.Sprintf("kubectl -n %s scale %s/%s --replicas=3", b.ns, lower(kind), name)}, p.Commands)
		r := b.once(p,
			[]string{"updated " + kind + " " + name + ": metadata.annotations, spec.replicas"},
			[]string{"updated " + kind + " " + name + ": metadata.annotations.paramedic.io/undone, spec.replicas"})
		h := b.healthy(r)
		assert.True(t, h.Ready, h.Detail)
	}
	b.lab.Refresh(t, web, db)
	assert.Equal(t, int32(2), *web.Spec.Replicas)
	assert.Equal(t, int32(2), *db.Spec.Replicas)

	p := b.prepare(b.order("down", scaleFactor(0.5), "Deployment", "web"))
	assert.True(t, p.Destructive)
	assert.Equal(t, 1, p.Weight)
	b.writes(func() {
		none := b.prepare(b.order("same", scaleTo(2, 5), "Deployment", "web"))
		assert.True(t, none.NoOp)
		r := b.apply(none)
		assert.True(t, r.NoOp)
		assert.True(t, b.undo(r).NoOp)
	})
	b.refused(b.order("most", scaleBy(1, 2), "Deployment", "web"), ReasonBounds, "leave no way on")

	b.lab.Patch(t, web, `{"spec":{"replicas":4}}`)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "to 4")
	})
}

// A plan that was lost after it had been carried out is made anew, and can still be undone.
func TestKubernetesScaleLostPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web := kubetest.Deployment(b.ns, "web", 2)
	b.lab.Create(t, web)
	b.apply(b.prepare(b.order("lost", scaleBy(2, 5), "Deployment", "web")))
	again := b.prepare(b.order("lost", scaleBy(2, 5), "Deployment", "web"))
	assert.True(t, again.NoOp)
	var r Receipt
	b.writes(func() { r = b.apply(again) })
	b.undo(r)
	b.lab.Refresh(t, web)
	assert.Equal(t, int32(2), *web.Spec.Replicas)
}

func TestKubernetesScaleUndoLeavesOthersChange(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	r := b.apply(b.prepare(b.order("up", scaleBy(1, 5), "Deployment", "web")))
	b.lab.Patch(t, web, `{"spec":{"replicas":4}}`)
	b.writes(func() {
		_, err := b.client.Undo(permitted(t.Context()), r)
		b.refusal(err, ReasonTargetChanged, "somebody else")
	})
}

func TestKubernetesScaleThroughAutoscaler(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web, scaler := kubetest.Deployment(b.ns, "web", 2), kubetest.HorizontalPodAutoscaler(b.ns, "web-scaler", 2, 4)
	scaler.Spec.ScaleTargetRef.Name = "web"
	b.lab.Create(t, web, scaler)
	b.lab.WaitRolledOut(t, web)
	p := b.prepare(b.order("up", scaleBy(1, 10), "Deployment", "web"))
	assert.Equal(t, []string{"Deployment/" + b.ns + "/web", "HorizontalPodAutoscaler/" + b.ns + "/web-scaler"}, p.Locks)
	assert.Contains(t, p.Summary, "by raising minReplicas")
	var r Receipt
	b.writes(func() { r = b.apply(p) }, "patch horizontalpodautoscalers "+b.ns+"/web-scaler")
	h := b.healthy(r)
	assert.True(t, h.Ready, h.Detail)
	b.lab.Refresh(t, web)
	assert.Equal(t, int32(3), *web.Spec.Replicas, "the real controller carried it out")

	lost := b.prepare(b.order("up", scaleBy(1, 10), "Deployment", "web"))
	assert.True(t, lost.NoOp)
	var again Receipt
	b.writes(func() { again = b.apply(lost) })
	var first, second scaleData
	require.NoError(t, decode(r.Undo, &first))
	require.NoError(t, decode(again.Undo, &second))
	assert.Equal(t, *first.Before, *second.Before, "a lost plan can be undone")
	assert.Equal(t, first.After, second.After)

	far := b.prepare(b.order("far", scaleBy(5, 10), "Deployment", "web"))
	b.healthy(b.apply(far))
	b.lab.Refresh(t, scaler)
	assert.Equal(t, int32(4), *scaler.Spec.MinReplicas, "up to its maximum")
	b.refused(b.order("more", scaleBy(1, 10), "Deployment", "web"), ReasonBounds, "raise its maximum")
	b.refused(b.order("down", scaleBy(-1, 10), "Deployment", "web"), ReasonOwner, "decides how many")
	b.writes(func() {
		_, err := b.client.Undo(permitted(t.Context()), r)
		b.refusal(err, ReasonTargetChanged, "minReplicas")
	})

	other := kubetest.HorizontalPodAutoscaler(b.ns, "web-scaler-2", 1, 4)
	other.Spec.ScaleTargetRef.Name = "web"
	b.lab.Create(t, other)
	b.refused(b.order("two", scaleBy(1, 10), "Deployment", "web"), ReasonOwner, "several autoscalers")
	b.lab.Delete(t, other)
	b.lab.Patch(t, web, `{"spec":{"replicas":0}}`)
	b.refused(b.order("zero", scaleTo(3, 10), "Deployment", "web"), ReasonOwner, "switches")
}

func TestKubernetesScaleThroughAutoscalerWithoutMinimum(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web := kubetest.Deployment(b.ns, "web", 1)
	scaler := kubetest.HorizontalPodAutoscaler(b.ns, "web", 1, 4)
	scaler.Spec.MinReplicas = nil
	b.lab.Create(t, web, scaler)
	r := b.apply(b.prepare(b.order("up", scaleTo(3, 5), "Deployment", "web")))
	b.undo(r)
	b.lab.Refresh(t, scaler)
	assert.Equal(t, int32(1), *scaler.Spec.MinReplicas)
}

func TestKubernetesScaleThroughKEDA(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	b.lab.Install(t, kubetest.KEDAScaledObject)
	web := kubetest.Deployment(b.ns, "web", 2)
	scaled := kubetest.KEDAScaledObject.New(b.ns, "web", map[string]any{"scaleTargetRef": map[string]any{"name": "web"}, "maxReplicaCount": int64(6)})
	b.lab.Create(t, web, scaled)
	b.lab.WaitRolledOut(t, web)
	p := b.prepare(b.order("up", scaleBy(2, 10), "Deployment", "web"))
	r := b.apply(p)
	b.lab.Refresh(t, scaled)
	assert.Equal(t, 4, intAt(scaled, "spec", "minReplicaCount"))
	h, err := b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.False(t, h.Ready, "KEDA has not carried it out yet")
	b.undo(r)
	b.lab.Refresh(t, scaled)
	assert.NotContains(t, scaled.Object["spec"], "minReplicaCount", "as it was: not set")

	b.lab.Patch(t, scaled, `{"metadata":{"annotations":{"autoscaling.keda.sh/paused":"true"}}}`)
	b.refused(b.order("held", scaleBy(2, 10), "Deployment", "web"), ReasonOwner, "is paused")
}

func TestKubernetesScaleDownNeedsCapacity(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{}, &RolloutRestart{})
	db := kubetest.StatefulSet(b.ns, "db", 1)
	b.lab.Create(t, db)
	b.lab.WaitRolledOut(t, db)
	b.lab.Patch(t, db, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}},"replicas":4,"template":{"spec":{"containers":[{"name":"app","image":"`+kubetest.Image("db", kubetest.TagNotReady)+`"}]}}}}`)
	b.lab.WaitFor(t, db, "has one ready pod of four", func() error {
		if db.Status.ReadyReplicas != 1 || db.Status.Replicas != 2 {
			return fmt.Errorf("%d of %d ready", db.Status.ReadyReplicas, db.Status.Replicas)
		}
		return nil
	})
	b.refused(b.order("down", scaleBy(-1, 10), "StatefulSet", "db"), ReasonCapacity, "1 of 4 pods")
	b.refused(b.order("again", restart(), "StatefulSet", "db"), ReasonCapacity, "min_ready")
	b.prepare(b.order("up", scaleBy(1, 10), "StatefulSet", "db"))

	b.client.settings.MinReady = 0.25
	b.prepare(b.order("down", scaleBy(-1, 10), "StatefulSet", "db"))
}
