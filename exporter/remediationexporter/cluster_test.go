package remediationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/timewindow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// fakeCluster answers instead of an API server. Its Apply asks the permit as the transport does.
type fakeCluster struct {
	mu       sync.Mutex
	prepared []kubeaction.Order
	applied  []kubeaction.Plan
	undone   []kubeaction.Receipt
	refusals []error
	// asked are the times at which the health was asked for.
	asked  []time.Time
	health func() (kubeaction.Health, error)
	plan   func(kubeaction.Order) (kubeaction.Plan, error)
	apply  func(n int) error
	// under is waited in before a plan is carried out.
	under  func(ctx context.Context) error
	review func([]*kubeaction.Step, kubeaction.Scope) ([]kubeaction.Missing, error)
	// expired are the isolations whose time is over.
	expired func(kubeaction.Scope) ([]kubeaction.Receipt, error)
}

func (c *fakeCluster) Expired(_ context.Context, scope kubeaction.Scope) ([]kubeaction.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired == nil {
		return nil, nil
	}
	return c.expired(scope)
}

func (c *fakeCluster) Review(_ context.Context, steps []*kubeaction.Step, scope kubeaction.Scope) ([]kubeaction.Missing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.review == nil {
		return nil, nil
	}
	return c.review(steps, scope)
}

func (c *fakeCluster) Prepare(_ context.Context, o kubeaction.Order) (kubeaction.Plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prepared = append(c.prepared, o)
	if c.plan != nil {
		return c.plan(o)
	}
	return planFor(o), nil
}

func planFor(o kubeaction.Order) kubeaction.Plan {
	target := kubeaction.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: o.Subject.Namespace, Name: o.Subject.Name, UID: "uid-" + o.Subject.Name}
	return kubeaction.Plan{
		Order: o, Key: o.Intent, Action: o.Step.Name(), Class: o.Step.Class(), Target: target, Objects: []kubeaction.Object{target},
		Locks: []string{target.String()}, Weight: 1, Population: 10, Healthy: 9, Undoable: true, Summary: "restart " + target.String(),
		Commands: []string{"kubectl rollout restart"},
	}
}

