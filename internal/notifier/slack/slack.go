// Package slack tells a channel of Slack, in one of two ways.
//
// An incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks) can only post: every piece of news
// is a message of its own, and one that was taken and whose answer was lost is posted twice.
//
// A bot token (chat.postMessage, chat.update, https://docs.slack.dev/reference/methods/chat.postMessage) gives each incident one
// message, which changes as the incident does, and tells the rest in its thread. Slack has no key against duplicates; each message of
// ours has the event's ID as the ID of its first block, and is looked for in the channel or thread before it is posted
// (conversations.history and conversations.replies; without their scope it is posted without looking).
//
// Blocks are those of slack-go. Its clients are not used: the one of webhooks drops the answer's body and quotes the secret URL in
// errors; the one of the Web API reads answers without bound, takes ok:false without an error for success, and fails on a history
// that holds blocks which it does not know.
//
// Limits: a message a second and channel with short bursts, updates and looking 50 a minute
// (https://docs.slack.dev/apis/web-api/rate-limits); a header of 150 characters
// (https://docs.slack.dev/reference/block-kit/blocks/header-block); 50 blocks; blocks of some 13000 characters in all
// (https://github.com/slackapi/bolt-js/issues/2509).
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// webAPI is where Slack's Web API is.
const webAPI = "https://slack.com/api/"

// Posts go out at one a second, after a short burst.
const (
	postEvery = time.Second
	postBurst = 3
)

// Traits of Slack.
var Traits = driver.Traits{
	Events: []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationStarted, semconv.EventTypeRemediationSucceeded,
		semconv.EventTypeRemediationFailed, semconv.EventTypeRemediationInconclusive, semconv.EventTypeRemediationRolledBack,
		semconv.EventTypeRemediationEscalated, semconv.EventTypeRemediationBreakerOpened, semconv.EventTypeRemediationBreakerClosed,
		semconv.EventTypeRemediationPaused, semconv.EventTypeRemediationResumed, semconv.EventTypeDeliveryDeadLettered,
		semconv.EventTypeDeliveryDestinationDisabled,
	},
	MaxEventsPerMinute: 20, // each may need two or three requests
}

// Config says where to post.
type Config struct {
	driver.Client `mapstructure:",squash"`
	// Token is that of a bot (xoxb-…). Without one, the endpoint is the URL of an incoming webhook.
	Token configopaque.String `mapstructure:"token"`
	// Channel is the ID of the channel that the bot posts to.
	Channel string `mapstructure:"channel"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Client: driver.NewClient("")} }

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{2,30}$`)

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	client := c.Client
	client.Endpoint = c.endpoint()
	errs := []error{client.Check("authorization")}
	if c.Token == "" {
		if c.Channel != "" {
			errs = append(errs, fmt.Errorf("channel must not be set without token, got %q; an incoming webhook has a channel of its own", c.Channel))
		}
		return errors.Join(errs...)
	}
	if !strings.HasPrefix(string(c.Token), "xoxb-") {
		errs = append(errs, errors.New("token must be that of a bot, which begins with xoxb-; find it under OAuth & Permissions of the app"))
	}
	if !channelID.MatchString(c.Channel) {
		errs = append(errs, fmt.Errorf("channel must be an ID such as C0123456789, got %q; find it at the end of the channel's details", c.Channel))
	}
	return errors.Join(errs...)
}

func (c *Config) endpoint() string {
	if c.Token != "" && c.Endpoint == "" {
		return webAPI
	}
	return c.Endpoint
}

// Endpoints returns where requests go.
func (c *Config) Endpoints() []string { return []string{c.endpoint()} }

// New returns the destination.
func New(c *Config, client *http.Client) (notifier.Destination, error) {
	limit := rate.NewLimiter(rate.Every(postEvery), postBurst)
	if c.Token == "" {
		return &webhook{url: c.Endpoint, client: client, limit: limit}, nil
	}
	base := strings.TrimSuffix(c.endpoint(), "/") + "/"
	return &bot{web: web{base: base, token: string(c.Token), client: client}, channel: c.Channel, limit: limit}, nil
}

// wait waits for a place among the posts.
func wait(ctx context.Context, limit *rate.Limiter) error {
	if err := limit.Wait(ctx); err != nil {
		return fmt.Errorf("wait to post to slack: %w", err)
	}
	return nil
}
