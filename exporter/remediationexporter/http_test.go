package remediationexporter

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

func newTelemetry(t testing.TB) *componenttest.Telemetry {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	return tel
}

// server is a real receiver that passes on what it gets.
func server(t *testing.T, start func(http.Handler) *httptest.Server, status int) (*httptest.Server, <-chan request) {
	t.Helper()
	got := make(chan request, 100)
	s := start(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		q := request{url: req.URL.String(), header: req.Header, body: body}
		_ = json.Unmarshal(body, &q.event)
		got <- q
		if status/100 == 3 {
			http.Redirect(w, req, "/elsewhere", status)
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s, got
}

// overHTTP is a rig whose webhook a posts to a real server.
func overHTTP(t *testing.T, url string, edit func(*WebhookConfig)) *rig {
	r := newRig(t, "a")
	r.editHook("a", func(h *WebhookConfig) {
		h.Middlewares, h.Endpoint, h.AllowPrivateRanges = nil, url, true
		if edit != nil {
			edit(h)
		}
	})
	return r
}

func TestOverHTTP(t *testing.T) {
	s, got := server(t, httptest.NewServer, 202)
	r := overHTTP(t, s.URL+"/webhook?token=x", func(h *WebhookConfig) { h.Secrets = []configopaque.String{secretA, secretB} })
	r.start()
	r.must(opened("i-1"))
	q := <-got
	r.stop()
	assert.Equal(t, "/webhook?token=x", q.url)
	checkSignature(t, q, secretA, secretB)
	key, err := standardwebhooks.ParseKey(string(secretB))
	require.NoError(t, err)
	require.NoError(t, standardwebhooks.Verify([]standardwebhooks.Key{key}, q.id(), q.header.Get("webhook-timestamp"),
		q.header.Get("webhook-signature"), q.body, time.Now(), 5*time.Minute))
}

// TestShutdownClosesConnections has a receiver that outlives the exporter and keeps connections open.
func TestShutdownClosesConnections(t *testing.T) {
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	r := overHTTP(t, s.URL, nil)
	r.start()
	r.must(opened("i-1"))
	r.stop()
	<-closed
}

func TestOverTLS(t *testing.T) {
	s, got := server(t, httptest.NewTLSServer, 200)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, block, 0o600))
	r := overHTTP(t, s.URL, func(h *WebhookConfig) { h.TLS.CAFile = ca })
	r.start()
	r.must(opened("i-1"))
	<-got
	r.stop()

	untrusting := overHTTP(t, s.URL, nil)
	untrusting.cfg.RetryConfig.Enabled = false
	untrusting.start()
	untrusting.must(opened("i-1"))
	untrusting.stop()
	assert.Empty(t, got)
}

func TestRedirectIsNotFollowed(t *testing.T) {
	s, got := server(t, httptest.NewServer, 307)
	r := overHTTP(t, s.URL+"/webhook", nil)
	r.start()
	r.must(opened("i-1"))
	assert.Equal(t, "/webhook", (<-got).url)
	r.stop()
	assert.Empty(t, got)
}

// TestPrivateAddressIsNotConnectedTo resolves a name to a private address, which the configuration cannot know.
func TestPrivateAddressIsNotConnectedTo(t *testing.T) {
	s, got := server(t, httptest.NewServer, 200)
	r := overHTTP(t, s.URL, func(h *WebhookConfig) { h.AllowPrivateRanges = false })
	r.start()
	r.must(opened("i-1"))
	require.NoError(t, r.exp.Shutdown(context.Background()))
	assert.Empty(t, got)
	assert.Equal(t, int64(1), r.sum("lost_events", lostRefused))
	require.NoError(t, r.tel.Shutdown(context.Background()))
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	r := overHTTP(t, s.URL, func(h *WebhookConfig) { h.Timeout = 50 * time.Millisecond })
	r.cfg.RetryConfig.Enabled = false
	r.start()
	r.must(opened("i-1"))
	require.NoError(t, r.exp.Shutdown(context.Background()))
	assert.Equal(t, int64(1), r.sum("lost_events", lostExhausted))
	require.NoError(t, r.tel.Shutdown(context.Background()))
}

func TestIsSpecial(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "0.0.0.0": true,
		"100.64.0.1": true, "224.0.0.1": true, "255.255.255.255": true, "::1": true, "::": true, "fe80::1": true, "fe80::1%eth0": true,
		"fc00::1": true, "ff02::1": true, "::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "2002:7f00:1::": true,
		"8.8.8.8": false, "93.184.216.34": false, "172.32.0.1": false, "2606:4700:4700::1111": false, "::ffff:8.8.8.8": false,
	} {
		assert.Equal(t, want, isSpecial(netip.MustParseAddr(addr)), addr)
	}
}
