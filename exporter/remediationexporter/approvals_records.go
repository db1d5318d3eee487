package remediationexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// sourceRecord is where the word of a person came from that was a log record.
	sourceRecord = "log record"
	usedKey      = "approvals/used"
	// maxUsed bounds the signatures that are remembered, so that none is used twice.
	maxUsed = 10_000
)

// The reasons for which an approval that came as a log record is refused, as in metadata.yaml.
const (
	approvalBroken      = "broken"
	approvalNoSecret    = "no_secret"
	approvalSignature   = "signature"
	approvalStale       = "stale"
	approvalReplayed    = "replayed"
	approvalUnknown     = "unknown_intent"
	approvalNotAwaiting = "not_awaiting"
	approvalNotAllowed  = "not_allowed"
	approvalFull        = "full"
	approvalPlanChanged = "plan_changed"
)

var approvalRefusals = []string{
	approvalBroken, approvalNoSecret, approvalSignature, approvalStale, approvalReplayed, approvalUnknown, approvalNotAwaiting,
	approvalNotAllowed, approvalFull, approvalPlanChanged,
}

// signatures are those that were used, with when they are too old to be used again anyway.
type signatures struct {
	keys  [][]byte
	until map[string]time.Time
	// since is the time from which signatures are taken.
	since time.Time
}

func newSignatures(secrets []configopaque.String) (*signatures, error) {
	s := &signatures{until: map[string]time.Time{}}
	for i, secret := range secrets {
		k, err := standardwebhooks.ParseKey(string(secret))
		if err != nil {
			return nil, fmt.Errorf("approvals::secrets::%d: %w", i, err)
		}
		s.keys = append(s.keys, k.Bytes())
	}
	return s, nil
}

// genuine reports whether one of the keys signed the approval. All are tried, whichever fits.
func (s *signatures) genuine(a *semconv.Approval) bool {
	ok := false
	for _, key := range s.keys {
		ok = a.SignedBy(key) || ok
	}
	return ok
}

func usedID(a *semconv.Approval) string {
	sum := sha256.Sum256([]byte(a.SigningText()))
	return hex.EncodeToString(sum[:16])
}

// use takes a signature, which can be done once.
func (s *signatures) use(a *semconv.Approval, now, until time.Time) (refusal string) {
	for id, t := range s.until {
		if now.After(t) {
			delete(s.until, id)
		}
	}
	id := usedID(a)
	switch _, used := s.until[id]; {
	case used, a.At.Before(s.since):
		return approvalReplayed
	case len(s.until) >= maxUsed:
		return approvalFull
	}
	s.until[id] = until
	return ""
}

func (s *signatures) op() *storage.Operation {
	b, _ := json.Marshal(s.until) // cannot fail: strings and times of the wall clock
	return storage.SetOperation(usedKey, b)
}

// load restores what was used. When that cannot be read, nothing that was signed until now is taken any more.
func (s *signatures) load(b []byte, now time.Time) error {
	if b == nil {
		return nil
	}
	until := map[string]time.Time{}
	err := json.Unmarshal(b, &until)
	switch {
	case err != nil:
	case until == nil || len(until) > maxUsed:
		err = fmt.Errorf("there must be at most %d, got %d", maxUsed, len(until))
	default:
		s.until = until
		return nil
	}
	s.since = now
	return fmt.Errorf("decode used approvals: %w", err)
}

// approval is a record that says that it is an approval, or what is wrong with it.
type approval struct {
	semconv.Approval
	broken error
}

// hearRecords applies the words of people that came as log records. Whoever can send records must not be able to approve: what
// is not signed with one of our keys changes nothing. The error is that of storage alone.
func (e *remediationExporter) hearRecords(ctx context.Context, approvals []approval) error {
	for i := range approvals {
		a := &approvals[i]
		refusal, err := e.hearRecord(ctx, a)
		switch {
		case errors.Is(err, errNotStored):
			return err
		case refusal != "":
			e.refuseRecord(ctx, a, refusal, err)
		}
	}
	return nil
}

func (e *remediationExporter) hearRecord(ctx context.Context, a *approval) (refusal string, err error) {
	switch {
	case a.broken != nil:
		return approvalBroken, a.broken
	case len(e.used.keys) == 0:
		return approvalNoSecret, errors.New("approvals::secrets is empty, so no approval is taken from log records")
	case !e.used.genuine(&a.Approval):
		return approvalSignature, errors.New("the signature was made with none of approvals::secrets")
	case !isPerson(a.By):
		return approvalBroken, fmt.Errorf("%s must be printable", semconv.AttrApprovalBy)
	}
	var heard error
	taken := false
	err = e.transact(ctx, func(now time.Time) error {
		tolerance := e.cfg.Approvals.Tolerance
		if a.At.Before(now.Add(-tolerance)) || a.At.After(now.Add(tolerance)) {
			refusal, heard = approvalStale, fmt.Errorf("its time %s is off by more than %s", a.At.Format(time.RFC3339), tolerance)
			return nil
		}
		// Until then its time is within the tolerance.
		if refusal = e.used.use(&a.Approval, now, a.At.Add(tolerance+time.Second)); refusal != "" {
			heard = errors.New("its signature was used before, or too many were")
			return nil
		}
		taken = true
		if e.persistent {
			e.ops = append(e.ops, e.used.op())
		}
		w := word{intent: a.Intent, verdict: a.Verdict, by: a.By, asked: a.PlanDigest, comment: plainText(a.Comment, maxComment), source: sourceRecord}
		// A refusal is not an error here: a signature is used once, whatever comes of it.
		if _, heard = e.desk.hear(ctx, w, now); heard != nil {
			refusal = refusalOf(heard)
		}
		return nil
	})
	if err != nil {
		if taken { // and not before, which stays so
			e.mu.Lock()
			delete(e.used.until, usedID(&a.Approval))
			e.mu.Unlock()
		}
		return "", err
	}
	return refusal, heard
}

func refusalOf(err error) string {
	switch {
	case errors.Is(err, playbook.ErrUnknownIntent):
		return approvalUnknown
	case errors.Is(err, errForbidden):
		return approvalNotAllowed
	case errors.Is(err, playbook.ErrOther):
		return approvalPlanChanged
	default:
		return approvalNotAwaiting
	}
}

// refuseRecord counts an approval that was refused, and records it unless there are too many.
func (e *remediationExporter) refuseRecord(ctx context.Context, a *approval, refusal string, why error) {
	e.mu.Lock()
	now := time.Now()
	entry := auditchain.Entry{
		Kind: string(semconv.EventRemediationApproval), Text: plainText(why.Error(), maxDetail),
		Fields: map[string]string{"verdict": "refused", "reason": refusal, "source": sourceRecord},
	}
	if refusal != approvalBroken {
		// Before the signature was seen to be right the name is only a claim.
		entry.Intent, entry.Fields["claimed_by"] = a.Intent, plainText(a.By, maxPersonLen)
	}
	if refusal != approvalReplayed && e.audit.noteRefusal(now, entry) {
		e.after(func() { e.logger.Warn("approval was refused", zap.String("reason", refusal), zap.Error(why)) })
	}
	e.after(func() {
		add(ctx, e.telemetry.ExporterRemediationRefusedApprovals, e.telemetry.approvalRefusals, refusal, 1)
	})
	e.settleAndUnlock(context.WithoutCancel(ctx))
}
