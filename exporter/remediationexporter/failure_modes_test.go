package remediationexporter

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// The failure modes that are documented of automation in the field, each for the whole exporter as it is by default: nothing
// that a mode would do reaches the cluster. The README has a table of them.

// byDefault is a rig on a cluster with the defaults that newRig turns off.
func byDefault(t testing.TB, edit func(*PlaybookConfig)) (*rig, *fakeCluster) {
	r := newRig(t, "chat")
	d := createDefaultConfig().(*Config)
	r.cfg.Storm, r.cfg.Breakers, r.cfg.Budget = d.Storm, d.Breakers, d.Budget
	return r, r.onCluster(edit)
}

// service is an incident that another service of the namespace causes.
func service(e semconv.IncidentEvent, name string) semconv.IncidentEvent {
	e = on(e, "shop/"+name)
	e.Incident.Causes[0].Resource = map[string]string{semconv.AttrK8sDeploymentName: name, semconv.AttrK8sNamespaceName: "shop"}
	return e
}

// targets are the names of what was changed, in order.
func (c *fakeCluster) targets() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []string{}
	for _, p := range c.applied {
		out = append(out, p.Target.Name)
	}
	return out
}

// now is the event as if it had just happened.
func now(e semconv.IncidentEvent) semconv.IncidentEvent {
	e.Time = time.Now()
	return e
}

func TestRunawayStopsAtTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.cfg.Storm.MaxIncidents = 1000
		r.start()
		for i := range 30 {
			r.must(service(opened(fmt.Sprintf("i-%d", i)), fmt.Sprintf("app-%d", i)))
			time.Sleep(10 * time.Second)
		}
		assert.Len(t, c.targets(), r.cfg.Budget.MaxActions, "within the window of the budget")
		r.stop()
	})
}

func TestRunawayOfDestruction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, func(p *PlaybookConfig) {
			p.MinWitnesses = 0
			p.Steps[0].Kubernetes = &kubeaction.Step{DeletePod: &kubeaction.DeletePod{}}
		})
		r.cfg.Storm.MaxIncidents = 1000
		c.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
			p := planFor(o)
			p.Target.Namespace, p.Destructive = "shop", true
			return p, nil
		}
		r.start()
		for i := range 30 {
			r.must(service(opened(fmt.Sprintf("i-%d", i)), fmt.Sprintf("app-%d", i)))
			time.Sleep(time.Minute)
		}
		assert.LessOrEqual(t, len(c.targets()), 2, "a quarter of ten pods in an hour, whatever the absolute limit")
		assert.NotEmpty(t, c.targets())
		r.stop()
	})
}

func TestStaleSignalActsOnNothing(t *testing.T) {
	for name, tell := range map[string]func(*rig){
		"resolved": func(r *rig) { r.must(opened("i-1"), resolved("i-1", 2, time.Second)) },
		"old": func(r *rig) {
			e := opened("i-1")
			e.Time = time.Now().Add(-r.cfg.MaxEventAge - time.Second)
			r.must(e)
		},
		"resolved while it was looked at": func(r *rig) {
			r.cluster.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
				r.must(resolved("i-1", 2, time.Second))
				return planFor(o), nil
			}
			r.must(opened("i-1"))
		},
		"resolved before it was sent": func(r *rig) {
			r.exporter().fleet = fleetFunc(func() (kubeaction.Outcome, error) {
				r.must(resolved("i-1", 2, time.Second))
				return kubeaction.Outcome{Verdict: kubeaction.Granted}, nil
			})
			r.must(opened("i-1"))
		},
		"grown old while something stood against it": func(r *rig) {
			r.must(now(opened("i-1")))
			time.Sleep(r.cfg.MaxEventAge + time.Minute)
			require.NoError(r.t, os.Remove(r.cfg.KillSwitch.File))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := byDefault(t, nil)
				if strings.HasPrefix(name, "grown") {
					r.cfg.KillSwitch.File = filepath.Join(t.TempDir(), "on")
					require.NoError(t, os.WriteFile(r.cfg.KillSwitch.File, nil, 0o600))
				}
				r.start()
				tell(r)
				time.Sleep(10 * time.Minute)
				assert.Empty(t, c.targets(), "no call was made")
				r.stop()
			})
		})
	}
}

func TestStormIsOneAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.start()
		for i := range 1000 {
			r.must(service(opened(fmt.Sprintf("i-%d", i)), "payment"))
			time.Sleep(60 * time.Millisecond)
		}
		assert.Equal(t, []string{"payment"}, c.targets(), "a thousand incidents in a minute, one cause")
		r.stop()
	})
}

func TestStormOfManyCausesIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.cfg.Budget.MaxActions = 1000
		r.start()
		for i := range 100 {
			r.must(service(opened(fmt.Sprintf("i-%d", i)), fmt.Sprintf("app-%d", i)))
		}
		time.Sleep(10 * time.Second)
		assert.LessOrEqual(t, len(c.targets()), r.cfg.Storm.MaxIncidents, "what was decided before it was a storm, and storm::max_actions")
		r.stop()
	})
}

func TestOwnerIsNotFought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		c.plan = func(kubeaction.Order) (kubeaction.Plan, error) {
			return kubeaction.Plan{}, &kubeaction.Refusal{Reason: kubeaction.ReasonOwner, Detail: "Argo CD heals it"}
		}
		r.start()
		r.must(opened("i-1"))
		time.Sleep(time.Hour)
		assert.Empty(t, c.targets(), "no call was made")
		assert.Contains(t, r.audit(), "skipped/owner")
		r.stop()
	})
}

func TestFlappingIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.start()
		for i := range int64(20) {
			e := opened("i-1")
			e.Incident.Revision, e.Incident.Reopened = 1+2*i, i
			r.must(e)
			time.Sleep(10 * time.Second)
			r.must(resolved("i-1", 2+2*i, time.Duration(i)*20*time.Second))
			time.Sleep(10 * time.Second)
		}
		assert.Len(t, c.targets(), 1, "one action, however often it comes back within the cooldown")
		r.stop()
	})
}

func TestSuccessIsNotAssumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.start()
		r.must(opened("i-1"))
		time.Sleep(10 * time.Minute) // the API server says that all is well, and nobody says that the incident is over
		assert.Len(t, c.targets(), 1)
		assert.NotContains(t, r.audit(), "succeeded/recovered")
		assert.Contains(t, r.hooks["chat"].types(), "remediation.escalated.v1")
		r.stop()
	})
}

func TestInconclusiveEndsAutomation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		second := r.cfg.Playbooks[0]
		second.Name = "another"
		r.cfg.Playbooks = append(r.cfg.Playbooks, second)
		r.start()
		r.must(opened("i-1"))
		time.Sleep(time.Minute)
		gone := resolved("i-1", 2, time.Minute)
		gone.Incident.Resolution = semconv.ResolutionNoData
		r.must(gone)
		back := event("i-1", 3, semconv.EventIncidentOpened, 2*time.Minute)
		r.must(back)
		time.Sleep(time.Hour)
		r.must(updated("i-1", 4, time.Hour))
		time.Sleep(time.Hour)
		assert.Len(t, c.targets(), 1, "from there on it is a human's")
		r.stop()
	})
}

func TestSingleWitnessDestroysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, func(p *PlaybookConfig) {
			p.Steps[0].Kubernetes = &kubeaction.Step{DeletePod: &kubeaction.DeletePod{}}
		})
		r.start()
		r.must(opened("i-1")) // traces alone
		time.Sleep(time.Minute)
		assert.Empty(t, c.targets(), "no call was made")
		assert.Contains(t, r.audit(), "skipped/witnesses")
		r.stop()
	})
}

func TestTwoExecutorsActOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := map[string]bool{}
		c := &fakeCluster{}
		claim := func(key string) fleetFunc {
			return func() (kubeaction.Outcome, error) {
				if taken[key] {
					return kubeaction.Outcome{Verdict: kubeaction.Cooldown, Detail: "another replica acted"}, nil
				}
				taken[key] = true
				return kubeaction.Outcome{Verdict: kubeaction.Granted}, nil
			}
		}
		var rigs []*rig
		for range 2 {
			r, _ := byDefault(t, nil)
			r.cluster, r.fleet = c, claim("payment")
			r.start()
			rigs = append(rigs, r)
		}
		for _, r := range rigs {
			r.must(opened("i-1"))
			synctest.Wait()
		}
		assert.Len(t, c.targets(), 1)
		assert.Contains(t, rigs[1].audit(), "skipped/cooldown")
		for _, r := range rigs {
			r.stop()
		}
	})
}

func TestOpenBreakerLetsUndoPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, func(p *PlaybookConfig) { p.Steps[0].OnFailure, p.Cooldown = "rollback", 0 })
		r.cfg.Breakers.Playbook.Failures, r.cfg.Storm.MaxIncidents = 1, 1000
		r.start()
		r.must(service(opened("i-1"), "a"))
		time.Sleep(10 * time.Minute) // it fails, which opens the breaker, and is taken back all the same
		_, applied, undone := c.calls()
		assert.Equal(t, 1, applied)
		assert.Equal(t, 1, undone)
		r.must(service(now(opened("i-2")), "b"))
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a"}, c.targets(), "the breaker is open")
		time.Sleep(r.cfg.Breakers.Playbook.Cooldown)
		r.must(service(now(opened("i-3")), "c"), service(now(opened("i-4")), "d"))
		time.Sleep(10 * time.Second)
		assert.Len(t, c.targets(), 2, "it is half open: one may try")
		r.stop()
	})
}

