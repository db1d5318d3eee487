package slack

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBot(t testing.TB, url string, client *http.Client) notifier.Destination {
	c := DefaultConfig()
	c.Endpoint, c.Token, c.Channel = url+"/api", testToken, testChannel
	require.NoError(t, c.Validate())
	d, err := New(&c, client)
	require.NoError(t, err)
	d.(*bot).limit = rate.NewLimiter(rate.Inf, 0)
	return d
}

func newWebhook(t testing.TB, url string, client *http.Client) notifier.Destination {
	c := DefaultConfig()
	c.Endpoint = url + hookPath
	require.NoError(t, c.Validate())
	d, err := New(&c, client)
	require.NoError(t, err)
	d.(*webhook).limit = rate.NewLimiter(rate.Inf, 0)
	return d
}

var botSuite = notifiertest.Suite{
	System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
		w := newWorkspace()
		return w.answer, w.open
	},
	New: newBot, Traits: Traits, Secrets: []string{testToken},
}

// webhookSuite leaves updates out: the one of the kit says nothing new, which a webhook does not post again.
func webhookSuite() *notifiertest.Suite {
	traits := Traits
	traits.Events = nil
	for _, typ := range Traits.Events {
		if typ != semconv.EventTypeIncidentUpdated {
			traits.Events = append(traits.Events, typ)
		}
	}
	return &notifiertest.Suite{System: newHook, New: newWebhook, Traits: traits, Secrets: []string{"s3cretp4th"}}
}

func TestBot(t *testing.T)     { botSuite.Run(t) }
func TestWebhook(t *testing.T) { webhookSuite().Run(t) }
func FuzzBot(f *testing.F)     { botSuite.Fuzz(f) }
func FuzzWebhook(f *testing.F) { webhookSuite().Fuzz(f) }

// told delivers messages to a bot, one after the other, and keeps the memory.
func told(t *testing.T, d notifier.Destination, memory notifier.Memory, m *notifier.Message) notifier.Memory {
	t.Helper()
	m.Memory = memory
	after, err := d.Deliver(t.Context(), m)
	require.NoError(t, err)
	if after != nil {
		return after
	}
	return memory
}

// TestBotThread keeps one message for each incident and tells the rest in its thread.
func TestBotThread(t *testing.T) {
	w := newWorkspace()
	s := notifiertest.NewServer(t, w.answer)
	d := newBot(t, s.URL, s.HTTPClient())
	memory := told(t, d, nil, notifiertest.Message(semconv.EventTypeIncidentOpened))
	require.Len(t, w.messages, 1)
	assert.Equal(t, w.messages[0].ts, memory[keyTS])

	memory = told(t, d, memory, notifiertest.Message(semconv.EventTypeIncidentUpdated))
	require.Len(t, w.messages, 1, "an update changes the message")
	grave := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	grave.ID, grave.Incident.Severity = "graver", semconv.SeverityCritical
	memory = told(t, d, memory, grave)
	require.Len(t, w.messages, 2, "what becomes graver is worth a reply")
	assert.Contains(t, w.messages[1].text, "CRITICAL")

	memory = told(t, d, memory, notifiertest.Message(semconv.EventTypeRemediationApprovalRequested))
	require.Len(t, w.messages, 3)
	assert.True(t, w.messages[2].broadcast, "the channel sees that somebody must decide")
	assert.Contains(t, w.messages[2].blocks, "https://paramedic.example.com/approve?token="+notifiertest.Secret)
	assert.NotContains(t, w.messages[2].text, notifiertest.Secret, "what previews links must not decide")
	memory = told(t, d, memory, notifiertest.Message(semconv.EventTypeRemediationStarted))
	assert.False(t, w.messages[3].broadcast)
	told(t, d, memory, notifiertest.Message(semconv.EventTypeIncidentResolved))
	require.Len(t, w.messages, 5)
	for _, m := range w.messages[1:] {
		assert.Equal(t, w.messages[0].ts, m.thread)
	}
	assert.Contains(t, w.messages[0].text, "RESOLVED")
	assert.Contains(t, w.messages[4].text, "Lasted: 1m8s")

	// Another incident has a message of its own.
	told(t, d, nil, notifiertest.OfIncident(semconv.EventTypeIncidentOpened, "i-2"))
	assert.Empty(t, w.messages[5].thread)
}

// TestBotDeleted begins anew when somebody deleted the message.
func TestBotDeleted(t *testing.T) {
	w := newWorkspace()
	s := notifiertest.NewServer(t, w.answer)
	d := newBot(t, s.URL, s.HTTPClient())
	memory := told(t, d, nil, notifiertest.Message(semconv.EventTypeIncidentOpened))
	w.messages = nil
	told(t, d, memory, notifiertest.Message(semconv.EventTypeRemediationStarted))
	require.Len(t, w.messages, 1)
	assert.Empty(t, w.messages[0].thread, "without its thread it is told in the channel")
	memory = told(t, d, memory, notifiertest.Message(semconv.EventTypeIncidentUpdated))
	require.Len(t, w.messages, 2)
	assert.Equal(t, w.messages[1].ts, memory[keyTS])
}

