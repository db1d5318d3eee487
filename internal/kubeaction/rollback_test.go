package kubeaction

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func rollback() Step { return Step{Rollback: &Rollback{}} }

func TestRollbackValidate(t *testing.T) {
	require.NoError(t, (&Step{Rollback: &Rollback{}}).Validate())
	err := (&Step{Rollback: &Rollback{MaxAge: -time.Second, PingPong: 1000 * time.Hour}}).Validate()
	require.EqualError(t, err, "max_age must be between 0 (for the default) and 720h, got -1s\nping_pong must be between 0 (for the default) and 720h, got 1000h0m0s")
}

func TestDifferenceIsAMergePatch(t *testing.T) {
	from := fields{"same": "a", "gone": "b", "deep": fields{"x": int64(1), "y": "z"}, "list": []any{"a"}}
	to := fields{"same": "a", "deep": fields{"x": int64(2)}, "list": []any{"a", "b"}, "new": fields{"n": true}}
	assert.Equal(t, fields{"gone": nil, "deep": fields{"x": int64(2), "y": nil}, "list": []any{"a", "b"}, "new": fields{"n": true}}, difference(from, to))
	assert.Empty(t, difference(to, to))
}

// breakIt gives a workload an image that cannot be pulled, with a variable more, as a bad deployment does.
func (b *bench) breakIt(workload kubetest.Object, app string) {
	b.Helper()
	b.lab.Patch(b.T, workload, `{"spec":{"template":{"metadata":{"annotations":{"bad":"yes"}},"spec":{"containers":[{"name":"app","image":"`+
		kubetest.Image(app, kubetest.TagPullError)+`","env":[{"name":"TOKEN","value":"hunter2"}]}]}}}}`)
}

func TestKubernetesRollbackDeployment(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{})
	web := kubetest.Deployment(b.ns, "web", 3)
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	good := web.Spec.Template
	b.refused(b.order("none", rollback(), "Deployment", "web"), ReasonUnsupported, "no revision before")

	b.breakIt(web, "web")
	var p Plan
	kubetest.Eventually(t, "the controller has made a revision", func() error {
		var err error
		p, err = b.client.Prepare(t.Context(), b.order("undo", rollback(), "Deployment", "web"))
		return err
	})
	assert.Contains(t, p.Summary, "back from revision 2 to revision 1")
	assert.NotContains(t, string(p.Evidence), "hunter2")
	assert.Contains(t, string(p.Evidence), "TOKEN")
	assert.LessOrEqual(t, len(p.Evidence), maxEvidenceBytes)

	sick, err := b.client.Health(t.Context(), Receipt{Action: "rollback", Objects: []Object{p.Target}})
	require.NoError(t, err)
	if !sick.Failed {
		kubetest.Eventually(t, "it is found stuck", func() error {
			sick, err = b.client.Health(t.Context(), Receipt{Action: "rollback", Objects: []Object{p.Target}})
			if err == nil && !sick.Failed {
				return &Refusal{Detail: sick.Detail}
			}
			return err
		})
	}
	assert.Contains(t, sick.Detail, "ImagePullBackOff")

	b.once(p,
		[]string{"updated Deployment web: metadata.annotations, spec.template.metadata.annotations, spec.template.spec.containers"},
		[]string{"updated Deployment web: metadata.annotations.paramedic.io/rolled-back-at, metadata.annotations.paramedic.io/rolled-back-from, metadata.annotations.paramedic.io/undone, spec.template.metadata.annotations, spec.template.spec.containers"})
	b.lab.Refresh(t, web)
	assert.Equal(t, kubetest.Image("web", kubetest.TagPullError), web.Spec.Template.Spec.Containers[0].Image, "undone")

	second := b.prepareSoon(b.order("undo-2", rollback(), "Deployment", "web"))
	healthy := b.healthy(b.apply(second))
	assert.True(t, healthy.Ready, healthy.Detail)
	b.lab.Refresh(t, web)
	assert.Equal(t, good, web.Spec.Template)
	b.refusedSoon(b.order("again", rollback(), "Deployment", "web"), ReasonBounds, "ping-pong")
	lost := b.prepare(b.order("undo-2", rollback(), "Deployment", "web"))
	assert.True(t, lost.NoOp)
	b.undo(b.apply(lost))
	b.lab.Refresh(t, web)
	assert.Equal(t, kubetest.Image("web", kubetest.TagPullError), web.Spec.Template.Spec.Containers[0].Image, "a lost plan can be undone")
}

// prepareSoon prepares once the controllers have caught up.
func (b *bench) prepareSoon(order Order) Plan {
	b.Helper()
	var p Plan
	kubetest.Eventually(b, "the controller has made a revision", func() error {
		var err error
		p, err = b.client.Prepare(b.Context(), order)
		return err
	})
	return p
}

