package kubeaction

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// allowFirst is a permit for so many requests.
type allowFirst struct{ n int }

func (a *allowFirst) Allow(context.Context, Request) error {
	if a.n--; a.n < 0 {
		return assert.AnError
	}
	return nil
}

func jobStep(j RunJob) Step { return Step{RunJob: &j} }

// script makes a suspended CronJob, which only keeps a template.
func (b *bench) script(name string, change ...func(*batchv1.CronJob)) *batchv1.CronJob {
	b.Helper()
	script := kubetest.CronJob(b.ns, name)
	suspended := true
	script.Spec.Suspend = &suspended
	for _, f := range change {
		f(script)
	}
	b.lab.Create(b, script)
	return script
}

func (b *bench) jobs() []batchv1.Job {
	b.Helper()
	list, err := b.lab.Client().BatchV1().Jobs(b.ns).List(b.Context(), metav1.ListOptions{})
	require.NoError(b, err)
	return list.Items
}

func TestKubernetesRunJob(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RunJob{})
	suspended, shorter := true, int64(60)
	script := b.script("flush.cache", func(cj *batchv1.CronJob) {
		spec := &cj.Spec.JobTemplate.Spec
		spec.Suspend, spec.ActiveDeadlineSeconds = &suspended, &shorter
		spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "slow"}}
		cj.Spec.JobTemplate.Labels = map[string]string{"team": "shop"}
	})
	step := jobStep(RunJob{CronJob: "flush.cache", Env: map[string]string{"MODE": "fast", "CACHE": "all; rm -rf /"}, BackoffLimit: 1, TTL: 20 * time.Minute})
	order := b.order("flush", step, "Deployment", "web")
	var p Plan
	b.writes(func() { p = b.prepare(order) })
	assert.Equal(t, []string{"CronJob/" + b.ns + "/flush.cache", "Deployment/" + b.ns + "/web"}, p.Locks)
	assert.Equal(t, ClassJob, p.Class)
	assert.False(t, p.Undoable)
	assert.Empty(t, b.jobs())

	var r Receipt
	name := "paramedic-flush-cache-" + p.Key[:12]
	changes := b.lab.Changes(t, func() {
		b.writes(func() { r = b.apply(p) }, "create jobs "+b.ns+"/")
	}, b.ns)
	assert.Equal(t, []string{"created Job " + name}, changes.Strings())
	job := b.jobs()[0]
	spec := job.Spec
	assert.EqualValues(t, []int64{60, 1, 1200}, []int64{*spec.ActiveDeadlineSeconds, int64(*spec.BackoffLimit), int64(*spec.TTLSecondsAfterFinished)})
	assert.Equal(t, []corev1.EnvVar{{Name: "MODE", Value: "fast"}, {Name: "CACHE", Value: "all; rm -rf /"}}, spec.Template.Spec.Containers[0].Env)
	assert.Equal(t, "shop", job.Labels["team"])
	assert.Equal(t, managedBy, job.Labels[labelManagedBy])
	assert.Empty(t, job.OwnerReferences, "the CronJob does not count it")
	h := b.healthy(r)
	assert.True(t, h.Ready, h.Detail)

	b.sent.Reset()
	again := b.apply(p)
	assert.True(t, again.NoOp)
	assert.Equal(t, r.Objects[0].UID, again.Objects[0].UID)
	assert.Len(t, b.jobs(), 1)
	assert.True(t, b.prepare(order).NoOp)

	// Another template is not what was planned; what was run is told all the same.
	b.lab.Patch(t, script, `{"spec":{"schedule":"0 0 * * *"}}`)
	b.writes(func() { assert.True(t, b.apply(p).NoOp) })
	_, err := b.client.Undo(permitted(t.Context()), r)
	b.refusal(err, ReasonUnsupported, "cannot be taken back")
}

func TestKubernetesRunJobStalePlan(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RunJob{})
	script := b.script("flush")
	p := b.prepare(b.order("flush", jobStep(RunJob{CronJob: "flush"}), "", ""))
	b.lab.Patch(t, script, `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"hostNetwork":true}}}}}}`)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "its template may be another")
	})
	assert.Empty(t, b.jobs())
}

func TestKubernetesRunJobThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RunJob{})
	b.script("broken", func(cj *batchv1.CronJob) {
		cj.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image = kubetest.Image("broken", kubetest.TagCrash)
	})
	b.script("hangs", func(cj *batchv1.CronJob) {
		cj.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image = kubetest.Image("hangs", kubetest.TagHang)
		second := int64(1)
		cj.Spec.JobTemplate.Spec.ActiveDeadlineSeconds = &second
	})
	for script, want := range map[string]string{"broken": "BackoffLimitExceeded", "hangs": "DeadlineExceeded"} {
		r := b.apply(b.prepare(b.order("run", jobStep(RunJob{CronJob: script}), "", "")))
		h := b.healthy(r)
		assert.True(t, h.Failed)
		assert.Contains(t, h.Detail, want)
	}
}

func TestKubernetesRunJobRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RunJob{})
	many := int32(11)
	b.script("secret", func(cj *batchv1.CronJob) {
		cj.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{
			Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}},
		}}
	})
	b.script("wide", func(cj *batchv1.CronJob) { cj.Spec.JobTemplate.Spec.Parallelism = &many })
	refused := func(j RunJob, reason Reason, words string) {
		b.Helper()
		b.refused(b.order("a", jobStep(j), "", ""), reason, words)
	}
	refused(RunJob{CronJob: "none"}, ReasonTargetMissing, "does not exist")
	refused(RunJob{CronJob: "secret", Env: map[string]string{"TOKEN": "x"}}, ReasonUnsupported, "may not replace it")
	refused(RunJob{CronJob: "secret", Container: "other"}, ReasonUnsupported, `no container "other"`)
	refused(RunJob{CronJob: "wide"}, ReasonBounds, "parallelism")
	refused(RunJob{CronJob: "wide", Namespace: "elsewhere"}, ReasonOutOfScope, "not in the playbook's scope")
	order := b.order("a", jobStep(RunJob{CronJob: "wide"}), "", "")
	order.Subject.Namespace = ""
	b.refused(order, ReasonTargetMissing, "set namespace")
	assert.Empty(t, b.jobs())

	// A Job that somebody else gave our name is neither taken for ours nor touched.
	b.script("flush")
	p := b.prepare(b.order("flush", jobStep(RunJob{CronJob: "flush"}), "", ""))
	foreign := kubetest.Job(b.ns, "paramedic-flush-"+p.Key[:12], "v1")
	b.lab.Create(t, foreign)
	_, err := b.client.Apply(permitted(t.Context()), p)
	b.refusal(err, ReasonTargetChanged, "is not of this order")
	b.refused(b.order("flush", jobStep(RunJob{CronJob: "flush"}), "", ""), ReasonTargetChanged, "is not of this order")
	require.ErrorContains(t, b.client.typed.BatchV1().Jobs(b.ns).Delete(permitted(t.Context()), foreign.Name, metav1.DeleteOptions{}), "forbidden")
}

func TestRunJobParameters(t *testing.T) {
	require.NoError(t, (&RunJob{CronJob: "flush"}).validate())
	env := map[string]string{"A=B": "x", "LONG": strings.Repeat("x", 1025), "REF": "$(SECRET)"}
	err := (&RunJob{CronJob: "Flush", Namespace: "a.b", Container: "?", Env: env, Deadline: time.Second, BackoffLimit: 4, TTL: time.Minute}).validate()
	for _, want := range []string{
		`cron_job must be the name of a CronJob, got "Flush"`, `namespace must be the name of a namespace, got "a.b"`, `container must be the name of a container, got "?"`,
		`env "A=B" must`, `env "LONG" must`, `env "REF" must`, "deadline must be 0 (10m0s) or between 10s and 6h0m0s, got 1s",
		"backoff_limit must be between 0 and 3, got 4", "ttl must be 0 (1h0m0s) or between 10m0s and 168h0m0s, got 1m0s",
	} {
		require.ErrorContains(t, err, want)
	}
	env = map[string]string{}
	for i := range 21 {
		env[fmt.Sprintf("E%d", i)] = ""
	}
	require.ErrorContains(t, (&RunJob{CronJob: "flush", Env: env}).validate(), "env must be at most 20 variables, got 21")
	assert.Equal(t, "paramedic-"+strings.Repeat("x", 35)+"-0123456789ab", jobName(strings.Repeat("x", 35)+".yyy", "0123456789abcdef"))
}
