package remediationexporter

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// writingFleet asks the permit for what it writes, as the one on a config map does.
type writingFleet struct {
	reserve         func()
	told, untold    []string
	reserved, tried int
}

var bookkeeping = kubeaction.Request{Verb: "update", Resource: "configmaps", Namespace: "paramedic", Name: "reservations"}

func (f *writingFleet) Reserve(ctx context.Context, _ kubeaction.Claim) (kubeaction.Outcome, error) {
	f.tried++
	if err := kubeaction.PermitFrom(ctx).Allow(ctx, bookkeeping); err != nil {
		return kubeaction.Outcome{}, err
	}
	f.reserved++
	if f.reserve != nil {
		f.reserve()
	}
	return kubeaction.Outcome{Verdict: kubeaction.Granted}, nil
}

func (f *writingFleet) Done(ctx context.Context, _ string) error    { return f.tell(ctx, "done") }
func (f *writingFleet) Release(ctx context.Context, _ string) error { return f.tell(ctx, "release") }

func (f *writingFleet) tell(ctx context.Context, what string) error {
	err := kubeaction.PermitFrom(ctx).Allow(ctx, bookkeeping)
	if err != nil {
		f.untold = append(f.untold, what)
	} else {
		f.told = append(f.told, what)
	}
	return err
}

// TestReservingIsNotBeginning ends the incident between the reservation and the action: no call is made, since the reservation
// has begun nothing that would have to be finished.
func TestReservingIsNotBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		f := &writingFleet{}
		f.reserve = func() { r.must(resolved("i-1", 2, time.Second)) }
		r.fleet = f
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		assert.Equal(t, 1, f.reserved)
		if assert.NotEmpty(t, c.refusals) {
			assert.ErrorIs(t, c.refusals[0], errWithdrawn)
		}
		_, applied, _ := c.calls()
		assert.Zero(t, applied, "no call was made")
		r.stop()
	})
}

// TestTheFleetIsTold of what was done, also once the intent has ended, but not against the kill switch.
func TestTheFleetIsTold(t *testing.T) {
	for name, paused := range map[string]bool{"as ever": false, "paused": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(nil)
				r.cfg.KillSwitch.File = filepath.Join(t.TempDir(), "stop")
				c.apply = func(int) error {
					if paused {
						assert.NoError(t, os.WriteFile(r.cfg.KillSwitch.File, nil, 0o600))
					}
					return &kubeaction.Halted{Action: "drain", Why: context.DeadlineExceeded}
				}
				f := &writingFleet{}
				r.fleet = f
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				late := &permit{e: r.exporter(), ref: playbook.Ref{Incident: "gone", Playbook: "restart"}, telling: true}
				err := late.Allow(t.Context(), bookkeeping)
				if paused {
					assert.Equal(t, []string{"done"}, f.untold)
					assert.ErrorIs(t, err, errWithdrawn)
				} else {
					assert.Equal(t, []string{"done"}, f.told)
					assert.NoError(t, err)
				}
				r.stop()
			})
		})
	}
}
