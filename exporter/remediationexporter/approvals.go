package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxPersonLen bounds, in bytes, the name of a person.
const maxPersonLen = 128

// isPerson reports whether s can name a person: it is printable and does not look like another name.
func isPerson(s string) bool {
	if s == "" || len(s) > maxPersonLen || !utf8.ValidString(s) || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// word is what a person says of an intent, however it came here: the source has made sure that it is that person.
type word struct {
	intent  string
	verdict semconv.ApprovalVerdict
	by      string
	// asked is what the person was asked, as in the request for approval; empty when that is not said.
	asked   string
	comment string
	// source is where it came from, for the audit.
	source string
}

// desk rules on what people say of intents, wherever it came from. The exporter is one, for the intents of its own ledger. It is
// asked within a transaction, with e.mu held.
type desk interface {
	hear(ctx context.Context, w word, now time.Time) (ruling, error)
}

// ruling says where an intent stands after a person's word.
type ruling struct {
	playbook.Change
	// repeated is set when the person had said the same before.
	repeated bool
}

// The errors of a person's word, besides those of [playbook].
var (
	errForbidden  = errors.New("not allowed")
	errNotStored  = errors.New("what was decided could not be stored and is undone")
	errIntentGone = errors.New("intent is over")
)

// take puts a person's word before the desk. What follows from it is stored before it takes effect.
func (e *remediationExporter) take(ctx context.Context, w word) (ruling, error) {
	var out ruling
	err := e.transact(ctx, func(now time.Time) error {
		var err error
		out, err = e.desk.hear(ctx, w, now)
		return err
	})
	return out, err
}

// hear implements desk.
func (e *remediationExporter) hear(ctx context.Context, w word, now time.Time) (ruling, error) {
	c, step, ok := e.ledger.Find(w.intent)
	if !ok {
		return ruling{}, playbook.ErrUnknownIntent
	}
	if e.standby {
		return ruling{}, fmt.Errorf("%w here: another replica leads, tell that one", playbook.ErrNotAwaiting)
	}
	if err := e.mayApprove(&c, w.by); err != nil {
		return ruling{}, err
	}
	if err := e.tellsApart(&c, w); err != nil {
		return ruling{}, err
	}
	heard := func() {
		add(ctx, e.telemetry.ExporterRemediationApprovals, e.telemetry.approvals, string(w.verdict), 1)
	}
	if step == c.Step && said(&c.Play, w) {
		e.after(heard)
		return ruling{c, true}, nil
	}
	switch {
	case step != c.Step:
		return ruling{}, fmt.Errorf("%w: the playbook has gone on to step %d", errIntentGone, c.Step)
	case c.Play.Outcome == playbook.Expired, c.Play.Outcome == playbook.Awaiting && !now.Before(c.Play.Expires):
		return ruling{}, fmt.Errorf("%w: it expired at %s", errIntentGone, c.Play.Expires.UTC().Format(time.RFC3339))
	}
	var changes []playbook.Change
	var err error
	if w.verdict == semconv.ApprovalGranted {
		changes, err = e.ledger.Approve(w.intent, w.by, w.asked, now)
	} else {
		changes, err = e.ledger.Deny(w.intent, w.by, now)
	}
	switch {
	case errors.Is(err, playbook.ErrUnknownIntent):
		return ruling{}, fmt.Errorf("%w: it is %s", playbook.ErrNotAwaiting, c.Play.Outcome)
	case err != nil:
		return ruling{}, err
	}
	e.notePerson(semconv.EventRemediationApproval, &c, w, now)
	if err := e.keepWord(&c, w, now); err != nil {
		return ruling{}, err
	}
	e.after(heard)
	e.report(ctx, changes, now)
	return ruling{Change: e.now(c.Ref)}, nil
}

// said reports whether the person has said this of the play's current step already.
func said(p *playbook.Play, w word) bool {
	if w.verdict == semconv.ApprovalDenied {
		return p.Outcome == playbook.Denied && p.Detail == "denied by "+w.by
	}
	return p.Outcome != playbook.Denied && p.Outcome != playbook.Expired &&
		slices.ContainsFunc(p.Approvals, func(a playbook.Approval) bool { return a.By == w.by })
}

// now returns the play that ref names as it is now. e.mu is held.
func (e *remediationExporter) now(ref playbook.Ref) playbook.Change {
	p, _ := e.ledger.Play(ref.Incident, ref.Playbook)
	return playbook.Change{Ref: playbook.Ref{Incident: ref.Incident, Playbook: ref.Playbook, Revision: p.Revision, Step: p.Step}, Play: p}
}

// mayApprove says whether a person may decide on a play. e.mu is held.
func (e *remediationExporter) mayApprove(c *playbook.Change, by string) error {
	b := e.bookOf(c.Playbook)
	if b == nil {
		return fmt.Errorf("%w: playbook %s is no longer configured", errForbidden, c.Playbook)
	}
	a := &b.cfg.Approval
	if len(a.Allowed) > 0 && !slices.Contains(a.Allowed, by) {
		return fmt.Errorf("%w: approval::allowed of playbook %s does not name %s", errForbidden, c.Playbook, by)
	}
	if m := decodeMemo(e.ledger.Incident(c.Incident)); !a.RequesterMayApprove && slices.Contains(m.Requesters, by) {
		return fmt.Errorf("%w: %s asked for an undo or a replay in this incident, so somebody else must approve", errForbidden, by)
	}
	return nil
}

// anonymous is what the names of those begin with who decide by a link, of whom nobody knows who they are.
const anonymous = "link:"

// tellsApart refuses a second approval by a link: one person may read several destinations. Who is named in approval::allowed counts.
// e.mu is held.
func (e *remediationExporter) tellsApart(c *playbook.Change, w word) error {
	if w.verdict != semconv.ApprovalGranted || !strings.HasPrefix(w.by, anonymous) || len(e.bookOf(c.Playbook).cfg.Approval.Allowed) > 0 {
		return nil
	}
	for _, a := range c.Play.Approvals {
		if strings.HasPrefix(a.By, anonymous) && a.By != w.by {
			return fmt.Errorf("%w: %s has approved by a link, and nobody can tell whether %s is somebody else; sign in, or name both in approval::allowed",
				errForbidden, a.By, w.by)
		}
	}
	return nil
}

// answered lets f decide as transact does, and returns what it answers.
func (e *remediationExporter) answered(ctx context.Context, f func(now time.Time) (any, error)) (any, error) {
	var out any
	err := e.transact(ctx, func(now time.Time) error {
		var err error
		out, err = f(now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// transact lets f decide, and stores what it decided before anything follows from it. When f or storage fails, all is as it
// was before.
func (e *remediationExporter) transact(ctx context.Context, f func(now time.Time) error) error {
	e.mu.Lock()
	now := time.Now()
	e.look(now)
	before, err := e.checkpoint()
	if err != nil {
		e.mu.Unlock()
		return err
	}
	if err = f(now); err == nil {
		if err = e.commit(context.WithoutCancel(ctx)); err != nil {
			err = fmt.Errorf("%w: %w", errNotStored, err)
		}
	}
	if err != nil {
		err = errors.Join(err, e.rollback(before))
		e.unlock()
		return err
	}
	e.ledger.Commit()
	e.unlock()
	return nil
}
