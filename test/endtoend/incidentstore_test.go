package endtoend

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	incidentStore = repository + "/examples/incidentstore/config.yaml"
	password      = "a password of the tests"
)

// certificate makes one for localhost, and returns its files.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	return cert, key
}

// commands are those of the README's examples.
func commands(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile(repository + "/extension/incidentstoreextension/README.md")
	require.NoError(t, err)
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	return out
}

// told sends an incident event as a log record.
func told(t *testing.T, endpoint string, event semconv.IncidentEvent) {
	t.Helper()
	ld := plog.NewLogs()
	event.Encode(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(t, err)
	resp, err := client.Post("http://"+endpoint+"/v1/logs", "application/x-protobuf", bytes.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// TestIncidentStoreAPI runs the commands of the README against the built collector, with TLS and passwords.
func TestIncidentStoreAPI(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the README's examples need curl, which is not installed")
	}
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	htpasswd, database, api := filepath.Join(dir, "htpasswd"), filepath.Join(dir, "db", "incidents.db"), freeAddress(t)
	require.NoError(t, os.WriteFile(htpasswd, []byte("ann:"+password+"\n"), 0o600))
	_, port, err := net.SplitHostPort(api)
	require.NoError(t, err)
	hooks := newReceiver(t, "")
	for name, value := range map[string]string{
		"PARAMEDIC_HTPASSWD": htpasswd, "PARAMEDIC_CERT_FILE": cert, "PARAMEDIC_KEY_FILE": key, "PARAMEDIC_DATABASE": database,
		"PARAMEDIC_API_ENDPOINT": api, "PARAMEDIC_WEBHOOK_URL": hooks.url(), "PARAMEDIC_WEBHOOK_SECRET": secret, "PARAMEDIC_PUBLIC_URL": "https://localhost:" + port,
	} {
		t.Setenv(name, value)
	}
	overlay := `
receivers:
  otlp/events: {protocols: {http: {endpoint: "${env:PARAMEDIC_EXTRA_ENDPOINT}"}}}
service:
  pipelines:
    logs/events: {receivers: [otlp/events], exporters: [remediation]}
`
	c := start(t, setup{dir: dir, config: incidentStore, overlay: overlay})
	run := func(command string, env ...string) (string, int) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), append(env, "API=https://localhost:"+port, "CA="+cert)...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			require.NoError(t, err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	me := "ME=ann:" + password

	now := time.Now().UTC()
	const incident = "7f3c0a52-5d0e-4b8f-9a44-2f1d7c1b9e10"
	told(t, c.extra, semconv.IncidentEvent{Name: semconv.EventIncidentOpened, Time: now, Incident: semconv.Incident{
		ID: incident, Revision: 1, Fingerprint: "fp", Status: semconv.StatusOpen, Severity: semconv.SeverityCritical, StartedAt: now.Add(-time.Minute), DetectedAt: now,
		Title:  "errors in shop/payment",
		Causes: []semconv.Cause{{Entity: semconv.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Kind: semconv.CauseErrors, Confidence: 0.9}},
	}})
	var intents struct {
		Intents []struct {
			Remediation struct {
				Intent string `json:"intent"`
			} `json:"remediation"`
		} `json:"intents"`
	}
	var said string
	waits := assert.Eventually(t, func() bool {
		out, exit := run(`curl -sS --fail-with-body --cacert "$CA" -u "$ME" "$API/v1/intents?awaiting=true"`, me)
		said = out
		return exit == 0 && json.Unmarshal([]byte(out), &intents) == nil && len(intents.Intents) == 1
	}, patience, 5*poll, "nothing waits for a person")
	require.True(t, waits, said)
	intent := intents.Intents[0].Remediation.Intent

	const timedOut = 28 // what curl says when --max-time is over, which is how a stream ends
	list := commands(t)
	require.Greater(t, len(list), 20)
	for _, command := range list {
		out, exit := run(command, me, "INCIDENT="+incident, "INTENT="+intent)
		want := 0
		if strings.Contains(command, "--max-time") {
			want = timedOut
			assert.Contains(t, out, "event: ready")
		}
		assert.Equal(t, want, exit, "%s\n%s", command, out)
		assert.NotContains(t, out, password)
		switch {
		case strings.HasSuffix(command, `/incidents/$INCIDENT"`):
			assert.Contains(t, out, "errors in shop/payment")
		case strings.HasSuffix(command, `/approve"`):
			assert.Contains(t, out, `"state": "done"`, "the executor has answered")
		case strings.HasSuffix(command, `audit/verify"`):
			assert.Contains(t, out, `"whole": true`)
		}
	}
	require.Eventually(t, func() bool {
		_, ok := hooks.first(semconv.EventTypeRemediationStarted, incident)
		return ok
	}, patience, poll, "what was approved is done")
	verified := runTool(t, "remediationaudit", filepath.Join(dir, "audit.jsonl"))
	assert.Zero(t, verified.exit, verified.stderr)

	out, exit := run(`curl -sS -o /dev/null -w '%{http_code} %header{www-authenticate}' --cacert "$CA" "$API/v1/status"`)
	assert.Zero(t, exit)
	assert.Equal(t, `401 Basic realm="paramedic"`, out)
	out, _ = run(`curl -sS -o /dev/null -w '%{http_code}' --cacert "$CA" -u ann:wrong -X POST "$API/v1/pause"`)
	assert.Equal(t, "401", out)
	_, exit = run(`curl -sS "http://localhost:` + port + `/v1/status" --fail`)
	assert.NotZero(t, exit, "only TLS is spoken")

	c.stop()
	log, err := os.ReadFile(c.log)
	require.NoError(t, err)
	for _, hidden := range []string{password, secret, "whsec_"} {
		assert.NotContains(t, string(log), hidden)
	}
}
