// Package teams posts adaptive cards to a channel or chat of Microsoft Teams, through a workflow of Power Automate with the trigger
// "When a Teams webhook request is received"
// (https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using); Office 365 connectors,
// which take the same message, are retired.
//
// A workflow can only post: an incident's end is a card of its own, and one that was taken and whose answer was lost is posted
// twice. Its URL is a secret, since its query holds the signature that lets one in.
//
// Limits: 28 KB for a message, of which we use 20; four requests a second
// (https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using).
// A workflow answers 202. A connector answers 200 and 1, or 200 and a text in which the error of Teams stands, such as "Webhook
// message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
// (https://stackoverflow.com/questions/58474127). There is no client library.
package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// postEvery keeps requests below four a second.
const postEvery = 300 * time.Millisecond

// Traits of Teams. It is not told of updates by default, since each would be another card.
var Traits = driver.Traits{
	Events: []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationStarted, semconv.EventTypeRemediationSucceeded,
		semconv.EventTypeRemediationFailed, semconv.EventTypeRemediationInconclusive, semconv.EventTypeRemediationRolledBack,
		semconv.EventTypeRemediationEscalated, semconv.EventTypeRemediationBreakerOpened, semconv.EventTypeRemediationBreakerClosed,
		semconv.EventTypeRemediationPaused, semconv.EventTypeRemediationResumed, semconv.EventTypeDeliveryDeadLettered,
		semconv.EventTypeDeliveryDestinationDisabled,
	},
	MaxEventsPerMinute: 60,
}

// Config says where to post: the endpoint is the URL of the workflow.
type Config struct {
	driver.Client `mapstructure:",squash"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{driver.NewClient("")} }

// Validate reports everything that is wrong.
func (c *Config) Validate() error { return c.Check() }

// New returns the destination.
func New(c *Config, client *http.Client) (notifier.Destination, error) {
	return &teams{url: c.Endpoint, client: client, limit: rate.NewLimiter(rate.Every(postEvery), 1)}, nil
}

type teams struct {
	url    string
	client *http.Client
	limit  *rate.Limiter
}

// keyGist is in the memory what was told last of an incident.
const keyGist = "gist"

// Deliver implements notifier.Destination.
func (t *teams) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	var memory notifier.Memory
	if m.Key != "" && m.Incident != nil && m.Remediation == nil {
		gist := wording.Gist(m)
		if m.Type == semconv.EventTypeIncidentUpdated && m.Memory[keyGist] == gist {
			return nil, nil // people have read that already
		}
		memory = notifier.Memory{keyGist: gist}
	}
	err := t.post(ctx, m, 0)
	var refused *notifier.Refused
	if errors.As(err, &refused) && refused.Status == http.StatusRequestEntityTooLarge {
		err = t.post(ctx, m, smallest)
	}
	if err != nil {
		return nil, err
	}
	return memory, nil
}

func (t *teams) post(ctx context.Context, m *notifier.Message, level int) error {
	body, err := encode(m, level)
	if err != nil {
		return &notifier.Refused{Reason: "message could not be encoded"}
	}
	if err := t.limit.Wait(ctx); err != nil {
		return fmt.Errorf("wait to post to teams: %w", err)
	}
	reply, err := notifier.Call(ctx, t.client, http.MethodPost, t.url, nil, json.RawMessage(body), time.Now())
	if err != nil {
		return err
	}
	return judgeText(reply)
}

var httpError = regexp.MustCompile(`HTTP error (\d{3})`)

// judgeText reads the error that stands in an answer that says it is none.
func judgeText(reply notifier.Reply) error {
	answer := reply.Body
	if !bytes.Contains(bytes.ToLower(answer), []byte("message delivery failed")) {
		return nil
	}
	status := http.StatusBadGateway
	if found := httpError.FindSubmatch(answer); found != nil {
		status, _ = strconv.Atoi(string(found[1])) // three digits
	}
	if err := notifier.Judge(notifier.Reply{Status: status, Header: reply.Header, Body: answer}, time.Now()); err != nil {
		return err
	}
	return &notifier.Busy{Status: reply.Status, Reason: strings.TrimSpace(notifier.Quote(answer))}
}
