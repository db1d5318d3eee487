package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

func TestParseEverySetting(t *testing.T) {
	c, err := parse([]string{"f"}, io.Discard)
	require.NoError(t, err)
	want := defaultConfig()
	want.paths = []string{"f"}
	want.target.insecure = true
	assert.Equal(t, want, c)

	c, err = parse([]string{
		"--speed", "2.5x", "--rebase", "2024-05-01T10:00:00+02:00",
		"--from", "2023-01-29T08:00:00Z", "--to", "2023-01-29T09:00:00.5Z", "--dry-run",
		"--endpoint", "collector:4317", "--header", "A=b=c", "--insecure=false", "--ca-file", "ca", "--cert-file", "cert",
		"--key-file", "key", "--server-name", "name", "--insecure-skip-verify",
		"--timeout", "3s", "--max-elapsed", "4m",
		"--reorder-lines", "1", "--reorder-bytes", "2", "--ahead", "3", "--max-line-bytes", "4", "--max-depth", "5", "--max-shown", "6",
		"f", "-",
	}, io.Discard)
	require.NoError(t, err)
	assert.InDelta(t, 2.5, c.speed, 0)
	assert.True(t, c.rebase.on && !c.rebase.now && c.rebase.at.Equal(time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)))
	assert.True(t, c.dryRun)
	assert.Equal(t, []string{"f", "-"}, c.paths)
	assert.Equal(t, target{
		endpoint: "collector:4317", headers: map[string][]string{"a": {"b=c"}}, insecureGiven: true,
		caFile: "ca", certFile: "cert", keyFile: "key", serverName: "name", skipVerify: true,
	}, c.target)
	assert.Equal(t, 3*time.Second, c.retry.timeout)
	assert.Equal(t, 4*time.Minute, c.retry.maxElapsed)
	assert.Equal(t, otlpjsonl.Options{
		WindowLines: 1, WindowBytes: 2, Ahead: 3, MaxLineBytes: 4, MaxDepth: 5, MaxProblems: 6,
		From: time.Date(2023, 1, 29, 8, 0, 0, 0, time.UTC), To: time.Date(2023, 1, 29, 9, 0, 0, 5e8, time.UTC),
	}, c.read)
}

func TestInsecureByDefaultOnLoopbackOnly(t *testing.T) {
	tests := map[string]bool{
		"127.0.0.1:4317": true, "localhost:4317": true, "[::1]:4317": true, "127.9.9.9:1": true,
		"collector:4317": false, "10.0.0.1:4317": false, ":4317": false, "localhost.example:4317": false,
		"http://collector:4317": true, "http://collector:4317/": true, "https://localhost:4317": false,
	}
	for endpoint, want := range tests {
		c, err := parse([]string{"--endpoint", endpoint, "f"}, io.Discard)
		require.NoError(t, err)
		assert.Equal(t, want, c.target.insecure, endpoint)
	}
	c, err := parse([]string{"--insecure=false", "f"}, io.Discard)
	require.NoError(t, err)
	assert.False(t, c.target.insecure)
	c, err = parse([]string{"--ca-file", "x", "f"}, io.Discard)
	require.NoError(t, err)
	assert.False(t, c.target.insecure)
	c, err = parse([]string{"--insecure", "--endpoint", "collector:4317", "f"}, io.Discard)
	require.NoError(t, err)
	assert.True(t, c.target.insecure)
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"", "no file given"},
		{"f --speed 1", "flags must stand before the files, got --speed behind one"},
		{"--nonsense f", "flag provided but not defined: -nonsense"},
		{"--speed 0 f", "must be a number greater than 0, or max"},
		{"--speed -1 f", "must be a number greater than 0, or max"},
		{"--speed NaN f", "must be a number greater than 0, or max"},
		{"--speed Inf f", "must be a number greater than 0, or max"},
		{"--rebase tomorrow f", "must be now or an RFC 3339 time"},
		{"--rebase 1969-01-01T00:00:00Z f", "must lie between 1970 and 2261"},
		{"--from yesterday f", "must be an RFC 3339 time such as"},
		{"--from 2023-01-29T09:00:00Z --to 2023-01-29T08:00:00Z f", "from (2023-01-29T09:00:00Z) must be before to (2023-01-29T08:00:00Z)"},
		{"--endpoint collector f", `endpoint must be host:port, got "collector"`},
		{"--header novalue f", "must be key=value"},
		{"--header =v f", "must be key=value"},
		{"--header grpc-timeout=1 f", "is not a name a header may have"},
		{"--header a:b=1 f", "is not a name a header may have"},
		{"--header a=\u00e4 f", "must be printable ASCII"},
		{"--timeout 0s f", "timeout must be greater than 0, got 0s"},
		{"--max-elapsed -1s f", "max-elapsed must not be negative, got -1s"},
		{"--ahead -1 f", "lines decoded ahead must not be negative, got -1"},
		{"--insecure --ca-file x f", "need TLS, and the connection is insecure"},
		{"--insecure --endpoint https://x:1 f", "insecure=true contradicts the endpoint"},
		{"--cert-file x f", "cert-file and key-file must be given together"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := replayed(t, strings.Fields(tt.args)...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, tt.want)
			assert.Contains(t, stderr, "try replay --help")
		})
	}
}

func TestHelp(t *testing.T) {
	code, _, stderr := replayed(t, "--help")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, stderr, "usage: replay [flags] file...")
	assert.Contains(t, stderr, "-max-elapsed")
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	code, _, stderr := replayed(t, "--dry-run", filepath.Join(t.TempDir(), "missing"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "no such file")
	code, _, stderr = replayed(t, "--ca-file", filepath.Join(t.TempDir(), "missing"), write(t))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "read ca-file")
	code, _, stderr = replayed(t, "--ca-file", write(t, "nothing"), write(t))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "holds no certificate")
}

// certificate makes one that is its own authority, for server and client.
func certificate(t *testing.T) (certFile, keyFile string, pair tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "collector"}, DNSNames: []string{"collector"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	pair, err = tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, keyPEM, 0o600))
	return certFile, keyFile, pair
}

func TestTLS(t *testing.T) {
	certFile, keyFile, pair := certificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	r := listen(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})))
	path := write(t, spanLine("s", 1))
	client := []string{"--endpoint", r.endpoint, "--cert-file", certFile, "--key-file", keyFile, "--max-elapsed", "1ms"}
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"trusted", []string{"--ca-file", certFile, "--server-name", "collector"}, exitOK},
		{"wrong name", []string{"--ca-file", certFile}, exitFailed},
		{"unknown authority", []string{"--server-name", "collector"}, exitFailed},
		{"not checked", []string{"--insecure-skip-verify"}, exitOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append(append(client[:len(client):len(client)], tt.args...), path), &stdout, &stderr)
			assert.Equal(t, tt.code, code, stderr.String())
			if code != exitOK {
				assert.Contains(t, stderr.String(), "x509")
			}
		})
	}
	code, _, _ := replayed(t, "--endpoint", r.endpoint, "--ca-file", certFile, "--server-name", "collector", "--max-elapsed", "1ms", path)
	assert.Equal(t, exitFailed, code, "without a client certificate")
	code, _, stderr := replayed(t, "--endpoint", r.endpoint, "--cert-file", certFile, "--key-file", certFile, path)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "load client certificate")
	assert.Equal(t, []string{"s", "s"}, r.accepted)
}
