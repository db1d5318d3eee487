package remediationexporter

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// recordID is the same whenever the same parts are recorded. The lengths keep the parts apart.
func recordID(kind string, parts ...string) string {
	var b []byte
	for _, s := range append([]string{kind}, parts...) {
		b = append(b, byte(len(s)>>8), byte(len(s)))
		b = append(b, s...)
	}
	return kind + "/" + uuid.NewSHA1(idSpace, b).String()
}

// record notes something for the store, if there is one. e.mu is held.
func (e *remediationExporter) record(r incidentstore.Record) {
	if e.incidents == nil {
		return
	}
	if err := e.incidents.queue.note(r); err != nil {
		e.after(func() { e.logger.Error("what has happened could not be recorded", zap.Error(err)) })
	}
}

// incidentRecord is an event in the life of an incident, the same at every replica.
func incidentRecord(ev *semconv.IncidentEvent) incidentstore.Record {
	inc := &ev.Incident
	r := incidentstore.Record{
		ID: recordID("incident", inc.ID, strconv.FormatInt(inc.Revision, 10), string(ev.Name)), At: ev.Time,
		Incident: &incidentstore.IncidentRecord{Event: ev.Name},
	}
	for _, b := range levels {
		r.Incident.Incident = newIncidentData(inc, b)
		if encoded, err := json.Marshal(r); err != nil || len(encoded) <= maxRecordBytes {
			break
		}
	}
	return r
}

// recordIntent notes where a step stands. What another replica does is that one's to tell. e.mu is held.
func (e *remediationExporter) recordIntent(c *playbook.Change, data *eventdata.Remediation, now time.Time) {
	p := &c.Play
	if e.incidents == nil || p.Reason == playbook.ReasonNotLeading {
		return
	}
	r := &incidentstore.IntentRecord{Incident: c.Incident, Remediation: *data, Ended: !p.Open() && p.Deferred == nil, Aside: e.aside}
	if p.Mode == playbook.Approve {
		r.Needed = e.ledger.Approvers(c.Playbook)
	}
	words := decodeMemo(e.ledger.Incident(c.Incident)).Words
	for _, a := range p.Approvals {
		said := incidentstore.Approval{By: a.By, Verdict: semconv.ApprovalGranted, At: a.At}
		if i := slices.IndexFunc(words, func(w spoken) bool {
			return w.Intent == data.Intent && w.By == a.By && w.Verdict == semconv.ApprovalGranted
		}); i >= 0 {
			said = words[i].Approval
		}
		r.Approvals = append(r.Approvals, said)
	}
	for _, w := range words {
		if w.Intent == data.Intent && w.Verdict == semconv.ApprovalDenied {
			r.Approvals = append(r.Approvals, w.Approval)
		}
	}
	e.record(incidentstore.Record{
		ID: recordID("intent", e.incidents.name, data.Intent, data.Outcome, string(data.Reason), strconv.FormatInt(p.Revision, 10),
			strconv.Itoa(len(r.Approvals)), strconv.FormatInt(now.UnixNano(), 10)),
		At: now, Intent: r,
	})
}

// spoken is what a person has said of an intent.
type spoken struct {
	Intent string `json:"intent"`
	incidentstore.Approval
}

// maxWords bounds what people have said of one incident.
const maxWords = 50

// keepWord keeps what a person said of an intent, for the records. e.mu is held.
func (e *remediationExporter) keepWord(c *playbook.Change, w word, now time.Time) error {
	inc := e.ledger.Incident(c.Incident)
	if e.incidents == nil || inc == nil {
		return nil
	}
	m := decodeMemo(inc)
	if len(m.Words) >= maxWords {
		m.Words = m.Words[1:]
	}
	m.Words = append(m.Words, spoken{w.intent, incidentstore.Approval{By: w.by, Verdict: w.verdict, At: now, Comment: w.comment, Source: w.source}})
	e.ledger.Touch(c.Incident)
	return m.store(inc)
}

// recordDelivery notes where an event for a destination stands. News that every replica could tell is that one's to record which
// does. e.mu is held.
func (e *remediationExporter) recordDelivery(destination string, d *delivery, state incidentstore.DeliveryState, reason, detail string, now time.Time) {
	if e.incidents == nil || e.standby && d.shared() {
		return
	}
	e.record(incidentstore.Record{
		ID: recordID("delivery", e.incidents.name, destination, d.ID, string(state), strconv.FormatInt(now.UnixNano(), 10)), At: now,
		Delivery: &incidentstore.DeliveryRecord{
			ID: d.ID, Destination: destination, Incident: d.Incident, Type: d.Type, State: state, Reason: reason, Detail: plainText(detail, maxDetail),
		},
	})
}

// auditField names the executor whose audit a record is from.
const auditField = "executor"

// recordAudit notes records of the audit that are about to be stored. e.mu is held.
func (e *remediationExporter) recordAudit(records []auditchain.Record) {
	for i := range records {
		r := &records[i]
		entry := r.Entry
		if len(entry.Fields) < maxAuditFields {
			fields := map[string]string{auditField: e.incidents.name}
			for k, v := range entry.Fields {
				fields[k] = v
			}
			entry.Fields = fields
		}
		e.record(incidentstore.Record{
			ID: recordID("audit", e.incidents.name, strconv.FormatUint(r.Seq, 10), r.Hash), At: r.Time, Audit: &entry,
		})
	}
}
