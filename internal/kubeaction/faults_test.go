package kubeaction

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// Whatever becomes of a request or its answer, repeating Apply carries a plan out exactly once, and what it says can be
// undone.
func TestKubernetesFaultsNeitherLoseNorRepeat(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{}, &RolloutRestart{})
	proxy := b.lab.FaultProxy(t, 1)
	settings := DefaultSettings()
	settings.Namespace = "paramedic"
	client, err := NewForConfig(proxy.Config(t, b.config), settings, TransportSettings{})
	require.NoError(t, err)
	for _, fault := range []kubetest.Fault{
		kubetest.FaultThrottled, kubetest.FaultServerError, kubetest.FaultUnavailable, kubetest.FaultConflict,
		kubetest.FaultTimeoutBefore, kubetest.FaultTimeoutAfter, kubetest.FaultResetBefore, kubetest.FaultResetAfter, kubetest.FaultTruncated,
	} {
		for kind, step := range map[string]Step{"scale": scaleBy(1, 5), "restart": restart()} {
			t.Run(string(fault)+"/"+kind, func(t *testing.T) {
				name := kind + "-" + strings.ReplaceAll(string(fault), "_", "-")
				web := kubetest.Deployment(b.ns, name, 1)
				b.lab.Create(t, web)
				p, err := client.Prepare(t.Context(), b.order("a", step, "Deployment", name))
				require.NoError(t, err)
				proxy.Inject(
					kubetest.FaultRule{Fault: fault, Verbs: []string{"patch"}, Name: name, Times: 1, Delay: 10 * time.Millisecond},
					kubetest.FaultRule{Fault: fault, Verbs: []string{"get"}, Name: name, Times: 1, Skip: 1, Delay: 10 * time.Millisecond})
				var r Receipt
				for tries := 0; ; tries++ {
					require.Less(t, tries, 10)
					r, err = client.Apply(permitted(t.Context()), stored(t, p))
					if err == nil {
						break
					}
					var refusal *Refusal
					require.False(t, errors.As(err, &refusal) && fault != kubetest.FaultConflict, "%v", err)
				}
				proxy.Inject()
				b.lab.Refresh(t, web)
				assert.Equal(t, int64(2), web.Generation, "changed once")
				if kind == "scale" {
					_, err = client.Undo(permitted(t.Context()), r)
					require.NoError(t, err)
					b.lab.Refresh(t, web)
					assert.Equal(t, int32(1), *web.Spec.Replicas)
				}
			})
		}
	}
}

// Many executors carry out the same plan, and plans of other intents for the same target, at once: every effect happens
// once, and who comes too late is told so.
func TestKubernetesRacingExecutors(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	var plans []Plan
	for i := range 4 {
		plans = append(plans, b.prepare(b.order(fmt.Sprintf("intent-%d", i), scaleBy(1, 9), "Deployment", "web")))
	}
	var done, repeated, refused atomic.Int32
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			r, err := b.client.Apply(permitted(t.Context()), plans[i%4])
			var refusal *Refusal
			switch {
			case errors.As(err, &refusal):
				assert.Equal(t, ReasonTargetChanged, refusal.Reason)
				refused.Add(1)
			case err != nil:
				assert.NoError(t, err)
			case r.NoOp:
				repeated.Add(1)
			default:
				done.Add(1)
			}
		})
	}
	wait.Wait()
	assert.Equal(t, int32(1), done.Load())
	assert.Equal(t, int32(16), done.Load()+repeated.Load()+refused.Load())
	b.lab.Refresh(t, web)
	assert.Equal(t, int64(2), web.Generation)
	assert.Equal(t, int32(2), *web.Spec.Replicas)
}

// Without a permit nothing is written, by no action.
func TestKubernetesNothingWithoutPermit(t *testing.T) {
	t.Parallel()
	b := newBench(t, &Scale{})
	web := kubetest.Deployment(b.ns, "web", 1)
	b.lab.Create(t, web)
	p := b.prepare(b.order("a", scaleBy(1, 9), "Deployment", "web"))
	b.writes(func() {
		_, err := b.client.Apply(t.Context(), p)
		require.ErrorIs(t, err, ErrNoPermit)
	})
	b.lab.Refresh(t, web)
	assert.Equal(t, int64(1), web.Generation)
}
