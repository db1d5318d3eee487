package remediationexporter

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
)

const (
	secretA = configopaque.String("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	secretB = configopaque.String("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
)

func loadConfig(t testing.TB, name string) (*Config, error) {
	t.Helper()
	cm, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	id := component.NewIDWithName(component.MustNewType("remediation"), name)
	sub, err := cm.Sub(id.String())
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	return cfg, sub.Unmarshal(cfg)
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := loadConfig(t, "")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	want := createDefaultConfig().(*Config)
	hook := defaultWebhook()
	hook.Endpoint = "https://chat.example.com/hook"
	hook.Secrets = []configopaque.String{secretA}
	want.Webhooks = map[string]WebhookConfig{"chat": hook}
	assert.Equal(t, want, cfg)
	assert.Equal(t, 10*time.Second, hook.Timeout)

	cfg, err = loadConfig(t, "playbook_defaults")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	p := defaultPlaybook()
	p.Name, p.When = "a", []string{`log.attributes["x"] == "y"`}
	p.Steps = []StepConfig{{Webhook: "chat", Action: ActionConfig{Name: "restart"}, OnFailure: "next"}}
	assert.Equal(t, []PlaybookConfig{p}, cfg.Playbooks)
	assert.Equal(t, Mode("observe"), p.Mode)
	assert.Equal(t, 0.75, p.MinConfidence)
}

func TestConfigEveryField(t *testing.T) {
	cfg, err := loadConfig(t, "all")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	storage := component.MustNewIDWithName("file_storage", "remediation")
	hook := defaultWebhook()
	hook.Endpoint, hook.Timeout = "http://127.0.0.1:8080/webhook", 3*time.Second
	hook.Secrets, hook.Events, hook.AllowPrivateRanges = []configopaque.String{secretA, secretB}, []Event{}, true
	want := createDefaultConfig().(*Config)
	want.Source, want.Storage, want.QueueSize, want.MaxBodySize = "/clusters/prod-eu/paramedic", &storage, 10, 32768
	want.MaxIncidents, want.ForgetAfter = 20, 2*time.Hour
	want.Budget.MaxActions, want.Budget.Window = 2, 5*time.Minute
	want.RetryConfig = configretry.BackOffConfig{
		Enabled: true, InitialInterval: 2 * time.Second, RandomizationFactor: 0.1, Multiplier: 2,
		MaxInterval: 10 * time.Second, MaxElapsedTime: time.Minute,
	}
	want.Webhooks = map[string]WebhookConfig{"shop": hook}
	p := defaultPlaybook()
	p.Name, p.When = "restart", []string{`attributes["incident.cause.kind"] == "crash"`, `attributes["incident.severity"] != "minor"`}
	p.ErrorMode, p.Mode, p.MinConfidence, p.MaxRevision, p.Cooldown = ottl.PropagateError, "auto", 0.8, 3, 15*time.Minute
	p.Steps = []StepConfig{{
		Webhook: "shop", OnFailure: "next",
		Action: ActionConfig{Name: "restart", Parameters: map[string]ParameterConfig{
			"service": {From: "cause.entity.name"}, "replicas": {Value: "3"},
		}},
	}}
	p.Verify.Within, p.Verify.Settle, p.Verify.Hold = 2*time.Minute, 15*time.Second, 20*time.Second
	want.Playbooks = []PlaybookConfig{p}
	assert.Equal(t, want, cfg)
}

func TestConfigInvalid(t *testing.T) {
	const names = "^[a-z0-9][a-z0-9_.-]{0,62}$"
	for name, wants := range map[string][]string{
		"no_webhooks": {"webhooks must not be empty; name at least one receiver, or one under notifiers, or a cluster under kubernetes, or an incident_store"},
		"bounds": {
			"source must have 1 to 200 characters, got 0; it names this exporter to receivers",
			"webhooks: name must match " + names + `, got "Chat"`,
			"queue_size must be between 1 and 100000, got 0; it bounds memory",
			"max_body_size must be between 16384 and 1048576, got 1",
			"max_incidents must be between 1 and 100000, got 0; it bounds memory",
			"forget_after must be at least 1m, got 1s",
			"budget: max_actions must be between 1 and 1000, got -1; playbooks in mode observe do not act",
			`limits::0: class must be one of restart, scale, rollback, pod, node, network, shed, job, config, webhook, got "nodes"; such a limit would never hold`,
			"max_event_lead must not be negative, got -1s; 0 is no limit",
			"window must be at least 1s, got 0s",
		},
		"webhook": {
			"webhooks::chat: endpoint must be an http or https URL with a host",
			"secrets::0: secret must start with whsec_",
			"events must not repeat incident.opened",
			"headers must not set webhook-id, which belongs to the signed message",
			"compression must be unset, got gzip; the signature is over the bytes as sent",
			"timeout must be more than 0s and at most 5m, got 0s",
		},
		"private":   {"webhooks::chat: endpoint must not be the private address 169.254.169.254; set allow_private_ranges: true if that is meant"},
		"userinfo":  {"webhooks::chat: endpoint must not hold a user or password; use an auth extension or headers"},
		"no_secret": {"webhooks::chat: secrets must hold 1 to 4 values, got 0; receivers tell our messages from forged ones by them"},
		"playbook": {
			"playbooks::0: name must match " + names + `, got "Über"`,
			"when: unable to parse OTTL condition",
			"min_confidence must be between 0 and 1, got 2",
			"criticality must not have unknown; leave criticality empty to act on any target, and say in modes::unknown how far",
			"max_revision must not be negative, got -1; 0 means any",
			"cooldown must not be negative, got -1s",
			`playbooks::0::steps::0: webhook must be one of webhooks, got "other"`,
			"playbooks::0::steps::0: action::name must match " + names + `, got ""`,
			`action::parameters: name must match ^[A-Za-z][A-Za-z0-9_.-]{0,62}$, got "a b"`,
			"playbooks::0::steps::0::action::parameters::both: value or from must be set, and not both",
			"playbooks::0::steps::0::action::parameters::none: value or from must be set, and not both",
			"playbooks::0::verify: within must be at least 1s, got 100ms",
			"playbooks::1: when must not be empty; write 'true' for every incident",
			"playbooks::1::steps::0: verify::within must be at most forget_after (24h0m0s), got 25h0m0s",
			`playbooks::2: name must be unique, got "b" twice`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := loadConfig(t, name)
			require.NoError(t, err)
			err = xconfmap.Validate(cfg)
			require.Error(t, err)
			for _, want := range wants {
				assert.ErrorContains(t, err, want)
			}
			for _, secret := range []string{"hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret.example.com", "/latest/token"} {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestConfigUnmarshalErrors(t *testing.T) {
	for name, want := range map[string]string{
		"bad_event":     `event must be one of incident.opened, incident.updated, incident.acknowledged, incident.resolved, remediation.proposed,`,
		"bad_mode":      `mode must be observe, suggest, approve or auto, got "yolo"`,
		"bad_reference": `from must be one of cause.entity.name, cause.entity.type, cause.kind, cause.resource.`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(t, name)
			require.ErrorContains(t, err, want)
		})
	}
}
