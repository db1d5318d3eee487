package restapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/approvallink"
	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

//go:embed decide.html
var decidePage string

//go:embed decide.css
var decideStyle string

var decideTemplate = template.Must(template.New("decide").Parse(decidePage))

// decidePolicy lets the page show its own style and send its own form, and nothing else.
var decidePolicy = func() string {
	sum := sha256.Sum256([]byte(decideStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

// linkPage is what the page shows. All of it may come from telemetry, and is escaped by the template.
type linkPage struct {
	Style   template.CSS
	Title   string
	Message string
	// Ask shows the form.
	Ask      bool
	Verb     string
	Deny     bool
	Person   string
	Expires  string
	Incident string
	Facts    []fact
	Objects  []string
}

type fact struct{ Name, Value string }

// decideByLink shows what a link stands for, and does it when it is sent by the form of that page: programs that follow links to
// show a preview only get to look.
func (a *API) decideByLink(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		writeError(w, refuse(http.StatusMethodNotAllowed, "method", "method must be GET, HEAD or POST, got %.20q", r.Method))
		return
	}
	word, token, err := a.settings.Links.Read(r.PathValue("token"), time.Now())
	switch {
	case errors.Is(err, approvallink.ErrExpired):
		a.observer.LinkUsed(LinkExpired)
		a.show(w, http.StatusGone, linkPage{Title: "This link has expired", Message: "It counted until " + moment(word.Expires) + ". Look at the intent: it may have been decided on."})
		return
	case err != nil:
		if !a.badLinks.Allow() {
			a.observer.LinkUsed(LinkLimited)
			w.Header().Set("Retry-After", "60")
			a.show(w, http.StatusTooManyRequests, linkPage{Title: "Too many wrong links", Message: "Try again later."})
			return
		}
		a.observer.LinkUsed(LinkForged)
		a.show(w, http.StatusNotFound, linkPage{Title: "This link is not known", Message: "It may have been cut off on its way, or its key is no longer in use."})
		return
	}
	c := &call{Request: r, by: a.person(r.Context())}
	if c.by == "" {
		if !a.settings.AnonymousLinks {
			a.show(w, http.StatusForbidden, linkPage{Title: "Who are you?", Message: "The authentication names no person, so this cannot be decided here."})
			return
		}
		c.by = linkPrefix + word.Destination
	}
	if r.Method != http.MethodPost {
		a.showLink(w, c, word)
		return
	}
	a.followLink(w, c, word, token)
}

// showLink asks whether what a link stands for is wanted. Nothing changes by it.
func (a *API) showLink(w http.ResponseWriter, c *call, word approvallink.Word) {
	ctx, cancel := a.within(c)
	defer cancel()
	intent, err := a.memory.Intent(ctx, word.Intent)
	if err != nil {
		a.showRefusal(w, a.asRefusal(c.Request, err))
		return
	}
	p := linkPage{Title: "Approve this?", Verb: "Approve", Deny: word.Verdict == semconv.ApprovalDenied, Person: c.by, Expires: moment(word.Expires), Incident: notifier.Line(intent.Incident, maxComment)}
	if p.Deny {
		p.Title, p.Verb = "Deny this?", "Deny"
	}
	r := &intent.Remediation
	p.Facts = factsOf(intent)
	if r.Plan != nil {
		for _, object := range r.Plan.Objects[:min(len(r.Plan.Objects), maxObjects)] {
			p.Objects = append(p.Objects, notifier.Line(object, maxComment))
		}
	}
	switch {
	case r.Outcome != string(playbook.Awaiting):
		p.Title, p.Message = "Nothing to decide", "This waits for nobody any more: it is "+r.Outcome+"."
	case word.PlanDigest != "" && r.PlanDigest != "" && word.PlanDigest != r.PlanDigest:
		p.Title, p.Message = "The plan has changed", "What would be done is no longer what this link was made for. Look at the intent, and decide on that."
	default:
		p.Ask = true
	}
	a.show(w, http.StatusOK, p)
}

// maxObjects bounds what is named of a plan.
const maxObjects = 20

// factsOf says what would be done, for the page.
func factsOf(intent *incidentstore.Intent) []fact {
	r := &intent.Remediation
	facts := []fact{{"Action", r.Action}, {"Target", r.Target}, {"Playbook", r.Playbook + ", step " + strconv.Itoa(r.Step)}}
	if r.Plan != nil {
		facts = append(facts, fact{"Plan", r.Plan.Summary}, fact{"Disturbs", disturbed(r.Plan)})
		if r.Plan.Destructive {
			facts = append(facts, fact{"Destructive", "yes"})
		}
		facts = append(facts, fact{"Can be taken back", map[bool]string{true: "yes", false: "no"}[r.Plan.Undoable]})
	}
	if intent.Needed > 0 {
		granted := 0
		for _, a := range intent.Approvals {
			if a.Verdict == semconv.ApprovalGranted {
				granted++
			}
		}
		facts = append(facts, fact{"Approvals", fmt.Sprintf("%d of %d", granted, intent.Needed)})
	}
	for i := range facts {
		facts[i].Value = cmp.Or(notifier.Line(facts[i].Value, maxComment), "unknown")
	}
	return facts
}

func disturbed(p *eventdata.Plan) string {
	if p.Population > 0 {
		return fmt.Sprintf("%d of %d", p.Pods, p.Population)
	}
	return strconv.Itoa(p.Pods)
}

// followLink puts what a link stands for into the mailbox. The store takes each token once.
func (a *API) followLink(w http.ResponseWriter, c *call, word approvallink.Word, token string) {
	if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); c.ContentLength != 0 && (err != nil || t != "application/x-www-form-urlencoded") {
		a.showRefusal(w, refuse(http.StatusUnsupportedMediaType, "content_type", "Content-Type must be application/x-www-form-urlencoded"))
		return
	}
	if err := c.ParseForm(); err != nil {
		said := refuse(http.StatusBadRequest, "body", "the form could not be read")
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			said = refuse(http.StatusRequestEntityTooLarge, "body_size", "the form must have at most %d bytes", tooLarge.Limit)
		}
		a.showRefusal(w, said)
		return
	}
	command, err := a.submit(c, c.by, incidentstore.CommandDecide, incidentstore.DecideArguments{
		Intent: word.Intent, Verdict: word.Verdict, PlanDigest: word.PlanDigest, Comment: notifier.Line(c.PostForm.Get("comment"), maxComment), Source: sourceLink,
	}, token)
	if err == nil {
		_, err = a.passOn(command)
	}
	done := linkPage{Title: "Thank you", Message: "It was approved in the name of " + c.by + "."}
	if word.Verdict == semconv.ApprovalDenied {
		done.Message = "It was denied in the name of " + c.by + "."
	}
	switch {
	case errors.Is(err, incidentstore.ErrConflict):
		a.observer.LinkUsed(LinkUsed)
		a.noteLink(c, word, "the link was used before")
		a.show(w, http.StatusConflict, linkPage{Title: "This link was used before", Message: "Each link counts once. Look at the intent for what became of it."})
	case err != nil:
		said := a.asRefusal(c.Request, err)
		a.observer.LinkUsed(LinkRefused)
		a.noteLink(c, word, said.Message)
		a.showRefusal(w, said)
	case command.State != incidentstore.CommandDone:
		a.observer.LinkUsed(LinkDecided)
		a.show(w, http.StatusAccepted, linkPage{Title: "Noted", Message: "No executor has answered yet. It counts as soon as one takes it."})
	default:
		a.observer.LinkUsed(LinkDecided)
		a.show(w, http.StatusOK, done)
	}
}

