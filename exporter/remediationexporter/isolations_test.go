package remediationexporter

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

// TestIsolationsEnd shows that what was isolated is released when its time is over, whoever isolated it, but not against the
// kill switch, and that nobody looks for isolations that no playbook makes.
func TestIsolationsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(func(p *PlaybookConfig) {
			p.Steps = []StepConfig{{Kubernetes: &kubeaction.Step{Isolate: &kubeaction.Isolate{}}, OnFailure: "next"}}
		})
		looked := 0
		c.expired = func(scope kubeaction.Scope) ([]kubeaction.Receipt, error) {
			assert.Equal(t, []string{"shop"}, scope.Namespaces)
			if looked++; looked == 1 {
				return nil, errors.New("connection refused")
			}
			return []kubeaction.Receipt{{Key: "k", Action: "isolate", Objects: []kubeaction.Object{{Kind: "NetworkPolicy", Namespace: "shop", Name: "paramedic-isolate-k"}}}}, nil
		}
		file := filepath.Join(t.TempDir(), "stop")
		r.cfg.KillSwitch.File = file
		r.start()
		time.Sleep(isolationEvery)
		synctest.Wait()
		_, _, undone := c.calls()
		assert.Zero(t, undone)
		time.Sleep(isolationEvery)
		synctest.Wait()
		_, _, undone = c.calls()
		assert.Equal(t, 1, undone)
		assert.Equal(t, 1, r.logs.FilterMessage("isolation was released, since its time is over").Len())

		require.NoError(t, os.WriteFile(file, nil, 0o600))
		time.Sleep(10 * isolationEvery)
		synctest.Wait()
		_, _, undone = c.calls()
		assert.Equal(t, 1, undone)
		assert.Equal(t, 2, looked)
		p := releasePermit{r.exporter()}
		require.ErrorIs(t, p.Allow(t.Context(), kubeaction.Request{}), errWithdrawn)
		r.stop()
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.onCluster(nil).expired = func(kubeaction.Scope) ([]kubeaction.Receipt, error) {
			t.Error("nobody isolates")
			return nil, nil
		}
		r.start()
		time.Sleep(10 * isolationEvery)
		r.stop()
	})
}
