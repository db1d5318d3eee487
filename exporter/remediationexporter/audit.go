package remediationexporter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	auditKey         = "audit"
	auditExportedKey = "audit/exported"
	// maxAuditText and maxAuditFields bound one record.
	maxAuditText   = 1024
	maxAuditFields = 16
	// executorActor is who does what no person asked for.
	executorActor = "executor"
	// refusalsPerMinute bounds the records of what was refused: who sends forged approvals must not push out the rest.
	refusalsPerMinute = 10
)

// audit keeps the chain of records. What is noted belongs to it once it is stored, in the transaction of the decision that it
// is about.
type audit struct {
	chain *auditchain.Chain
	max   int
	// pending is noted and not yet stored; dropped counts what was noted while storage failed for long.
	pending  []auditEntry
	dropped  int
	refusals *rate.Limiter
	// exported is the number of the last record that was sent on; moved is set when it is not yet stored.
	exported uint64
	moved    bool
}

type auditEntry struct {
	at time.Time
	auditchain.Entry
}

// storedAudit says which records are stored, each under its number.
type storedAudit struct {
	Version int               `json:"version"`
	First   uint64            `json:"first"`
	Head    auditchain.Anchor `json:"head"`
}

func newAudit(maxRecords int) *audit {
	return &audit{
		chain: auditchain.New(auditLimits(maxRecords)), max: maxRecords,
		refusals: rate.NewLimiter(rate.Every(time.Minute/refusalsPerMinute), refusalsPerMinute),
	}
}

func auditLimits(records int) auditchain.Limits {
	return auditchain.Limits{MaxRecords: records, MaxBytes: maxAuditText, MaxFields: maxAuditFields}
}

func auditRecordKey(seq uint64) string { return "audit/" + strconv.FormatUint(seq, 10) }

// note appends a record, to be stored with the next commit.
func (a *audit) note(at time.Time, e auditchain.Entry) {
	if len(a.pending) >= a.max {
		a.pending = slices.Delete(a.pending, 0, 1)
		a.dropped++
	}
	a.pending = append(a.pending, auditEntry{at, e})
}

// noteRefusal is note for what anybody can cause, of which only so much a minute is recorded. It reports whether this was.
func (a *audit) noteRefusal(at time.Time, e auditchain.Entry) bool {
	if !a.refusals.AllowN(at, 1) {
		return false
	}
	a.note(at, e)
	return true
}

// entries are those that are to be stored.
func (a *audit) entries() []auditEntry {
	if a.dropped == 0 {
		return a.pending
	}
	gap := auditEntry{a.pending[0].at, auditchain.Entry{
		Kind: string(semconv.EventRemediationAudit), Actor: executorActor,
		Text: fmt.Sprintf("%d records could not be stored and are missing here", a.dropped),
	}}
	return append([]auditEntry{gap}, a.pending...)
}

// upcoming are the records that what is pending becomes with the next commit. It changes nothing here.
func (a *audit) upcoming() []auditchain.Record {
	if len(a.pending) == 0 {
		return nil
	}
	next := auditchain.New(auditLimits(a.max))
	_ = next.Restore(auditchain.Snapshot{Anchor: a.chain.Head()}) // cannot fail: it is the head of a chain
	entries := a.entries()
	records := make([]auditchain.Record, 0, len(entries))
	for _, e := range entries {
		records = append(records, next.Append(e.at, e.Entry))
	}
	return records
}

// ops are the operations that store upcoming records. They change nothing here.
func (a *audit) ops(records []auditchain.Record) []*storage.Operation {
	var ops []*storage.Operation
	if a.moved {
		ops = append(ops, storage.SetOperation(auditExportedKey, []byte(strconv.FormatUint(a.exported, 10))))
	}
	if len(records) == 0 {
		return ops
	}
	first, limit := a.chain.Anchor().Seq+1, uint64(a.max)
	var head auditchain.Anchor
	for _, r := range records {
		head = auditchain.Anchor{Seq: r.Seq, Hash: r.Hash}
		b, _ := json.Marshal(r) // cannot fail: strings and a time that JSON can hold
		ops = append(ops, storage.SetOperation(auditRecordKey(r.Seq), b))
		for ; r.Seq-first >= limit; first++ {
			ops = append(ops, storage.DeleteOperation(auditRecordKey(first)))
		}
	}
	b, _ := json.Marshal(storedAudit{storedVersion, first, head}) // cannot fail: numbers and a string
	return append(ops, storage.SetOperation(auditKey, b))
}

// settle makes what was pending a part of the chain, since it is stored, and reports how much that was.
func (a *audit) settle() int {
	entries := a.entries()
	for _, e := range entries {
		a.chain.Append(e.at, e.Entry)
	}
	a.pending, a.dropped, a.moved = nil, 0, false
	return len(entries)
}

