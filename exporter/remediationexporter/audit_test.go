package remediationexporter

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// chain returns the audit as the api gives it, verified.
func (r *rig) chain() []auditchain.Record {
	r.t.Helper()
	if r.api == nil {
		r.withAPI(false, nil)
	}
	a := r.ask("auditor", http.MethodGet, "/v1/audit", "")
	require.Equal(r.t, http.StatusOK, a.status, a.raw)
	reader := auditchain.NewReader(strings.NewReader(a.raw), 64<<10)
	var out []auditchain.Record
	for {
		rec, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(r.t, err)
		out = append(out, rec)
	}
	require.NoError(r.t, auditchain.Verify(out, auditchain.Anchor{}))
	return out
}

// told says records in short.
func told(records []auditchain.Record) []string {
	out := []string{}
	for _, r := range records {
		text := strings.TrimPrefix(r.Kind, "remediation.")
		for _, k := range []string{"outcome", "reason", "verdict", "state", "status"} {
			if v := r.Fields[k]; v != "" {
				text += " " + v
			}
		}
		out = append(out, text+" by "+r.Actor)
	}
	return out
}

func TestAuditTellsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		r.must(opened("i-1"))
		path := "/v1/intents/" + r.waiting()
		r.ask("", "POST", path+"/approve", "")
		r.ask("ann", "POST", path+"/approve", `{"comment": "go\nahead"}`)
		synctest.Wait()
		r.ask("ann", "POST", "/v1/pause", "")
		r.must(on(opened("i-2"), "a"))
		r.ask("bob", "DELETE", "/v1/pause", "")
		r.must(resolved("i-1", 2, time.Second))
		want := []string{
			"decision awaiting_approval by executor", "call 403 by ", "approval granted by ann", "decision started by executor",
			"decision accepted by executor", "pause paused by ann", "decision skipped paused by executor", "pause resumed by bob",
			"decision succeeded recovered by executor",
		}
		got := r.chain()
		assert.Equal(t, want, told(got))
		assert.Equal(t, "go ahead", got[2].Text)
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		n.must(on(opened("i-3"), "b"))
		after := n.chain()
		assert.Equal(t, got, after[:len(got)], "it goes on where it was")
		assert.Len(t, after, len(got)+1)
		history := n.ask("ann", "GET", path, "").body["history"].([]any)
		assert.Len(t, history, 5, "what concerns the intent")
		assert.Equal(t, int64(1), n.sum("audit_records"))
		n.stop()
	})
}

// TestAuditIsOfWhatWasStored has a disk that fails: what is undone was never decided.
func TestAuditIsOfWhatWasStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		r.disk.setFail(true)
		require.Error(t, r.consume(opened("i-1")))
		assert.Empty(t, r.chain())
		r.disk.setFail(false)
		r.must(opened("i-1"))
		assert.Equal(t, []string{"decision awaiting_approval by executor"}, told(r.chain()))
		r.stop()
	})
}

func TestAuditOfRequests(t *testing.T) {
	r := approvalRig(t, nil)
	r.start()
	e := r.exporter()
	call := kubeaction.Call{
		Request: kubeaction.Request{Verb: "patch", Resource: "deployments", Namespace: "shop", Name: "payment"}, Status: 200,
		Permit: &permit{e: e, ref: playbook.Ref{Incident: "i-1", Playbook: "restart"}},
	}
	e.witnessCall(call)
	call.DryRun = true
	e.witnessCall(call)
	e.witnessCall(kubeaction.Call{Request: kubeaction.Request{Verb: "delete"}, Refused: true, Err: errWithdrawn})
	got := r.chain()
	require.Len(t, got, 2, "dry runs change nothing")
	assert.Equal(t, "i-1", got[0].Incident)
	assert.Equal(t, "true", got[0].Fields["sent"])
	assert.Equal(t, "false", got[1].Fields["sent"])
	assert.Equal(t, "permit is withdrawn", got[1].Text)
	r.stop()
}

func TestAuditIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.cfg.Audit.MaxRecords = 100
		r.cfg.Playbooks[0].Mode, r.cfg.Playbooks[0].Cooldown = "observe", 0
		r.start()
		for i := range 250 {
			r.must(opened("i-" + string(rune('a'+i%26)) + string(rune('a'+i/26))))
		}
		got := r.chain()
		assert.Len(t, got, 100)
		assert.Equal(t, uint64(151), got[0].Seq)
		stored := 0
		for key := range r.disk.copy().data {
			if strings.HasPrefix(key, "audit/") {
				stored++
			}
		}
		assert.Equal(t, 100, stored)
		killed := r.disk.copy()
		r.stop()
		n := again(r, killed)
		n.cfg.Audit.MaxRecords = 120
		n.start()
		assert.Equal(t, got, n.chain())
		a := n.ask("ann", "GET", "/v1/audit?from=200&limit=2", "")
		assert.Equal(t, 2, strings.Count(a.raw, "\n"))
		assert.Contains(t, a.raw, `{"seq":200,`)
		n.stop()
	})
}