func (b *bench) refusedSoon(order Order, reason Reason, words string) {
	b.Helper()
	kubetest.Eventually(b, "the controller has made a revision", func() error {
		_, err := b.client.Prepare(b.Context(), order)
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Reason == ReasonTargetChanged {
			return err
		}
		return nil
	})
	b.refused(order, reason, words)
}

func TestKubernetesRollbackByControllerRevision(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{})
	db, agent := kubetest.StatefulSet(b.ns, "db", 2), kubetest.DaemonSet(b.ns, "agent")
	db.Spec.PodManagementPolicy = "Parallel"
	b.lab.Create(t, db, agent)
	b.lab.WaitRolledOut(t, db)
	b.lab.WaitRolledOut(t, agent)
	goodDB, goodAgent := db.Spec.Template, agent.Spec.Template
	b.breakIt(db, "db")
	b.breakIt(agent, "agent")
	for kind, name := range map[string]string{"StatefulSet": "db", "DaemonSet": "agent"} {
		p := b.prepareSoon(b.order("undo-"+name, rollback(), kind, name))
		b.writes(func() { b.apply(p) }, "patch "+lower(kind)+"s "+b.ns+"/"+name)
		var r Receipt
		b.writes(func() { r = b.apply(p) })
		assert.True(t, r.NoOp)
	}
	b.lab.Refresh(t, db, agent)
	assert.Equal(t, goodDB, db.Spec.Template)
	assert.Equal(t, goodAgent, agent.Spec.Template)
	b.lab.WaitRolledOut(t, agent)
	b.refusedSoon(b.order("again", rollback(), "StatefulSet", "db"), ReasonBounds, "ping-pong")
	b.refusedSoon(b.order("again", rollback(), "DaemonSet", "agent"), ReasonBounds, "ping-pong")
}

// A restart in between makes a revision too; going back goes past it. A condition of the failed rollout is not taken for one
// of the rollback.
func TestKubernetesRollbackPastRestarts(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{}, &RolloutRestart{})
	web := kubetest.Deployment(b.ns, "web", 3)
	deadline := int32(2)
	web.Spec.ProgressDeadlineSeconds = &deadline
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	good := web.Spec.Template
	b.apply(b.prepare(b.order("fresh", restart(), "Deployment", "web")))
	b.lab.WaitRolledOut(t, web)
	b.refusedSoon(b.order("none", rollback(), "Deployment", "web"), ReasonUnsupported, "no revision before")

	b.breakIt(web, "web")
	b.lab.Refresh(t, web)
	b.apply(b.prepareSoon(b.order("restart", restart(), "Deployment", "web")))
	b.lab.WaitFor(t, web, "has passed its deadline", func() error {
		for _, condition := range web.Status.Conditions {
			if condition.Reason == "ProgressDeadlineExceeded" {
				return nil
			}
		}
		return errors.New("it has not")
	})
	sick, err := b.client.Health(t.Context(), Receipt{Action: "rollback", Objects: []Object{{APIVersion: "apps/v1", Kind: "Deployment", Namespace: b.ns, Name: "web"}}})
	require.NoError(t, err)
	assert.True(t, sick.Failed)
	assert.Contains(t, sick.Detail, "ProgressDeadlineExceeded")
	h := b.healthy(b.apply(b.prepareSoon(b.order("undo", rollback(), "Deployment", "web"))))
	assert.True(t, h.Ready, h.Detail)
	b.lab.Refresh(t, web)
	assert.Equal(t, good.Spec, web.Spec.Template.Spec)
	b.refusedSoon(b.order("again", rollback(), "Deployment", "web"), ReasonBounds, "ping-pong")
}

// With ordered pods the one that never became ready keeps the rollback from going on: that is told, not waited for.
func TestKubernetesRollbackOfOrderedPods(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{})
	db := kubetest.StatefulSet(b.ns, "db", 2)
	b.lab.Create(t, db)
	b.lab.WaitRolledOut(t, db)
	b.breakIt(db, "db")
	order := b.order("undo", rollback(), "StatefulSet", "db")
	var p Plan
	kubetest.Eventually(t, "the last pod is stuck", func() error {
		var err error
		if p, err = b.client.Prepare(t.Context(), order); err == nil && !strings.Contains(string(p.Evidence), "ImagePullBackOff") {
			err = fmt.Errorf("%s", p.Evidence)
		}
		return err
	})
	assert.Contains(t, detailsOf(p, "ordered_pods"), "must be deleted by hand")
	r := b.apply(p)
	h := b.healthy(r)
	assert.True(t, h.Failed, h.Detail)
	assert.Contains(t, h.Detail, "db-1")
	assert.Contains(t, h.Detail, "delete it")
	b.lab.Delete(t, &b.lab.Pods(t, b.ns, "statefulset.kubernetes.io/pod-name=db-1")[0])
	b.lab.WaitRolledOut(t, db)
	kubetest.Eventually(t, "it settles", func() error {
		h, err := b.client.Health(t.Context(), r)
		if err == nil && !h.Ready {
			err = errors.New(h.Detail)
		}
		return err
	})
}

func TestKubernetesRollbackRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{})
	b.lab.Install(t, kubetest.ArgoRollout)
	rollout := kubetest.ArgoRollout.New(b.ns, "canary", map[string]any{"replicas": int64(1)})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web, rollout)
	b.lab.WaitRolledOut(t, web)
	b.lab.Patch(t, web, `{"spec":{"template":{"metadata":{"annotations":{"v":"2"}}}}}`)
	b.lab.WaitRolledOut(t, web)
	b.refused(b.order("a", rollback(), "Rollout", "canary"), ReasonOwner, "kubectl argo rollouts undo")

	now := time.Now().Add(25 * time.Hour)
	b.client.now = func() time.Time { return now }
	b.refused(b.order("a", rollback(), "Deployment", "web"), ReasonBounds, "max_age (24h0m0s)")
	b.prepare(b.order("a", Step{Rollback: &Rollback{MaxAge: 48 * time.Hour}}, "Deployment", "web"))
	b.client.now = time.Now

	p := b.prepare(b.order("stale", rollback(), "Deployment", "web"))
	b.lab.Patch(t, web, `{"spec":{"template":{"metadata":{"annotations":{"v":"3"}}}}}`)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "another template")
	})
	b.lab.Patch(t, web, `{"spec":{"paused":true}}`)
	b.refused(b.order("a", rollback(), "Deployment", "web"), ReasonUnsupported, "is paused")
}

// The bound on going back to a revision that was left passes with time.
func TestKubernetesRollbackPingPongPasses(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	b.lab.Patch(t, web, `{"spec":{"template":{"metadata":{"annotations":{"v":"2"}}}}}`)
	b.lab.WaitRolledOut(t, web)
	b.apply(b.prepare(b.order("first", rollback(), "Deployment", "web")))
	b.lab.WaitRolledOut(t, web)
	later := time.Now().Add(2 * time.Hour)
	b.client.now = func() time.Time { return later }
	b.refusedSoon(b.order("back", rollback(), "Deployment", "web"), ReasonBounds, "ping-pong")
	b.prepare(b.order("back", Step{Rollback: &Rollback{PingPong: time.Hour}}, "Deployment", "web"))
}

// A restart, such as the step before in a playbook, makes a revision for the controller and no version.
func TestKubernetesRollbackPassesRestartsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Rollback{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	b.lab.WaitRolledOut(t, web)
	restart := func(at string) {
		b.lab.Patch(t, web, `{"spec":{"template":{"metadata":{"annotations":{"`+annotationRestarted+`":"`+at+`"}}}}}`)
		b.lab.WaitRolledOut(t, web)
	}
	restart("2026-03-01T10:00:00Z")
	b.refusedSoon(b.order("none", rollback(), "Deployment", "web"), ReasonUnsupported, "no revision before")
	b.lab.Patch(t, web, `{"spec":{"template":{"metadata":{"annotations":{"v":"2"}}}}}`)
	b.lab.WaitRolledOut(t, web)
	restart("2026-03-01T11:00:00Z")
	restart("2026-03-01T12:00:00Z")
	p := b.prepareSoon(b.order("a", rollback(), "Deployment", "web"))
	assert.Contains(t, p.Summary, "back from revision 5 to revision 2")
	b.apply(p)
	b.lab.Refresh(t, web)
	assert.NotContains(t, web.Spec.Template.Annotations, "v")
	assert.Equal(t, "2026-03-01T10:00:00Z", web.Spec.Template.Annotations[annotationRestarted])
	b.refusedSoon(b.order("again", rollback(), "Deployment", "web"), ReasonBounds, "ping-pong")
}

// A version that was restarted is as old as it was before.
func TestVersionIsAsOldAsItsFirstRevision(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	template := func(image, restarted string) fields {
		return fields{"metadata": fields{"annotations": fields{annotationRestarted: restarted}}, "spec": fields{"image": image}}
	}
	u := &unstructured.Unstructured{Object: fields{"kind": "Deployment", "spec": fields{"template": template("v2", "b")}}}
	for age, refused := range map[time.Duration]bool{23 * time.Hour: false, 25 * time.Hour: true} {
		revisions := []revision{
			{number: 3, name: "web-3", id: "3", created: now.Add(-time.Minute), template: template("v2", "b")},
			{number: 2, name: "web-2", id: "2", created: now.Add(-age), template: template("v2", "a")},
			{number: 1, name: "web-1", id: "1", created: now.Add(-100 * time.Hour), template: template("v1", "a")},
		}
		_, previous, err := (&Rollback{}).choose(u, revisions, now)
		if refused {
			assert.ErrorContains(t, err, "it did not bring the trouble")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, "web-1", previous.name)
	}
}
