package servicenow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Lengths of columns, in characters; work_notes is a journal, whose length is ours.
const (
	maxShort  = 160
	maxLong   = 4000
	maxNote   = 4000
	tablePath = "/api/now/table/"
	// rowFields are the columns that are read of a record.
	rowFields = "sys_id,number,state,correlation_id,correlation_display"
)

// What is remembered of an incident: its record, and the severity that was told last.
const (
	memoryRow      = "sys_id"
	memoryNumber   = "number"
	memorySeverity = "severity"
)

type incidents struct {
	connection
	cfg *IncidentsConfig
}

// NewIncidents returns the destination of a configuration that is valid.
func NewIncidents(cfg *IncidentsConfig, client *http.Client) (notifier.Destination, error) {
	return &incidents{connection: connect(&cfg.Instance, client), cfg: cfg}, nil
}

// row is what is read of a record.
type row struct {
	SysID              string `json:"sys_id"`
	Number             string `json:"number"`
	State              string `json:"state"`
	CorrelationID      string `json:"correlation_id"`
	CorrelationDisplay string `json:"correlation_display"`
}

// Deliver looks for the incident's record and then creates, changes or resolves it. The last event that changed a record stands in it,
// written together with the change, so that a repeated attempt finds that it is done. A record that was closed is left alone: when the
// incident goes on, a new one is opened.
func (i *incidents) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	var key string
	var opens bool
	if about, standalone := wording.About(m); standalone {
		if !about.Pages {
			return nil, nil
		}
		key, opens = about.Key, true
	} else {
		key, opens = m.Key, m.Incident.Status != semconv.StatusResolved && (m.Type == semconv.EventTypeIncidentOpened || m.Type == semconv.EventTypeIncidentUpdated)
	}
	r, err := i.find(ctx, m, key)
	if err != nil {
		return nil, err
	}
	switch {
	case r != nil && r.CorrelationDisplay == mark(m):
	case r != nil:
		err = i.change(ctx, m, r)
	case opens:
		r, err = i.create(ctx, m, key)
	}
	if err != nil || r == nil || m.Key == "" {
		return nil, err
	}
	memory := m.Memory.With(memoryRow, r.SysID, memoryNumber, r.Number)
	if opens {
		memory[memorySeverity] = string(m.Incident.Severity)
	}
	return memory, nil
}

// mark is what a record says of the last event that changed it.
func mark(m *notifier.Message) string {
	sum := sha256.Sum256([]byte(m.ID))
	return sourceName + " " + hex.EncodeToString(sum[:8])
}