// noteLink puts into the audit that a link did not work.
func (a *API) noteLink(c *call, word approvallink.Word, why string) {
	a.note(c.Request, auditchain.Entry{
		Kind: string(semconv.EventRemediationCall), Intent: word.Intent, Actor: c.by, Text: notifier.Line(why, maxComment),
		Fields: map[string]string{"endpoint": c.Pattern, "destination": word.Destination, "verdict": string(word.Verdict)},
	})
}

func (a *API) showRefusal(w http.ResponseWriter, said *refusal) {
	if said.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(said.retry/time.Second)))
	}
	a.show(w, said.Status, linkPage{Title: "That did not work", Message: said.Message})
}

// show sends the page.
func (a *API) show(w http.ResponseWriter, status int, p linkPage) {
	p.Style = template.CSS(decideStyle) //nolint:gosec // it is embedded
	var b bytes.Buffer
	if err := decideTemplate.Execute(&b, p); err != nil {
		a.observer.Failed("write a page", err)
		writeError(w, refuse(http.StatusInternalServerError, "internal", "the page could not be written"))
		return
	}
	w.Header().Set("Content-Security-Policy", decidePolicy)
	w.Header().Set("X-Robots-Tag", "noindex")
	write(w, status, "text/html; charset=utf-8", b.Bytes())
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