func (c *fakeCluster) Apply(ctx context.Context, p kubeaction.Plan) (kubeaction.Receipt, error) {
	if err := kubeaction.PermitFrom(ctx).Allow(ctx, kubeaction.Request{Verb: "patch", Resource: "deployments", Name: p.Target.Name}); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refusals = append(c.refusals, err)
		return kubeaction.Receipt{}, err
	}
	c.mu.Lock()
	under := c.under
	c.mu.Unlock()
	if under != nil {
		if err := under(ctx); err != nil {
			return kubeaction.Receipt{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apply != nil {
		if err := c.apply(len(c.applied)); err != nil {
			return kubeaction.Receipt{}, err
		}
	}
	c.applied = append(c.applied, p)
	return kubeaction.Receipt{Key: p.Key, Action: p.Action, Objects: p.Objects, Undo: json.RawMessage(`{}`)}, nil
}

func (c *fakeCluster) Undo(ctx context.Context, r kubeaction.Receipt) (kubeaction.Receipt, error) {
	if err := kubeaction.PermitFrom(ctx).Allow(ctx, kubeaction.Request{Verb: "patch"}); err != nil {
		return kubeaction.Receipt{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undone = append(c.undone, r)
	return r, nil
}

func (c *fakeCluster) Health(context.Context, kubeaction.Receipt) (kubeaction.Health, error) {
	c.mu.Lock()
	c.asked = append(c.asked, time.Now())
	health := c.health
	c.mu.Unlock()
	if health != nil {
		return health()
	}
	return kubeaction.Health{Ready: true}, nil
}

func (c *fakeCluster) calls() (prepared, applied, undone int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.prepared), len(c.applied), len(c.undone)
}

// onCluster gives the rig a cluster and a playbook that restarts the cause's workload.
func (r *rig) onCluster(edit func(*PlaybookConfig)) *fakeCluster {
	k := defaultKubernetes()
	r.cfg.Kubernetes = configoptional.Some(k)
	r.cluster = &fakeCluster{}
	p := defaultPlaybook()
	p.Name, p.When, p.Mode = "restart", []string{"true"}, "auto"
	p.Scope.Namespaces = []string{"shop"}
	p.Verify.Within = 90 * time.Second
	p.Verify.Workload.Enabled = false // its tests switch it on
	p.Steps = []StepConfig{restartStep("next")}
	if edit != nil {
		edit(&p)
	}
	r.cfg.Playbooks = append(r.cfg.Playbooks, p)
	return r.cluster
}

func restartStep(onFailure OnFailure) StepConfig {
	return StepConfig{Kubernetes: &kubeaction.Step{RolloutRestart: &kubeaction.RolloutRestart{}}, OnFailure: onFailure}
}

func TestKubernetesStepActsAndSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.Len(t, c.applied, 1)
		o := c.prepared[0]
		assert.Equal(t, kubeaction.Subject{Namespace: "shop", Kind: "Deployment", Name: "payment"}, o.Subject)
		assert.Equal(t, playbook.IntentID("i-1", "restart", semconv.Entity{Type: semconv.EntityService, Name: "shop/payment"}.String(), 0, 0), o.Intent)
		assert.Equal(t, o.Intent, c.applied[0].Order.Intent, "the plan is carried out under the same identity")
		r.must(resolved("i-1", 2, time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{"planned", "started", "accepted", "succeeded/recovered"}, r.audit())
		assert.Equal(t, []string{
			"incident.opened.v1", "remediation.started.v1", "incident.resolved.v1", "remediation.succeeded.v1",
		}, r.hooks["chat"].types())
		r.stop()
	})
}

func TestModes(t *testing.T) {
	for mode, tc := range map[Mode]struct {
		audit []string
		event string
	}{
		"observe": {[]string{"planned", "proposed"}, "remediation.proposed.v1"},
		"suggest": {[]string{"planned", "suggested"}, "remediation.suggested.v1"},
		"approve": {[]string{"planned", "awaiting_approval"}, "remediation.approval_requested.v1"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(func(p *PlaybookConfig) { p.Mode = mode })
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				prepared, applied, _ := c.calls()
				assert.Equal(t, 1, prepared)
				assert.Zero(t, applied, "no call was made")
				assert.Equal(t, tc.audit, r.audit())
				require.Equal(t, []string{"incident.opened.v1", tc.event}, r.hooks["chat"].types())
				plan := r.hooks["chat"].requests()[1].event["data"].(map[string]any)["remediation"].(map[string]any)["plan"].(map[string]any)
				assert.Equal(t, []any{"kubectl rollout restart"}, plan["commands"])
				r.stop()
			})
		})
	}
}

