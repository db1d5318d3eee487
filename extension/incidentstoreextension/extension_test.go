package incidentstoreextension

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/basicauthextension"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_b3RoZXIta2V5LW9mLXRoZS10ZXN0cy0wMTIzNDU2Nzg5"
)

var intent = strings.Repeat("0a", 16)

// host has extensions.
type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h *host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// rig is a started extension.
type rig struct {
	t   *testing.T
	e   *incidentStore
	tel *componenttest.Telemetry
	log *observer.ObservedLogs
}

// start starts an extension with an API and the authenticator, for which everybody's name is the password.
func start(t *testing.T, edit func(*Config)) *rig {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Database.Path = filepath.Join(t.TempDir(), "new", "incidents.db")
	api := defaultAPI()
	api.NetAddr.Endpoint, api.CommandWait, api.Challenge = "127.0.0.1:0", 50*time.Millisecond, `Basic realm="paramedic"`
	api.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("basicauth")}})
	cfg.API = configoptional.Some(api)
	cfg.Links.PublicURL, cfg.Links.Secrets = "https://paramedic.example.com/x/", []configopaque.String{secretA}
	if edit != nil {
		edit(cfg)
	}
	require.NoError(t, cfg.Validate())
	factory := basicauthextension.NewFactory()
	auth := factory.CreateDefaultConfig().(*basicauthextension.Config)
	auth.Htpasswd = &basicauthextension.HtpasswdSettings{Inline: "ann:ann\nbob:bob\n"}
	authenticator, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), auth)
	require.NoError(t, err)
	h := &host{extensions: map[component.ID]component.Component{component.MustNewID("basicauth"): authenticator}}
	require.NoError(t, authenticator.Start(t.Context(), h))

	r := &rig{t: t, tel: componenttest.NewTelemetry()}
	var core zap.Option
	core, r.log = observing()
	set := extension.Settings{ID: component.NewID(typ), TelemetrySettings: r.tel.NewTelemetrySettings()}
	set.Logger = zap.NewNop().WithOptions(core)
	e, err := NewFactory().Create(t.Context(), set, cfg)
	require.NoError(t, err)
	r.e = e.(*incidentStore)
	assert.Nil(t, r.e.Memory(), "before the start")
	require.NoError(t, r.e.Start(t.Context(), h))
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		require.NoError(t, r.e.Shutdown(context.Background()))
		require.NoError(t, r.e.Shutdown(context.Background()), "twice")
		require.NoError(t, r.tel.Shutdown(context.Background()))
	})
	return r
}

func observing() (zap.Option, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.WrapCore(func(zapcore.Core) zapcore.Core { return core }), logs
}

// ask asks over the network, as a person unless that is empty.
func (r *rig) ask(by, method, path, body string) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.e.address+path, strings.NewReader(body))
	require.NoError(r.t, err)
	if by != "" {
		req.SetBasicAuth(by, by)
	}
	switch {
	case strings.HasPrefix(body, "{"):
		req.Header.Set("Content-Type", "application/json")
	case body != "":
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, resp.Header, string(b)
}

// await puts an intent into the store that waits for a person.
func (r *rig) await() {
	r.t.Helper()
	require.NoError(r.t, r.e.Memory().Record(r.t.Context(), []incidentstore.Record{{ID: "1", At: time.Now(), Intent: &incidentstore.IntentRecord{
		Incident: "i-1", Remediation: eventdata.Remediation{Intent: intent, Playbook: "restart", Action: "restart", Outcome: "awaiting_approval", Revision: 1},
	}}}))
}

func pathOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err)
	return strings.TrimPrefix(u.Path, "/x")
}

