package remediationexporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/boundedlistener"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// api is the HTTP server by which people look at the exporter, approve, and intervene. What it decides goes through the same
// ledger and the same storage transaction as everything else.
type api struct {
	e   *remediationExporter
	cfg *APIConfig
	mux *http.ServeMux
	srv *http.Server
}

// call is one request with who makes it.
type call struct {
	*http.Request
	// by is the person, empty without authentication.
	by string
}

// endpoint answers a request with something to be written as JSON, or with an error that says its status.
type endpoint func(c *call) (any, error)

// apiError is an answer that is none.
type apiError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (a *apiError) Error() string { return a.Message }

func refuse(status int, code, format string, args ...any) *apiError {
	return &apiError{status, code, fmt.Sprintf(format, args...)}
}

func newAPI(e *remediationExporter, cfg *APIConfig) *api {
	a := &api{e: e, cfg: cfg, mux: http.NewServeMux()}
	a.on("/v1/status", methods{http.MethodGet: a.status})
	a.on("/v1/intents", methods{http.MethodGet: a.intents})
	a.on("/v1/intents/{id}", methods{http.MethodGet: a.intent})
	a.on("/v1/intents/{id}/approve", methods{http.MethodPost: a.approve})
	a.on("/v1/intents/{id}/deny", methods{http.MethodPost: a.deny})
	a.on("/v1/intents/{id}/undo", methods{http.MethodPost: a.undo})
	a.on("/v1/pause", methods{http.MethodGet: a.paused, http.MethodPost: a.pause, http.MethodDelete: a.resume})
	a.on("/v1/breakers", methods{http.MethodGet: a.breakers})
	a.on("/v1/breakers/{guard}/{key}/reset", methods{http.MethodPost: a.resetBreaker})
	a.on("/v1/budget", methods{http.MethodGet: a.budget})
	a.on("/v1/outcomes", methods{http.MethodGet: a.outcomes})
	a.on("/v1/storm", methods{http.MethodGet: a.storm})
	a.on("/v1/audit", methods{http.MethodGet: a.audit})
	a.on("/v1/deadletters", methods{http.MethodGet: a.deadLetters})
	a.on("/v1/deadletters/replay", methods{http.MethodPost: a.replay})
	a.mux.HandleFunc("/", a.answer(methods{}))
	return a
}

// methods are the endpoints of one path.
type methods map[string]endpoint

func (a *api) on(path string, m methods) { a.mux.HandleFunc(path, a.answer(m)) }

// start listens and serves until stop.
func (a *api) start(ctx context.Context, host component.Host) error {
	// What a browser sends on behalf of another site is refused, since it may hold the person's credentials.
	guarded := http.NewCrossOriginProtection().Handler(a)
	server := a.cfg.ServerConfig
	srv, err := server.ToServer(ctx, host.GetExtensions(), a.e.set.TelemetrySettings, guarded, confighttp.WithErrorHandler(writeRefusal))
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	srv.MaxHeaderBytes = maxHeader
	listener, err := boundedlistener.Listen(ctx, &server, a.cfg.MaxConnections)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	a.srv = srv
	a.e.apiAddress = listener.Addr().String()
	a.e.running.Go(func() {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.e.logger.Error("api has stopped", zap.Error(err))
		}
	})
	return nil
}

const maxHeader = 16 << 10

// stop lets requests under way end within ctx.
func (a *api) stop(ctx context.Context) error {
	if a == nil || a.srv == nil {
		return nil
	}
	if err := a.srv.Shutdown(ctx); err != nil {
		return errors.Join(err, a.srv.Close())
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A page of another site whose name was made to resolve to this machine says its own name.
	if !a.cfg.Auth.HasValue() && !isLoopback(hostOf(r.Host)) {
		writeError(&counting{w, a}, refuse(http.StatusForbidden, "host", "without auth the host of a request must be loopback"))
		return
	}
	a.mux.ServeHTTP(&counting{w, a}, r)
}

// counting counts answers.
type counting struct {
	http.ResponseWriter
	a *api
}

// WriteHeader implements http.ResponseWriter.
func (c *counting) WriteHeader(status int) {
	answer := answerOK
	switch {
	case status >= 500:
		answer = answerFailed
	case status >= 400:
		answer = answerRefused
	}
	add(context.Background(), c.a.e.telemetry.ExporterRemediationAPIRequests, c.a.e.telemetry.answers, answer, 1)
	c.ResponseWriter.WriteHeader(status)
}

// hostOf is the host of a Host header without its port.
func hostOf(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		s = s[:i]
	}
	return strings.Trim(s, "[]")
}

