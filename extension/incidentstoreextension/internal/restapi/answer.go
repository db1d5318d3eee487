package restapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// refusal is an answer that is none.
type refusal struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	// Command is the command that was refused, where there is one.
	Command string `json:"command,omitempty"`
	// retry is when it may be worth asking again.
	retry time.Duration
}

func (r *refusal) Error() string { return r.Message }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// asRefusal says the status of what went wrong. What the store says is for the log, not for the caller.
func (a *API) asRefusal(r *http.Request, err error) *refusal {
	var out *refusal
	switch {
	case errors.As(err, &out):
		return out
	case errors.Is(err, incidentstore.ErrNotFound):
		return refuse(http.StatusNotFound, "not_found", "the store knows no such thing")
	case errors.Is(err, incidentstore.ErrConflict):
		return refuse(http.StatusConflict, "conflict", "somebody was faster, or it was done before")
	case errors.Is(err, incidentstore.ErrBadCursor):
		return refuse(http.StatusBadRequest, "cursor", "cursor must be what next of the page before said")
	case errors.Is(err, incidentstore.ErrFull):
		return &refusal{Status: http.StatusServiceUnavailable, Code: "full", Message: "the store takes no more of this for now; try again later", retry: 10 * time.Second}
	case r.Context().Err() != nil:
		return refuse(http.StatusServiceUnavailable, "cancelled", "the request was given up")
	default:
		a.observer.Failed(r.Method+" "+r.Pattern, err)
		return &refusal{Status: http.StatusServiceUnavailable, Code: "store", Message: "the store does not answer; try again, and see the collector's log", retry: 5 * time.Second}
	}
}

// WriteRefusal answers for the server, without what the authenticator says.
func (a *API) WriteRefusal(w http.ResponseWriter, _ *http.Request, _ string, status int) {
	a.observer.Answered(status)
	if status == http.StatusUnauthorized {
		if a.settings.Challenge != "" {
			w.Header().Set("WWW-Authenticate", a.settings.Challenge)
		}
		writeError(w, refuse(status, "unauthenticated", "authentication is needed"))
		return
	}
	writeError(w, refuse(status, "request", "%s", http.StatusText(status)))
}

// RefuseForeign answers what a browser sends on behalf of another site.
func (a *API) RefuseForeign(w http.ResponseWriter, _ *http.Request) {
	a.observer.Answered(http.StatusForbidden)
	writeError(w, refuse(http.StatusForbidden, "origin", "a page of another site may not ask for this"))
}

func writeError(w http.ResponseWriter, err *refusal) {
	if err.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(err.retry/time.Second)))
	}
	writeJSON(w, err.Status, map[string]*refusal{"error": err})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"error": {"code": "internal", "message": "the answer could not be encoded"}}`)
	}
	write(w, status, "application/json", b.Bytes())
}

// write sends an answer that no browser keeps, guesses about, runs or frames.
func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Content-Security-Policy") == "" {
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	}
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever has gone does not need the rest
}