func TestAuthentication(t *testing.T) {
	r := start(t, nil)
	assert.Equal(t, []component.ID{component.MustNewID("basicauth")}, r.e.Dependencies())
	status, header, body := r.ask("", http.MethodGet, "/v1/status", "")
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Equal(t, `Basic realm="paramedic"`, header.Get("WWW-Authenticate"))
	assert.JSONEq(t, `{"error": {"code": "unauthenticated", "message": "authentication is needed"}}`, body)
	status, _, _ = r.ask("eve", http.MethodGet, "/v1/status", "")
	assert.Equal(t, http.StatusUnauthorized, status)
	status, _, body = r.ask("ann", http.MethodGet, "/v1/status", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"person": "ann"`)
	status, _, _ = r.ask("ann", http.MethodPost, "/v1/pause", `{"reason": "`+strings.Repeat("x", 20<<10)+`"}`)
	assert.Equal(t, http.StatusRequestEntityTooLarge, status)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.e.address+"/v1/pause", nil)
	require.NoError(t, err)
	req.SetBasicAuth("ann", "ann")
	req.Header.Set("Origin", "https://evil.example")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	foreign, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusForbidden, resp.StatusCode, "what another site's page sends is refused")
	assert.JSONEq(t, `{"error": {"code": "origin", "message": "a page of another site may not ask for this"}}`, string(foreign))
	assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))

	metadatatest.AssertEqualExtensionIncidentstoreAPIRequests(t, r.tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("answer", "ok"))},
		{Value: 4, Attributes: attribute.NewSet(attribute.String("answer", "refused"))},
	}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreStreams(t, r.tel, []metricdata.DataPoint[int64]{{}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreLeading(t, r.tel, []metricdata.DataPoint[int64]{{}}, metricdatatest.IgnoreTimestamp())
}

// TestLinks makes links that lead to a page, for people who are known.
func TestLinks(t *testing.T) {
	r := start(t, nil)
	r.await()
	links := r.e.Links()
	assert.Equal(t, "https://paramedic.example.com/x/v1/incidents/a%2Fb", links.Incident("a/b"))
	assert.Empty(t, links.Incident(""))
	approve, deny := links.Decide(intent, "", "chat", time.Now().Add(time.Hour))
	require.NotEmpty(t, approve)
	assert.NotEqual(t, approve, deny)
	status, _, _ := r.ask("", http.MethodGet, pathOf(t, approve), "")
	assert.Equal(t, http.StatusUnauthorized, status)
	status, _, _ = r.ask("", http.MethodPost, pathOf(t, approve), "comment=x")
	assert.Equal(t, http.StatusUnauthorized, status)
	status, _, body := r.ask("ann", http.MethodGet, pathOf(t, approve), "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "You decide as ann")
	status, _, _ = r.ask("ann", http.MethodPost, pathOf(t, approve), "comment=x")
	assert.Equal(t, http.StatusAccepted, status, "no executor is here")

	for name, none := range map[string]func() (string, string){
		"past":         func() (string, string) { return links.Decide(intent, "", "chat", time.Now()) },
		"no intent":    func() (string, string) { return links.Decide("x", "", "chat", time.Now().Add(time.Hour)) },
		"no place":     func() (string, string) { return links.Decide(intent, "", "", time.Now().Add(time.Hour)) },
		"odd plan":     func() (string, string) { return links.Decide(intent, "x", "chat", time.Now().Add(time.Hour)) },
		"unconfigured": func() (string, string) { return (linksWithout{}).Decide(intent) },
	} {
		approve, deny := none()
		assert.Empty(t, approve+deny, name)
	}
}

type linksWithout struct{}

func (linksWithout) Decide(id string) (string, string) {
	return links{}.Decide(id, "", "chat", time.Now().Add(time.Hour))
}

// TestLinksExpire counts no longer than they may.
func TestLinksExpire(t *testing.T) {
	r := start(t, func(c *Config) { c.Links.MaxAge = time.Minute })
	approve, _ := r.e.Links().Decide(intent, "", "chat", time.Now().Add(time.Hour))
	word, _, err := r.e.signer.Read(strings.TrimPrefix(pathOf(t, approve), "/decide/"), time.Now())
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Minute), word.Expires, 10*time.Second)
	assert.Equal(t, semconv.ApprovalGranted, word.Verdict)
}

// TestAnonymousLinks lets a link decide without credentials, and nothing else.
func TestAnonymousLinks(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Links.AllowAnonymous, c.Links.Secrets = true, []configopaque.String{secretB, secretA}
	})
	r.await()
	approve, deny := r.e.Links().Decide(intent, "", "chat", time.Now().Add(time.Hour))
	status, _, body := r.ask("", http.MethodGet, pathOf(t, approve), "")
	require.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "You decide as link:chat")
	status, _, _ = r.ask("", http.MethodPost, pathOf(t, approve), "comment=x")
	assert.Equal(t, http.StatusAccepted, status)
	status, _, _ = r.ask("", http.MethodPost, pathOf(t, approve), "comment=x")
	assert.Equal(t, http.StatusConflict, status)
	status, _, body = r.ask("ann", http.MethodGet, pathOf(t, deny), "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "You decide as ann")
	status, _, _ = r.ask("eve", http.MethodGet, pathOf(t, deny), "")
	assert.Equal(t, http.StatusUnauthorized, status, "wrong credentials are not none")
	for _, path := range []string{"/v1/status", "/decide/../v1/status", "/decide/%2e%2e/v1/status", "/decide//v1/status", "/decide"} {
		status, _, body = r.ask("", http.MethodGet, path, "")
		assert.NotEqual(t, http.StatusOK, status, path)
		assert.NotContains(t, body, "read_only", path)
	}
	status, _, _ = r.ask("", http.MethodGet, "/decide/forged", "")
	assert.Equal(t, http.StatusNotFound, status)
	metadatatest.AssertEqualExtensionIncidentstoreLinkUses(t, r.tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("fate", "decided"))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("fate", "used"))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("fate", "forged"))},
	}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreCommands(t, r.tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("fate", "unanswered"))},
	}, metricdatatest.IgnoreTimestamp())
}

// TestLeads leads alone, and stops with the extension.
func TestLeads(t *testing.T) {
	r := start(t, func(c *Config) { c.API = configoptional.None[APIConfig](); c.Links = LinksConfig{MaxAge: time.Hour} })
	assert.Nil(t, r.e.Dependencies())
	began, ended := make(chan struct{}), make(chan struct{})
	r.e.SetCallBackFuncs(func(context.Context) { close(began) }, func() { close(ended) })
	select {
	case <-began:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not lead")
	}
	metadatatest.AssertEqualExtensionIncidentstoreLeading(t, r.tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreLeadershipChanges(t, r.tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	require.NoError(t, r.e.Shutdown(context.Background()))
	<-ended
}

// TestSecretsStayHidden fails to reach a database, and says so without its password.
func TestSecretsStayHidden(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cfg := createDefaultConfig().(*Config)
	cfg.Database = DatabaseConfig{Driver: incidentstore.PostgreSQL, DSN: configopaque.String("postgres://u:hunter2@" + address + "/x"), MaxConnections: 4, OpenTimeout: time.Second}
	core, logs := observing()
	set := extensiontest.NewNopSettings(typ)
	set.Logger = zap.NewNop().WithOptions(core)
	e, err := NewFactory().Create(t.Context(), set, cfg)
	require.NoError(t, err)
	err = e.Start(t.Context(), componenttest.NewNopHost())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
	for _, entry := range logs.All() {
		text, err := json.Marshal(entry.ContextMap())
		require.NoError(t, err)
		assert.NotContains(t, entry.Message+string(text), "hunter2")
	}
	require.NoError(t, e.Shutdown(t.Context()))
}

func TestScrub(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:hunter2@db/x", "postgres://u:hunter%32@db/x", "host=db user=u password=hunter2 dbname=x", "host=db password = 'hunter2' user=u",
		"postgres://db/x?user=u&password=hunter2",
	} {
		tel := &telemetry{secrets: secretsOf(&Config{Database: DatabaseConfig{DSN: configopaque.String(dsn)}, Links: LinksConfig{Secrets: []configopaque.String{secretA}}})}
		text := tel.scrub(errors.New("cannot parse `" + dsn + "`: password hunter2 is wrong, " + secretA))
		assert.NotContains(t, text, "hunter2", dsn)
		assert.NotContains(t, text, secretA)
	}
}

func TestCountsWhatIsLost(t *testing.T) {
	r := start(t, nil)
	r.e.telemetry.lost(incidentstore.LossIncidents, 3)
	r.e.telemetry.Failed("look", errors.New("gone"))
	r.e.telemetry.Unnoted()
	r.e.telemetry.StreamRefused()
	metadatatest.AssertEqualExtensionIncidentstoreLostItems(t, r.tel, []metricdata.DataPoint[int64]{{Value: 3, Attributes: attribute.NewSet(attribute.String("loss", "removed_incidents"))}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreFailedCalls(t, r.tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreUnnotedRefusals(t, r.tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExtensionIncidentstoreRefusedStreams(t, r.tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	assert.Equal(t, 1, r.log.FilterMessage("the store failed").Len())
}

// TestRestart finds what was kept.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.db")
	first := start(t, func(c *Config) { c.Database.Path = path })
	first.await()
	require.NoError(t, first.e.Shutdown(t.Context()))
	second := start(t, func(c *Config) { c.Database.Path = path })
	status, _, body := second.ask("bob", http.MethodGet, "/v1/intents/"+intent, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "awaiting_approval")
}

func TestStartFails(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.Database.Path = filepath.Join(t.TempDir(), "incidents.db")
	api := defaultAPI()
	api.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("nobody")}})
	cfg.API = configoptional.Some(api)
	e, err := NewFactory().Create(t.Context(), extensiontest.NewNopSettings(typ), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(t.Context(), componenttest.NewNopHost()), "api: ")
	cfg.Database.Path, cfg.Database.OpenTimeout = t.TempDir(), time.Second
	e, err = NewFactory().Create(t.Context(), extensiontest.NewNopSettings(typ), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(t.Context(), componenttest.NewNopHost()), "open incident store")
}
