package endtoend

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	repository = "../.."
	quickstart = repository + "/examples/quickstart/config.yaml"
	// patience bounds every wait for something that has to happen; poll is how often it is looked for.
	patience = 30 * time.Second
	poll     = 20 * time.Millisecond
	// secret signs the webhooks of the tests.
	secret = "whsec_ZW5kLXRvLWVuZC10ZXN0LXNlY3JldC0wMTIzNDU2Nzg5"
)

// collectorBinary returns the path of the built collector.
func collectorBinary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("PARAMEDIC_BIN")
	if path == "" {
		path = filepath.Join(repository, "bin", "otelcol-paramedic")
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("these tests run the built collector, and there is none: %v\nbuild it with `make otelcol-paramedic`, or name one in PARAMEDIC_BIN", err)
	}
	return path
}

// collector is a collector that runs as a child process.
type collector struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone

	grpc, http, health, metrics, extra string
	dir                                string
	log                                string
}

// setup says how a collector is to run.
type setup struct {
	// dir holds state, incidents and the log; empty is a new one. A second collector with the first one's takes up its state.
	dir string
	// webhook receives what the playbooks ask for.
	webhook string
	// overlay is YAML that is merged over the quickstart configuration.
	overlay string
	// config replaces the quickstart configuration.
	config string
}

// start runs a collector with the quickstart configuration until it takes telemetry. It is ended with the test.
func start(t testing.TB, s setup) *collector {
	t.Helper()
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	if s.config == "" {
		s.config = quickstart
	}
	// A free port may be taken by somebody else before the collector gets to it.
	var c *collector
	for range 3 {
		var up bool
		if c, up = launch(t, s); up {
			return c
		}
	}
	t.Fatalf("the collector did not come up; its log:\n%s", c.tail())
	return nil
}

// launch runs a collector and reports whether it came up.
func launch(t testing.TB, s setup) (*collector, bool) {
	t.Helper()
	c := prepare(t, s)
	c.exec()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		select {
		case <-c.done:
			return c, false
		case <-time.After(poll):
			if c.healthy() {
				return c, true
			}
		}
	}
	return c, false
}

// prepare gives a collector free addresses, but does not run it.
func prepare(t testing.TB, s setup) *collector {
	t.Helper()
	c := &collector{
		t: t, done: make(chan struct{}), dir: s.dir, log: filepath.Join(s.dir, "collector.log"),
		grpc: freeAddress(t), http: freeAddress(t), health: freeAddress(t), metrics: freeAddress(t), extra: freeAddress(t),
	}
	_, metricsPort, err := net.SplitHostPort(c.metrics)
	require.NoError(t, err)
	args := []string{"--config", s.config}
	if s.config == quickstart {
		// The tests' telemetry has times of its own, on which nothing would act otherwise.
		args = append(args, "--set", "exporters::remediation::max_event_age=0s", "--set", "exporters::remediation::max_event_lead=0s")
	}
	if s.overlay != "" {
		overlay := filepath.Join(s.dir, "overlay.yaml")
		require.NoError(t, os.WriteFile(overlay, []byte(s.overlay), 0o600))
		args = append(args, "--config", overlay)
	}
	if s.webhook == "" {
		s.webhook = "http://" + freeAddress(t) + "/nobody-listens"
	}
	c.cmd = exec.Command(collectorBinary(t), args...)
	c.cmd.SysProcAttr = childAttributes()
	c.cmd.Env = append(os.Environ(),
		"PARAMEDIC_OTLP_GRPC_ENDPOINT="+c.grpc, "PARAMEDIC_OTLP_HTTP_ENDPOINT="+c.http, "PARAMEDIC_HEALTH_ENDPOINT="+c.health,
		"PARAMEDIC_METRICS_PORT="+metricsPort, "PARAMEDIC_STATE_DIR="+filepath.Join(s.dir, "state"),
		"PARAMEDIC_INCIDENTS_FILE="+filepath.Join(s.dir, "incidents.jsonl"), "PARAMEDIC_EXTRA_ENDPOINT="+c.extra,
		"SHOP_WEBHOOK_URL="+s.webhook, "SHOP_WEBHOOK_SECRET="+secret)
	return c
}

