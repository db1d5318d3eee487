package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/sink"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// messages is a writer that tests read from while the command runs.
type messages struct {
	mu    sync.Mutex
	text  bytes.Buffer
	first chan struct{}
}

func newMessages() *messages { return &messages{first: make(chan struct{})} }

func (m *messages) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.text.Len() == 0 {
		close(m.first)
	}
	return m.text.Write(b)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

func simulate(t *testing.T, args ...string) (stdout, told string) {
	t.Helper()
	var out bytes.Buffer
	m := newMessages()
	require.NoError(t, run(t.Context(), args, &out, m, false))
	return out.String(), m.String()
}

func TestSameFlagsGiveTheSameBytes(t *testing.T) {
	args := []string{
		"--speed", "max", "--start", "2026-03-02T12:00:00Z", "--duration", "20s", "--control", "", "--out", "-", "--fault", "crash@5s+5s",
	}
	first, told := simulate(t, args...)
	second, _ := simulate(t, args...)
	assert.True(t, first == second)
	assert.Contains(t, told, "ended at 2026-03-02T12:00:20Z")
	assert.Contains(t, told, "crash of cart from 2026-03-02T12:00:05Z to 2026-03-02T12:00:10Z: duration over")
	other, _ := simulate(t, append(args, "--seed", "2")...)
	assert.False(t, first == other)
	for line := range strings.Lines(first) {
		require.True(t, json.Valid([]byte(line)))
	}
}

func TestEveryFlagCounts(t *testing.T) {
	base := []string{"--speed", "max", "--start", "2026-03-02T12:00:00Z", "--duration", "10s", "--control", "", "--out", "-"}
	plain, _ := simulate(t, base...)
	for _, args := range [][]string{
		{"--rate", "5"},
		{"--period", "1h"},
		{"--metrics-interval", "2s"},
		{"--max-pending", "5"},
		{"--start", "2026-03-02T13:00:00Z"},
		{"--duration", "9s"},
		{"--fault", "error-burst"},
		{"--seed", "9"},
	} {
		got, _ := simulate(t, append(base, args...)...)
		assert.NotEqual(t, len(plain), len(got), args)
	}
	path := filepath.Join(t.TempDir(), "out.jsonl")
	simulate(t, append(base, "--out", path)...)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, string(data) == plain)
}

func TestControlOfARunningShop(t *testing.T) {
	key := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	t.Setenv(secretVariable, key)
	ctx, cancel := context.WithCancel(t.Context())
	m, done := newMessages(), make(chan error, 1)
	go func() { done <- run(ctx, []string{"--control", "127.0.0.1:0", "--out", "-"}, io.Discard, m, false) }()
	<-m.first
	address := regexp.MustCompile(`control: (http://\S+)`).FindStringSubmatch(m.String())
	require.Len(t, address, 2)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(path, body string) int {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address[1]+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	assert.Equal(t, http.StatusCreated, post("/faults", `{"kind":"crash"}`))
	assert.Equal(t, http.StatusOK, post("/actions/restart", `{"service":"cart"}`))
	assert.Equal(t, http.StatusUnsupportedMediaType, post("/webhook", `{}`))
	cancel()
	require.NoError(t, <-done, "an interrupt is a normal end")
	assert.Contains(t, m.String(), "cured by restart")
	assert.NotContains(t, m.String(), key)
}

func TestCollectorThatIsAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	m := newMessages()
	err = run(t.Context(), []string{
		"--endpoint", listener.Addr().String(), "--retry-for", "0s", "--speed", "1000", "--duration", "3s", "--control", "",
	}, io.Discard, m, false)
	require.ErrorContains(t, err, "items were lost")
	assert.Regexp(t, `sent +0 spans`, m.String())
	assert.Regexp(t, `lost +[1-9][0-9]* spans`, m.String())
	assert.Contains(t, m.String(), listener.Addr().String(), "the reason")
}

func TestWrongCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
	}{
		{"--nonsense", "flag provided but not defined"},
		{"argument", `unexpected argument "argument"`},
		{"--speed fast", `must be "max" or a factor`},
		{"--speed 0", `must be "max" or a factor`},
		{"--speed NaN", `must be "max" or a factor`},
		{"--speed max", "duration must be given with speed max"},
		{"--duration 1500ms", "duration must be whole seconds"},
		{"--start noon", "start must be RFC 3339"},
		{"--fault flood", "kind must be one of memory-leak"},
		{"--rate 0", "rate must be between"},
		{"--endpoint nowhere", "endpoint must be host:port"},
		{"--retry-for -1s", "retry-for must be between"},
		{"--webhook-secret nonsense", "webhook secret must start with whsec_"},
		{"--out /no/such/folder/file --control=", "open output"},
		{"--control nowhere", "listen for control"},
	} {
		var told bytes.Buffer
		err := run(t.Context(), strings.Fields(tc.args), io.Discard, &told, false)
		require.ErrorContains(t, err, "", tc.args)
		assert.Contains(t, told.String()+err.Error(), tc.want, tc.args)
	}
	var told bytes.Buffer
	require.Error(t, run(t.Context(), []string{"--help"}, io.Discard, &told, false))
	assert.Contains(t, told.String(), "-metrics-interval")
}

func TestStatusLine(t *testing.T) {
	o, err := parseOptions([]string{"--fault", "crash"}, time.Unix(1_800_000_000, 0), io.Discard)
	require.NoError(t, err)
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		d := newDisplay(t, o, &out, terminal)
		d.simulation.Tick()
		d.status()
		assert.Contains(t, out.String(), "faults crash:cart")
		assert.Equal(t, terminal, strings.HasPrefix(out.String(), "\r"))
		d.summary()
		assert.Contains(t, out.String(), "crash of cart from 2027-01-15T08:00:00Z: still in force")
	}
}

func newDisplay(t *testing.T, o options, out io.Writer, terminal bool) display {
	t.Helper()
	s, err := shop.New(o.shop)
	require.NoError(t, err)
	return display{out: out, terminal: terminal, simulation: s, sink: sink.NewFile(nopCloser{io.Discard})}
}
