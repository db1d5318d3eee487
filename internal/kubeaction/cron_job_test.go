package kubeaction

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func suspend() Step { return Step{SuspendCronJob: &SuspendCronJob{}} }

func TestKubernetesSuspendCronJob(t *testing.T) {
	t.Parallel()
	b := newBench(t, &SuspendCronJob{}, &ResumeCronJob{})
	nightly := kubetest.CronJob(b.ns, "nightly")
	b.lab.Create(t, nightly, kubetest.CronJob(b.ns, "hourly"))
	p := b.prepare(b.order("stop", suspend(), "CronJob", "nightly"))
	assert.Equal(t, 1, p.Weight)
	assert.Equal(t, 2, p.Population)
	b.once(p, []string{"updated CronJob nightly: metadata.annotations, spec.suspend"},
		[]string{"updated CronJob nightly: metadata.annotations.paramedic.io/undone, spec.suspend"})
	b.lab.Refresh(t, nightly)
	require.False(t, *nightly.Spec.Suspend)

	b.writes(func() {
		none := b.prepare(b.order("go", Step{ResumeCronJob: &ResumeCronJob{}}, "CronJob", "nightly"))
		assert.True(t, none.NoOp)
		assert.True(t, b.undo(b.apply(none)).NoOp, "it was not ours")
	})
	b.apply(b.prepare(b.order("stop-2", suspend(), "CronJob", "nightly")))
	lost := b.prepare(b.order("stop-2", suspend(), "CronJob", "nightly"))
	assert.True(t, lost.NoOp)
	b.undo(b.apply(lost))
	b.lab.Refresh(t, nightly)
	assert.False(t, *nightly.Spec.Suspend, "a lost plan can be undone")

	b.apply(b.prepare(b.order("stop-3", suspend(), "CronJob", "nightly")))
	r := b.apply(b.prepare(b.order("go-2", Step{ResumeCronJob: &ResumeCronJob{}}, "CronJob", "nightly")))
	h, err := b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.True(t, h.Ready)
	b.lab.Refresh(t, nightly)
	assert.False(t, *nightly.Spec.Suspend)

	b.refused(b.order("x", suspend(), "CronJob", "none"), ReasonTargetMissing, "does not exist")
	stale := b.prepare(b.order("stale", suspend(), "CronJob", "hourly"))
	hourly := kubetest.CronJob(b.ns, "hourly")
	b.lab.Refresh(t, hourly)
	b.lab.Patch(t, hourly, `{"spec":{"suspend":true}}`)
	b.writes(func() {
		r = b.apply(stale)
		assert.True(t, r.NoOp, "somebody else was faster")
		assert.True(t, b.undo(r).NoOp, "and it is theirs")
	})
}