// answer makes a handler of the endpoints of one path.
func (a *api) answer(m methods) http.HandlerFunc {
	allowed := make([]string, 0, len(m)+1)
	for method := range m {
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		serve, ok := m[method]
		switch {
		case len(m) == 0:
			writeError(w, refuse(http.StatusNotFound, "not_found", "there is nothing here; see /v1/status"))
			return
		case !ok:
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writeError(w, refuse(http.StatusMethodNotAllowed, "method", "method must be %s, got %.20q", strings.Join(allowed, " or "), r.Method))
			return
		}
		c, err := a.admit(r, method)
		var body any
		if err == nil {
			body, err = serve(c)
		}
		if err != nil {
			answer := asAPIError(err)
			a.noteRefused(r, c, answer)
			writeError(w, answer)
			return
		}
		if raw, ok := body.(rawBody); ok {
			write(w, http.StatusOK, raw.contentType, raw.bytes)
			return
		}
		writeJSON(w, http.StatusOK, body)
	}
}

// noteRefused records that a person could not do something.
func (a *api) noteRefused(r *http.Request, c *call, answer *apiError) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	entry := auditchain.Entry{
		Kind: string(semconv.EventRemediationCall), Text: plainText(answer.Message, maxDetail),
		Fields: map[string]string{"method": r.Method, "endpoint": r.Pattern, "status": strconv.Itoa(answer.Status), "code": answer.Code},
	}
	if c != nil {
		entry.Actor = c.by
	}
	put(entry.Fields, "intent", plainText(r.PathValue("id"), 40))
	a.e.mu.Lock()
	a.e.audit.noteRefusal(time.Now(), entry)
	a.e.settleAndUnlock(context.WithoutCancel(r.Context()))
}

// rawBody is an answer that is not one JSON value.
type rawBody struct {
	contentType string
	bytes       []byte
}

// admit finds out who calls. Nobody who is unknown may change anything.
func (a *api) admit(r *http.Request, method string) (*call, error) {
	c := &call{Request: r}
	if !a.cfg.Auth.HasValue() {
		if method != http.MethodGet {
			return nil, refuse(http.StatusForbidden, "read_only", "the api is read-only without auth; name an authenticator extension under api::auth")
		}
		return c, nil
	}
	if c.by = a.person(r.Context()); c.by == "" {
		return nil, refuse(http.StatusForbidden, "identity", "the authentication names no person; see api::identity")
	}
	return c, nil
}

// person returns whom the authenticator extension has recognised; empty when it names nobody.
func (a *api) person(ctx context.Context) string {
	auth := client.FromContext(ctx).Auth
	if auth == nil {
		return ""
	}
	names := []string{a.cfg.Identity}
	if a.cfg.Identity == "" {
		names = []string{"subject", "username"}
	}
	for _, name := range names {
		if s, ok := auth.GetAttribute(name).(string); ok && isPerson(s) {
			return s
		}
	}
	return ""
}

// operator refuses whoever is not on the list of those who may intervene.
func (a *api) operator(c *call) error { return a.cfg.operator(c.by) }

func (c *APIConfig) operator(by string) error {
	if len(c.Operators) > 0 && !slices.Contains(c.Operators, by) {
		return refuse(http.StatusForbidden, "operator", "api::operators does not name %s", by)
	}
	return nil
}

// read decodes the body of a request; an empty one leaves v as it is.
func (c *call) read(v any) error {
	body, err := io.ReadAll(c.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "body_size", "body must have at most %d bytes", tooLarge.Limit)
	case err != nil:
		return refuse(http.StatusBadRequest, "body", "body could not be read")
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "content_type", "Content-Type must be application/json")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return refuse(http.StatusBadRequest, "body", "body must be the JSON object that the endpoint takes: %s", clip(err.Error(), 200))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "body", "body must be one JSON object and nothing else")
	}
	return nil
}

// asAPIError says the status of what went wrong.
func asAPIError(err error) *apiError {
	var out *apiError
	switch {
	case errors.As(err, &out):
		return out
	case errors.Is(err, playbook.ErrUnknownIntent):
		return refuse(http.StatusNotFound, "unknown_intent", "%s", err)
	case errors.Is(err, errForbidden):
		return refuse(http.StatusForbidden, "forbidden", "%s", err)
	case errors.Is(err, errIntentGone):
		return refuse(http.StatusGone, "gone", "%s", err)
	case errors.Is(err, playbook.ErrOther):
		return refuse(http.StatusConflict, "plan_changed", "%s; look at the intent, and approve with its plan_digest", err)
	case errors.Is(err, playbook.ErrNotAwaiting), errors.Is(err, playbook.ErrTwice):
		return refuse(http.StatusConflict, "conflict", "%s", err)
	case errors.Is(err, errNotStored):
		return refuse(http.StatusServiceUnavailable, "storage", "%s; try again", errNotStored)
	default:
		return refuse(http.StatusInternalServerError, "internal", "the request failed; see the collector's log")
	}
}

// writeRefusal answers for confighttp, without what the authenticator says.
func writeRefusal(w http.ResponseWriter, _ *http.Request, _ string, status int) {
	if status == http.StatusUnauthorized {
		writeError(w, refuse(status, "unauthenticated", "authentication is needed"))
		return
	}
	writeError(w, refuse(status, "request", "%s", http.StatusText(status)))
}

func writeError(w http.ResponseWriter, err *apiError) {
	writeJSON(w, err.Status, map[string]*apiError{"error": err})
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
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever has gone does not need the rest
}
