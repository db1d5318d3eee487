package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// maxAnswer bounds what is read of an answer, in bytes: a hundred messages with blocks.
const maxAnswer = 4 << 20

// web calls methods of the Web API, all of which take forms.
type web struct {
	base, token string
	client      *http.Client
}

// answer is what the methods that we call have in common.
type answer struct {
	OK       bool   `json:"ok"`
	Error    string `json:"error"`
	TS       string `json:"ts"`
	Channel  string `json:"channel"`
	Messages []struct {
		TS     string  `json:"ts"`
		Blocks []block `json:"blocks"`
	} `json:"messages"`
}

type block struct {
	ID string `json:"block_id"`
}

// Errors of the Web API by what they mean for us; all others are refusals. See the methods' documentation.
var (
	busyErrors = map[string]bool{
		"ratelimited": true, "rate_limited": true, "fatal_error": true, "internal_error": true, "service_unavailable": true,
		"request_timeout": true, "team_added_to_org": true,
	}
	// After these nothing will be taken until a person has done something.
	goneErrors = map[string]bool{
		"is_archived": true, "channel_is_archived": true, "account_inactive": true, "token_revoked": true, "token_expired": true,
	}
)

// call makes one request. A refusal's reason begins with Slack's name of the error.
func (w *web) call(ctx context.Context, method string, form url.Values) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+method, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("make request to slack: %w", notifier.WithoutURL(err))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send request to %s: %w", req.URL.Hostname(), notifier.WithoutURL(err))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what is cut off is no JSON
	if err := notifier.Judge(notifier.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, time.Now()); err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil && !a.OK {
		return nil, &notifier.Busy{Status: resp.StatusCode, Reason: method + " was not answered with JSON: " + notifier.Quote(body)}
	}
	if a.OK {
		return &a, nil
	}
	reason := notifier.Quote([]byte(a.Error)) + " from " + method
	switch {
	case a.Error == "" || busyErrors[a.Error]:
		return nil, &notifier.Busy{Status: resp.StatusCode, Reason: reason, After: notifier.RetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	default:
		return nil, &notifier.Refused{Status: resp.StatusCode, Reason: reason, Gone: goneErrors[a.Error]}
	}
}
