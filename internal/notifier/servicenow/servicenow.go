// Package servicenow tells a ServiceNow instance of incidents, in one of two ways: as events of its Event Management, which makes alerts
// of them, or as records of its incident table.
//
// What it relies on, in the documentation of the platform (https://www.servicenow.com/docs/r/, and the same in
// https://github.com/ServiceNow/ServiceNowDocs):
//   - it-operations-management/event-management/send-events-via-web-service.html: the fields of events, severities 1 (critical) to 5 (OK) and
//     0 (clear), times in GMT, additional_info as a string of JSON; neither lengths nor answers are documented
//   - api-reference/rest-apis/c_TableAPI.html: records by their sys_id, queries
//   - api-reference/rest-api-explorer/r_RESTAPIHTTPResponseCodes.html: 201 created, 204 without a body, 403 also for a rule of the table that
//     was broken
//   - api-reference/rest-api-explorer/inbound-REST-API-rate-limiting.html: 429 with Retry-After in seconds and X-RateLimit-Reset in Unix time,
//     by rules of the instance
//   - platform-security/authentication/configure-api-key.html: keys, in the header x-sn-apikey
//
// and besides:
//   - https://github.com/elastic/kibana/issues/162557: records that are closed must not be updated
//   - the property glide.invalid_query.returns_no_rows, off by default: without it a query for a column that a table does not have finds all
//     records, so that what a look-up finds is compared with what was asked for
//
// There is no Go client of the vendor.
package servicenow

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
)

const (
	sourceName = "otelcol-paramedic"
	keyHeader  = "X-Sn-Apikey"
)

// Instance is how an instance is reached: at https://<instance>.service-now.com, with a user, a key, or an auth extension.
type Instance struct {
	driver.Client `mapstructure:",squash"`
	Username      string              `mapstructure:"username"`
	Password      configopaque.String `mapstructure:"password"`
	APIKey        configopaque.String `mapstructure:"api_key"`
}

func (i *Instance) check() []error {
	errs := []error{i.Check("accept", keyHeader)}
	ways := 0
	_, header := i.Headers.Get("Authorization")
	for _, set := range []bool{i.Username != "" || i.Password != "", i.APIKey != "", i.Auth.HasValue(), header} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		errs = append(errs, fmt.Errorf("one of username with password, api_key and auth must be set, got %d of them", ways))
	}
	if (i.Username == "") != (i.Password == "") {
		errs = append(errs, errors.New("username and password must be set together"))
	}
	if strings.Contains(i.Username, ":") {
		errs = append(errs, errors.New("username must not hold a colon, which ends it in a header"))
	}
	return errs
}

// header is what authenticates a request; empty when an extension does.
func (i *Instance) header() http.Header {
	switch {
	case i.APIKey != "":
		return http.Header{keyHeader: {string(i.APIKey)}}
	case i.Username != "":
		return http.Header{"Authorization": {"Basic " + i.basic()}}
	default:
		return nil
	}
}

func (i *Instance) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(i.Username + ":" + string(i.Password)))
}

// connection makes requests to an instance.
type connection struct {
	instance *Instance
	client   *http.Client
	url      string
	header   http.Header
}

func connect(i *Instance, client *http.Client) connection {
	return connection{instance: i, client: client, url: strings.TrimSuffix(i.Endpoint, "/"), header: i.header()}
}

// call makes one request and returns the field "result" of the answer; nil when there is none.
func (c *connection) call(ctx context.Context, method, path string, v any, now time.Time) (json.RawMessage, error) {
	reply, err := notifier.Call(ctx, c.client, method, c.url+path, c.header, v, now)
	if err != nil {
		return nil, c.mend(reply, err, now)
	}
	if reply.Status == http.StatusNoContent {
		return nil, nil
	}
	var said struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	// An instance that sleeps, or a proxy, answers 200 with a page.
	if json.Unmarshal(reply.Body, &said) != nil || len(said.Error) > 0 {
		return nil, c.mend(reply, notifier.Unclear(reply), now)
	}
	return said.Result, nil
}

// mend adds what ServiceNow means by an answer to what HTTP does, and hides secrets, which an answer might quote.
func (c *connection) mend(reply notifier.Reply, err error, now time.Time) error {
	var busy *notifier.Busy
	var refused *notifier.Refused
	switch {
	case errors.As(err, &busy):
		busy.Reason = c.hide(busy.Reason)
		if busy.After == 0 && busy.Status == http.StatusTooManyRequests {
			if reset, err := strconv.ParseInt(reply.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
				busy.After = min(max(time.Unix(reset, 0).Sub(now), 0), notifier.MaxRetryAfter)
			}
		}
	case errors.As(err, &refused):
		refused.Reason = c.hide(refused.Reason)
	}
	return err
}

func (c *connection) hide(s string) string {
	for _, secret := range []string{string(c.instance.Password), string(c.instance.APIKey), c.instance.basic()} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[secret]")
		}
	}
	return s
}

// text takes the meaning of markup from what a journal field shows: what stands between [code] and [/code] is HTML there.
func text(s string, n int) string { return notifier.Clip(unmarked.Replace(s), n) }

var unmarked = strings.NewReplacer("[", "(", "]", ")", "<", "‹", ">", "›")