// TestBotErrors knows what Slack means when it answers 200 with ok:false.
func TestBotErrors(t *testing.T) {
	for _, tt := range []struct {
		method, code string
		busy, gone   bool
		taken        bool
		requests     int
	}{
		{method: "chat.postMessage", code: "ratelimited", busy: true, requests: 2},
		{method: "chat.postMessage", code: "fatal_error", busy: true, requests: 2},
		{method: "chat.postMessage", code: "channel_not_found", requests: 2},
		{method: "chat.postMessage", code: "not_in_channel", requests: 2},
		{method: "chat.postMessage", code: "invalid_auth", requests: 2},
		{method: "chat.postMessage", code: "is_archived", gone: true, requests: 2},
		{method: "chat.postMessage", code: "token_revoked", gone: true, requests: 2},
		{method: "blocks", code: "invalid_blocks", taken: true, requests: 3},
		{method: "blocks", code: "msg_blocks_too_long", taken: true, requests: 3},
		{method: "conversations.history", code: "missing_scope", taken: true, requests: 2},
		{method: "conversations.history", code: "not_in_channel", taken: true, requests: 2},
		{method: "conversations.history", code: "ratelimited", busy: true, requests: 1},
		{method: "conversations.history", code: "account_inactive", gone: true, requests: 1},
	} {
		t.Run(tt.method+" "+tt.code, func(t *testing.T) {
			w := newWorkspace()
			w.deny[tt.method] = tt.code
			s := notifiertest.NewServer(t, w.answer)
			_, err := newBot(t, s.URL, s.HTTPClient()).Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
			assert.Len(t, s.Requests(), tt.requests)
			var busy *notifier.Busy
			var refused *notifier.Refused
			switch {
			case tt.taken:
				require.NoError(t, err)
				require.Len(t, w.messages, 1)
				assert.Contains(t, w.messages[0].text, "latency of shop/gateway")
			case tt.busy:
				require.ErrorAs(t, err, &busy)
				assert.Contains(t, err.Error(), tt.code)
			default:
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, tt.gone, refused.Gone)
				assert.Contains(t, err.Error(), tt.code)
			}
		})
	}
}

// TestBlind does not look again once Slack has said that it must not.
func TestBlind(t *testing.T) {
	w := newWorkspace()
	w.deny["conversations.history"] = "missing_scope"
	s := notifiertest.NewServer(t, w.answer)
	d := newBot(t, s.URL, s.HTTPClient())
	told(t, d, nil, notifiertest.Message(semconv.EventTypeIncidentOpened))
	told(t, d, nil, notifiertest.OfIncident(semconv.EventTypeIncidentOpened, "i-2"))
	assert.Len(t, s.Requests(), 3)
}

// TestWebhookAnswers knows the errors that incoming webhooks document.
func TestWebhookAnswers(t *testing.T) {
	for _, tt := range []struct {
		status     int
		code       string
		gone, busy bool
		requests   int
	}{
		{status: 400, code: "invalid_payload", requests: 2},
		{status: 400, code: "invalid_blocks", requests: 2},
		{status: 400, code: "user_not_found", requests: 1},
		{status: 403, code: "action_prohibited", requests: 1},
		{status: 404, code: "channel_not_found", requests: 1},
		{status: 404, code: "no_service", requests: 1},
		{status: 410, code: "channel_is_archived", gone: true, requests: 1},
		{status: 500, code: "rollup_error", busy: true, requests: 1},
	} {
		t.Run(tt.code, func(t *testing.T) {
			s := notifiertest.NewServer(t, func(*notifiertest.Request) notifiertest.Answer {
				return notifiertest.Answer{Status: tt.status, Body: tt.code}
			})
			_, err := newWebhook(t, s.URL, s.HTTPClient()).Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
			assert.Len(t, s.Requests(), tt.requests)
			var busy *notifier.Busy
			var refused *notifier.Refused
			if tt.busy {
				require.ErrorAs(t, err, &busy)
			} else {
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, tt.gone, refused.Gone)
			}
			assert.Contains(t, err.Error(), tt.code)
			assert.NotContains(t, err.Error(), "s3cretp4th")
		})
	}
}