// TestNothingActs shows, for each thing that stands against acting, that no call was made.
func TestNothingActs(t *testing.T) {
	critical := opened("i-1")
	critical.Incident.Causes[0].Resource[semconv.AttrServiceCriticality] = "critical"
	unknown := opened("i-1")
	unknown.Incident.UnknownSince = t0
	for name, tc := range map[string]struct {
		config func(*testing.T, *rig)
		edit   func(*PlaybookConfig)
		event  semconv.IncidentEvent
		want   []string
	}{
		"kill switch file": {
			config: func(t *testing.T, r *rig) {
				r.cfg.KillSwitch.File = filepath.Join(t.TempDir(), "on")
				require.NoError(t, os.WriteFile(r.cfg.KillSwitch.File, nil, 0o600))
			}, want: []string{"skipped/paused"},
		},
		"kill switch that cannot be looked for": {
			config: func(t *testing.T, r *rig) {
				file := filepath.Join(t.TempDir(), "file")
				require.NoError(t, os.WriteFile(file, nil, 0o600))
				r.cfg.KillSwitch.File = filepath.Join(file, "on")
			}, want: []string{"skipped/paused"},
		},
		"kill switch in the environment": {
			config: func(_ *testing.T, r *rig) { r.cfg.KillSwitch.Environment = "PATH" }, want: []string{"skipped/paused"},
		},
		"window": {
			config: func(_ *testing.T, r *rig) {
				r.cfg.Windows = []timewindow.Window{{Name: "freeze", Kind: timewindow.Deny, From: "00:00", To: "24:00"}}
			}, want: []string{"skipped/window"},
		},
		"outside of the allow window": {
			config: func(_ *testing.T, r *rig) {
				r.cfg.Windows = []timewindow.Window{{Name: "day", Kind: timewindow.Allow, From: "10:00", To: "11:00"}}
			}, want: []string{"skipped/window"},
		},
		"standby":    {config: func(_ *testing.T, r *rig) { r.elected() }, want: []string{"skipped/not_leading"}},
		"other kind": {edit: func(p *PlaybookConfig) { p.CauseKinds = []semconv.CauseKind{semconv.CauseCrash} }, want: []string{}},
		"tier":       {edit: func(p *PlaybookConfig) { p.Criticality = []Criticality{"low"} }, want: []string{"skipped/tier"}},
		"mode of tier": {
			edit:  func(p *PlaybookConfig) { p.Modes = map[Criticality]Mode{"critical": "observe"} },
			event: critical, want: []string{"planned", "proposed"},
		},
		"unknown tier": {
			edit: func(p *PlaybookConfig) { p.Modes = map[Criticality]Mode{"unknown": "approve"} },
			want: []string{"planned", "awaiting_approval"},
		},
		"no telemetry": {event: unknown, want: []string{"skipped/frozen"}},
		"old event": {
			event: event("i-1", 1, semconv.EventIncidentOpened, -30*365*24*time.Hour), want: []string{"skipped/frozen"},
		},
		"event from the future": {
			config: func(_ *testing.T, r *rig) { r.cfg.MaxEventLead = 5 * time.Minute }, want: []string{"skipped/frozen"},
		},
		"refused plan": {
			config: func(_ *testing.T, r *rig) {
				r.cluster.plan = func(kubeaction.Order) (kubeaction.Plan, error) {
					return kubeaction.Plan{}, &kubeaction.Refusal{Reason: kubeaction.ReasonOwner, Detail: "Argo CD heals it"}
				}
			}, want: []string{"planned", "skipped/owner"},
		},
		"graver in the cluster": {
			edit: func(p *PlaybookConfig) { p.Modes = map[Criticality]Mode{"critical": "approve"} },
			config: func(_ *testing.T, r *rig) {
				r.cluster.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
					p := planFor(o)
					p.Criticality = "critical"
					return p, nil
				}
			}, want: []string{"planned", "awaiting_approval"},
		},
		"single witness": {
			config: func(_ *testing.T, r *rig) {
				r.cfg.Playbooks[0].Steps[0].Kubernetes = &kubeaction.Step{DeletePod: &kubeaction.DeletePod{}}
			}, want: []string{"planned", "skipped/witnesses"},
		},
		"over the share": {
			config: func(_ *testing.T, r *rig) {
				r.cfg.Playbooks[0].MinWitnesses = 0
				r.cfg.Playbooks[0].Steps[0].Kubernetes = &kubeaction.Step{DeletePod: &kubeaction.DeletePod{}}
				r.cluster.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
					p := planFor(o)
					p.Destructive, p.Weight = true, 3
					return p, nil
				}
			}, want: []string{"planned", "skipped/budget"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(tc.edit)
				if tc.config != nil {
					tc.config(t, r)
				}
				if tc.event.Name == "" {
					tc.event = opened("i-1")
				}
				r.start()
				r.must(tc.event)
				synctest.Wait()
				_, applied, undone := c.calls()
				assert.Zero(t, applied, "no call was made")
				assert.Zero(t, undone)
				assert.Equal(t, tc.want, r.audit())
				r.stop()
			})
		})
	}
}

// TestKillSwitchStopsTheLastMoment turns the switch after everything was admitted.
func TestKillSwitchStopsTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		file := filepath.Join(t.TempDir(), "on")
		r.cfg.KillSwitch.File = file
		r.fleet = fleetFunc(func() (kubeaction.Outcome, error) {
			return kubeaction.Outcome{Verdict: kubeaction.Granted}, os.WriteFile(file, nil, 0o600)
		})
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.NotEmpty(t, c.refusals)
		require.ErrorIs(t, c.refusals[0], errWithdrawn)
		_, applied, _ := c.calls()
		assert.Zero(t, applied)
		r.stop()
	})
}

// fleetFunc is a fleet whose every claim is answered by the function.
type fleetFunc func() (kubeaction.Outcome, error)

func (f fleetFunc) Reserve(context.Context, kubeaction.Claim) (kubeaction.Outcome, error) { return f() }

func (fleetFunc) Done(context.Context, string) error { return nil }

func (fleetFunc) Release(context.Context, string) error { return nil }

