package slack

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// keyGist is in the memory what was told last of an incident.
const keyGist = "gist"

// webhook posts to an incoming webhook.
type webhook struct {
	url    string
	client *http.Client
	limit  *rate.Limiter
}

// Deliver implements notifier.Destination.
func (w *webhook) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	var memory notifier.Memory
	if m.IsIncident() {
		gist := wording.Gist(m)
		if m.Type == semconv.EventTypeIncidentUpdated && m.Memory[keyGist] == gist {
			return nil, nil // people have read that already
		}
		memory = m.Memory.With(keyGist, gist)
	}
	p := translate(m, m.ID)
	err := w.post(ctx, &slack.WebhookMessage{Text: p.text, Blocks: &slack.Blocks{BlockSet: p.blocks}})
	if isShape(err) {
		err = w.post(ctx, &slack.WebhookMessage{Text: p.plain})
	}
	if err != nil {
		return nil, err
	}
	return memory, nil
}

func (w *webhook) post(ctx context.Context, message *slack.WebhookMessage) error {
	if err := wait(ctx, w.limit); err != nil {
		return err
	}
	_, err := notifier.Call(ctx, w.client, http.MethodPost, w.url, nil, message, time.Now())
	return err
}

// isShape reports whether Slack refused the shape of a message, so that it may take the plain text of it.
func isShape(err error) bool {
	var refused *notifier.Refused
	return errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusRequestEntityTooLarge || refused.Status == http.StatusOK) &&
		slices.ContainsFunc([]string{"invalid_blocks", "invalid_payload", "msg_blocks_too_long", "msg_too_long", "invalid_block_type"}, func(code string) bool {
			return strings.Contains(refused.Reason, code)
		})
}
