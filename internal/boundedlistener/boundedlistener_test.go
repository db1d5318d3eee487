package boundedlistener

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
)

// withTLS has a certificate of net/http/httptest.
func withTLS(t *testing.T) (*confighttp.ServerConfig, *x509.CertPool) {
	t.Helper()
	lent := httptest.NewTLSServer(nil)
	defer lent.Close()
	pair := lent.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "127.0.0.1:0"
	server.TLS = configoptional.Some(configtls.ServerConfig{Config: configtls.Config{
		CertFile: write("crt", "CERTIFICATE", pair.Certificate[0]), KeyFile: write("key", "PRIVATE KEY", key),
	}})
	known := x509.NewCertPool()
	known.AddCert(lent.Certificate())
	return &server, known
}

// TestBothProtocols speaks HTTP/2 and HTTP/1.1 over TLS.
func TestBothProtocols(t *testing.T) {
	config, known := withTLS(t)
	l, err := Listen(t.Context(), config, 4)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) }), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	for _, two := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: known, ServerName: "example.com"}, ForceAttemptHTTP2: two}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
		require.NoError(t, err)
		assert.Equal(t, two, resp.ProtoMajor == 2)
		require.NoError(t, resp.Body.Close())
		transport.CloseIdleConnections()
	}
}

// TestBound takes no more connections than it may, and the next one when another has gone.
func TestBound(t *testing.T) {
	config := confighttp.NewDefaultServerConfig()
	config.NetAddr.Endpoint = "127.0.0.1:0"
	l, err := Listen(t.Context(), &config, 1)
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	for range 2 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("a second connection was taken")
	default:
	}
	require.NoError(t, first.Close())
	require.NoError(t, (<-accepted).Close())
}

func TestErrors(t *testing.T) {
	config := confighttp.NewDefaultServerConfig()
	config.NetAddr.Endpoint = "127.0.0.1:99999"
	_, err := Listen(t.Context(), &config, 1)
	require.ErrorContains(t, err, "listen on 127.0.0.1:99999")
	broken, _ := withTLS(t)
	broken.TLS.Get().CertFile = "nothing"
	_, err = Listen(t.Context(), broken, 1)
	require.ErrorContains(t, err, "load tls")
}
