package remediationexporter

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/semconv"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(b)
}

// readmeConfigs returns the configurations of the README in their order, with a secret put in.
func readmeConfigs(t *testing.T) []*Config {
	t.Helper()
	var out []*Config
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		text := regexp.MustCompile(`\$\{env:[A-Z_]+\}`).ReplaceAllString(block[1], string(secretA))
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		sub, err := conf.Sub("exporters::remediation")
		require.NoError(t, err)
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, sub.Unmarshal(cfg))
		require.NoError(t, xconfmap.Validate(cfg))
		out = append(out, cfg)
	}
	require.Len(t, out, 3)
	return out
}

func TestReadmeConfigurations(t *testing.T) { readmeConfigs(t) }

// TestReadmeShop asks the playbooks for the shop what they do about each kind of cause.
func TestReadmeShop(t *testing.T) {
	for _, tc := range []struct {
		kind   semconv.CauseKind
		entity string
		want   string
	}{
		{semconv.CauseChange, "shop/catalogue", "rollback"},
		{semconv.CauseTraffic, "shop/search", "scale"},
		{semconv.CauseLatency, "cache", "flush-cache"},
		{semconv.CauseLatency, "shop/cart", "restart"},
		{semconv.CauseLatency, "orders-db/orders", "restart"},
		{semconv.CauseCrash, "cart-7d9f", "restart"},
		{semconv.CauseMemory, "shop/recommendation", "restart"},
		{semconv.CauseErrors, "shop/payment", "restart"},
	} {
		t.Run(string(tc.kind)+" of "+tc.entity, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				middlewares := r.cfg.Webhooks["shop"].Middlewares
				r.cfg = readmeConfigs(t)[2]
				r.cfg.Storage = nil
				r.editHook("shop", func(h *WebhookConfig) { h.Middlewares = middlewares })
				r.start()
				e := on(opened("i-1"), tc.entity)
				e.Incident.Causes[0].Kind = tc.kind
				r.must(e)
				synctest.Wait()
				got := actions(r.hooks["shop"])
				require.Len(t, got, 1)
				assert.Equal(t, tc.want, got[0]["name"])
				r.stop()
			})
		})
	}
}

func TestReadmeDefaults(t *testing.T) {
	c := createDefaultConfig().(*Config)
	h := defaultWebhook()
	p := PlaybookConfig{}
	require.NoError(t, p.Unmarshal(confmap.New()))
	want := map[string]any{
		"source": c.Source, "webhooks": nil, "playbooks": nil, "storage": nil, "queue_size": c.QueueSize,
		"budget::max_actions": c.Budget.MaxActions, "budget::window": c.Budget.Window,
		"retry_on_failure::enabled":              c.RetryConfig.Enabled,
		"retry_on_failure::initial_interval":     c.RetryConfig.InitialInterval,
		"retry_on_failure::randomization_factor": c.RetryConfig.RandomizationFactor,
		"retry_on_failure::multiplier":           c.RetryConfig.Multiplier,
		"retry_on_failure::max_interval":         c.RetryConfig.MaxInterval,
		"retry_on_failure::max_elapsed_time":     c.RetryConfig.MaxElapsedTime,
		"max_body_size":                          c.MaxBodySize, "max_incidents": c.MaxIncidents, "forget_after": c.ForgetAfter,
		"timeout": h.Timeout, "secrets": nil, "events": h.Events, "allow_private_ranges": h.AllowPrivateRanges,
		"name": nil, "when": nil, "error_mode": p.ErrorMode, "mode": p.Mode, "min_confidence": p.MinConfidence,
		"max_revision": p.MaxRevision, "cooldown": p.Cooldown, "webhook": nil, "action::name": nil, "action::parameters": nil,
		"verify::within": p.Verify.Within,
	}
	_, text, _ := strings.Cut(readme(t), "## Settings")
	text, _, _ = strings.Cut(text, "## What is kept")
	rows := regexp.MustCompile("(?m)^\\| `([a-z_:]+)` \\| [^|]+ \\| (none|`[^`]+`) \\|").FindAllStringSubmatch(text, -1)
	got := map[string]string{}
	for _, row := range rows {
		got[row[1]] = row[2]
	}
	for name, value := range want {
		text := "none"
		if value != nil {
			text = fmt.Sprintf("`%v`", value)
		}
		assert.Equal(t, text, got[name], name)
	}
	assert.Len(t, got, len(want))
	for _, name := range referenceNames() {
		assert.Contains(t, text, strings.TrimPrefix(name, "cause.resource."))
	}
}

// TestReadmeDelivery shows a whole delivery in the README, as it was sent.
func TestReadmeDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.start()
		e := opened("7f3c0a52-5d0e-4b8f-9a44-2f1d7c1b9e10")
		e.Incident.Changes, e.Incident.Timeline = nil, []semconv.TimelineEntry{}
		r.must(e)
		synctest.Wait()
		q := r.hooks["a"].requests()[0]
		text := "POST /paramedic HTTP/1.1\nContent-Type: " + q.header.Get("Content-Type") + "\n"
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			text += name + ": " + q.header.Get(name) + "\n"
		}
		text += "\n" + string(q.body) + "\n"
		path := filepath.Join("testdata", "delivery.http")
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), text)
		assert.Contains(t, readme(t), "```http\n"+text+"```")
		r.stop()
	})
}
