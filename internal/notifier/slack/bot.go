package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// What is remembered of an incident: its message, the event that it shows, and how grave the incident was when it was told last.
const (
	keyShown    = "shown"
	keyTS       = "ts"
	keyChannel  = "channel"
	keySeverity = "severity"
)

const (
	// lookBack is how far before an event we look for what was posted of it, in case our clock goes fast.
	lookBack = 5 * time.Minute
	// lookAt is how many messages since then we look at.
	lookAt = 100
)

// bot posts and updates messages with the token of a bot.
type bot struct {
	web     web
	channel string
	limit   *rate.Limiter
	// blind is set once Slack has said that we may not look.
	blind bool
}

// Deliver implements notifier.Destination.
func (b *bot) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	ts := m.Memory[keyTS]
	switch {
	case !m.IsIncident() && ts == "":
		_, _, err := b.post(ctx, m, "", m.ID, translate(m, m.ID))
		return nil, err
	case !m.IsIncident():
		_, _, err := b.post(ctx, m, ts, m.ID, translate(m, m.ID))
		return nil, err
	case ts == "":
		return b.begin(ctx, m)
	}
	memory := m.Memory.With(keyShown, m.ID)
	if m.Memory[keyShown] != m.ID || !worthReply(m) { // else only the reply is missing
		err := b.update(ctx, m, translate(m, m.ID))
		if isLost(err) {
			return b.begin(ctx, m)
		}
		if err != nil {
			return nil, err
		}
	}
	if worthReply(m) {
		id := m.ID + "/reply"
		if _, _, err := b.post(ctx, m, ts, id, brief(m, id)); err != nil {
			return memory, err
		}
	}
	memory[keySeverity] = string(m.Incident.Severity)
	return memory, nil
}

// begin posts the message of an incident.
func (b *bot) begin(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	ts, channel, err := b.post(ctx, m, "", m.ID, translate(m, m.ID))
	if err != nil {
		return nil, err
	}
	return m.Memory.With(keyTS, ts, keyChannel, channel, keySeverity, string(m.Incident.Severity)), nil
}

// worthReply reports whether people should be told, beyond the change of a message that they may have read long ago.
func worthReply(m *notifier.Message) bool {
	grades := []semconv.Severity{semconv.SeverityMinor, semconv.SeverityMajor, semconv.SeverityCritical}
	return m.Type != semconv.EventTypeIncidentUpdated ||
		slices.Index(grades, m.Incident.Severity) > slices.Index(grades, semconv.Severity(m.Memory[keySeverity]))
}

// channelOf is where the incident's message is: the ID that Slack gave, which stays when the setting changes.
func (b *bot) channelOf(m *notifier.Message, thread string) string {
	if c := m.Memory[keyChannel]; c != "" && thread != "" {
		return c
	}
	return b.channel
}

// loud are events that are shown in the channel besides the thread, since somebody must do something.
var loud = []semconv.EventType{semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated}

// post posts a message, into a thread unless that is empty, if it is not there yet.
func (b *bot) post(ctx context.Context, m *notifier.Message, thread, id string, p payload) (ts, channel string, err error) {
	channel = b.channelOf(m, thread)
	if ts, err = b.find(ctx, m, channel, thread, notifier.Clip(id, maxBlockID)); err != nil || ts != "" {
		return ts, channel, err
	}
	form := url.Values{"channel": {channel}, "unfurl_links": {"false"}, "unfurl_media": {"false"}}
	if thread != "" {
		form.Set("thread_ts", thread)
		if slices.Contains(loud, m.Type) {
			form.Set("reply_broadcast", "true")
		}
	}
	a, err := b.say(ctx, "chat.postMessage", form, p)
	if thread != "" && (isLost(err) || hasCode(err, "thread_not_found") || hasCode(err, "cannot_reply_to_message")) {
		form.Del("thread_ts")
		form.Del("reply_broadcast")
		a, err = b.say(ctx, "chat.postMessage", form, p)
	}
	if err != nil {
		return "", "", err
	}
	if a.TS == "" {
		return "", "", &notifier.Busy{Reason: "chat.postMessage did not say which message it made"}
	}
	if a.Channel != "" {
		channel = a.Channel
	}
	return a.TS, channel, nil
}

// update changes an incident's message.
func (b *bot) update(ctx context.Context, m *notifier.Message, p payload) error {
	_, err := b.say(ctx, "chat.update", url.Values{"channel": {b.channelOf(m, m.Memory[keyTS])}, "ts": {m.Memory[keyTS]}}, p)
	return err
}

// say sends blocks, or plain text where Slack does not take them.
func (b *bot) say(ctx context.Context, method string, form url.Values, p payload) (*answer, error) {
	blocks, err := json.Marshal(slack.Blocks{BlockSet: p.blocks})
	if err != nil {
		return nil, &notifier.Refused{Reason: "message could not be encoded"}
	}
	form.Set("text", p.text)
	form.Set("blocks", string(blocks))
	if err := wait(ctx, b.limit); err != nil {
		return nil, err
	}
	a, err := b.web.call(ctx, method, form)
	if !isShape(err) {
		return a, err
	}
	form.Set("text", p.plain)
	form.Set("blocks", "[]")
	return b.web.call(ctx, method, form)
}

// find looks for a message whose first block has an ID; it returns "" when there is none, or when we may not look.
func (b *bot) find(ctx context.Context, m *notifier.Message, channel, thread, id string) (ts string, err error) {
	if b.blind {
		return "", nil
	}
	since := m.Time
	if m.Now.Before(since) {
		since = m.Now
	}
	form := url.Values{"channel": {channel}, "limit": {strconv.Itoa(lookAt)}, "oldest": {stamp(since.Add(-lookBack))}}
	method := "conversations.history"
	if thread != "" {
		method = "conversations.replies"
		form.Set("ts", thread)
	}
	a, err := b.web.call(ctx, method, form)
	var refused *notifier.Refused
	switch {
	case errors.As(err, &refused) && refused.Status == 200 && !refused.Gone:
		b.blind = hasCode(err, "missing_scope") || hasCode(err, "no_permission") || hasCode(err, "not_allowed_token_type")
		return "", nil // whether it can be posted is for Slack to say when it is
	case err != nil:
		return "", err
	}
	for _, message := range a.Messages {
		if slices.Contains(message.Blocks, block{id}) {
			return message.TS, nil
		}
	}
	return "", nil
}

// stamp is a time as Slack writes it.
func stamp(t time.Time) string { return fmt.Sprintf("%d.000000", max(0, min(t.Unix(), math.MaxInt32))) }

// isLost reports that a message is no longer there to be updated: somebody has deleted it, or Slack lets nobody edit it.
func isLost(err error) bool {
	return hasCode(err, "message_not_found") || hasCode(err, "cant_update_message") || hasCode(err, "edit_window_closed")
}

func hasCode(err error, code string) bool {
	var refused *notifier.Refused
	return errors.As(err, &refused) && strings.HasPrefix(refused.Reason, `"`+code+`"`)
}
