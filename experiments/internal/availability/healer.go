package availability

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// healer is the real remediation exporter with the playbooks of examples/quickstart; its webhook leads to the shop.
type healer struct {
	exporter.Logs
	shop *shop.Simulation
	// broken says whether the way to the shop is broken now.
	broken func() bool

	mu sync.Mutex
	// mu guards everything below.
	seen  map[string]bool // by webhook-id: a message may come twice
	heard []news
}

// news is what the exporter told or asked of the shop.
type news struct {
	at       time.Time
	typ      semconv.EventType
	incident string
	// action is set on what was asked and carried out, refused why it was not, cured what it cured.
	action  *shop.Action
	refused string
	cured   []shop.FaultStatus
}

// hostWith is a host that has the healer for an extension, through which HTTP goes.
type hostWith struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h hostWith) GetExtensions() map[component.ID]component.Component { return h.extensions }

// transport is the healer as an extension.
type transport struct {
	component.StartFunc
	component.ShutdownFunc
	*healer
}

// GetHTTPRoundTripper puts the shop in the place of the network.
func (t transport) GetHTTPRoundTripper(http.RoundTripper) (http.RoundTripper, error) {
	return roundTripper(t.roundTrip), nil
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newHealer starts an exporter. It must be ended with Shutdown.
func newHealer(ctx context.Context, s *shop.Simulation, broken func() bool) (*healer, error) {
	h := &healer{shop: s, broken: broken, seen: map[string]bool{}}
	cfg, err := quickstart()
	if err != nil {
		return nil, err
	}
	id := component.MustNewIDWithName("shop", "experiment")
	hook := cfg.Webhooks["shop"]
	hook.Endpoint = "https://shop.example.com/webhook"
	hook.Secrets = []configopaque.String{"whsec_cGFyYW1lZGljLXF1aWNrc3RhcnQtc2VjcmV0LTEyMw=="}
	hook.Middlewares = []configmiddleware.Config{{ID: id}}
	hook.Events = append(hook.Events, "remediation.escalated")
	hook.MaxEventsPerMinute = 0
	cfg.Webhooks["shop"] = hook
	cfg.RetryConfig.RandomizationFactor, cfg.Storm.Jitter = 0, 0 // the same on every run
	if err := xconfmap.Validate(cfg); err != nil {
		return nil, fmt.Errorf("remediation: %w", err)
	}
	factory := remediationexporter.NewFactory()
	set := exporter.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.Logger = zap.NewNop()
	if h.Logs, err = factory.CreateLogs(ctx, set, cfg); err != nil {
		return nil, fmt.Errorf("create remediation exporter: %w", err)
	}
	host := hostWith{componenttest.NewNopHost(), map[component.ID]component.Component{id: transport{healer: h}}}
	return h, h.Start(ctx, host)
}

// quickstart reads the exporter's part of the example, without its storage: nothing is restarted here.
func quickstart() (*remediationexporter.Config, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	conf, err := confmaptest.LoadConf(filepath.Join(root, "examples", "quickstart", "config.yaml"))
	if err != nil {
		return nil, err
	}
	sub, err := conf.Sub("exporters::remediation")
	if err != nil {
		return nil, err
	}
	cfg := remediationexporter.NewFactory().CreateDefaultConfig().(*remediationexporter.Config)
	if err := sub.Unmarshal(cfg); err != nil {
		return nil, fmt.Errorf("examples/quickstart: %w", err)
	}
	cfg.Storage = nil
	return cfg, nil
}

// repository is the folder above the working directory that holds the module.
func repository() (string, error) {
	folder, err := os.Getwd()
	for ; err == nil; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("the experiments must run in the repository: no go.mod in or above the working directory")
		}
	}
	return "", err
}

// tell hands incident events to the exporter.
func (h *healer) tell(ctx context.Context, events []semconv.IncidentEvent) error {
	if len(events) == 0 {
		return nil
	}
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, e := range events {
		e.Encode(records.AppendEmpty())
	}
	return h.ConsumeLogs(ctx, ld)
}

// roundTrip is the shop's end of the webhook.
func (h *healer) roundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status := http.StatusNoContent
	if h.broken() {
		status = http.StatusServiceUnavailable
	} else if err := h.receive(r.Header.Get("webhook-id"), body); err != nil {
		status = http.StatusConflict
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func (h *healer) receive(id string, body []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[id] {
		return nil
	}
	h.seen[id] = true
	e, err := eventdata.Decode(body)
	if err != nil {
		return err
	}
	n := news{at: time.Now(), typ: e.Type}
	if e.Incident != nil {
		n.incident = e.Incident.ID
	}
	if e.Action != nil {
		service := e.Action.Parameters["service"]
		n.action = &shop.Action{Name: shop.ActionName(e.Action.Name), Service: service[strings.LastIndex(service, "/")+1:]}
		out, actErr := h.shop.Act(*n.action)
		n.cured = out.Cured
		if err = actErr; err != nil {
			n.refused = err.Error()
		}
	}
	h.heard = append(h.heard, n)
	return err
}

// listen returns the news since the last call.
func (h *healer) listen() []news {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.heard
	h.heard = nil
	return out
}
