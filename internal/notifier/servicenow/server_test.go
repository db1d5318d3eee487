package servicenow_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
)

const (
	username = "paramedic"
	password = "s3cret-pass"
	apiKey   = "now_0123456789"
)

func authorized(q *notifiertest.Request) bool {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
	return q.Header.Get("Authorization") == basic || q.Header.Get("X-Sn-Apikey") == apiKey
}

func strict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// manager plays Event Management: events with the same key make one alert, which the severity 0 or the state Closing closes.
type manager struct {
	alerts map[string]bool
	events []emEvent
}

type emEvent struct {
	Source          string `json:"source"`
	EventClass      string `json:"event_class"`
	Node            string `json:"node"`
	Resource        string `json:"resource"`
	Type            string `json:"type"`
	MetricName      string `json:"metric_name"`
	MessageKey      string `json:"message_key"`
	Severity        string `json:"severity"`
	ResolutionState string `json:"resolution_state"`
	TimeOfEvent     string `json:"time_of_event"`
	Description     string `json:"description"`
	AdditionalInfo  string `json:"additional_info"`
}

func newManager() *manager { return &manager{alerts: map[string]bool{}} }

func (m *manager) open() int { return len(m.alerts) }

func (m *manager) answer(q *notifiertest.Request) notifiertest.Answer {
	if !authorized(q) {
		return notifiertest.JSON(401, `{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}`)
	}
	if q.Method != http.MethodPost || q.Path != "/api/global/em/jsonv2" {
		return notifiertest.Violation("Requested URI does not represent any resource")
	}
	if q.Header.Get("Content-Type") != "application/json" || q.Header.Get("Accept") != "application/json" {
		return notifiertest.Violation("the headers must name application/json")
	}
	var body struct {
		Records []emEvent `json:"records"`
	}
	if err := strict(q.Body, &body); err != nil {
		return notifiertest.Violation("%v", err)
	}
	for _, e := range body.Records {
		if v := m.take(&e); v != "" {
			return notifiertest.Violation("%s", v)
		}
		m.events = append(m.events, e)
	}
	return notifiertest.JSON(200, fmt.Sprintf(`{"result":{"Default Bulk Endpoint":"%d events were inserted"}}`, len(body.Records)))
}

func (m *manager) take(e *emEvent) string {
	for name, v := range map[string]string{"source": e.Source, "event_class": e.EventClass, "node": e.Node, "resource": e.Resource, "type": e.Type} {
		if v == "" || utf8.RuneCountInString(v) > 100 || strings.ContainsAny(v, "\x00\n\x1b\u202e") {
			return fmt.Sprintf("%s must have 1 to 100 characters, got %q", name, v)
		}
	}
	if utf8.RuneCountInString(e.MetricName) > 100 || utf8.RuneCountInString(e.Description) > 4000 || strings.ContainsAny(e.Description, "\x00\x1b[]") {
		return "metric_name or description"
	}
	if _, err := time.Parse("2006-01-02 15:04:05", e.TimeOfEvent); err != nil {
		return err.Error()
	}
	var info map[string]string
	if err := json.Unmarshal([]byte(e.AdditionalInfo), &info); err != nil || len(e.AdditionalInfo) > 4000 {
		return fmt.Sprintf("additional_info must be a string of JSON: %v", err)
	}
	if !slices.Contains([]string{"0", "1", "2", "3", "4", "5"}, e.Severity) || e.MessageKey == "" {
		return "severity or message_key"
	}
	switch e.ResolutionState {
	case "New":
	case "Closing":
		delete(m.alerts, e.MessageKey)
		return ""
	default:
		return "resolution_state must be New or Closing"
	}
	if e.Severity == "0" {
		delete(m.alerts, e.MessageKey)
	} else {
		m.alerts[e.MessageKey] = true
	}
	return ""
}

// table plays the incident table through the Table API: records by their sys_id, a query, the states of a record, and the policy that
// a record is not resolved without a close code that the instance knows and close notes.
type table struct {
	rows []*tableRow
	// noneIs404 answers a query without records as old releases do.
	noneIs404 bool
	// ignoresQuery answers any query with the first record, as for a column that the table does not have.
	ignoresQuery bool
	// keepsState leaves the state out of what a user may write.
	keepsState bool
	created    int
}

type tableRow struct {
	fields map[string]string
	notes  []string
}

func newTable() *table { return &table{} }

func closed(state string) bool { return slices.Contains([]string{"6", "7", "8"}, state) }

func (t *table) open() int {
	n := 0
	for _, r := range t.rows {
		if !closed(r.fields["state"]) {
			n++
		}
	}
	return n
}

var columns = map[string]int{
	"short_description": 160, "description": 4000, "impact": 1, "urgency": 1, "correlation_id": 100, "correlation_display": 100, "state": 2, "close_code": 40,
	"close_notes": 4000, "work_notes": 4000, "category": 40, "assignment_group": 32,
}

