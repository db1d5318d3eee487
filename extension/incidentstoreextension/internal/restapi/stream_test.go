package restapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
)

// serving is the API on a real connection, for a person.
func (r *rig) serving() *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.api.ServeHTTP(w, q.WithContext(client.NewContext(q.Context(), client.Info{Auth: person{"username": "ann"}})))
	}))
	s.Config.WriteTimeout, s.Config.ReadTimeout = time.Second, time.Second
	s.Start()
	r.t.Cleanup(func() {
		r.api.Close()
		s.Close()
	})
	return s
}

// listener reads events.
type listener struct {
	t     testing.TB
	resp  *http.Response
	lines *bufio.Reader
}

func (r *rig) listen(s *httptest.Server, lastID string) *listener {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, s.URL+"/v1/stream", nil)
	require.NoError(r.t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := s.Client().Do(req)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { resp.Body.Close() })
	return &listener{r.t, resp, bufio.NewReader(resp.Body)}
}

// next reads one event or comment.
func (l *listener) next() map[string]string {
	l.t.Helper()
	out := map[string]string{}
	for {
		line, err := l.lines.ReadString('\n')
		require.NoError(l.t, err)
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return out
		}
		name, value, _ := strings.Cut(line, ": ")
		out[name] = value
	}
}

func TestStream(t *testing.T) {
	r := filled(t, nil)
	s := r.serving()
	l := r.listen(s, "")
	assert.Equal(t, "text/event-stream", l.resp.Header.Get("Content-Type"))
	ready := l.next()
	assert.Equal(t, "ready", ready["event"])
	assert.EqualValues(t, 1, r.api.Streams())
	r.ask("ann", http.MethodPost, "/v1/incidents/i-1/acknowledge", "")
	first := l.next()
	assert.Equal(t, "change", first["event"])
	assert.Contains(t, first["data"], `"kind":"incident","id":"i-1"`)
	r.ask("ann", http.MethodPost, "/v1/incidents/i-2/acknowledge", "")
	second := l.next()
	l.resp.Body.Close()

	again := r.listen(s, first["id"])
	assert.Equal(t, first["id"], again.next()["id"], "it goes on where it was")
	assert.Equal(t, second, again.next())
}

// TestStreamOfAnotherDatabase says that everything must be read anew when a client knows of changes that are still to come: an older
// copy of the database has taken its place, and its own next numbers would mean nothing to the client.
func TestStreamOfAnotherDatabase(t *testing.T) {
	r := filled(t, nil)
	s := r.serving()
	newest := r.listen(s, "").next()["id"]
	l := r.listen(s, "999999999")
	assert.Equal(t, newest, l.next()["id"])
	lost := l.next()
	assert.Equal(t, "lost", lost["event"])
	assert.Equal(t, newest, lost["id"])
	r.ask("ann", http.MethodPost, "/v1/incidents/i-1/acknowledge", "")
	assert.Equal(t, "change", l.next()["event"])
}

// TestStreamIsDescribed holds the answer against the document, whose check cannot wait for its end.
func TestStreamIsDescribed(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.Stream.MaxDuration = 10 * time.Millisecond })
	a := r.ask("ann", http.MethodGet, "/v1/stream?after=0", "", "Last-Event-ID", "5")
	assert.Equal(t, http.StatusOK, a.status)
	assert.Contains(t, a.raw, "id: 0\nevent: ready\n")
	assert.Contains(t, a.raw, ": bye\n")
	assert.Equal(t, http.StatusOK, r.ask("ann", http.MethodHead, "/v1/stream", "").status)
}

// TestStreamBeats keeps a quiet connection alive, past the time that other answers may take.
func TestStreamBeats(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.Stream.Heartbeat = 300 * time.Millisecond })
	l := r.listen(r.serving(), "")
	l.next()
	for range 5 { // more than the server's write timeout
		assert.Contains(t, l.next(), "")
	}
}

// TestStreamsAreBounded refuses what is too much, and gives place when somebody goes.
func TestStreamsAreBounded(t *testing.T) {
	r := newRig(t, nil)
	s := r.serving()
	one, two := r.listen(s, ""), r.listen(s, "")
	one.next()
	two.next()
	three := r.listen(s, "")
	assert.Equal(t, http.StatusServiceUnavailable, three.resp.StatusCode)
	assert.NotEmpty(t, three.resp.Header.Get("Retry-After"))
	r.seen.locked(func() { assert.Equal(t, 1, r.seen.refused) })
	one.resp.Body.Close()
	assert.Eventually(t, func() bool { return r.api.Streams() == 1 }, 10*time.Second, 5*time.Millisecond)
	r.listen(s, "").next()
}

// TestStreamEnds with the API, after its time, and when the store fails.
func TestStreamEnds(t *testing.T) {
	r := filled(t, nil)
	l := r.listen(r.serving(), "")
	l.next()
	r.api.Close()
	_, err := io.ReadAll(l.lines)
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return r.api.Streams() == 0 }, 10*time.Second, 5*time.Millisecond)

	failing := filled(t, nil)
	failing.memory.fail(errors.New("gone"))
	a := failing.ask("ann", http.MethodGet, "/v1/stream", "")
	assert.Empty(t, a.raw)
	failing.seen.locked(func() { assert.Equal(t, []string{"read changes: gone"}, failing.seen.failed) })
}

// TestSlowClient drops who does not read.
func TestSlowClient(t *testing.T) {
	r := filled(t, func(s *Settings) { s.Stream.WriteTimeout = 100 * time.Millisecond })
	s := r.serving()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(conn, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.api.Streams() == 1 }, 10*time.Second, 5*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	// Many changes at once fill what the kernel keeps for the connection.
	r.memory.flood.Store(true)
	for r.api.Streams() > 0 && ctx.Err() == nil {
		require.NoError(t, r.store.SetPause(ctx, pauseNow()))
	}
	assert.Zero(t, r.api.Streams(), "it was not dropped")
}
