package remediationexporter

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	defaultPage = 50
	maxPage     = 200
	// maxComment bounds, in runes, what a person says.
	maxComment = 500
	// maxHistory bounds the audit records of one intent.
	maxHistory = 100
)

// intentView is a play at its current step, for a list.
type intentView struct {
	Intent      string           `json:"intent"`
	Incident    string           `json:"incident"`
	Title       string           `json:"title,omitempty"`
	Severity    semconv.Severity `json:"severity,omitempty"`
	Playbook    string           `json:"playbook"`
	Step        int              `json:"step"`
	Action      string           `json:"action"`
	Target      string           `json:"target,omitempty"`
	Mode        playbook.Mode    `json:"mode,omitempty"`
	State       playbook.Outcome `json:"state"`
	Reason      playbook.Reason  `json:"reason,omitempty"`
	Detail      string           `json:"detail,omitempty"`
	DecidedAt   *time.Time       `json:"decided_at,omitempty"`
	Approval    *approvalView    `json:"approval,omitempty"`
	Explanation string           `json:"explanation"`
}

// approvalView says whose consent an intent has and needs.
type approvalView struct {
	Needed  int                 `json:"needed"`
	Given   []playbook.Approval `json:"given"`
	Allowed []string            `json:"allowed,omitempty"`
	// PlanDigest is what an approval that repeats it is bound to.
	PlanDigest string     `json:"plan_digest,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
}

// intentDetail is all that is known of a play.
type intentDetail struct {
	intentView
	CauseKind   string            `json:"cause_kind,omitempty"`
	Criticality string            `json:"criticality,omitempty"`
	Revision    int64             `json:"revision"`
	Occurrence  int               `json:"occurrence,omitempty"`
	Deadline    *time.Time        `json:"deadline,omitempty"`
	Summary     eventdata.Summary `json:"incident_summary"`
	Plan        *eventdata.Plan   `json:"plan,omitempty"`
	Done        []doneView        `json:"done,omitempty"`
	// History is what the audit says of it, oldest first.
	History []auditchain.Record `json:"history"`
	// CanUndo says that there is something which the endpoint undo takes back.
	CanUndo bool `json:"can_undo"`
}

// doneView is a step that was carried out.
type doneView struct {
	Step     int    `json:"step"`
	Intent   string `json:"intent"`
	Target   string `json:"target"`
	Undone   bool   `json:"undone,omitempty"`
	Undoable bool   `json:"undoable"`
}

// viewOf says a play to a person. e.mu is held.
func (e *remediationExporter) viewOf(c *playbook.Change) intentView {
	p := &c.Play
	m := decodeMemo(e.ledger.Incident(c.Incident))
	v := intentView{
		Intent: c.Intent(), Incident: c.Incident, Title: m.Summary.Title, Severity: m.Summary.Severity, Playbook: c.Playbook,
		Step: c.Step, Action: e.actionName(c.Playbook, c.Step), Target: p.Target, Mode: p.Mode, State: p.Outcome,
		Reason: p.Reason, Detail: clip(p.Detail, maxDetail), DecidedAt: moment(p.Decided), Explanation: e.explain(c),
	}
	if p.Plan != nil {
		v.Target = p.Plan.Target
	}
	if p.Mode == playbook.Approve {
		v.Approval = &approvalView{Needed: e.ledger.Approvers(c.Playbook), Given: append([]playbook.Approval{}, p.Approvals...), Until: moment(p.Expires)}
		if p.Outcome == playbook.Awaiting {
			v.Approval.PlanDigest = p.Asked()
		}
		if b := e.bookOf(c.Playbook); b != nil {
			v.Approval.Allowed = b.cfg.Approval.Allowed
		}
	}
	return v
}

// explain says in a sentence or two where a play stands and what a person can do.
func (e *remediationExporter) explain(c *playbook.Change) string {
	p := &c.Play
	what := fmt.Sprintf("%s (step %d of playbook %s)", cmp.Or(e.actionName(c.Playbook, c.Step), "an action"), c.Step, c.Playbook)
	target := p.Target
	if p.Plan != nil {
		target = p.Plan.Target
	}
	if target != "" {
		what += " on " + target
	}
	because := string(p.Reason)
	if p.Detail != "" {
		because += ": " + clip(p.Detail, maxDetail)
	}
	switch p.Outcome {
	case playbook.Skipped:
		return "Nothing was done: " + what + " was stopped by the guard " + because + "."
	case playbook.Proposed:
		return "Nothing was done: the playbook only observes. It would have done " + what + "."
	case playbook.Suggested:
		return "Nothing was done: it is up to you. The playbook suggests " + what + "."
	case playbook.Awaiting:
		return fmt.Sprintf("Waits for people until %s: %d of %d have approved %s. The world is looked at again before anything is done.",
			p.Expires.UTC().Format(time.RFC3339), len(p.Approvals), e.ledger.Approvers(c.Playbook), what)
	case playbook.Pending:
		return "Is about to be done, once the guards have looked at the world: " + what + "."
	case playbook.Dispatched:
		return "Is being done: " + what + "."
	case playbook.Accepted:
		return "Was done: " + what + ". Whether it helps is watched."
	case playbook.Undoing:
		return "Is being taken back: " + what + "."
	case playbook.Succeeded:
		return "Was done and helped: " + what + "."
	case playbook.RolledBack:
		return "Was done and taken back: " + what + "."
	case playbook.Denied:
		return "Nothing was done: a person denied " + what + "."
	case playbook.Expired:
		return "Nothing was done: nobody decided in time on " + what + "."
	case playbook.Inconclusive:
		return "Nobody knows whether " + what + " was done or helped (" + because + "). A person must look."
	default:
		return "Did not help or was not carried out: " + what + " (" + because + ")."
	}
}

func (e *remediationExporter) detailOf(c *playbook.Change) intentDetail {
	p := &c.Play
	d := intentDetail{
		intentView: e.viewOf(c), CauseKind: p.CauseKind, Criticality: p.Criticality, Revision: p.Revision, Occurrence: p.Occurrence,
		Deadline: moment(p.Deadline), Summary: decodeMemo(e.ledger.Incident(c.Incident)).Summary,
		History: e.audit.history(c.Incident, c.Playbook, maxHistory), CanUndo: len(p.Undo()) > 0 && canUndo(p.Outcome),
	}
	if p.Plan != nil {
		d.Plan = newPlanData(p.Plan)
	}
	for _, done := range p.Done {
		d.Done = append(d.Done, doneView{
			Step: done.Step, Intent: p.IntentOf(c.Incident, c.Playbook, done.Step), Target: done.Target,
			Undone: done.Undone, Undoable: len(done.Receipt) > 0 && !done.Undone,
		})
	}
	return d
}

// canUndo reports whether nothing is under way that stands against taking back.
func canUndo(o playbook.Outcome) bool {
	return o != playbook.Undoing && o != playbook.Dispatched && o != playbook.Pending
}

// intentPage is one page of intents, the latest decided first.
type intentPage struct {
	Intents []intentView `json:"intents"`
	// Next is what to give as cursor for the next page; empty at the end.
	Next string `json:"next,omitempty"`
}

var cursorPattern = regexp.MustCompile(`^(-?[0-9]{1,19})\.([0-9a-f]{32})$`)

// place is where an intent stands in the list.
type place struct {
	decided int64
	intent  string
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(o.decided, p.decided), cmp.Compare(p.intent, o.intent))
}

func (a *api) intents(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "state", "incident", "playbook", "cursor", "limit")
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", defaultPage, 1, maxPage)
	if err != nil {
		return nil, err
	}
	var after *place
	if text := q.Get("cursor"); text != "" {
		m := cursorPattern.FindStringSubmatch(text)
		if m == nil {
			return nil, refuse(http.StatusBadRequest, "cursor", "cursor must be what next of the page before said")
		}
		decided, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "cursor", "cursor must be what next of the page before said")
		}
		after = &place{decided, m[2]}
	}
	states := q.values("state")
	for _, state := range states {
		if !slices.Contains(playbook.Outcomes(), playbook.Outcome(state)) {
			return nil, refuse(http.StatusBadRequest, "state", "state must be of %v, got %.40q", playbook.Outcomes(), state)
		}
	}
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	type candidate struct {
		place
		c playbook.Change
	}
	var found []candidate
	for _, p := range a.e.ledger.Plays() {
		if len(states) > 0 && !slices.Contains(states, string(p.Play.Outcome)) ||
			q.Has("incident") && p.Incident != q.Get("incident") || q.Has("playbook") && p.Playbook != q.Get("playbook") {
			continue
		}
		at := place{p.Play.Decided.UnixNano(), p.Intent()}
		if after == nil || at.compare(*after) > 0 {
			found = append(found, candidate{at, p})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return a.compare(b.place) })
	page := intentPage{Intents: []intentView{}}
	for i := range found {
		if len(page.Intents) == int(limit) {
			last := found[i-1].place
			page.Next = fmt.Sprintf("%d.%s", last.decided, last.intent)
			break
		}
		page.Intents = append(page.Intents, a.e.viewOf(&found[i].c))
	}
	return page, nil
}

func intentOf(c *call) (string, error) {
	id := c.PathValue("id")
	if !semconv.IsIntentID(id) {
		return "", refuse(http.StatusBadRequest, "intent", "intent must be 32 lower-case hexadecimal digits, got %.40q", id)
	}
	return id, nil
}

func (a *api) intent(c *call) (any, error) {
	id, err := intentOf(c)
	if err != nil {
		return nil, err
	}
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	found, _, ok := a.e.ledger.Find(id)
	if !ok {
		return nil, playbook.ErrUnknownIntent
	}
	return a.e.detailOf(&found), nil
}

// said is the answer to a person's word.
type saidView struct {
	intentView
	// Repeated is set when the person had said the same before, and nothing has changed by it.
	Repeated bool `json:"repeated,omitempty"`
}

func (a *api) approve(c *call) (any, error) { return a.decide(c, semconv.ApprovalGranted) }
func (a *api) deny(c *call) (any, error)    { return a.decide(c, semconv.ApprovalDenied) }

func (a *api) decide(c *call, verdict semconv.ApprovalVerdict) (any, error) {
	id, err := intentOf(c)
	if err != nil {
		return nil, err
	}
	var body struct {
		Comment    string `json:"comment"`
		PlanDigest string `json:"plan_digest"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	w := word{intent: id, verdict: verdict, by: c.by, asked: body.PlanDigest, comment: plainText(body.Comment, maxComment), source: sourceAPI}
	return a.e.answered(c.Context(), func(now time.Time) (any, error) { return a.e.rule(c.Context(), w, now) })
}

