// Package alertmanager raises alerts in Prometheus Alertmanager, and so reaches every receiver that it has.
//
// API v2, POST /api/v2/alerts (https://prometheus.io/docs/alerting/latest/alerts_api/). An alert is sent to every replica, since
// they tell each other of notifications and not of alerts, and again and again while it fires (every 30 s to 3 min,
// https://prometheus.io/docs/alerting/latest/clients/), each time with an end a little ahead: what we tell nothing more of ends by
// itself. The end of an incident is sent for five more minutes, for replicas that were away.
//
// Labels are an alert's identity, so none of them changes: severity and service are those of the first delivery. An incident that
// grows graver would be routed as the lesser one for ever; so the alert with the lesser severity ends, and one with the graver
// begins, in one request. What changes is in annotations.
//
// The types are ours, some ten lines: the client of github.com/prometheus/alertmanager brings the whole of go-openapi.
package alertmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	path = "/api/v2/alerts"
	// aheadBy is how many intervals ahead an alert ends unless it is sent again.
	aheadBy = 3
	// endedFor is how long the end of an alert is sent.
	endedFor = 5 * time.Minute
	// maxReplicas bounds the replicas, and maxLabels the labels of the user's.
	maxReplicas = 16
	maxLabels   = 20
)

// Traits of Alertmanager.
var Traits = driver.Traits{
	Events: []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated,
	},
}

// Config says where the replicas are.
type Config struct {
	driver.Client `mapstructure:",squash"`
	// Replicas are the URLs of all replicas, with the path prefix if they have one; never that of a load balancer.
	Replicas []string `mapstructure:"endpoints"`
	// ResendInterval is how often an alert that fires is sent again.
	ResendInterval time.Duration `mapstructure:"resend_interval"`
	// Labels are added to every alert.
	Labels map[string]string `mapstructure:"labels"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Client: driver.NewClient(""), ResendInterval: time.Minute}
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ownLabels are those that the driver sets.
var ownLabels = []string{"alertname", "incident_key", "severity", "service", "cluster", "intent", "playbook"}

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if c.Endpoint != "" {
		errs = append(errs, errors.New("endpoint must not be set; name all replicas under endpoints"))
	}
	if len(c.Replicas) == 0 || len(c.Replicas) > maxReplicas {
		errs = append(errs, fmt.Errorf("endpoints must have between 1 and %d URLs, got %d; name every replica of Alertmanager", maxReplicas, len(c.Replicas)))
	}
	for i, r := range c.Replicas {
		field := fmt.Sprintf("endpoints[%d]", i)
		errs = append(errs, driver.CheckEndpoint(field, r))
		if strings.Contains(r, path) {
			errs = append(errs, fmt.Errorf("%s must not hold %s, which the driver adds", field, path))
		}
		if slices.Contains(c.Replicas[:i], r) {
			errs = append(errs, fmt.Errorf("%s must not be there twice", field))
		}
	}
	if c.ResendInterval < 10*time.Second || c.ResendInterval > 5*time.Minute {
		errs = append(errs, fmt.Errorf("resend_interval must be between 10s and 5m, got %s", c.ResendInterval))
	}
	if len(c.Labels) > maxLabels {
		errs = append(errs, fmt.Errorf("labels must have at most %d entries, got %d", maxLabels, len(c.Labels)))
	}
	for _, name := range sortedKeys(c.Labels) {
		switch {
		case !labelName.MatchString(name):
			errs = append(errs, fmt.Errorf("labels must have names of letters, digits and _, got %.80q", name))
		case slices.Contains(ownLabels, name):
			errs = append(errs, fmt.Errorf("labels must not set %s, which the driver sets", name))
		case c.Labels[name] == "" || len(c.Labels[name]) > maxLabel:
			errs = append(errs, fmt.Errorf("labels must have values of 1 to %d bytes, and that of %s has %d", maxLabel, name, len(c.Labels[name])))
		}
	}
	client := c.Client
	client.Endpoint = "http://replica" // checked above
	return errors.Join(append(errs, client.Check())...)
}

// Endpoints returns where requests go.
func (c *Config) Endpoints() []string { return c.Replicas }

// New returns the destination.
func New(c *Config, client *http.Client) (notifier.Destination, error) {
	a := &alertmanager{client: client, interval: c.ResendInterval, labels: c.Labels}
	for _, r := range c.Replicas {
		a.urls = append(a.urls, strings.TrimSuffix(r, "/")+path)
	}
	return a, nil
}

type alertmanager struct {
	urls     []string
	client   *http.Client
	interval time.Duration
	labels   map[string]string
}

// Deliver implements notifier.Destination.
func (a *alertmanager) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	alerts, memory := a.translate(m)
	if len(alerts) == 0 {
		return nil, nil
	}
	if err := a.post(ctx, alerts); err != nil {
		return nil, err
	}
	return memory, nil
}

// Repeat implements notifier.Repeater.
func (a *alertmanager) Repeat(m *notifier.Message) time.Duration {
	if !m.IsIncident() {
		return 0
	}
	if m.Incident.Status != semconv.StatusResolved {
		return a.interval
	}
	ended, told := decode(m.Memory).ended, m.Memory[keyStarts] != ""
	if !told || !ended.IsZero() && m.Now.Sub(ended) >= endedFor {
		return 0
	}
	return a.interval
}

// post sends alerts to all replicas at once. One that took them is enough, since all are sent again.
func (a *alertmanager) post(ctx context.Context, alerts []alert) error {
	errs := make([]error, len(a.urls))
	var wg sync.WaitGroup
	for i, url := range a.urls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			reply, err := notifier.Call(ctx, a.client, http.MethodPost, url, nil, alerts, time.Now())
			if err == nil && bytes.HasPrefix(bytes.TrimSpace(reply.Body), []byte("<")) {
				err = notifier.Unclear(reply) // the page of something in between
			}
			errs[i] = err
		}()
	}
	wg.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	// One that may take them later counts for more than one that never will.
	for _, err := range errs {
		var refused *notifier.Refused
		if !errors.As(err, &refused) {
			return err
		}
	}
	return errs[0]
}