// load restores the chain. One that is broken is left behind: the numbers go on, and a record says so.
func (a *audit) load(ctx context.Context, client storage.Client, now time.Time) (broken, err error) {
	b, err := client.Get(ctx, auditKey)
	if err != nil || b == nil {
		return nil, err
	}
	exported, err := client.Get(ctx, auditExportedKey)
	if err != nil {
		return nil, err
	}
	var s storedAudit
	if err := json.Unmarshal(b, &s); err != nil || s.Version != storedVersion || s.First < 1 || s.Head.Seq+1 < s.First || s.Head.Seq-s.First >= maxStoredItems {
		return a.begin(auditchain.Genesis(), now, "the stored head makes no sense"), nil
	}
	if n, err := strconv.ParseUint(string(exported), 10, 64); err == nil && n <= s.Head.Seq {
		a.exported = n
	}
	snapshot := auditchain.Snapshot{Anchor: s.Head}
	for first := s.First; first <= s.Head.Seq; first += loadBatch {
		var ops []*storage.Operation
		for seq := first; seq <= min(first+loadBatch-1, s.Head.Seq); seq++ {
			ops = append(ops, storage.GetOperation(auditRecordKey(seq)))
		}
		if err := client.Batch(ctx, ops...); err != nil {
			return nil, err
		}
		for i, op := range ops {
			var r auditchain.Record
			if err := json.Unmarshal(op.Value, &r); err != nil {
				return a.begin(s.Head, now, fmt.Sprintf("record %d cannot be read", first+uint64(i))), nil
			}
			snapshot.Records = append(snapshot.Records, r)
		}
	}
	if len(snapshot.Records) > 0 {
		snapshot.Anchor = auditchain.Anchor{Seq: s.First - 1, Hash: snapshot.Records[0].Prev}
	}
	if err := a.chain.Restore(snapshot); err != nil {
		return a.begin(s.Head, now, err.Error()), nil
	}
	if a.chain.Head() != s.Head {
		return a.begin(s.Head, now, "its last record is not the one that was stored last"), nil
	}
	return nil, nil
}

// begin starts anew behind a place, since what is stored is broken.
func (a *audit) begin(at auditchain.Anchor, now time.Time, why string) error {
	a.chain = auditchain.New(auditLimits(a.max))
	if err := a.chain.Restore(auditchain.Snapshot{Anchor: at}); err != nil {
		at, a.exported = auditchain.Genesis(), 0
	}
	a.note(now, auditchain.Entry{
		Kind: string(semconv.EventRemediationAudit), Actor: executorActor,
		Text: fmt.Sprintf("the stored audit is broken and begins anew behind record %d: %s", at.Seq, why),
	})
	return fmt.Errorf("stored audit: %s", why)
}

// history returns the latest records of a playbook's dealing with an incident, oldest first.
func (a *audit) history(incident, book string, most int) []auditchain.Record {
	records := a.chain.Records(0, a.chain.Len())
	out := []auditchain.Record{}
	for i := len(records) - 1; i >= 0 && len(out) < most; i-- {
		if records[i].Incident == incident && (records[i].Playbook == book || records[i].Playbook == "") {
			out = append(out, records[i])
		}
	}
	slices.Reverse(out)
	return out
}

// noteDecision records what tell tells. e.mu is held.
func (e *remediationExporter) noteDecision(c *playbook.Change, data *eventdata.Remediation, now time.Time) {
	fields := map[string]string{
		"outcome": data.Outcome, "action": data.Action, "target": data.Target, "mode": string(data.Mode),
		"step": strconv.Itoa(c.Step), "incident_revision": strconv.FormatInt(data.Revision, 10),
	}
	put(fields, "reason", string(data.Reason))
	if data.Plan != nil {
		put(fields, "plan", data.Plan.Summary)
	}
	if c.Escalate {
		fields["escalated"] = "true"
	}
	e.audit.note(now, auditchain.Entry{
		Kind: string(semconv.EventRemediationDecision), Incident: c.Incident, Intent: data.Intent, Playbook: c.Playbook,
		Actor: executorActor, Text: data.Detail, Fields: fields,
	})
}

// notePerson records what a person did. e.mu is held.
func (e *remediationExporter) notePerson(kind semconv.EventName, c *playbook.Change, w word, now time.Time) {
	entry := auditchain.Entry{Kind: string(kind), Actor: w.by, Text: w.comment, Fields: map[string]string{"verdict": string(w.verdict), "source": w.source}}
	if c != nil {
		entry.Incident, entry.Intent, entry.Playbook = c.Incident, c.Intent(), c.Playbook
	}
	e.audit.note(now, entry)
}

// noteRequest records a request that could have changed something.
func (e *remediationExporter) noteRequest(c kubeaction.Call) {
	fields := map[string]string{
		"verb": c.Request.Verb, "group": c.Request.Group, "resource": c.Request.Resource, "namespace": c.Request.Namespace,
		"name": c.Request.Name, "status": strconv.Itoa(c.Status), "sent": strconv.FormatBool(!c.Refused),
	}
	entry := auditchain.Entry{Kind: string(semconv.EventRemediationRequest), Actor: executorActor, Fields: fields}
	if c.Err != nil {
		entry.Text = plainText(c.Err.Error(), maxDetail)
	}
	e.mu.Lock()
	if p, ok := c.Permit.(*permit); ok {
		entry.Incident, entry.Playbook = p.ref.Incident, p.ref.Playbook
		if play, ok := e.ledger.At(p.ref); ok {
			entry.Intent = play.IntentOf(p.ref.Incident, p.ref.Playbook, p.ref.Step)
		}
		put(fields, "undo", map[bool]string{true: "true"}[p.undo])
	}
	e.audit.note(time.Now(), entry)
	e.settleAndUnlock(context.Background())
}

// put sets a field that says something.
func put(fields map[string]string, name, value string) {
	if value != "" {
		fields[name] = value
	}
}