// rule puts a person's word before the desk, within a transaction, and says where its intent is then. e.mu is held.
func (e *remediationExporter) rule(ctx context.Context, w word, now time.Time) (any, error) {
	r, err := e.desk.hear(ctx, w, now)
	if err != nil {
		return nil, err
	}
	return saidView{e.viewOf(&r.Change), r.repeated}, nil
}

// undo takes back what the play of an intent did.
func (a *api) undo(c *call) (any, error) {
	id, err := intentOf(c)
	if err != nil {
		return nil, err
	}
	var body struct {
		Comment string `json:"comment"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	w := word{intent: id, by: c.by, comment: plainText(body.Comment, maxComment), source: sourceAPI}
	return a.e.answered(c.Context(), func(now time.Time) (any, error) { return a.e.undo(c.Context(), w, now) })
}

// undo takes back what the play of an intent did, on a person's word and within a transaction. e.mu is held.
func (e *remediationExporter) undo(ctx context.Context, w word, now time.Time) (any, error) {
	found, _, ok := e.ledger.Find(w.intent)
	if !ok {
		return nil, playbook.ErrUnknownIntent
	}
	if b := e.bookOf(found.Playbook); b == nil || len(b.cfg.Approval.Allowed) > 0 && !slices.Contains(b.cfg.Approval.Allowed, w.by) {
		return nil, fmt.Errorf("%w: approval::allowed of playbook %s does not name %s", errForbidden, found.Playbook, w.by)
	}
	if o := found.Play.Outcome; o == playbook.Undoing || o == playbook.RolledBack {
		return saidView{e.viewOf(&found), true}, nil
	}
	w.verdict = "undo"
	e.notePerson(semconv.EventRemediationCall, &found, w, now)
	return e.startUndo(ctx, &found, w.by, now)
}

// startUndo begins to take back what a play did. e.mu is held.
func (e *remediationExporter) startUndo(ctx context.Context, found *playbook.Change, by string, now time.Time) (any, error) {
	switch w := e.look(now); {
	case w.Paused != "":
		return nil, refuse(http.StatusConflict, "paused", "automation is paused by %s; resume it first, or take it back by hand", w.Paused)
	case w.Standby:
		return nil, refuse(http.StatusConflict, "not_leading", "another replica leads; ask that one")
	}
	change, ok := e.ledger.StartUndo(found.Incident, found.Playbook, now)
	if !ok {
		return nil, refuse(http.StatusConflict, "nothing_to_undo", "there is nothing to take back, or something is under way: the play is %s", found.Play.Outcome)
	}
	if err := e.requested(found.Incident, by); err != nil {
		return nil, err
	}
	e.report(ctx, []playbook.Change{change}, now)
	current := e.now(found.Ref)
	return saidView{intentView: e.viewOf(&current)}, nil
}

// requested notes that a person intervened in an incident. e.mu is held.
func (e *remediationExporter) requested(incident, by string) error {
	inc := e.ledger.Incident(incident)
	if inc == nil {
		return nil
	}
	m := decodeMemo(inc)
	if slices.Contains(m.Requesters, by) || len(m.Requesters) >= maxNames {
		return nil
	}
	e.ledger.Touch(incident)
	m.Requesters = append(m.Requesters, by)
	return m.store(inc)
}

// query is the query of a request, of which every parameter is known and stands once; state may hold several values.
type query struct{ url.Values }

func parseQuery(raw string, known ...string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, refuse(http.StatusBadRequest, "query", "query cannot be read")
	}
	for name, v := range values {
		if !slices.Contains(known, name) {
			return query{}, refuse(http.StatusBadRequest, "query", "query parameter must be one of %s, got %.40q", strings.Join(known, ", "), name)
		}
		if len(v) != 1 || len(v[0]) > 1000 {
			return query{}, refuse(http.StatusBadRequest, "query", "query parameter %s must stand once and have at most 1000 bytes", name)
		}
	}
	return query{values}, nil
}

// values splits a parameter at its commas.
func (q query) values(name string) []string {
	if q.Get(name) == "" {
		return nil
	}
	return strings.Split(q.Get(name), ",")
}

func (q query) number(name string, missing, least, most uint64) (uint64, error) {
	text := q.Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, refuse(http.StatusBadRequest, name, "%s must be between %d and %d, got %.40q", name, least, most, text)
	}
	return n, nil
}
