package remediationexporter

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

// signed is an approval as somebody who has the secret sends it.
func signed(t testing.TB, secret configopaque.String, a semconv.Approval) plog.Logs {
	t.Helper()
	key, err := standardwebhooks.ParseKey(string(secret))
	require.NoError(t, err)
	a.Signature = a.Sign(key.Bytes())
	return record(a)
}

func record(a semconv.Approval) plog.Logs {
	ld := plog.NewLogs()
	a.Encode(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	return ld
}

func (r *rig) send(ld plog.Logs) {
	r.t.Helper()
	require.NoError(r.t, r.exp.ConsumeLogs(context.Background(), ld))
}

func granted(intent, by string) semconv.Approval {
	return semconv.Approval{Intent: intent, Verdict: semconv.ApprovalGranted, By: by, At: time.Now()}
}

func TestApprovalByLogRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Approvers = 2 })
		r.cfg.Approvals.Secrets = []configopaque.String{secretA, secretB}
		r.start()
		r.must(opened("i-1"))
		intent := r.waiting()
		r.send(signed(t, secretA, granted(intent, "ann")))
		assert.Equal(t, 200, r.ask("bob", "POST", "/v1/intents/"+intent+"/approve", "").status, "both sources are one desk")
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 1)
		assert.Equal(t, int64(2), r.sum("approvals", "granted"), "also those by the api")

		r.must(on(opened("i-2"), "a"))
		intent = r.waiting()
		deny := granted(intent, "ann")
		deny.Verdict = semconv.ApprovalDenied
		r.send(signed(t, secretB, deny))
		assert.Equal(t, int64(1), r.sum("approvals", "denied"))
		assert.Contains(t, r.audit(), "denied/denied")
		r.stop()
	})
}

// TestApprovalsThatAreRefused proves for each of them that no call was made.
func TestApprovalsThatAreRefused(t *testing.T) {
	forged := func(t testing.TB, intent string) plog.Logs {
		a := granted(intent, "ann")
		a.Signature = "v1,AAAA"
		return record(a)
	}
	for name, tc := range map[string]struct {
		secrets []configopaque.String
		records func(t testing.TB, intent string) plog.Logs
		reason  string
	}{
		"no secret is configured": {nil, func(t testing.TB, i string) plog.Logs { return signed(t, secretA, granted(i, "ann")) }, approvalNoSecret},
		"no signature":            {[]configopaque.String{secretA}, func(_ testing.TB, i string) plog.Logs { return record(granted(i, "ann")) }, approvalSignature},
		"forged":                  {[]configopaque.String{secretA}, forged, approvalSignature},
		"another secret":          {[]configopaque.String{secretA}, func(t testing.TB, i string) plog.Logs { return signed(t, secretB, granted(i, "ann")) }, approvalSignature},
		"a changed name": {[]configopaque.String{secretA}, func(t testing.TB, i string) plog.Logs {
			ld := signed(t, secretA, granted(i, "ann"))
			ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().PutStr(semconv.AttrApprovalBy, "bob")
			return ld
		}, approvalSignature},
		"a denial turned round": {[]configopaque.String{secretA}, func(t testing.TB, i string) plog.Logs {
			a := granted(i, "ann")
			a.Verdict = semconv.ApprovalDenied
			ld := signed(t, secretA, a)
			ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetEventName(string(semconv.EventApprovalGranted))
			return ld
		}, approvalSignature},
		"too old": {[]configopaque.String{secretA}, func(t testing.TB, i string) plog.Logs {
			a := granted(i, "ann")
			a.At = a.At.Add(-5*time.Minute - time.Second)
			return signed(t, secretA, a)
		}, approvalStale},
		"of the future": {[]configopaque.String{secretA}, func(t testing.TB, i string) plog.Logs {
			a := granted(i, "ann")
			a.At = a.At.Add(6 * time.Minute)
			return signed(t, secretA, a)
		}, approvalStale},
		"not on the list": {[]configopaque.String{secretA}, func(t testing.TB, i string) plog.Logs { return signed(t, secretA, granted(i, "eve")) }, approvalNotAllowed},
		"another intent": {[]configopaque.String{secretA}, func(t testing.TB, _ string) plog.Logs {
			return signed(t, secretA, granted("00000000000000000000000000000000", "ann"))
		}, approvalUnknown},
		"malformed": {[]configopaque.String{secretA}, func(t testing.TB, _ string) plog.Logs { return signed(t, secretA, granted("../x", "ann")) }, approvalBroken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Allowed = []string{"ann", "bob"} })
				r.cfg.Approvals.Secrets = tc.secrets
				r.start()
				r.must(opened("i-1"))
				intent := r.waiting()
				r.send(tc.records(t, intent))
				synctest.Wait()
				assert.Equal(t, intent, r.waiting())
				assert.Empty(t, actions(r.hooks["shop"]))
				assert.Equal(t, int64(1), r.sum("refused_approvals", tc.reason))
				last := r.chain()[1]
				assert.Equal(t, "refused", last.Fields["verdict"])
				assert.Equal(t, tc.reason, last.Fields["reason"])
				assert.Empty(t, last.Actor, "a claim is not a person")
				r.stop()
			})
		})
	}
}