func TestFleetDecidesWhoActs(t *testing.T) {
	for verdict, want := range map[kubeaction.Verdict][]string{
		kubeaction.Granted:    {"planned", "started", "accepted"},
		kubeaction.Resumed:    {"planned", "started", "accepted"},
		kubeaction.OverBudget: {"planned", "started", "skipped/over_budget"},
		kubeaction.Cooldown:   {"planned", "started", "skipped/cooldown"},
		kubeaction.Full:       {"planned", "started", "skipped/full"},
		kubeaction.Busy:       {"planned", "started", "skipped/target_busy"},
	} {
		t.Run(string(verdict), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(nil)
				r.fleet = fleetFunc(func() (kubeaction.Outcome, error) { return kubeaction.Outcome{Verdict: verdict}, nil })
				r.start()
				r.must(opened("i-1"))
				time.Sleep(85 * time.Second)
				_, applied, _ := c.calls()
				assert.Equal(t, want[2] == "accepted", applied == 1)
				assert.Equal(t, want, r.audit())
				r.stop()
			})
		})
	}
}

// TestDoneByAnotherReplica shows that what the fleet says is done is not done again, unless the target itself says that
// repeating changes nothing.
func TestDoneByAnotherReplica(t *testing.T) {
	for name, noOp := range map[string]bool{"its mark is on the target": true, "the target has gone on": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(nil)
				c.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
					p := planFor(o)
					p.NoOp = noOp && len(c.prepared) > 1
					return p, nil
				}
				r.fleet = fleetFunc(func() (kubeaction.Outcome, error) { return kubeaction.Outcome{Verdict: kubeaction.AlreadyDone}, nil })
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				assert.Equal(t, []string{"planned", "started", "accepted"}, r.audit())
				for _, p := range c.applied {
					assert.True(t, p.NoOp)
				}
				assert.Equal(t, noOp, len(c.applied) == 1)
				time.Sleep(time.Minute) // its health can be asked for all the same
				r.stop()
			})
		})
	}
}

// TestLeadershipTakesOver shows that a replica that begins to lead goes on with what was deferred.
func TestLeadershipTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		elector := r.elected()
		r.start()
		r.must(opened("i-1"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Empty(t, r.hooks["chat"].requests(), "the leader tells")
		assert.Zero(t, len(c.applied))
		elector.start(t.Context())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"skipped/not_leading", "planned", "started", "accepted"}, r.audit())
		assert.Len(t, c.applied, 1)
		assert.Contains(t, r.hooks["chat"].types(), "incident.opened.v1")
		elector.stop()
		r.must(opened("i-2"))
		time.Sleep(3 * time.Minute)
		assert.NotZero(t, r.sum("lost_events", lostStandby))
		r.stop()
	})
}

// TestStandbyTellsWhatItAloneKnows shows that news of what a replica did while it led is not left to the next leader.
func TestStandbyTellsWhatItAloneKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.onCluster(nil)
		elector := r.elected()
		r.hooks["chat"].status(503, "")
		r.start()
		elector.start(t.Context())
		r.must(opened("i-1"))
		time.Sleep(time.Second)
		elector.stop()
		r.hooks["chat"].status(200, "")
		time.Sleep(10 * time.Minute)
		types := r.hooks["chat"].types()
		assert.Contains(t, types, "remediation.started.v1")
		assert.Contains(t, types, "remediation.failed.v1")
		assert.Contains(t, types, "remediation.escalated.v1")
		r.must(opened("i-2"))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, types, r.hooks["chat"].types(), "what all are told of the leader tells, and what it makes of it")
		r.stop()
	})
}

// TestReplicasAskForOneAction shows that a receiver can tell that two replicas ask for the same, whenever they decided.
func TestReplicasAskForOneAction(t *testing.T) {
	ids := map[string]bool{}
	for _, revision := range []int64{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, "shop")
			r.editHook("shop", only)
			r.playbook("restart", "shop", nil)
			r.start()
			r.must(updated("i-1", revision, 0))
			synctest.Wait()
			got := r.hooks["shop"].requests()
			require.Len(t, got, 1)
			ids[got[0].id()] = true
			r.stop()
		})
	}
	assert.Len(t, ids, 1)
}

// TestRefusalAfterALostAnswer shows that what may have been carried out does not end, or cease to count, as if it was not.
func TestRefusalAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		calls := 0
		c.apply = func(int) error {
			if calls++; calls == 1 {
				return errors.New("connection reset by peer")
			}
			return &kubeaction.Refusal{Reason: kubeaction.ReasonTargetMissing, Detail: "it does not exist"}
		}
		r.start()
		r.must(opened("i-1"))
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{"planned", "started", "inconclusive/undelivered"}, r.audit())
		r.stop()
	})
}

