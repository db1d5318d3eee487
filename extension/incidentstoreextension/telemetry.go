package incidentstoreextension

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/metadata"
	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/restapi"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// telemetry counts and logs what happens, without secrets.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	logger  *zap.Logger
	secrets []string
	// options are built once for each value of an attribute.
	options sync.Map
	down    sync.Once
}

func newTelemetry(b *metadata.TelemetryBuilder, logger *zap.Logger, secrets []string) *telemetry {
	return &telemetry{builder: b, logger: logger, secrets: secrets}
}

// secretsOf are the texts that must not reach a log, the longest first.
func secretsOf(cfg *Config) []string {
	var out []string
	add := func(s string) {
		if len(s) >= 3 && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, s := range cfg.Links.Secrets {
		add(string(s))
	}
	dsn := string(cfg.Database.DSN)
	add(dsn)
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			add(password)
			add(url.QueryEscape(password))
			add(url.PathEscape(password))
		}
	}
	for _, m := range passwordPattern.FindAllStringSubmatch(dsn, -1) {
		add(strings.Trim(m[1], "'"))
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

var passwordPattern = regexp.MustCompile(`(?i)(?:^|[\s?&])(?:ssl)?password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)`)

// scrub returns an error's text without secrets.
func (t *telemetry) scrub(err error) string {
	text := err.Error()
	for _, s := range t.secrets {
		text = strings.ReplaceAll(text, s, "[REDACTED]")
	}
	return text
}

func (t *telemetry) observe(leading, streams metric.Int64Callback) error {
	if err := t.builder.RegisterExtensionIncidentstoreLeadingCallback(leading); err != nil {
		return err
	}
	return t.builder.RegisterExtensionIncidentstoreStreamsCallback(streams)
}

func (t *telemetry) shutdown() { t.down.Do(t.builder.Shutdown) }

// add counts with one attribute.
func (t *telemetry) add(counter metric.Int64Counter, key, value string, n int64) {
	name := [2]string{key, value}
	option, ok := t.options.Load(name)
	if !ok {
		option, _ = t.options.LoadOrStore(name, []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))})
	}
	counter.Add(context.Background(), n, option.([]metric.AddOption)...)
}

var _ restapi.Observer = (*telemetry)(nil)

// Answered implements [restapi.Observer].
func (t *telemetry) Answered(status int) {
	answer := "ok"
	switch {
	case status >= 500:
		answer = "failed"
	case status >= 400:
		answer = "refused"
	}
	t.add(t.builder.ExtensionIncidentstoreAPIRequests, "answer", answer, 1)
}

// Commanded implements [restapi.Observer].
func (t *telemetry) Commanded(f restapi.CommandFate) {
	t.add(t.builder.ExtensionIncidentstoreCommands, "fate", string(f), 1)
}

// LinkUsed implements [restapi.Observer].
func (t *telemetry) LinkUsed(f restapi.LinkFate) {
	t.add(t.builder.ExtensionIncidentstoreLinkUses, "fate", string(f), 1)
}

// StreamRefused implements [restapi.Observer].
func (t *telemetry) StreamRefused() {
	t.builder.ExtensionIncidentstoreRefusedStreams.Add(context.Background(), 1)
}

// Unnoted implements [restapi.Observer].
func (t *telemetry) Unnoted() {
	t.builder.ExtensionIncidentstoreUnnotedRefusals.Add(context.Background(), 1)
}

// Failed implements [restapi.Observer].
func (t *telemetry) Failed(doing string, err error) {
	t.builder.ExtensionIncidentstoreFailedCalls.Add(context.Background(), 1)
	t.logger.Warn("the store failed", zap.String("doing", doing), zap.String("error", t.scrub(err)))
}

// electionObserver is how the election is watched.
type electionObserver struct{ *telemetry }

// Changed implements election.Observer.
func (o electionObserver) Changed(leads bool, leader string) {
	o.builder.ExtensionIncidentstoreLeadershipChanges.Add(context.Background(), 1)
	o.logger.Info("leadership changed", zap.Bool("leads", leads), zap.String("leader", leader))
}

// Failed implements election.Observer.
func (o electionObserver) Failed(err error) { o.telemetry.Failed("renew the lease", err) }

// lost counts what the store removed.
func (t *telemetry) lost(l incidentstore.Loss, n int64) {
	t.add(t.builder.ExtensionIncidentstoreLostItems, "loss", string(l), n)
}
