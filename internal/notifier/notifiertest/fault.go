package notifiertest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Class is what a driver must make of a failure.
type Class int

// The classes.
const (
	// Retried is any error but a refusal.
	Retried Class = iota
	// Busy is a [notifier.Busy].
	Busy
	// Refused is a [notifier.Refused], and Gone one that says so.
	Refused
	Gone
	// NotRefused is an answer that says that the message was taken, and is broken: taken or to be tried again, as the system's
	// documentation suggests.
	NotRefused
)

// Fault is a way in which a system fails.
type Fault struct {
	Name  string
	Class Class
	// After is how long a [notifier.Busy] must wait at least.
	After time.Duration
	serve func(*Server, http.ResponseWriter)
}

// redirected is where redirects lead.
const redirected = "/notifiertest/elsewhere"

// retryAfter is what the server asks for.
const retryAfter = 7 * time.Second

func status(code int, class Class, header http.Header) Fault {
	return Fault{Name: fmt.Sprint("status ", code), Class: class, serve: func(_ *Server, w http.ResponseWriter) {
		answer(w, Answer{Status: code, Header: header, Body: "it failed\x1b[31m\n<b>"})
	}}
}

func named(name string, f Fault) Fault {
	f.Name = name
	return f
}

func after(f Fault) Fault {
	f.After = retryAfter - 2*time.Second // dates have no fractions of seconds
	return f
}

// Faults returns all of them.
func Faults() []Fault {
	all := []Fault{
		after(named("429 with seconds", status(429, Busy, http.Header{"Retry-After": {fmt.Sprint(int(retryAfter.Seconds()))}}))),
		{Name: "429 with a date", Class: Busy, After: retryAfter - 2*time.Second, serve: func(_ *Server, w http.ResponseWriter) {
			answer(w, Answer{Status: 429, Header: http.Header{"Retry-After": {time.Now().Add(retryAfter).UTC().Format(http.TimeFormat)}}})
		}},
		named("429 with nonsense", status(429, Busy, http.Header{"Retry-After": {"soon"}})),
		after(named("503 with seconds", status(503, Busy, http.Header{"Retry-After": {fmt.Sprint(int(retryAfter.Seconds()))}}))),
		status(410, Gone, nil),
		{Name: "hangs", Class: Retried, serve: func(s *Server, _ http.ResponseWriter) { <-s.release }},
		{Name: "cut before the answer", Class: Retried, serve: func(*Server, http.ResponseWriter) { panic(http.ErrAbortHandler) }},
		{Name: "cut within the answer", Class: NotRefused, serve: func(_ *Server, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"ok":`))
			panic(http.ErrAbortHandler)
		}},
		{Name: "garbage", Class: NotRefused, serve: body("application/json", "\x00\xff{]garbage")},
		{Name: "empty", Class: NotRefused, serve: body("application/json", "")},
		{Name: "deep", Class: NotRefused, serve: body("application/json", strings.Repeat("[", 60_000))},
		{Name: "wrong types", Class: NotRefused, serve: body("application/json", `{"ok":"yes","id":[],"result":7,"status":{},"requestId":{},"data":"x","ts":1}`)},
		{Name: "HTML instead of JSON", Class: NotRefused, serve: body("text/html", "<html><body>Sign in</body></html>")},
		{Name: "huge", Class: NotRefused, serve: func(s *Server, w http.ResponseWriter) {
			chunk := []byte(strings.Repeat("x", 1<<20))
			for range 64 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
			s.t.Errorf("the driver has read all of a huge answer")
		}},
	}
	for _, code := range []int{408, 425, 429, 500, 502, 503, 504} {
		all = append(all, status(code, Busy, nil))
	}
	for _, code := range []int{400, 401, 403, 404, 405, 413, 415, 422} {
		all = append(all, status(code, Refused, nil))
	}
	for _, code := range []int{301, 302, 307, 308} {
		all = append(all, named(fmt.Sprint("redirect ", code), status(code, Refused, http.Header{"Location": {redirected}})))
	}
	return all
}

func body(contentType, text string) func(*Server, http.ResponseWriter) {
	return func(_ *Server, w http.ResponseWriter) {
		answer(w, Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}, Body: text})
	}
}