func failure(status int, message, detail string) notifiertest.Answer {
	return notifiertest.JSON(status, fmt.Sprintf(`{"error":{"message":%q,"detail":%q},"status":"failure"}`, message, detail))
}

func (t *table) answer(q *notifiertest.Request) notifiertest.Answer {
	if !authorized(q) {
		return failure(401, "User Not Authenticated", "Required to provide Auth information")
	}
	rest, ok := strings.CutPrefix(q.Path, "/api/now/table/incident")
	query, err := url.ParseQuery(q.Query)
	if !ok || err != nil {
		return notifiertest.Violation("Invalid table")
	}
	for name := range query {
		if !slices.Contains([]string{"sysparm_query", "sysparm_fields", "sysparm_limit", "sysparm_exclude_reference_link"}, name) {
			return notifiertest.Violation("unknown parameter %s", name)
		}
	}
	rest = strings.TrimPrefix(rest, "/")
	switch {
	case q.Method == http.MethodGet && rest == "":
		return t.search(query)
	case q.Method == http.MethodPost && rest == "":
		return t.create(q)
	}
	r := t.row(rest)
	if r == nil {
		return failure(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
	}
	switch q.Method {
	case http.MethodGet:
		return notifiertest.JSON(200, `{"result":`+show(r)+`}`)
	case http.MethodPatch:
		return t.patch(q, r)
	}
	return notifiertest.Violation("Method not supported")
}

func (t *table) row(id string) *tableRow {
	for _, r := range t.rows {
		if r.fields["sys_id"] == id {
			return r
		}
	}
	return nil
}

func show(r *tableRow) string {
	out := map[string]string{}
	for _, c := range []string{"sys_id", "number", "state", "correlation_id", "correlation_display"} {
		out[c] = r.fields[c]
	}
	b, _ := json.Marshal(out)
	return string(b)
}

func (t *table) search(query url.Values) notifiertest.Answer {
	var key string
	if _, err := fmt.Sscanf(query.Get("sysparm_query"), "correlation_id=%42s", &key); err != nil ||
		query.Get("sysparm_query") != "correlation_id="+key+"^stateNOT IN6,7,8^ORDERBYDESCsys_created_on" || query.Get("sysparm_limit") != "1" {
		return notifiertest.Violation("query %q", query.Get("sysparm_query"))
	}
	for _, r := range slices.Backward(t.rows) {
		if t.ignoresQuery || r.fields["correlation_id"] == key && !closed(r.fields["state"]) {
			return notifiertest.JSON(200, `{"result":[`+show(r)+`]}`)
		}
	}
	if t.noneIs404 {
		return failure(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
	}
	return notifiertest.JSON(200, `{"result":[]}`)
}

func decode(q *notifiertest.Request) (map[string]string, string) {
	var fields map[string]string
	if err := strict(q.Body, &fields); err != nil {
		return nil, err.Error()
	}
	for name, v := range fields {
		limit, ok := columns[name]
		if !ok || utf8.RuneCountInString(v) > limit || strings.ContainsAny(v, "\x00\x1b\u202e<>[]") {
			return nil, fmt.Sprintf("%s is unknown, has more than %d characters or is not text: %.200q", name, limit, v)
		}
	}
	return fields, ""
}

func (t *table) create(q *notifiertest.Request) notifiertest.Answer {
	fields, v := decode(q)
	if v != "" {
		return notifiertest.Violation("%s", v)
	}
	if fields["short_description"] == "" || fields["correlation_id"] == "" || fields["state"] != "" || fields["impact"] == "" || fields["urgency"] == "" {
		return notifiertest.Violation("mandatory fields are missing")
	}
	t.created++
	fields["sys_id"], fields["number"], fields["state"] = fmt.Sprintf("%032x", t.created), fmt.Sprintf("INC%07d", t.created), "1"
	r := &tableRow{fields: fields}
	t.rows = append(t.rows, r)
	return notifiertest.JSON(201, `{"result":`+show(r)+`}`)
}

func (t *table) patch(q *notifiertest.Request, r *tableRow) notifiertest.Answer {
	fields, v := decode(q)
	if v != "" {
		return notifiertest.Violation("%s", v)
	}
	if closed(r.fields["state"]) {
		a := failure(403, "Operation Failed", "ACL Exception Update Failed due to security constraints")
		a.Violation = "a closed record must not be updated"
		return a
	}
	if fields["state"] == "6" && (fields["close_code"] != "Solution provided" && fields["close_code"] != "Fixed" || fields["close_notes"] == "") {
		return failure(403, "Operation Failed", "Data Policy Exception: the following fields are mandatory: Resolution code, Resolution notes")
	}
	if note := fields["work_notes"]; note != "" {
		r.notes = append(r.notes, note)
		delete(fields, "work_notes")
	}
	if t.keepsState {
		delete(fields, "state")
	}
	for name, v := range fields {
		r.fields[name] = v
	}
	return notifiertest.JSON(200, `{"result":`+show(r)+`}`)
}
