package remediationexporter

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/timewindow"
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
		require.NoError(t, sub.Unmarshal(cfg), block[1])
		require.NoError(t, xconfmap.Validate(cfg))
		out = append(out, cfg)
	}
	require.Len(t, out, 7)
	return out
}

func TestReadmeConfigurations(t *testing.T) { readmeConfigs(t) }

// TestReadmeShop asks the playbooks for the shop what they do about each kind of cause.
func TestReadmeShop(t *testing.T) {
	shop := readmeConfigs(t)[2]
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
		cfg := *shop
		t.Run(string(tc.kind)+" of "+tc.entity, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				middlewares := r.cfg.Webhooks["shop"].Middlewares
				r.cfg = &cfg
				r.cfg.Storage, r.cfg.MaxEventLead = nil, 0
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

// TestReadmeDefaults compares every table of settings with the defaults: each setting has its row, and no other.
func TestReadmeDefaults(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	kube := defaultKubernetes()
	kube.Namespace, kube.Pod, kube.Node = "", "", ""
	own := defaultWebhook()
	step := StepConfig{}
	require.NoError(t, step.Unmarshal(confmap.New()))
	signal, probe := MetricSignalConfig{}, defaultProbe()
	require.NoError(t, signal.Unmarshal(confmap.New()))
	_, text, _ := strings.Cut(readme(t), "## Settings")
	text, _, _ = strings.Cut(text, "\n## ")
	tables := map[string]string{}
	for i, part := range strings.Split(text, "\n### ") {
		title, rows, _ := strings.Cut(part, "\n")
		if i == 0 {
			title = ""
		}
		tables[title] = rows
	}
	for title, settings := range map[string]map[string]string{
		"":           settingsOf(t, *cfg),
		"A webhook":  {"timeout": "`" + own.Timeout.String() + "`", "secrets": "none", "events": fmt.Sprintf("`%v`", own.Events), "allow_private_ranges": "`false`", "max_events_per_minute": fmt.Sprintf("`%d`", own.MaxEventsPerMinute)},
		"A route":    settingsOf(t, routeDefaults(t)),
		"A notifier": {"timeout": "`" + defaultAttemptTimeout.String() + "`", "allow_private_ranges": "`false`"},
		"The API": {
			"endpoint": "`127.0.0.1:8099`", "identity": "none", "operators": "none", "max_connections": "`64`", "max_request_body_size": "`16384`",
			"read_timeout": "`10s`", "read_header_timeout": "`5s`", "write_timeout": "`30s`", "idle_timeout": "`1m0s`",
		},
		"The cluster":     settingsOf(t, kube),
		"A limit":         settingsOf(t, actionbudget.Limit{}),
		"A window":        settingsOf(t, timewindow.Window{}),
		"A playbook":      settingsOf(t, defaultPlaybook()),
		"A step":          settingsOf(t, step),
		"A metric signal": settingsOf(t, signal),
		"A probe": {
			"timeout": "`" + probe.Timeout.String() + "`", "status": fmt.Sprintf("`%v`", probe.Status), "interval": "`" + probe.Interval.String() + "`",
			"successes": "`2`", "failures": "`0`", "allow_private_ranges": "`false`",
		},
	} {
		require.Contains(t, tables, title)
		got := map[string]string{}
		for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_:]+)` \\| [^|]*\\| (none|see below|`[^`]+`) \\|").FindAllStringSubmatch(tables[title], -1) {
			assert.NotContains(t, got, row[1], title)
			got[row[1]] = row[2]
		}
		assert.Equal(t, settings, got, title)
	}
	for _, name := range referenceNames() {
		assert.Contains(t, text, strings.TrimPrefix(name, "cause.resource."))
	}
}

func routeDefaults(t *testing.T) RouteConfig {
	c := RouteConfig{}
	require.NoError(t, c.Unmarshal(confmap.New()))
	return c
}

// settingsOf returns the settings of a configuration with their defaults, as the README writes them.
func settingsOf(t *testing.T, cfg any) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			f, value := v.Type().Field(i), v.Field(i)
			if !f.IsExported() {
				continue
			}
			tag, squash, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
			name := prefix + tag
			_, text := value.Interface().(fmt.Stringer)
			switch {
			case tag == "" && squash == "":
			case squash != "":
				walk(prefix, value)
			case strings.HasPrefix(f.Type.String(), "configoptional."), value.Kind() == reflect.Pointer:
				out[name] = "none"
			case value.Kind() == reflect.Struct:
				walk(name+"::", value)
			case name == "budget::limits":
				out[name] = "see below"
			case value.IsZero() && !text && (value.Kind() == reflect.String || value.Kind() == reflect.Slice || value.Kind() == reflect.Map):
				out[name] = "none"
			default:
				out[name] = fmt.Sprintf("`%v`", value.Interface())
			}
		}
	}
	walk("", reflect.ValueOf(cfg))
	return out
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