func TestGuardsAreOnByDefault(t *testing.T) {
	c := createDefaultConfig().(*Config)
	assert.Positive(t, c.Budget.MaxActions)
	assert.NotEmpty(t, c.Budget.Limits)
	for _, limit := range c.Budget.Limits {
		assert.Positive(t, limit.MaxPercent, "a share, of what the playbook's scope can touch")
	}
	assert.Positive(t, c.Storm.MaxIncidents)
	assert.Positive(t, c.Breakers.Playbook.Failures)
	assert.Positive(t, c.Breakers.Target.Failures)
	assert.Positive(t, c.Breakers.Fleet.RateFailures)
	assert.Positive(t, c.MaxEventAge)
	assert.NotEmpty(t, c.KillSwitch.Environment)
	p := defaultPlaybook()
	assert.Equal(t, Mode(playbook.Observe), p.Mode)
	assert.Positive(t, p.MinConfidence)
	assert.Greater(t, p.MinWitnesses, 1)
	assert.Positive(t, p.Cooldown)
	assert.Positive(t, p.Approval.Within)
	assert.True(t, p.Verify.Workload.Enabled)
	k := defaultKubernetes()
	assert.True(t, k.Coordination.Enabled)
	assert.Contains(t, k.ProtectedNamespaces, "kube-system")
	assert.Equal(t, kubeaction.OwnerRefuse, k.OnGitOps)
	assert.Positive(t, k.MinReady)
}

func TestCatchUpIsSpreadAndWithinTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.cfg.Storm.MaxIncidents = 1000
		r.cfg.KillSwitch.File = filepath.Join(t.TempDir(), "on")
		require.NoError(t, os.WriteFile(r.cfg.KillSwitch.File, nil, 0o600))
		r.start()
		for i := range 20 {
			r.must(service(now(opened(fmt.Sprintf("i-%d", i))), fmt.Sprintf("app-%d", i)))
		}
		time.Sleep(time.Minute)
		require.Empty(t, c.targets())
		require.NoError(t, os.Remove(r.cfg.KillSwitch.File))
		time.Sleep(2 * time.Second)
		soon := len(c.targets())
		time.Sleep(r.cfg.Storm.Jitter + 2*time.Second)
		all := len(c.targets())
		assert.Less(t, soon, all, "not all at once")
		assert.Equal(t, r.cfg.Budget.MaxActions, all)
		r.stop()
	})
}

func TestVictimIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.start()
		unsure := opened("i-1")
		unsure.Incident.Causes[0].Confidence = 0.6
		nobody := opened("i-2")
		nobody.Incident.Causes = nil
		r.must(unsure, nobody, opened("i-3"))
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"payment"}, c.targets(), "the ranked cause and not where it hurts, and only with confidence")
		r.stop()
	})
}

func TestTelemetryOutageIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := byDefault(t, nil)
		r.start()
		r.must(opened("i-1"))
		time.Sleep(10 * time.Second)
		gone := resolved("i-1", 2, 30*time.Second)
		gone.Incident.Resolution = semconv.ResolutionNoData
		r.must(gone)
		assert.Contains(t, r.audit(), "inconclusive/no_data")
		blind := service(updated("i-2", 1, 0), "other")
		blind.Incident.UnknownSince = t0
		r.must(blind)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"payment"}, c.targets(), "nothing is done blindly")
		r.stop()
	})
}

// TestFailureModesAreListed compares the README's table with the tests there are.
func TestFailureModesAreListed(t *testing.T) {
	_, section, found := strings.Cut(readme(t), "\n## Failure modes\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(section, -1)
	var listed []string
	for _, n := range named {
		listed = append(listed, n[1])
	}
	exist := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "../../internal/*/*_test.go", "../../test/executor/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, f := range regexp.MustCompile(`(?m)^func (Test[A-Za-z]+)\(t \*testing\.T\)`).FindAllSubmatch(b, -1) {
				name := string(f[1])
				exist[name] = true
				if file == "failure_modes_test.go" && name != t.Name() {
					assert.Contains(t, listed, name, "the table must name it")
				}
			}
		}
	}
	for _, name := range listed {
		assert.True(t, exist[name], "there is no test %s", name)
	}
	rows := strings.Count(section, "\n| ") - 1
	assert.GreaterOrEqual(t, rows, 19, "one for each failure mode")
	for _, row := range strings.Split(section, "\n") {
		if strings.HasPrefix(row, "| ") && !strings.HasPrefix(row, "| failure mode") && !strings.HasPrefix(row, "| ---") {
			assert.True(t, slices.ContainsFunc(listed, func(n string) bool { return strings.Contains(row, n) }), "no test: %s", row)
		}
	}
}
