package remediationexporter

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// replicas makes two exporters that share a store and a webhook, both of which may act.
func replicas(t *testing.T, m *fakeMemory, edit func(*rig)) (a, b *rig) {
	t.Helper()
	receiver := &receiver{}
	var out []*rig
	for _, name := range []string{"one", "two"} {
		r := newRig(t, "shop")
		r.hooks["shop"] = receiver
		r.host.extensions[component.MustNewIDWithName("fake", "shop")] = receiver
		r.cfg.MaxEventAge, r.cfg.Store.Name, r.cfg.Coordination = 0, name, CoordinationStore
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		if edit != nil {
			edit(r)
		}
		r.withStore(m)
		out = append(out, r)
	}
	return out[0], out[1]
}

// TestTwoReplicasSendOneOrder has both take the same incident: one acts, and both know what became of it.
func TestTwoReplicasSendOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory()
		a, b := replicas(t, m, nil)
		a.hooks["shop"].answer = func(n int, _ request) (int, http.Header, string, error) {
			if n == 1 {
				return 503, http.Header{}, "", nil // so that the other asks while this one is at it
			}
			return 204, http.Header{}, "", nil
		}
		a.start()
		b.start()
		a.must(opened("i-1"))
		b.must(opened("i-1"))
		time.Sleep(10 * time.Second)
		got := actions(a.hooks["shop"])
		assert.Len(t, got, 2, "one attempt that failed, and one that did not")
		ids := map[string]bool{}
		for _, q := range a.hooks["shop"].requests() {
			ids[q.id()] = true
		}
		assert.Len(t, ids, 1)
		assert.Equal(t, []string{"started", "accepted"}, a.audit())
		assert.Equal(t, []string{"started", "accepted"}, b.audit())
		assert.Equal(t, int64(1), a.sum("lost_events", "elsewhere")+b.sum("lost_events", "elsewhere"))
		a.must(resolved("i-1", 2, time.Minute))
		b.must(resolved("i-1", 2, time.Minute))
		synctest.Wait()
		assert.Equal(t, "succeeded/recovered", a.audit()[2])
		assert.Equal(t, "succeeded/recovered", b.audit()[2])
		assert.Contains(t, m.stored(), "audit remediation.claim")
		a.stop()
		b.stop()
	})
}

// TestIncidentEndsWhileAnotherActs leaves the last word to the replica that acted.
func TestIncidentEndsWhileAnotherActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory()
		a, b := replicas(t, m, nil)
		a.hooks["shop"].answer = func(int, request) (int, http.Header, string, error) {
			time.Sleep(5 * time.Second)
			return 204, http.Header{}, "", nil
		}
		a.start()
		b.start()
		a.must(opened("i-1"))
		synctest.Wait()
		b.must(opened("i-1"))
		time.Sleep(1500 * time.Millisecond)
		b.must(resolved("i-1", 2, time.Minute))
		time.Sleep(10 * time.Second)
		a.must(resolved("i-1", 2, time.Minute))
		time.Sleep(time.Second)
		assert.Equal(t, []string{"started", "accepted", "succeeded/recovered"}, a.audit())
		assert.Equal(t, []string{"started", "skipped/stale"}, b.audit())
		last := map[bool]string{}
		for _, r := range m.all() {
			if r.Intent != nil {
				last[r.Intent.Aside] = r.Intent.Remediation.Outcome
			}
		}
		assert.Equal(t, map[bool]string{false: "succeeded", true: "skipped"}, last)
		a.stop()
		b.stop()
	})
}

// TestOneBudgetForTheFleet counts the actions of webhooks of all replicas together.
func TestOneBudgetForTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory()
		a, b := replicas(t, m, func(r *rig) { r.cfg.Budget.MaxActions = 3 })
		a.start()
		b.start()
		for i := range 3 {
			a.must(on(opened(fmt.Sprint("a-", i)), fmt.Sprint("shop/a", i)))
			b.must(on(opened(fmt.Sprint("b-", i)), fmt.Sprint("shop/b", i)))
		}
		time.Sleep(5 * time.Second)
		assert.Len(t, actions(a.hooks["shop"]), 3)
		assert.Equal(t, int64(3), a.sum("skipped_actions", "over_budget")+b.sum("skipped_actions", "over_budget"))
		a.stop()
		b.stop()
	})
}

// TestNothingIsDoneWhileNobodyCanBeAsked waits within the time that there is, and says so once.
func TestNothingIsDoneWhileNobodyCanBeAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		away time.Duration
		want []string
	}{
		"for a while": {30 * time.Second, []string{"started", "accepted"}},
		"for long":    {10 * time.Minute, []string{"started", "skipped/stale"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newFakeMemory()
				a, _ := replicas(t, m, nil)
				m.fail = errAway
				a.start()
				a.must(opened("i-1"))
				time.Sleep(tc.away)
				assert.Empty(t, actions(a.hooks["shop"]))
				m.set(func() { m.fail = nil })
				time.Sleep(10 * time.Second)
				assert.Equal(t, tc.want, a.audit()[:2])
				waits := 0
				for _, rec := range a.chain() {
					if rec.Kind == string(semconv.EventRemediationClaim) {
						waits++
						assert.Contains(t, rec.Text, "database is away")
					}
				}
				assert.Equal(t, 1, waits)
				a.stop()
			})
		})
	}
}

