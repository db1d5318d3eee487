package semconv

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// The names of log records by which a person's word on an intent arrives.
const (
	EventApprovalGranted EventName = "approval.granted"
	EventApprovalDenied  EventName = "approval.denied"
)

// The attributes of an approval.
const (
	// AttrApprovalIntentID is the intent that was decided on, as in an event of type [EventTypeRemediationApprovalRequested].
	AttrApprovalIntentID = "approval.intent.id"
	// AttrApprovalBy names the person, for whom the signer vouches.
	AttrApprovalBy = "approval.by"
	// AttrApprovalTimestamp is when the person decided, an integer of seconds since 1970.
	AttrApprovalTimestamp = "approval.timestamp"
	// AttrApprovalSignature is what [Approval.Sign] returns.
	AttrApprovalSignature = "approval.signature"
	// AttrApprovalPlanDigest is optional: what the person was asked, as the request for approval calls it. It is signed, and the
	// approval then counts for nothing else.
	AttrApprovalPlanDigest = "approval.plan.digest"
	// AttrApprovalComment is optional and not signed.
	AttrApprovalComment = "approval.comment"
)

// ApprovalVerdict is what a person decided.
type ApprovalVerdict string

// The verdicts.
const (
	ApprovalGranted ApprovalVerdict = "granted"
	ApprovalDenied  ApprovalVerdict = "denied"
)

// The bounds of an approval, in bytes.
const (
	maxApprovalBy      = 128
	maxApprovalComment = 4096
	intentIDLen        = 32
	signaturePrefix    = "v1,"
)

// Approval is a person's word on an intent, as a log record.
type Approval struct {
	Intent  string
	Verdict ApprovalVerdict
	By      string
	// At has the precision of a second.
	At        time.Time
	Signature string
	// PlanDigest is empty when it is left open what the person was asked.
	PlanDigest string
	Comment    string
}

// IsApprovalEvent reports whether the record says that it is an approval.
func IsApprovalEvent(lr plog.LogRecord) bool {
	name := EventName(lr.EventName())
	return name == EventApprovalGranted || name == EventApprovalDenied
}

// Encode writes the approval into an empty record.
func (a *Approval) Encode(lr plog.LogRecord) {
	name := EventApprovalGranted
	if a.Verdict == ApprovalDenied {
		name = EventApprovalDenied
	}
	lr.SetEventName(string(name))
	lr.SetTimestamp(pcommon.NewTimestampFromTime(a.At))
	m := lr.Attributes()
	m.PutStr(AttrApprovalIntentID, a.Intent)
	m.PutStr(AttrApprovalBy, a.By)
	m.PutInt(AttrApprovalTimestamp, a.At.Unix())
	m.PutStr(AttrApprovalSignature, a.Signature)
	if a.PlanDigest != "" {
		m.PutStr(AttrApprovalPlanDigest, a.PlanDigest)
	}
	if a.Comment != "" {
		m.PutStr(AttrApprovalComment, a.Comment)
	}
}

// DecodeApproval reads an approval. That it is well-formed says nothing of whether it is genuine; see [Approval.SignedBy].
func DecodeApproval(lr plog.LogRecord) (Approval, error) {
	if !IsApprovalEvent(lr) {
		return Approval{}, fmt.Errorf("event name must be %s or %s, got %.80q", EventApprovalGranted, EventApprovalDenied, lr.EventName())
	}
	d, m := &decoder{}, lr.Attributes()
	a := Approval{
		Intent: d.str(m, AttrApprovalIntentID), Verdict: ApprovalGranted, By: d.str(m, AttrApprovalBy),
		Signature: d.str(m, AttrApprovalSignature), Comment: d.str(m, AttrApprovalComment),
		PlanDigest: d.str(m, AttrApprovalPlanDigest),
	}
	if EventName(lr.EventName()) == EventApprovalDenied {
		a.Verdict = ApprovalDenied
	}
	if !IsIntentID(a.Intent) {
		d.fail(AttrApprovalIntentID, "must be %d hexadecimal digits, got %.80q", intentIDLen, a.Intent)
	}
	if a.PlanDigest != "" && !IsIntentID(a.PlanDigest) {
		d.fail(AttrApprovalPlanDigest, "must be %d hexadecimal digits, got %.80q", intentIDLen, a.PlanDigest)
	}
	if a.By == "" || len(a.By) > maxApprovalBy || !utf8.ValidString(a.By) {
		d.fail(AttrApprovalBy, "must have 1 to %d bytes of UTF-8, got %.80q", maxApprovalBy, a.By)
	}
	if len(a.Comment) > maxApprovalComment {
		d.fail(AttrApprovalComment, "must have at most %d bytes, got %d", maxApprovalComment, len(a.Comment))
	}
	// JSON has no time past year 9999.
	const lastSecond = 253402300799
	seconds := d.integer(m, AttrApprovalTimestamp)
	if seconds <= 0 || seconds > lastSecond {
		d.fail(AttrApprovalTimestamp, "must be seconds since 1970, got %d", seconds)
		seconds = 0
	}
	a.At = time.Unix(seconds, 0).UTC()
	return a, errors.Join(d.errs...)
}

// IsIntentID reports whether s has the form of an intent's identity: 32 lower-case hexadecimal digits.
func IsIntentID(s string) bool {
	return len(s) == intentIDLen && strings.Trim(s, "0123456789abcdef") == ""
}

// SigningText is what a signature is over: intent, verdict, person and time in seconds, joined by dots. Where the plan's digest
// is given, the verdict is followed by a slash and the digest. Only the person's name can hold a dot, so that no two approvals
// have the same text.
func (a *Approval) SigningText() string {
	verdict := string(a.Verdict)
	if a.PlanDigest != "" {
		verdict += "/" + a.PlanDigest
	}
	return strings.Join([]string{a.Intent, verdict, a.By, strconv.FormatInt(a.At.Unix(), 10)}, ".")
}

// Sign returns the signature with a key: "v1," and the base64 of HMAC-SHA256 over [Approval.SigningText].
func (a *Approval) Sign(key []byte) string {
	return signaturePrefix + base64.StdEncoding.EncodeToString(a.mac(key))
}

// SignedBy reports whether the signature was made with the key. It takes the same time whatever the signature is.
func (a *Approval) SignedBy(key []byte) bool {
	encoded, ok := strings.CutPrefix(a.Signature, signaturePrefix)
	if !ok || len(encoded) > 2*sha256.Size {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && hmac.Equal(got, a.mac(key))
}

func (a *Approval) mac(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(a.SigningText())) // a hash takes everything
	return h.Sum(nil)
}
