package remediationexporter

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configmiddleware"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/verification"
	"github.com/paramedic-otel/paramedic/semconv"
)

// last is the last decision that was logged.
func (r *rig) last() string {
	audit := r.audit()
	return audit[len(audit)-1]
}

// detail is what the last decision says to a person.
func (r *rig) detail() string {
	all := r.logs.FilterMessage("remediation decision").All()
	return all[len(all)-1].ContextMap()["detail"].(string)
}

func TestWorkloadMustBeReady(t *testing.T) {
	unreachable := errors.New("connection refused")
	for name, tc := range map[string]struct {
		health func() (kubeaction.Health, error)
		off    bool
		want   string
		undone int
	}{
		"ready":       {health: func() (kubeaction.Health, error) { return kubeaction.Health{Ready: true}, nil }, want: "succeeded/recovered"},
		"not ready":   {health: func() (kubeaction.Health, error) { return kubeaction.Health{}, nil }, want: "rolled_back/not_recovered", undone: 1},
		"failed":      {health: func() (kubeaction.Health, error) { return kubeaction.Health{Failed: true}, nil }, want: "rolled_back/worse", undone: 1},
		"unreachable": {health: func() (kubeaction.Health, error) { return kubeaction.Health{}, unreachable }, want: "inconclusive/no_data"},
		"turned off":  {health: func() (kubeaction.Health, error) { return kubeaction.Health{}, unreachable }, off: true, want: "succeeded/recovered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(func(p *PlaybookConfig) {
					p.Verify.Workload = WorkloadConfig{Enabled: !tc.off, Interval: 5 * time.Second}
					p.Steps[0].OnFailure = "rollback"
				})
				c.health = tc.health
				r.start()
				time.Sleep(time.Minute)
				assert.Empty(t, c.asked, "nothing is asked while nothing is verified")
				r.must(opened("i-1"))
				synctest.Wait()
				accepted := time.Now()
				time.Sleep(40*time.Second + time.Millisecond)
				if tc.off {
					assert.Empty(t, c.asked)
				} else if name != "failed" {
					assert.Equal(t, int64(1), r.sum("verifications"))
					assert.GreaterOrEqual(t, c.asked[0].Sub(accepted), r.cfg.Playbooks[0].Verify.Settle)
				}
				r.must(resolved("i-1", 2, 40*time.Second))
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				assert.Equal(t, tc.want, r.last(), r.detail())
				_, applied, undone := c.calls()
				assert.Equal(t, 1, applied)
				assert.Equal(t, tc.undone, undone)
				if name == "ready" {
					assert.Equal(t, int64(1), r.sum("assessments", "met"))
					assert.Equal(t, int64(1), r.sum("assessments", "unknown"))
					assert.Equal(t, int64(len(c.asked)), r.sum("probes", "good"))
				}
				assert.Zero(t, r.sum("verifications"))
				n := len(c.asked)
				time.Sleep(time.Minute)
				assert.Len(t, c.asked, n, "nothing is asked once the verdict is in")
				r.stop()
			})
		})
	}
}

// TestWorseEndsEarly shows that an explicit failure is acted on at once: long before the time is over.
func TestWorseEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(func(p *PlaybookConfig) {
			p.Verify.Within = 10 * time.Minute
			p.Verify.Workload.Enabled = true
			p.Steps[0].OnFailure = "rollback"
		})
		c.health = func() (kubeaction.Health, error) { return kubeaction.Health{Failed: true}, nil }
		r.start()
		r.must(opened("i-1"))
		time.Sleep(35 * time.Second)
		assert.Equal(t, "rolled_back/worse", r.last())
		assert.Len(t, c.undone, 1)
		assert.Equal(t, "an explicit sign of failure was seen: workload is worse: it has shown failure for 15s", r.detail())
		r.stop()
	})
}

// prober answers probes instead of the network.
type prober struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	got    []string
	answer func(n int) (status int, err error)
}

func (p *prober) GetHTTPRoundTripper(http.RoundTripper) (http.RoundTripper, error) { return p, nil }

func (p *prober) RoundTrip(req *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, req.Method+" "+req.URL.String())
	status, err := p.answer(len(p.got))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x")), Request: req, ProtoMajor: 1, ProtoMinor: 1}, nil
}