// TestSignatureIsUsedOnce replays an approval after its intent was decided on anew, and after a restart.
func TestSignatureIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Approvers = 2 })
		r.cfg.Approvals.Secrets = []configopaque.String{secretA}
		r.start()
		r.must(opened("i-1"))
		intent := r.waiting()
		first := signed(t, secretA, granted(intent, "ann"))
		r.disk.setFail(true)
		require.Error(t, r.exp.ConsumeLogs(context.Background(), first), "it may be sent again")
		r.disk.setFail(false)
		r.send(first)
		r.send(first)
		r.disk.setFail(true)
		r.send(record(granted(intent, "eve"))) // which leaves something that waits to be stored
		require.Error(t, r.exp.ConsumeLogs(context.Background(), first))
		r.disk.setFail(false)
		r.send(first)
		assert.Equal(t, int64(1), r.sum("approvals"), "also when storage failed on what came after it")
		assert.Equal(t, int64(2), r.sum("refused_approvals", approvalReplayed))
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		n.send(first)
		assert.Equal(t, int64(1), n.sum("refused_approvals", approvalReplayed))
		assert.Equal(t, intent, n.waiting())
		time.Sleep(6 * time.Minute)
		n.send(first)
		assert.Equal(t, int64(1), n.sum("refused_approvals", approvalStale))
		n.send(signed(t, secretA, granted(intent, "bob")))
		assert.Len(t, n.exporter().used.until, 1, "what is too old anyway is forgotten")
		n.stop()
	})
}

func TestUsedSignaturesAreBounded(t *testing.T) {
	s, err := newSignatures(nil)
	require.NoError(t, err)
	now := time.Unix(1_700_000_000, 0)
	used := map[string]time.Time{}
	for i := range maxUsed - 1 {
		used[strconv.Itoa(i)] = now.Add(time.Minute)
	}
	stored, err := json.Marshal(used)
	require.NoError(t, err)
	require.NoError(t, s.load(stored, now))
	require.Empty(t, s.use(&semconv.Approval{By: "ann"}, now, now.Add(time.Minute)))
	assert.Equal(t, approvalFull, s.use(&semconv.Approval{By: "bob"}, now, now), "in doubt nothing is approved")
	require.Error(t, s.load([]byte("{"), now))
	fresh, err := newSignatures(nil)
	require.NoError(t, err)
	require.Error(t, fresh.load([]byte("null"), now))
	assert.Equal(t, approvalReplayed, fresh.use(&semconv.Approval{By: "ann", At: now.Add(-time.Second)}, now, now), "it may have been used")
	assert.Empty(t, fresh.use(&semconv.Approval{By: "ann", At: now}, now, now))
}

// TestRequesterDoesNotApprove has who asked for an undo approve the next action.
func TestRequesterDoesNotApprove(t *testing.T) {
	for _, may := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.RequesterMayApprove = may })
			r.start()
			r.must(opened("i-1"))
			e := r.exporter()
			e.mu.Lock()
			require.NoError(t, e.requested("i-1", "ann"))
			e.settleAndUnlock(context.Background())
			killed := r.disk.copy()
			intent := r.waiting()
			r.stop()
			n := again(r, killed)
			n.start()
			want := map[bool]int{false: 403, true: 200}[may]
			assert.Equal(t, want, n.ask("ann", "POST", "/v1/intents/"+intent+"/approve", "").status)
			if !may {
				assert.Equal(t, 200, n.ask("bob", "POST", "/v1/intents/"+intent+"/approve", "").status)
			}
			n.stop()
		})
	}
}

// TestLinksAreOnePerson does not take two destinations for two people.
func TestLinksAreOnePerson(t *testing.T) {
	for name, tc := range map[string]struct {
		allowed []string
		second  string
		actions int
	}{
		"another destination":           {nil, "link:pager", 0},
		"somebody who is known":         {nil, "ann", 1},
		"destinations that are allowed": {[]string{"link:chat", "link:pager"}, "link:pager", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Approvers, p.Approval.Allowed = 2, tc.allowed })
				r.start()
				r.must(opened("i-1"))
				w := word{intent: r.waiting(), verdict: semconv.ApprovalGranted, by: "link:chat", source: "link"}
				_, err := r.exporter().take(t.Context(), w)
				require.NoError(t, err)
				w.by = tc.second
				_, err = r.exporter().take(t.Context(), w)
				if tc.actions == 0 {
					require.ErrorIs(t, err, errForbidden)
				} else {
					require.NoError(t, err)
				}
				synctest.Wait()
				assert.Len(t, actions(r.hooks["shop"]), tc.actions)
				r.stop()
			})
		})
	}
}