// TestWebhookPlain sends the plain text where the blocks are refused.
func TestWebhookPlain(t *testing.T) {
	s := notifiertest.NewServer(t, func(r *notifiertest.Request) notifiertest.Answer {
		if strings.Contains(string(r.Body), `"blocks"`) {
			return notifiertest.Answer{Status: 400, Body: "invalid_blocks"}
		}
		return notifiertest.Answer{Body: "ok"}
	})
	_, err := newWebhook(t, s.URL, s.HTTPClient()).Deliver(t.Context(), notifiertest.Message(semconv.EventTypeRemediationApprovalRequested))
	require.NoError(t, err)
	var got struct{ Text string }
	require.NoError(t, json.Unmarshal(s.Requests()[1].Body, &got))
	assert.Contains(t, got.Text, "<https://paramedic.example.com/incidents/i-1|Open incident>")
	assert.NotContains(t, got.Text, notifiertest.Secret)
}

// TestWebhookUpdates posts an update only when there is something new.
func TestWebhookUpdates(t *testing.T) {
	answer, _ := newHook()
	s := notifiertest.NewServer(t, answer)
	d := newWebhook(t, s.URL, s.HTTPClient())
	memory := told(t, d, nil, notifiertest.Message(semconv.EventTypeIncidentOpened))
	memory = told(t, d, memory, notifiertest.Message(semconv.EventTypeIncidentUpdated))
	require.Len(t, s.Requests(), 1)
	grave := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	grave.Incident.Severity = semconv.SeverityCritical
	memory = told(t, d, memory, grave)
	told(t, d, memory, grave)
	require.Len(t, s.Requests(), 2)
}

// TestRate keeps posts to one a second after a burst.
func TestRate(t *testing.T) {
	answer, _ := newHook()
	var at []time.Time
	s := notifiertest.NewServer(t, func(r *notifiertest.Request) notifiertest.Answer {
		at = append(at, time.Now())
		return answer(r)
	})
	c := DefaultConfig()
	c.Endpoint = s.URL + hookPath
	d, err := New(&c, s.HTTPClient())
	require.NoError(t, err)
	for range postBurst + 1 {
		_, err := d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
		require.NoError(t, err)
	}
	assert.GreaterOrEqual(t, at[postBurst].Sub(at[0]), postEvery-50*time.Millisecond)
}

// TestShortened keeps blocks within their limit however much there is to tell.
func TestShortened(t *testing.T) {
	m := notifiertest.Hostile(semconv.EventTypeIncidentOpened, strings.Repeat(`"`, 5000), 60)
	m.Links = notifier.Links{Incident: "https://x.example.com/" + strings.Repeat("a", 1970), Approve: "https://x.example.com/" + strings.Repeat("b", 1970), Deny: "https://x.example.com/" + strings.Repeat("c", 1970)}
	p := translate(m, m.ID)
	b, err := json.Marshal(p.blocks)
	require.NoError(t, err)
	require.NoError(t, checkBlocks(b))
	assert.LessOrEqual(t, len(b), maxBlocks)
	assert.Contains(t, string(b), "shortened")
	assert.Contains(t, string(b), "aaa", "the way to the whole incident stays")
}

// TestGolden shows what is sent.
func TestGolden(t *testing.T) {
	for _, typ := range notifiertest.Types {
		p := translate(notifiertest.Message(typ), "id")
		notifiertest.GoldenJSON(t, notifiertest.Name(typ), map[string]any{"text": p.text, "blocks": p.blocks, "plain": p.plain})
	}
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*Config)
		want []string
	}{
		"webhook": {set: func(c *Config) { c.Endpoint = "https://hooks.slack.com/services/T/B/x" }},
		"bot":     {set: func(c *Config) { c.Token, c.Channel = "xoxb-1", "C0123456789" }},
		"bot at a proxy": {set: func(c *Config) {
			c.Token, c.Channel, c.Endpoint = "xoxb-1", "G0123456789", "https://proxy.example.com/api/"
		}},
		"nothing": {set: func(*Config) {}, want: []string{"endpoint must be an http or https URL with a host"}},
		"channel without token": {
			set:  func(c *Config) { c.Endpoint, c.Channel = "https://hooks.slack.com/x", "C0123456789" },
			want: []string{`channel must not be set without token, got "C0123456789"`},
		},
		"all wrong": {
			set: func(c *Config) { c.Token, c.Channel, c.Endpoint, c.Timeout = "xoxp-secret", "#alerts", "ftp://x", 0 },
			want: []string{
				"endpoint must be", "timeout must be", "token must be that of a bot", `channel must be an ID such as C0123456789, got "#alerts"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			tt.set(&c)
			err := c.Validate()
			if len(tt.want) == 0 {
				require.NoError(t, err)
				assert.NotEmpty(t, c.Endpoints()[0])
				return
			}
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "secret")
		})
	}
	var _ driver.Config = &Config{}
}

func TestReadme(t *testing.T) {
	notifiertest.Readme(t, "slack", map[string]string{"SLACK_BOT_TOKEN": testToken, "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x"}, func() driver.Config {
		c := DefaultConfig()
		return &c
	})
}