// exec runs the prepared collector. It is ended with the test.
func (c *collector) exec() {
	c.t.Helper()
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(c.t, err)
	defer out.Close()
	c.cmd.Stdout, c.cmd.Stderr = out, out
	require.NoError(c.t, c.cmd.Start())
	go func() {
		_ = c.cmd.Wait() // how it ended is asked of ProcessState
		close(c.done)
	}()
	c.t.Cleanup(func() {
		c.kill()
		if c.t.Failed() {
			c.t.Logf("the end of the collector's log:\n%s", c.tail())
		}
	})
}

// given holds the ports that were handed out.
var given sync.Map

// freeAddress returns an address that nobody listens on and that no other call returns. Its port lies below those that the
// kernel takes for outgoing connections: a client that tries such a port again and again may in the end connect to itself.
func freeAddress(t testing.TB) string {
	t.Helper()
	const lowest, ports, tries = 15000, 15000, 1000
	for range tries {
		port := lowest + rand.IntN(ports)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// healthy reports whether the health check says that all components run.
func (c *collector) healthy() bool {
	status, _, err := get("http://" + c.health)
	return err == nil && status == http.StatusOK
}

// stop asks the collector to end and requires that it does so in good order.
func (c *collector) stop() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.done:
		require.Equal(c.t, 0, c.cmd.ProcessState.ExitCode(), "exit status after SIGTERM")
	case <-time.After(patience):
		c.t.Fatalf("the collector did not end within %s of SIGTERM", patience)
	}
}

// kill ends the collector at once, as a crash of the machine would.
func (c *collector) kill() {
	_ = c.cmd.Process.Kill() // it may be gone already
	<-c.done
}

// running fails the test when the collector has ended or is not healthy.
func (c *collector) running() {
	c.t.Helper()
	select {
	case <-c.done:
		c.t.Fatalf("the collector has ended: %s", c.cmd.ProcessState)
	default:
		require.True(c.t, c.healthy(), "health check")
	}
}

// sameInEachLine is what the collector says of itself in each line of its log.
var sameInEachLine = regexp.MustCompile(`"resource": \{[^}]*\}(, )?`)

func (c *collector) tail() string {
	const most = 6000
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	b = sameInEachLine.ReplaceAll(b, nil)
	return string(b[max(0, len(b)-most):])
}

// metric returns the sum of the collector's own series of this name that have all these label pairs, such as
// `reason="limit"`. A series that is not there counts 0.
func (c *collector) metric(name string, labels ...string) float64 {
	c.t.Helper()
	status, body, err := get("http://" + c.metrics + "/metrics")
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, status)
	sum := 0.0
	for line := range strings.Lines(body) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		// A label's value may hold spaces.
		if i := strings.LastIndexByte(line, '}'); i >= 0 {
			series, value, ok = line[:i+1], strings.TrimSpace(line[i+1:]), true
		}
		if base, _, _ := strings.Cut(series, "{"); !ok || base != name && base != name+"_total" {
			continue
		}
		all := true
		for _, l := range labels {
			all = all && strings.Contains(series, l)
		}
		if !all {
			continue
		}
		sum += number(c.t, value)
	}
	return sum
}

func number(t testing.TB, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

// eventually waits until the metric has the value.
func (c *collector) eventually(want float64, name string, labels ...string) {
	c.t.Helper()
	if !assert.Eventually(c.t, func() bool { return c.metric(name, labels...) == want }, patience, 5*poll) {
		c.t.Fatalf("%s%v is %v, not %v", name, labels, c.metric(name, labels...), want)
	}
}

// incidents reads the events that the collector has written to its file so far.
func (c *collector) incidents() []semconv.IncidentEvent {
	c.t.Helper()
	f, err := os.Open(filepath.Join(c.dir, "incidents.jsonl"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(c.t, err)
	defer f.Close()
	var events []semconv.IncidentEvent
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // what has no newline yet is still being written
			return events
		}
		require.NoError(c.t, err)
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
		require.NoError(c.t, err)
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					event, err := semconv.DecodeIncidentEvent(lr)
					require.NoError(c.t, err)
					events = append(events, event)
				}
			}
		}
	}
}

var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(url string) (status int, body string, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", url, err)
	}
	return resp.StatusCode, string(b), nil
}
