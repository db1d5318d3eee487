// Package notifiertest is what the drivers of notifiers are tested with: a server that plays the outside system, enforces its
// limits and fails in every way in which a system can, messages of all kinds, also hostile and huge ones, and a [Suite] that every
// driver passes.
package notifiertest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// maxRequest is more than any system takes: a larger request fails the test.
const maxRequest = 8 << 20

// Request is what a server got.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
}

// Answer is what a server says; its zero value is 200 without a body.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	// Violation fails the test: the request broke a limit or a rule that the system documents. The status is 400 if it is not set.
	Violation string
}

// JSON is an answer with a body of JSON.
func JSON(status int, body string) Answer {
	return Answer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// Violation is an answer that fails the test.
func Violation(format string, args ...any) Answer {
	return Answer{Violation: fmt.Sprintf(format, args...)}
}

// Server plays an outside system.
type Server struct {
	*httptest.Server
	t       testing.TB
	release chan struct{}

	mu       sync.Mutex
	system   func(*Request) Answer
	fault    *Fault
	requests []Request
}

// NewServer starts a server whose answers system gives, one request at a time.
func NewServer(t testing.TB, system func(*Request) Answer) *Server {
	s := &Server{t: t, system: system, release: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.release)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// HTTPClient returns a client like that of the exporter: it follows no redirects, and each request ends after half a minute, also on a busy machine.
func (s *Server) HTTPClient() *http.Client {
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Fail makes the server fail from now on; nil makes it work again.
func (s *Server) Fail(f *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Requests returns what the server got so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
	if err != nil {
		return // the client is gone
	}
	r := Request{Method: req.Method, Path: req.URL.EscapedPath(), Query: req.URL.RawQuery, Header: req.Header.Clone(), Body: body}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	fault := s.fault
	var a Answer
	if fault == nil {
		a = s.system(&r)
	}
	s.mu.Unlock()
	if len(body) > maxRequest {
		s.t.Errorf("the request to %s has more than %d bytes", r.Path, maxRequest)
	}
	if req.URL.Path == redirected {
		s.t.Errorf("a redirect was followed to %s", redirected)
	}
	if fault != nil {
		fault.serve(s, w)
		return
	}
	if a.Violation != "" {
		s.t.Errorf("%s %s: %s; the request was %.4000s", r.Method, r.Path, a.Violation, r.Body)
		if a.Status == 0 {
			a.Status = http.StatusBadRequest
		}
	}
	answer(w, a)
}

func answer(w http.ResponseWriter, a Answer) {
	for k, v := range a.Header {
		w.Header()[k] = v
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body) // the client may be gone
}