// find returns the open record of a key; nil when there is none. A record that this event has changed already is found even when it
// is closed by now.
func (i *incidents) find(ctx context.Context, m *notifier.Message, key string) (*row, error) {
	if id := m.Memory[memoryRow]; id != "" && m.Key != "" {
		r, err := i.get(ctx, m, id)
		if err != nil {
			return nil, err
		}
		if r != nil && r.CorrelationID == key && (i.isOpen(r) || r.CorrelationDisplay == mark(m)) {
			return r, nil
		}
	}
	query := url.Values{
		"sysparm_query":  {"correlation_id=" + key + "^stateNOT IN" + strings.Join(i.cfg.States.Closed, ",") + "^ORDERBYDESCsys_created_on"},
		"sysparm_fields": {rowFields}, "sysparm_limit": {"1"}, "sysparm_exclude_reference_link": {"true"},
	}
	result, err := i.call(ctx, http.MethodGet, tablePath+i.cfg.Table+"?"+query.Encode(), nil, m.Now)
	if isNone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rows []row
	if json.Unmarshal(result, &rows) != nil {
		return nil, unclear(result)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	// An instance leaves out the parts of a query that it does not understand, and would give us anybody's record.
	if rows[0].CorrelationID != key {
		return nil, &notifier.Refused{Reason: "the table does not know correlation_id: a look-up by it found another record; give table::" + i.cfg.Table + " this column, or use another table"}
	}
	if !sysID.MatchString(rows[0].SysID) || !i.isOpen(&rows[0]) {
		return nil, unclear(result)
	}
	return &rows[0], nil
}

var sysID = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

func (i *incidents) isOpen(r *row) bool { return !slices.Contains(i.cfg.States.Closed, r.State) }

// get returns a record; nil when it is gone.
func (i *incidents) get(ctx context.Context, m *notifier.Message, id string) (*row, error) {
	result, err := i.call(ctx, http.MethodGet, i.path(id)+"&sysparm_exclude_reference_link=true", nil, m.Now)
	var refused *notifier.Refused
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return oneRow(result)
}

func oneRow(result json.RawMessage) (*row, error) {
	var r row
	if json.Unmarshal(result, &r) != nil || !sysID.MatchString(r.SysID) {
		return nil, unclear(result)
	}
	return &r, nil
}

// unclear is the error of a result that is not what was asked for.
func unclear(result json.RawMessage) error {
	return notifier.Unclear(notifier.Reply{Status: http.StatusOK, Body: result})
}

// path is that of one record, with the columns that an answer has.
func (i *incidents) path(id string) string {
	return tablePath + i.cfg.Table + "/" + url.PathEscape(id) + "?sysparm_fields=" + url.QueryEscape(rowFields)
}

// isNone reports whether an answer says that no record was found; some releases say it of a query with a 404.
func isNone(err error) bool {
	var refused *notifier.Refused
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound && strings.Contains(refused.Reason, "No Record found")
}

// create opens a record.
func (i *incidents) create(ctx context.Context, m *notifier.Message, key string) (*row, error) {
	fields := maps.Clone(i.cfg.Fields)
	if fields == nil {
		fields = map[string]string{}
	}
	var severity semconv.Severity
	if about, ok := wording.About(m); ok {
		severity = about.Severity
	} else {
		severity = m.Incident.Severity
	}
	grade := i.cfg.Severities.Of(severity)
	fields["short_description"] = text(notifier.Line(wording.Title(m), maxShort), maxShort)
	fields["description"] = text(wording.Text(m, maxLong), maxLong)
	fields["impact"], fields["urgency"] = grade.Impact, grade.Urgency
	fields["correlation_id"], fields["correlation_display"] = key, mark(m)
	result, err := i.call(ctx, http.MethodPost, tablePath+i.cfg.Table+"?sysparm_fields="+url.QueryEscape(rowFields), fields, m.Now)
	if err != nil {
		return nil, err
	}
	return oneRow(result)
}

// change adds the news to a record, and changes its state when it asks for that.
func (i *incidents) change(ctx context.Context, m *notifier.Message, r *row) error {
	fields := map[string]string{"work_notes": text(wording.News(m), maxNote), "correlation_display": mark(m)}
	switch {
	case m.Incident == nil:
	case m.Type == semconv.EventTypeIncidentResolved:
		fields["state"], fields["close_code"] = i.cfg.States.Resolved, i.cfg.CloseCode
		fields["close_notes"] = text(wording.Resolution(m.Incident), maxLong)
	case m.Type == semconv.EventTypeIncidentAcknowledged && r.State == i.cfg.States.New:
		fields["state"] = i.cfg.States.InProgress
	case m.Type == semconv.EventTypeIncidentUpdated && m.Memory[memorySeverity] != "" && m.Memory[memorySeverity] != string(m.Incident.Severity):
		// Only when it has changed: people may have changed what the record says.
		grade := i.cfg.Severities.Of(m.Incident.Severity)
		fields["impact"], fields["urgency"] = grade.Impact, grade.Urgency
	}
	result, err := i.call(ctx, http.MethodPatch, i.path(r.SysID), fields, m.Now)
	if err != nil {
		return err
	}
	now, err := oneRow(result)
	if err != nil {
		return err
	}
	// Columns that the user must not write are left out without a word.
	if want := fields["state"]; want == i.cfg.States.Resolved && i.isOpen(now) {
		return &notifier.Refused{Reason: "record " + notifier.Line(now.Number, maxShort) + " was not resolved: a rule of the table keeps its state; give the user the role itil, or see to the states setting"}
	}
	return nil
}
