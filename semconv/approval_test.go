package semconv

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

var (
	approvalKey    = []byte("0123456789abcdef0123456789abcdef")
	approvalSample = Approval{
		Intent: "0123456789abcdef0123456789abcdef", Verdict: ApprovalGranted, By: "ann.o'neil@example.com",
		At: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Comment: "go",
	}
)

func TestApprovalCodec(t *testing.T) {
	for verdict, digest := range map[ApprovalVerdict]string{ApprovalGranted: "", ApprovalDenied: strings.Repeat("a", 32)} {
		a := approvalSample
		a.Verdict, a.PlanDigest = verdict, digest
		a.Signature = a.Sign(approvalKey)
		lr := plog.NewLogRecord()
		a.Encode(lr)
		require.True(t, IsApprovalEvent(lr))
		got, err := DecodeApproval(lr)
		require.NoError(t, err)
		assert.Equal(t, a, got)
		assert.True(t, got.SignedBy(approvalKey))
		assert.False(t, got.SignedBy([]byte("another")))
	}
}

// TestApprovalSignature has the signature that this gives:
//
//	printf 0123456789abcdef0123456789abcdef.granted.ann.1772359200 |
//	openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | base64
func TestApprovalSignature(t *testing.T) {
	a := approvalSample
	a.By = "ann"
	assert.Equal(t, "0123456789abcdef0123456789abcdef.granted.ann.1772359200", a.SigningText())
	assert.Equal(t, "v1,iJBy7IW8ZLTqON93vwHkYq44wFSEzoMuJDLR1K0pRo8=", a.Sign(approvalKey))
}

func TestApprovalIsSignedAsAWhole(t *testing.T) {
	a := approvalSample
	a.Signature = a.Sign(approvalKey)
	for name, change := range map[string]func(*Approval){
		"intent":    func(a *Approval) { a.Intent = strings.Repeat("0", 32) },
		"verdict":   func(a *Approval) { a.Verdict = ApprovalDenied },
		"person":    func(a *Approval) { a.By = "bob" },
		"time":      func(a *Approval) { a.At = a.At.Add(time.Second) },
		"plan":      func(a *Approval) { a.PlanDigest = strings.Repeat("1", 32) },
		"signature": func(a *Approval) { a.Signature = "v1," },
		"scheme":    func(a *Approval) { a.Signature = strings.TrimPrefix(a.Signature, "v1,") },
		"length":    func(a *Approval) { a.Signature = "v1," + strings.Repeat("A", 1<<20) },
	} {
		b := a
		change(&b)
		assert.False(t, b.SignedBy(approvalKey), name)
	}
}

func TestDecodeApprovalErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(plog.LogRecord)
		want   string
	}{
		"event":     {func(lr plog.LogRecord) { lr.SetEventName("approval.maybe") }, "event name must be approval.granted or approval.denied"},
		"intent":    {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrApprovalIntentID, "../x") }, "approval.intent.id must be 32 hexadecimal digits"},
		"person":    {func(lr plog.LogRecord) { lr.Attributes().Remove(AttrApprovalBy) }, "approval.by must have 1 to 128 bytes of UTF-8"},
		"plan":      {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrApprovalPlanDigest, "A") }, "approval.plan.digest must be 32 hexadecimal digits"},
		"time":      {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrApprovalTimestamp, "now") }, "approval.timestamp must be a Int, got a Str"},
		"past time": {func(lr plog.LogRecord) { lr.Attributes().PutInt(AttrApprovalTimestamp, -1) }, "approval.timestamp must be seconds since 1970, got -1"},
		"comment":   {func(lr plog.LogRecord) { lr.Attributes().PutStr(AttrApprovalComment, strings.Repeat("x", 5000)) }, "approval.comment must have at most 4096 bytes, got 5000"},
	} {
		lr := plog.NewLogRecord()
		a := approvalSample
		a.Encode(lr)
		tc.change(lr)
		_, err := DecodeApproval(lr)
		assert.ErrorContains(t, err, tc.want, name)
	}
}

func FuzzDecodeApproval(f *testing.F) {
	m := plog.ProtoMarshaler{}
	ld := plog.NewLogs()
	a := approvalSample
	a.Encode(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	b, err := m.MarshalLogs(ld)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		u := plog.ProtoUnmarshaler{}
		ld, err := u.UnmarshalLogs(b)
		if err != nil {
			return
		}
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					a, err := DecodeApproval(lr)
					if err != nil {
						continue
					}
					require.False(t, a.SignedBy(approvalKey))
					again := plog.NewLogRecord()
					a.Encode(again)
					got, err := DecodeApproval(again)
					require.NoError(t, err)
					require.Equal(t, a, got)
				}
			}
		}
	})
}