// TestRefusedOrderIsReleased gives back what was not done, and keeps what may have been.
func TestRefusedOrderIsReleased(t *testing.T) {
	for status, released := range map[int]bool{400: true, 503: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newFakeMemory()
				a, _ := replicas(t, m, nil)
				a.hooks["shop"].status(status, "")
				a.start()
				a.must(opened("i-1"))
				time.Sleep(5 * time.Minute)
				m.mu.Lock()
				assert.Equal(t, released, len(m.released) == 1)
				assert.Equal(t, !released, len(m.finished) == 1)
				m.mu.Unlock()
				a.stop()
			})
		})
	}
}

// TestKubernetesClaimsInTheStore agrees there on Kubernetes actions too.
func TestKubernetesClaimsInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory()
		var clusters []*fakeCluster
		a, b := replicas(t, m, func(r *rig) {
			r.cfg.Playbooks = nil
			clusters = append(clusters, r.onCluster(nil))
		})
		a.start()
		b.start()
		a.must(opened("i-1"))
		b.must(opened("i-1"))
		time.Sleep(20 * time.Second)
		_, first, _ := clusters[0].calls()
		_, second, _ := clusters[1].calls()
		assert.Equal(t, 1, first+second)
		assert.Equal(t, []string{"planned", "started", "accepted"}, a.audit())
		assert.Equal(t, []string{"planned", "started", "accepted"}, b.audit())
		m.mu.Lock()
		require.Len(t, m.claims, 1)
		for _, c := range m.claims {
			assert.True(t, c.done)
			assert.Equal(t, 5, c.Total)
			assert.Positive(t, c.Lease)
			assert.NotEmpty(t, c.Locks)
		}
		m.mu.Unlock()
		a.stop()
		b.stop()
	})
}

// TestAWordCountsAtAllReplicas approves at one of two that act, and denies at the other.
func TestAWordCountsAtAllReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory()
		a, b := replicas(t, m, func(r *rig) { r.cfg.Playbooks[0].Mode = "approve" })
		a.start()
		b.start()
		a.must(opened("i-1"), on(opened("i-2"), "shop/cart"))
		b.must(opened("i-1"), on(opened("i-2"), "shop/cart"))
		synctest.Wait()
		intents := m.intents()
		intent := map[string]string{}
		for _, i := range intents {
			intent[i.Incident] = i.Remediation.Intent
		}
		_, err := a.exporter().take(t.Context(), word{intent: intent["i-1"], verdict: semconv.ApprovalGranted, by: "ann", source: "api"})
		require.NoError(t, err)
		_, err = b.exporter().take(t.Context(), word{intent: intent["i-2"], verdict: semconv.ApprovalDenied, by: "bob", source: "api"})
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		assert.Len(t, actions(a.hooks["shop"]), 1)
		for _, r := range []*rig{a, b} {
			assert.ElementsMatch(t, []string{"awaiting_approval", "awaiting_approval", "started", "accepted", "denied/denied"}, r.audit())
		}
		a.stop()
		b.stop()
	})
}

func TestStoreConfig(t *testing.T) {
	c := defaultStore()
	require.NoError(t, c.Validate())
	c = StoreConfig{Name: "a\nb", QueueSize: 1, QueueBytes: 1, SimilarIncidents: 4, Caution: -1}
	err := c.Validate()
	for _, want := range []string{
		`name must have at most 128 printable bytes, got "a\nb"`, "queue_size must be between 100 and 100000, got 1; it bounds memory",
		"queue_bytes must be between 1048576 and 1073741824, got 1; it bounds memory", "timeout must be between 100ms and 1m0s, got 0s",
		"poll_interval must be between 50ms and 10s, got 0s", "report_interval must be between 1s and 5m0s, got 0s",
		"lookup_timeout must be between 10ms and 5s, got 0s", "caution must be between 0s and 8760h0m0s, got -1ns",
		"similar_incidents must be between 0 and 3, got 4; messages are small",
	} {
		require.ErrorContains(t, err, want)
	}
	cfg := createDefaultConfig().(*Config)
	cfg.Coordination = CoordinationStore
	require.ErrorContains(t, cfg.Validate(), "coordination must be cluster without incident_store, got store; name the incidentstore extension under incident_store")
	require.ErrorContains(t, cfg.Validate(), "webhooks must not be empty")
	id := component.MustNewID("incidentstore")
	cfg.IncidentStore = &id
	require.NoError(t, cfg.Validate())
	require.EqualError(t, cfg.Coordination.UnmarshalText([]byte("x")), `coordination must be cluster or store, got "x"`)
}