func TestProbe(t *testing.T) {
	const ok, down = http.StatusOK, http.StatusServiceUnavailable
	for name, tc := range map[string]struct {
		answer func(n int) (int, error)
		edit   func(*ProbeConfig)
		want   string
		detail string
	}{
		"well":               {answer: func(int) (int, error) { return ok, nil }, want: "succeeded/recovered"},
		"down":               {answer: func(int) (int, error) { return down, nil }, want: "failed/not_recovered", detail: "front is unmet"},
		"explicitly failed":  {answer: func(int) (int, error) { return down, nil }, edit: func(p *ProbeConfig) { p.Failures = 2 }, want: "failed/worse"},
		"no answer":          {answer: func(int) (int, error) { return 0, errors.New("no route to host") }, want: "inconclusive/no_data", detail: "front is unknown: 1 of 1 series have no value"},
		"flapping":           {answer: func(n int) (int, error) { return []int{ok, ok, down}[n%3], nil }, want: "failed/not_recovered"},
		"redirect":           {answer: func(int) (int, error) { return http.StatusFound, nil }, want: "failed/not_recovered"},
		"another status":     {answer: func(int) (int, error) { return http.StatusNoContent, nil }, edit: func(p *ProbeConfig) { p.Status = []int{204} }, want: "succeeded/recovered"},
		"too few successes":  {answer: func(int) (int, error) { return ok, nil }, edit: func(p *ProbeConfig) { p.Successes = 50 }, want: "failed/not_recovered"},
		"comes back at last": {answer: func(n int) (int, error) { return map[bool]int{true: down, false: ok}[n < 5], nil }, want: "succeeded/recovered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				p := &prober{answer: tc.answer}
				id := component.MustNewIDWithName("fake", "probe")
				r.host.extensions[id] = p
				r.playbook("restart", "shop", func(b *PlaybookConfig) {
					watching(b)
					c := defaultProbe()
					c.Endpoint, c.Interval = "https://shop.example.com/health", 5*time.Second
					c.Middlewares = []configmiddleware.Config{{ID: id}}
					if tc.edit != nil {
						tc.edit(&c)
					}
					b.Verify.Signals = []SignalConfig{{Name: "front", HTTP: &c}}
				})
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				time.Sleep(45 * time.Second)
				r.must(resolved("i-1", 2, 45*time.Second))
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				assert.Equal(t, tc.want, r.last(), r.detail())
				assert.Contains(t, r.detail(), tc.detail)
				assert.Equal(t, "GET https://shop.example.com/health", p.got[0])
				assert.Less(t, len(p.got), 30)
				r.stop()
			})
		})
	}
}

// TestProbeGuard asks a server on this very machine, which only the setting for it permits.
func TestProbeGuard(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for allow, want := range map[bool]verification.Reading{true: verification.Good, false: verification.Lost} {
		c := defaultProbe()
		c.Endpoint, c.Successes, c.AllowPrivateRanges = server.URL, 1, allow
		p := &probe{cfg: &c}
		require.NoError(t, p.start(t.Context(), componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings()))
		assert.Equal(t, want, p.ask(t.Context(), &streak{}))
		p.stop()
		require.Equal(t, !allow, c.Validate() != nil)
	}
}

// TestProbesAreBounded lets every probe hang: there are never more than max_probes.
func TestProbesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.Verification.MaxProbes = 2
		r.cfg.Budget.MaxActions, r.cfg.Budget.Limits = 100, nil
		r.cfg.Breakers.Target.MaxActions = 0
		r.onCluster(func(p *PlaybookConfig) { p.Verify.Workload.Enabled = true })
		var mu sync.Mutex
		asking, most := 0, 0
		r.cluster.health = func() (kubeaction.Health, error) {
			mu.Lock()
			asking++
			most = max(most, asking)
			mu.Unlock()
			time.Sleep(3 * time.Second)
			mu.Lock()
			asking--
			mu.Unlock()
			return kubeaction.Health{Ready: true}, nil
		}
		r.start()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			e := on(opened("i-"+name), "shop/"+name)
			e.Incident.Causes[0].Resource = map[string]string{semconv.AttrK8sDeploymentName: name}
			r.must(e)
		}
		time.Sleep(80 * time.Second)
		_, applied, _ := r.cluster.calls()
		assert.Equal(t, 5, applied)
		r.stop()
		assert.Equal(t, 2, most)
	})
}

