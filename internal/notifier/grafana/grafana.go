// Package grafana marks incidents, and what was done about them, in the graphs of Grafana.
//
// An incident is an annotation of the organization, found by its tags, which becomes a region when the incident ends: POST
// /api/annotations, and PATCH /api/annotations/:id
// (https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/annotations/). Anything else is a mark at a
// point in time. The id that Grafana gives is kept. Since it has no key against duplicates, each annotation has a tag of its own,
// which is searched for before it is made.
//
// Texts are shown as HTML, so what comes from telemetry is escaped. A tag has at most 100 characters
// (https://github.com/grafana/grafana/issues/98361), and all tags at most 500 (tags_length, https://github.com/grafana/grafana/pull/54754).
// /api is deprecated from Grafana 13 on, and still served: the path is a setting. There is no client library for this that is
// smaller than what it would save.
package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// keyID is in the memory the id of an incident's annotation.
const keyID = "id"

// Traits of Grafana.
var Traits = driver.Traits{
	Events: []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationStarted, semconv.EventTypeRemediationSucceeded, semconv.EventTypeRemediationFailed,
		semconv.EventTypeRemediationInconclusive, semconv.EventTypeRemediationRolledBack,
	},
}

// Config says where Grafana is: the endpoint is its URL, with the path prefix if it has one.
type Config struct {
	driver.Client `mapstructure:",squash"`
	// Token is that of a service account.
	Token configopaque.String `mapstructure:"token"`
	// Path is that of the annotations.
	Path string `mapstructure:"path"`
	// Tags are added to every annotation.
	Tags []string `mapstructure:"tags"`
	// Dashboard and Panel put the annotations on one panel; without them they are the organization's.
	Dashboard string `mapstructure:"dashboard_uid"`
	Panel     int64  `mapstructure:"panel_id"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Client: driver.NewClient(""), Path: "/api/annotations", Tags: []string{"paramedic"}}
}

// maxUserTags bounds the tags of the user's.
const maxUserTags = 5

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	errs := []error{c.Check("authorization")}
	if c.Token == "" {
		errs = append(errs, errors.New("token must be set to that of a service account; make one under Administration, Users and access"))
	}
	if u, err := url.Parse(c.Path); err != nil || !strings.HasPrefix(c.Path, "/") || u.RawQuery != "" || u.Fragment != "" || u.Host != "" {
		errs = append(errs, fmt.Errorf("path must begin with / and have neither host nor query, got %.80q", c.Path))
	}
	if len(c.Tags) > maxUserTags {
		errs = append(errs, fmt.Errorf("tags must have at most %d entries, got %d", maxUserTags, len(c.Tags)))
	}
	for _, tag := range c.Tags {
		if tag == "" || len(tag) > maxUserTag {
			errs = append(errs, fmt.Errorf("tags must have 1 to %d bytes, got %.80q", maxUserTag, tag))
		}
	}
	if (c.Dashboard == "") != (c.Panel == 0) || c.Panel < 0 {
		errs = append(errs, fmt.Errorf("dashboard_uid and panel_id must be set together, got %.80q and %d", c.Dashboard, c.Panel))
	}
	return errors.Join(errs...)
}

// New returns the destination.
func New(c *Config, client *http.Client) (notifier.Destination, error) {
	return &grafana{
		cfg: c, url: strings.TrimSuffix(c.Endpoint, "/") + strings.TrimSuffix(c.Path, "/"), client: client,
		header: http.Header{"Authorization": {"Bearer " + string(c.Token)}},
	}, nil
}

type grafana struct {
	cfg    *Config
	url    string
	client *http.Client
	header http.Header
}

// Deliver implements notifier.Destination.
func (g *grafana) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	a, mark := g.translate(m)
	id := m.Memory[keyID]
	if !m.IsIncident() {
		id = ""
	}
	if id != "" {
		_, err := g.call(ctx, http.MethodPatch, "/"+url.PathEscape(id), a.change())
		if !isMissing(err) {
			return nil, err
		}
		// Somebody has deleted it.
	}
	id, err := g.search(ctx, mark)
	if err != nil {
		return nil, err
	}
	if id == "" {
		if id, err = g.create(ctx, a); err != nil || !m.IsIncident() {
			return nil, err
		}
		return notifier.Memory{keyID: id}, nil
	}
	if !m.IsIncident() {
		return nil, nil // an earlier attempt arrived
	}
	_, err = g.call(ctx, http.MethodPatch, "/"+url.PathEscape(id), a.change())
	if isMissing(err) {
		err = &notifier.Busy{Status: http.StatusNotFound, Reason: "the annotation went away while it was changed"}
	}
	return notifier.Memory{keyID: id}, err
}

func isMissing(err error) bool {
	var refused *notifier.Refused
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// search returns the id of the annotation that has a tag; "" when there is none.
func (g *grafana) search(ctx context.Context, tag string) (string, error) {
	reply, err := g.call(ctx, http.MethodGet, "?"+url.Values{"tags": {tag}, "type": {"annotation"}, "limit": {"1"}}.Encode(), nil)
	if err != nil {
		return "", err
	}
	var found []struct {
		ID json.Number `json:"id"`
	}
	if err := json.Unmarshal(reply.Body, &found); err != nil {
		return "", notifier.Unclear(reply)
	}
	for _, a := range found {
		if id, err := a.ID.Int64(); err == nil && id > 0 {
			return strconv.FormatInt(id, 10), nil
		}
	}
	return "", nil
}

// create makes an annotation and returns its id.
func (g *grafana) create(ctx context.Context, a *annotation) (string, error) {
	reply, err := g.call(ctx, http.MethodPost, "", a)
	if err != nil {
		return "", err
	}
	var made struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(reply.Body, &made); err != nil || made.ID <= 0 {
		return "", notifier.Unclear(reply) // it will be found when it is there
	}
	return strconv.FormatInt(made.ID, 10), nil
}

func (g *grafana) call(ctx context.Context, method, below string, v any) (notifier.Reply, error) {
	return notifier.Call(ctx, g.client, method, g.url+below, g.header, v, time.Now())
}
