package kubetest_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// The control plane can be killed and paused under a test, comes back, and leaves nothing behind.
func TestKubernetesControl(t *testing.T) {
	t.Parallel()
	var dir string
	var pids []int
	t.Cleanup(func() { // after the lab's own clean-up
		for _, pid := range pids {
			assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d", pid)
		}
		assert.NoDirExists(t, dir)
	})
	lab := kubetest.Start(t, kubetest.Options{Nodes: 1})
	dir = lab.Dir
	ns := lab.Namespace(t)
	web := kubetest.Deployment(ns, "web", 1)
	lab.Create(t, web)
	lab.WaitRolledOut(t, web)

	for _, component := range []string{kubetest.APIServer, kubetest.Etcd} {
		old := lab.PID(t, component)
		lab.Kill(t, component)
		assert.NotEqual(t, old, lab.PID(t, component))
		lab.WaitReady(t)
		kubetest.Eventually(t, "scaled after "+component+" was killed", func() error {
			scale, err := lab.Client().AppsV1().Deployments(ns).GetScale(t.Context(), "web", metav1.GetOptions{})
			if err == nil {
				scale.Spec.Replicas++
				_, err = lab.Client().AppsV1().Deployments(ns).UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{})
			}
			return err
		})
		lab.WaitRolledOut(t, web)
	}

	resume := lab.Pause(t, kubetest.APIServer)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := lab.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	require.ErrorIs(t, err, context.DeadlineExceeded, "nothing answers")
	resume()
	lab.WaitReady(t)
	for component := range lab.PIDs {
		pids = append(pids, lab.PID(t, component))
	}
	require.NotEmpty(t, pids)
}