func TestBrokenAuditBeginsAnew(t *testing.T) {
	for name, spoil := range map[string]func(map[string][]byte){
		"changed": func(d map[string][]byte) {
			d["audit/1"] = []byte(strings.Replace(string(d["audit/1"]), "proposed", "accepted", 1))
		},
		"missing": func(d map[string][]byte) { delete(d, "audit/2") },
		"cut off": func(d map[string][]byte) {
			d["audit"] = []byte(strings.Replace(string(d["audit"]), `"seq":3`, `"seq":2`, 1))
		},
		"no sense": func(d map[string][]byte) { d["audit"] = []byte("{") },
		"far ahead": func(d map[string][]byte) {
			d["audit"] = []byte(`{"version":1,"first":1,"head":{"seq":9000000000,"hash":""}}`)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := approvalRig(t, nil)
			r.cfg.Playbooks[0].Mode, r.cfg.Playbooks[0].Cooldown = "observe", 0
			r.start()
			r.must(opened("i-1"), opened("i-2"), opened("i-3"))
			killed := r.disk.copy()
			r.stop()
			spoil(killed.data)
			n := again(r, killed)
			n.start()
			n.must(opened("i-4"))
			got := n.chain()
			require.Len(t, got, 2, name)
			assert.Contains(t, got[0].Text, "the stored audit is broken and begins anew", name)
			assert.Equal(t, int64(1), n.sum("storage_errors", opDecode), name)
			n.stop()
		})
	}
}

// TestRefusalsDoNotPushOutTheRest records only so much of what anybody can cause.
func TestRefusalsDoNotPushOutTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		r.must(opened("i-1"))
		path := "/v1/intents/" + r.waiting() + "/approve"
		for range 100 {
			r.ask("", "POST", path, "")
		}
		assert.Len(t, r.chain(), 1+refusalsPerMinute)
		r.stop()
	})
}

// collector is an OTLP receiver for logs.
type collector struct {
	mu     sync.Mutex
	status int
	got    []plog.LogRecord
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	req := plogotlp.NewExportRequest()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	if err := req.UnmarshalProto(body); err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, rl := range req.Logs().ResourceLogs().All() {
		for _, lr := range rl.ScopeLogs().At(0).LogRecords().All() {
			c.got = append(c.got, lr)
		}
	}
}

func (c *collector) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, req)
	return w.Result(), nil
}

func (c *collector) set(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// seqs are the numbers of the records that came, each with its event name.
func (c *collector) seqs() (seqs []int64, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, lr := range c.got {
		v, _ := lr.Attributes().Get("audit.record.seq")
		seqs, names = append(seqs, v.Int()), append(names, lr.EventName())
	}
	return seqs, names
}

func (r *rig) exportTo(url string) {
	audit := defaultAudit()
	otlp := *audit.OTLP.GetOrInsertDefault()
	otlp.Endpoint = url
	require.NoError(r.t, otlp.Validate())
	r.cfg.Audit.OTLP = configoptional.Some(otlp)
}

// TestAuditIsExported sends the audit to a real receiver that is away at first, over a restart.
func TestAuditIsExported(t *testing.T) {
	c := &collector{status: 503}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	r := approvalRig(t, nil)
	r.cfg.MaxEventAge = 0
	r.cfg.Playbooks[0].Mode, r.cfg.Playbooks[0].Cooldown = "observe", 0
	r.exportTo(s.URL + "/v1/logs")
	r.start()
	r.must(opened("i-1"), opened("i-2"))
	killed := r.disk.copy()
	r.stop()
	_, names := c.seqs()
	require.Empty(t, names)

	c.set(0)
	n := again(r, killed)
	n.start()
	n.must(opened("i-3"))
	require.Eventually(t, func() bool { seqs, _ := c.seqs(); return len(seqs) == 3 }, 10*time.Second, time.Millisecond)
	n.stop()
	seqs, names := c.seqs()
	assert.Equal(t, []int64{1, 2, 3}, seqs)
	assert.Equal(t, "remediation.decision", names[0])
	attrs := c.got[0].Attributes().AsRaw()
	for name, want := range map[string]any{
		"incident.id": "i-1", "remediation.playbook.name": "restart", "remediation.actor": "executor", "remediation.outcome": "proposed",
		"remediation.action": "restart", "remediation.target": "service:shop/payment",
	} {
		assert.Equal(t, want, attrs[name], name)
	}
	assert.NotEmpty(t, attrs["remediation.intent.id"])
	assert.Len(t, attrs["audit.record.hash"], 64)

	m := again(r, n.disk)
	m.start()
	m.must(opened("i-4"))
	require.Eventually(t, func() bool { seqs, _ := c.seqs(); return len(seqs) >= 4 }, 10*time.Second, time.Millisecond)
	m.stop()
	seqs, _ = c.seqs()
	assert.Equal(t, []int64{1, 2, 3, 4}, seqs, "nothing twice after an orderly end")
}

func TestAuditThatIsRefused(t *testing.T) {
	c := &collector{status: 400}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	r := approvalRig(t, nil)
	r.cfg.MaxEventAge = 0
	r.exportTo(s.URL)
	r.start()
	r.must(opened("i-1"))
	require.Eventually(t, func() bool { return r.sum("lost_audit_records") == 1 }, 10*time.Second, time.Millisecond)
	assert.Len(t, r.chain(), 1, "it stays in the exporter")
	r.stop()
}

func TestAuditConfig(t *testing.T) {
	c := defaultAudit()
	require.NoError(t, c.Validate())
	c.MaxRecords = 5
	require.ErrorContains(t, c.Validate(), "max_records must be between 100 and 100000, got 5; it bounds memory")
	c = defaultAudit()
	otlp := c.OTLP.GetOrInsertDefault()
	require.NoError(t, otlp.Validate())
	otlp.Endpoint, otlp.Timeout = "ftp://hunter2@x", 0
	err := otlp.Validate()
	require.ErrorContains(t, err, "endpoint must be the http or https URL of an OTLP receiver for logs")
	require.ErrorContains(t, err, "timeout must be more than 0s and at most 5m, got 0s")
	assert.NotContains(t, err.Error(), "hunter2")
}
