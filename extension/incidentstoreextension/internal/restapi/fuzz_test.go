package restapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/client"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// FuzzRequests sends whatever it likes: the API must answer, within the bounds of the document, without a secret, and without a failure
// of its own.
func FuzzRequests(f *testing.F) {
	r := filled(f, func(s *Settings) {
		s.CommandWait, s.Stream.MaxDuration, s.Stream.Heartbeat = 0, time.Millisecond, time.Millisecond
	})
	const secret = "a key of the tests"
	link := r.link(nil)
	for _, path := range slices.Sorted(func(yield func(string) bool) {
		for path := range r.api.routes {
			if !yield(path) {
				return
			}
		}
	}) {
		path = strings.NewReplacer("{id}", intentID, "{guard}", "g", "{key}", "k", "{token}", strings.TrimPrefix(link, "/decide/")).Replace(path)
		f.Add(http.MethodGet, path, "limit=5&cursor=abc", "", "", "", "ann")
		f.Add(http.MethodPost, path, "", `{"comment": "x", "duration": "1h", "kind": "silence"}`, "application/json", "k", "ann")
	}
	f.Add(http.MethodPost, link, "", "comment=x", "application/x-www-form-urlencoded", "", "")
	f.Add("DELETE", "/v1/incidents/i-1/acknowledge", "", "\xff", "", "\xff", "link:chat")
	f.Add("GET", "/v1/incidents", "since=2026-03-01T10:00:00Z&service=%00", "", "", "", "")
	f.Add("GET", "/../v1//status", "%", "", "", "", "x")
	f.Fuzz(func(t *testing.T, method, path, query, body, contentType, key, by string) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8098", strings.NewReader(body))
		if err != nil {
			return // no server would see it
		}
		req.URL.Path, req.URL.RawQuery = path, query
		req.Header.Set("Content-Type", contentType)
		req.Header.Set(keyHeader, key)
		req.Header.Set("Last-Event-ID", key)
		w := httptest.NewRecorder()
		asked := req.Clone(t.Context())
		counted := &countingReader{r: req.Body}
		req.Body = http.MaxBytesReader(w, counted, bodyLimit)
		r.api.ServeHTTP(w, req.WithContext(client.NewContext(req.Context(), client.Info{Auth: person{"username": by}})))
		if w.Code == http.StatusInternalServerError || w.Code < 200 {
			t.Fatalf("%s %s?%s answers %d %s", method, path, query, w.Code, w.Body)
		}
		if w.Code == http.StatusServiceUnavailable && !strings.Contains(w.Body.String(), `"full"`) && !strings.Contains(w.Body.String(), "takes no more") {
			t.Fatalf("%s %s?%s %q makes the store fail: %s; %v", method, path, query, body, w.Body, r.seen.failed)
		}
		if slices.Contains(describable, method) {
			document.check(t, asked, body, w.Code, w.Header(), w.Body.Bytes())
		}
		if counted.n > bodyLimit+1 {
			t.Fatalf("%d bytes of a body were read", counted.n)
		}
		if strings.Contains(w.Body.String(), secret) {
			t.Fatalf("a secret is in the answer: %s", w.Body)
		}
		// What waits for nobody would fill the mailbox.
		if taken, err := r.store.Take(t.Context(), "gateway-0", 100, time.Minute, time.Now()); err == nil {
			for _, c := range taken {
				c.State = incidentstore.CommandRefused
				_ = r.store.Answer(t.Context(), "gateway-0", c)
			}
		}
	})
}

// describable are the methods of which a document can tell.
var describable = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// countingReader counts what is read.
type countingReader struct {
	r interface {
		Read([]byte) (int, error)
		Close() error
	}
	n int
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

func (c *countingReader) Close() error { return c.r.Close() }
