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
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// TestHaltedStepIsNotRepeated shows that a step which stopped half-way is never carried out again: where it put back what it
// did the playbook goes on as after any failure, and where it could not a person is called.
func TestHaltedStepIsNotRepeated(t *testing.T) {
	for name, tc := range map[string]struct {
		restored bool
		want     string
	}{
		"put back":          {true, "failed/refused"},
		"could not be done": {false, "inconclusive/undelivered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(nil)
				tries := 0
				c.apply = func(int) error {
					tries++
					return &kubeaction.Halted{Action: "drain", Why: errors.New("the deadline has passed"), Restored: tc.restored, Left: []string{"shop/web-1"}}
				}
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				time.Sleep(time.Minute)
				synctest.Wait()
				assert.Equal(t, 1, tries)
				assert.Contains(t, r.audit(), tc.want)
				r.stop()
			})
		})
	}
}

// TestRestoringNeedsNoIntent shows that what stopped half-way may be put back after its intent has ended, but not against the
// kill switch.
func TestRestoringNeedsNoIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.onCluster(nil)
		r.cfg.KillSwitch.File = filepath.Join(t.TempDir(), "stop")
		r.start()
		p := &permit{e: r.exporter(), ref: playbook.Ref{Incident: "gone", Playbook: "restart"}}
		require.ErrorIs(t, p.Allow(t.Context(), kubeaction.Request{Verb: "patch"}), errWithdrawn)
		require.NoError(t, p.Allow(t.Context(), kubeaction.Request{Verb: "patch", Restoring: true}))
		require.NoError(t, os.WriteFile(r.cfg.KillSwitch.File, nil, 0o600))
		time.Sleep(time.Minute)
		require.ErrorIs(t, p.Allow(t.Context(), kubeaction.Request{Verb: "patch", Restoring: true}), errWithdrawn)
		r.stop()
	})
}