type fakeElector struct {
	component.StartFunc
	component.ShutdownFunc
	start func(context.Context)
	stop  func()
}

func (e *fakeElector) SetCallBackFuncs(start func(context.Context), stop func()) {
	e.start, e.stop = start, stop
}

func (r *rig) elected() *fakeElector {
	id := component.MustNewIDWithName("k8s_leader_elector", "test")
	e := &fakeElector{}
	r.host.extensions[id] = e
	r.cfg.LeaderElector = &id
	return e
}

func TestLadderOfSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		c := r.onCluster(func(p *PlaybookConfig) {
			p.Steps = append(p.Steps, StepConfig{Webhook: "shop", Action: ActionConfig{Name: "page-vendor"}, OnFailure: "escalate"})
		})
		r.start()
		r.must(opened("i-1"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Len(t, c.applied, 1)
		require.Len(t, actions(r.hooks["shop"]), 1, "the second step follows the first that did not help")
		assert.Equal(t, "page-vendor", actions(r.hooks["shop"])[0]["name"])
		time.Sleep(2 * time.Minute)
		assert.Equal(t, []string{"planned", "started", "accepted", "failed/not_recovered", "started", "accepted", "failed/not_recovered"}, r.audit())
		r.stop()
	})
}

func TestRollBackTakesEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(func(p *PlaybookConfig) {
			p.Steps[0].Continue = true
			p.Steps = append(p.Steps, restartStep("rollback"))
		})
		r.start()
		r.must(opened("i-1"))
		time.Sleep(5 * time.Minute)
		_, applied, undone := c.calls()
		assert.Equal(t, 2, applied)
		assert.Equal(t, 2, undone)
		assert.Equal(t, "rolled_back/not_recovered", r.audit()[len(r.audit())-1])
		assert.Contains(t, r.hooks["chat"].types(), "remediation.rolled_back.v1")
		r.stop()
	})
}

// TestKilledBetweenApplyAndAccept loses the answer of a call that had its effect: the step is carried out again under the
// same identity, so that the cluster can tell.
func TestKilledBetweenApplyAndAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		c := r.onCluster(nil)
		var disk *memoryStorage
		c.apply = func(int) error {
			disk = r.disk.copy()
			return nil
		}
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.Len(t, c.applied, 1)
		r.stop()
		n := again(r, disk)
		n.cluster = &fakeCluster{}
		n.start()
		synctest.Wait()
		require.Len(t, n.cluster.applied, 1)
		assert.Equal(t, c.applied[0].Key, n.cluster.applied[0].Key)
		assert.Empty(t, n.cluster.prepared, "what was admitted is not planned anew")
		n.stop()
	})
}

// TestAPIServerThatDoesNotAnswer shows that a step is tried until its time is over, and then is nobody's to repeat.
func TestAPIServerThatDoesNotAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		set  func(*fakeCluster)
		want []string
	}{
		"plan": {func(c *fakeCluster) {
			c.plan = func(kubeaction.Order) (kubeaction.Plan, error) { return kubeaction.Plan{}, errors.New("timeout") }
		}, []string{"planned", "skipped/stale"}},
		"apply": {func(c *fakeCluster) { c.apply = func(int) error { return errors.New("timeout") } }, []string{"planned", "started", "inconclusive/undelivered"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				tc.set(r.onCluster(nil))
				r.start()
				r.must(opened("i-1"))
				time.Sleep(5 * time.Minute)
				assert.Equal(t, tc.want, r.audit())
				r.stop()
			})
		})
	}
}

// TestStopDoesNotWaitForALongStep stops the exporter in the middle of what takes minutes, such as a drain. It goes on at the next
// start.
func TestStopDoesNotWaitForALongStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		c := r.onCluster(nil)
		c.under = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		began := time.Now()
		r.stop()
		assert.LessOrEqual(t, time.Since(began), 5*time.Second)
		c.under = nil
		r.start()
		synctest.Wait()
		_, applied, undone := c.calls()
		assert.Equal(t, 1, applied)
		assert.Zero(t, undone)
		assert.Equal(t, []string{"accepted"}, r.audit())
		r.stop()
	})
}