// TestSignalsAreWitnesses lets a destructive step rest on the incident's one source, traces, and on a signal.
func TestSignalsAreWitnesses(t *testing.T) {
	for name, tc := range map[string]struct {
		metric string
		feed   func(r *rig)
		acts   bool
	}{
		"failing":               {feed: func(r *rig) { r.feed("payment", 0, 200) }, acts: true},
		"not well, not failing": {feed: func(r *rig) { r.feed("payment", 0, 50) }},
		"nothing":               {feed: func(*rig) {}},
		"another one's":         {feed: func(r *rig) { r.feed("cart", 0, 200) }},
		"was failing": {feed: func(r *rig) {
			r.feed("payment", 0, 200)
			r.feed("payment", time.Second, 1)
		}},
		"stale": {feed: func(r *rig) {
			r.feed("payment", 0, 200)
			time.Sleep(time.Minute)
		}},
		"a new source":  {metric: "queue.depth", feed: func(r *rig) { r.feed("payment", 0, 200) }, acts: true},
		"no new source": {metric: "traces_service_graph_queue", feed: func(r *rig) { r.feed("payment", 0, 200) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(func(p *PlaybookConfig) {
					watching(p)
					p.Steps[0].Kubernetes = &kubeaction.Step{DeletePod: &kubeaction.DeletePod{}}
					if tc.metric != "" {
						p.Verify.Signals[0].Metric.Name, p.Verify.Signals[0].Metric.Of = tc.metric, OfAny
					}
				})
				r.cfg.Budget.Limits = nil
				c.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
					p := planFor(o)
					p.Destructive = true
					return p, nil
				}
				r.start()
				r.fed()
				r.metric = tc.metric
				tc.feed(r)
				r.must(opened("i-1"))
				synctest.Wait()
				_, applied, _ := c.calls()
				assert.Equal(t, tc.acts, applied == 1)
				if !tc.acts {
					assert.Equal(t, []string{"planned", "skipped/witnesses"}, r.audit())
				}
				r.stop()
			})
		})
	}
}

// TestSignalsAreWitnessesForWebhooks lets what a webhook is asked to destroy rest on a signal at once, since nobody plans it.
func TestSignalsAreWitnessesForWebhooks(t *testing.T) {
	for value, want := range map[float64][]string{200: {"started", "accepted"}, 50: {"skipped/witnesses"}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, "shop")
			r.editHook("shop", only)
			r.playbook("restart", "shop", func(p *PlaybookConfig) {
				watching(p)
				p.Steps[0].Destructive = true
			})
			r.cfg.Budget.Limits = nil
			r.start()
			r.fed()
			r.feed("payment", 0, value)
			r.must(opened("i-1"))
			synctest.Wait()
			assert.Equal(t, want, r.audit())
			assert.Equal(t, value == 200, len(r.hooks["shop"].requests()) == 1)
			r.stop()
		})
	}
}

// TestOurOwnInputStops shows that nothing acts while no data point arrives at all, and what was held back is caught up with.
func TestOurOwnInputStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", watching)
		r.start()
		r.fed()
		r.feed("other", 0, 1)
		time.Sleep(2*time.Minute + 2*time.Second)
		r.must(opened("i-1"))
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{"skipped/frozen"}, r.audit())
		assert.Empty(t, r.hooks["shop"].requests(), "no call was made")
		assert.Equal(t, "no data point has arrived for more than 2m0s: nobody can say how things are", r.detail())
		r.feed("other", 3*time.Minute, 1)
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{"skipped/frozen", "started", "accepted"}, r.audit())
		r.stop()
	})
}

// TestInputStopsWhileVerifying shows that silence is taken neither for recovery nor for failure.
func TestInputStopsWhileVerifying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", func(p *PlaybookConfig) {
			watching(p)
			p.Verify.Within = 5 * time.Minute
		})
		r.start()
		r.fed()
		r.feed("payment", 0, 200)
		r.must(opened("i-1"))
		time.Sleep(6 * time.Minute)
		assert.Equal(t, []string{"started", "accepted", "inconclusive/no_data"}, r.audit())
		r.stop()
	})
}

func TestWhatDoesNotFreeze(t *testing.T) {
	for name, edit := range map[string]func(r *rig){
		"before the first data point": func(*rig) {},
		"turned off": func(r *rig) {
			r.cfg.Verification.FreezeAfter = 0
			r.first = true
		},
		"no metric signals": func(r *rig) {
			r.cfg.Playbooks[0].Verify.Signals = nil
			r.first = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.playbook("restart", "shop", watching)
				edit(r)
				r.start()
				r.fed()
				if r.first {
					r.feed("other", 0, 1)
				}
				time.Sleep(time.Hour)
				r.must(opened("i-1"))
				synctest.Wait()
				assert.Equal(t, []string{"started", "accepted"}, r.audit())
				r.stop()
			})
		})
	}
}

// TestFreezeIsAKillSwitchToo shows that the two do not mask each other.
func TestFreezeIsAKillSwitchToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", watching)
		r.cfg.KillSwitch.File = filepath.Join(t.TempDir(), "on")
		require.NoError(t, os.WriteFile(r.cfg.KillSwitch.File, nil, 0o600))
		r.start()
		r.fed()
		r.feed("other", 0, 1)
		time.Sleep(3 * time.Minute)
		r.must(opened("i-1"))
		time.Sleep(5 * time.Second)
		require.NoError(t, os.Remove(r.cfg.KillSwitch.File))
		time.Sleep(5 * time.Second)
		assert.NotContains(t, r.audit(), "started")
		assert.Empty(t, r.hooks["shop"].requests(), "no call was made")
		r.stop()
	})
}