func TestStoreMustBeThere(t *testing.T) {
	r := newRig(t)
	id := component.MustNewID("incidentstore")
	r.cfg.IncidentStore = &id
	for name, tc := range map[string]struct {
		ext  component.Component
		want string
	}{
		"missing": {nil, "incident_store: extension incidentstore is not configured; add it under extensions and service::extensions"},
		"another": {&receiver{}, "incident_store: extension incidentstore is a *remediationexporter.receiver and not an incident store; name an incidentstore extension"},
	} {
		delete(r.host.extensions, id)
		if tc.ext != nil {
			r.host.extensions[id] = tc.ext
		}
		tel := componenttest.NewTelemetry()
		exp, err := NewFactory().CreateLogs(t.Context(), metadataSettings(tel), r.cfg)
		require.NoError(t, err)
		require.EqualError(t, exp.Start(t.Context(), r.host), tc.want, name)
		require.NoError(t, exp.Shutdown(t.Context()))
		require.NoError(t, tel.Shutdown(t.Context()))
	}
}

// TestExecutorName is unique as long as hosts are, unless it is said.
func TestExecutorName(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	host, err := os.Hostname()
	require.NoError(t, err)
	assert.Equal(t, host+"/remediation/a", cfg.executorName(component.MustNewIDWithName("remediation", "a")))
	cfg.Store.Name = "gateway-1"
	assert.Equal(t, "gateway-1", cfg.executorName(component.MustNewID("remediation")))
}

// recordKillDir is in the environment of the process that is killed.
const recordKillDir = "REMEDIATION_TEST_RECORD_DIR"

// recordKillRig records into a real store, with real files.
func recordKillRig(t *testing.T, dir string) (*rig, *incidentstore.Store) {
	t.Helper()
	settings := incidentstore.DefaultSettings()
	settings.Path = filepath.Join(dir, "incidents.db")
	s, err := incidentstore.Open(t.Context(), settings)
	require.NoError(t, err)
	r := newRig(t, "chat")
	r.editHook("chat", only)
	r.cfg.MaxEventAge, r.cfg.MaxIncidents, r.cfg.Store.QueueSize = 0, 100_000, 100_000
	r.cfg.Store.Name = "one"
	r.playbook("restart", "chat", func(p *PlaybookConfig) { p.Mode, p.Cooldown = "observe", 0 })
	id := component.MustNewID("incidentstore")
	r.host.extensions[id] = fakeStore{memory: s}
	r.cfg.IncidentStore = &id
	r.fileStorage(dir)
	return r, s
}

// TestRecordProcessThatIsKilled is the process for the test below: it decides until it is killed.
func TestRecordProcessThatIsKilled(t *testing.T) {
	if os.Getenv(recordKillDir) == "" {
		t.Skip("only runs as the child of TestRecordsSurviveAKill")
	}
	r, _ := recordKillRig(t, os.Getenv(recordKillDir))
	r.start()
	for i := 0; ; i++ {
		id := fmt.Sprintf("i-%d-%d", os.Getpid(), i)
		r.must(opened(id))
		fmt.Println("decided", id)
	}
}

// killDecided is how many decisions the process has told of when it is killed.
const killDecided = 20

// TestRecordsSurviveAKill kills a process in the midst of deciding, several times: what was decided is in the store, once.
func TestRecordsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	decided := map[string]bool{}
	for range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRecordProcessThatIsKilled$", "-test.v")
		child.Env = append(os.Environ(), recordKillDir+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		n := 0
		for lines := bufio.NewScanner(out); n < killDecided && lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "decided "); ok {
				decided[id] = true
				n++
			}
		}
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())
		require.Equal(t, killDecided, n)
	}
	r, s := recordKillRig(t, dir)
	r.start()
	require.Eventually(t, func() bool { return r.sum("queued_records") == 0 }, 3*time.Minute, 20*time.Millisecond, "a loaded machine takes its time")
	assert.Zero(t, r.sum("unrecorded_records"))
	assert.Zero(t, r.sum("storage_errors"))
	audited := map[string]int{}
	for from := uint64(1); ; {
		records, err := s.Audit(t.Context(), from, 1000)
		require.NoError(t, err)
		if len(records) == 0 {
			break
		}
		for _, rec := range records {
			if rec.Kind == string(semconv.EventRemediationDecision) {
				audited[rec.Incident]++
			}
			from = rec.Seq + 1
		}
	}
	for id := range decided {
		inc, err := s.Incident(t.Context(), id)
		require.NoError(t, err, id)
		assert.Len(t, inc.Intents, 1, id)
		assert.Equal(t, 1, audited[id], "what was decided on %s is in the audit once", id)
	}
	_, _, err := s.VerifyAudit(t.Context())
	require.NoError(t, err)
	r.stop()
	require.NoError(t, r.host.extensions[*r.cfg.Storage].Shutdown(context.Background()))
	require.NoError(t, s.Close())
	fmt.Printf("records after three kills: all of %d decisions, each once\n", len(decided))
}
