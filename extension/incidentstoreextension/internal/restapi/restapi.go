// Package restapi is the HTTP interface of the incident store: by it people, chat tools and web pages look at incidents and at what
// automation does about them, and say what they want of it.
//
// It knows only the store. What concerns an executor is put into the store's mailbox as a command, and the executor's answer is
// passed on as it is. Who calls is whom the server's authenticator has recognised; without one everything is read-only.
package restapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/collector/client"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/approvallink"
	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Settings say what the API allows and how much of it.
type Settings struct {
	// Authenticated says that the server recognises callers. Without it all is read-only, and only for this machine.
	Authenticated bool
	// Identity is the attribute that names the person; empty takes subject, then username.
	Identity string
	// Operators may pause, silence, reset breakers and replay; empty means whoever is authenticated.
	Operators []string
	// Challenge is the header WWW-Authenticate of an answer 401; empty sends none.
	Challenge string
	// CommandWait is how long a request waits for an executor's answer.
	CommandWait time.Duration
	// Timeout bounds the work for one request besides that.
	Timeout time.Duration
	// MaxSilence bounds how far ahead silences, maintenance windows and pauses may end.
	MaxSilence time.Duration
	// MaxStatistics bounds the incidents that statistics are made of, the latest.
	MaxStatistics int
	Stream        StreamSettings
	// Links reads approval links; nil when there are none.
	Links *approvallink.Signer
	// AnonymousLinks lets a link decide without authentication, in the name of the destination it was sent to.
	AnonymousLinks bool
}

// StreamSettings bound live updates.
type StreamSettings struct {
	// MaxClients are connected at the same time.
	MaxClients int
	// Heartbeat is the longest silence on a connection, and WriteTimeout how long a client may take to accept what is sent.
	Heartbeat, WriteTimeout time.Duration
	// MaxDuration is when a client has to connect again, which makes it show its credentials anew.
	MaxDuration time.Duration
}

// Observer hears of what happens. It must not block.
type Observer interface {
	// Answered is called with the status of each answer.
	Answered(status int)
	// Commanded says what became of a command while its caller waited.
	Commanded(CommandFate)
	// LinkUsed says what became of an attempt to decide by a link.
	LinkUsed(LinkFate)
	// StreamRefused says that there are as many clients of live updates as there may be.
	StreamRefused()
	// Unnoted says that a refusal was not put into the audit, since there were too many or the store failed.
	Unnoted()
	// Failed says that the store failed.
	Failed(doing string, err error)
}

// CommandFate is what became of a command.
type CommandFate string

// The fates of commands.
const (
	CommandDone       CommandFate = "done"
	CommandRefused    CommandFate = "refused"
	CommandExpired    CommandFate = "expired"
	CommandUnanswered CommandFate = "unanswered"
)

// LinkFate is what became of an attempt to decide by a link.
type LinkFate string

// The fates of links.
const (
	LinkDecided LinkFate = "decided"
	LinkRefused LinkFate = "refused"
	LinkExpired LinkFate = "expired"
	LinkUsed    LinkFate = "used"
	LinkForged  LinkFate = "forged"
	LinkLimited LinkFate = "limited"
)

// API is a handler of HTTP requests.
type API struct {
	memory   incidentstore.Memory
	settings Settings
	observer Observer
	mux      *http.ServeMux
	// routes are the methods of each path, for tests.
	routes map[string][]string
	keys   *answers
	// badLinks and refusals bound what strangers can cause.
	badLinks, refusals *rate.Limiter
	verifying          sync.Mutex
	streams            atomic.Int64
	// closing ends when live updates must.
	closing context.Context
	close   context.CancelFunc
}

// New returns the API of a store.
func New(memory incidentstore.Memory, settings Settings, observer Observer) *API {
	a := &API{
		memory: memory, settings: settings, observer: observer, mux: http.NewServeMux(), routes: map[string][]string{}, keys: newAnswers(),
		badLinks: rate.NewLimiter(1, 20), refusals: rate.NewLimiter(2, 100),
	}
	a.closing, a.close = context.WithCancel(context.Background())
	a.on("/v1/status", methods{http.MethodGet: a.status})
	a.on("/v1/stats", methods{http.MethodGet: a.statistics})
	a.on("/v1/incidents", methods{http.MethodGet: a.incidents})
	a.on("/v1/incidents/{id}", methods{http.MethodGet: a.incident})
	a.on("/v1/incidents/{id}/timeline", methods{http.MethodGet: a.timeline})
	a.on("/v1/incidents/{id}/graph", methods{http.MethodGet: a.graph})
	a.on("/v1/incidents/{id}/similar", methods{http.MethodGet: a.similar})
	a.on("/v1/incidents/{id}/acknowledge", methods{http.MethodPost: a.acknowledge, http.MethodDelete: a.unacknowledge})
	a.on("/v1/incidents/{id}/feedback", methods{http.MethodPost: a.feedback})
	a.on("/v1/intents", methods{http.MethodGet: a.intents})
	a.on("/v1/intents/{id}", methods{http.MethodGet: a.intent})
	a.on("/v1/intents/{id}/approve", methods{http.MethodPost: a.approve})
	a.on("/v1/intents/{id}/deny", methods{http.MethodPost: a.deny})
	a.on("/v1/intents/{id}/undo", methods{http.MethodPost: a.undo})
	a.on("/v1/commands/{id}", methods{http.MethodGet: a.command})
	a.on("/v1/silences", methods{http.MethodGet: a.silences, http.MethodPost: a.silence})
	a.on("/v1/silences/{id}", methods{http.MethodDelete: a.endSilence})
	a.on("/v1/pause", methods{http.MethodGet: a.paused, http.MethodPost: a.pause, http.MethodDelete: a.resume})
	a.on("/v1/breakers", methods{http.MethodGet: a.breakers})
	a.on("/v1/breakers/{guard}/{key}/reset", methods{http.MethodPost: a.resetBreaker})
	a.on("/v1/executors", methods{http.MethodGet: a.executors})
	a.on("/v1/deliveries", methods{http.MethodGet: a.deliveries})
	a.on("/v1/deadletters", methods{http.MethodGet: a.deadLetters})
	a.on("/v1/deadletters/replay", methods{http.MethodPost: a.replay})
	a.on("/v1/audit", methods{http.MethodGet: a.audit})
	a.on("/v1/audit/verify", methods{http.MethodGet: a.verifyAudit})
	a.on("/v1/stream", methods{http.MethodGet: a.stream})
	a.on("/v1/openapi.json", methods{http.MethodGet: a.openAPIJSON})
	a.on("/v1/openapi.yaml", methods{http.MethodGet: a.openAPIYAML})
	if settings.Links != nil {
		a.routes["/decide/{token}"] = []string{http.MethodGet, http.MethodPost}
		a.mux.HandleFunc("/decide/{token}", a.decideByLink)
	}
	a.mux.HandleFunc("/", a.answer(methods{}))
	return a
}

// Close ends live updates, which otherwise last.
func (a *API) Close() { a.close() }

// Streams is how many clients get live updates now.
func (a *API) Streams() int64 { return a.streams.Load() }

// call is one request with who makes it.
type call struct {
	*http.Request
	// by is the person, empty without authentication.
	by string
}

// endpoint answers a request with something to be written as JSON, or with an error that says its status.
type endpoint func(c *call) (any, error)

// methods are the endpoints of one path.
type methods map[string]endpoint

func (a *API) on(path string, m methods) {
	for method := range m {
		a.routes[path] = append(a.routes[path], method)
	}
	a.mux.HandleFunc(path, a.answer(m))
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted := &counting{ResponseWriter: w, observer: a.observer}
	// A page of another site whose name was made to resolve to this machine says its own name.
	if !a.settings.Authenticated && !IsLoopback(hostOf(r.Host)) {
		writeError(counted, refuse(http.StatusForbidden, "host", "without auth the host of a request must be loopback"))
		return
	}
	a.mux.ServeHTTP(counted, r)
}

// counting counts answers.
type counting struct {
	http.ResponseWriter
	observer Observer
}

// WriteHeader implements http.ResponseWriter.
func (c *counting) WriteHeader(status int) {
	c.observer.Answered(status)
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// hostOf is the host of a Host header without its port.
func hostOf(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		s = s[:i]
	}
	return strings.Trim(s, "[]")
}

// IsLoopback reports whether a host can only be this machine.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.Unmap().IsLoopback())
}

// answer makes a handler of the endpoints of one path.
func (a *API) answer(m methods) http.HandlerFunc {
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
			writeError(w, refuse(http.StatusNotFound, "not_found", "there is nothing here; see /v1/openapi.json"))
			return
		case !ok:
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writeError(w, refuse(http.StatusMethodNotAllowed, "method", "method must be %s, got %.20q", strings.Join(allowed, " or "), r.Method))
			return
		}
		c, err := a.admit(r, method)
		var body any
		if err == nil {
			body, err = a.once(c, serve)
		}
		if err != nil {
			said := a.asRefusal(r, err)
			a.noteRefused(r, c, said)
			writeError(w, said)
			return
		}
		switch body := body.(type) {
		case handler:
			body(w, r)
		case rawBody:
			write(w, http.StatusOK, body.contentType, body.bytes)
		case located:
			w.Header().Set("Location", body.location)
			writeJSON(w, body.status, body.body)
		default:
			writeJSON(w, http.StatusOK, body)
		}
	}
}

// rawBody is an answer that is not one JSON value, handler one that writes itself, and located one that is found elsewhere.
type (
	rawBody struct {
		contentType string
		bytes       []byte
	}
	handler func(http.ResponseWriter, *http.Request)
	located struct {
		status   int
		location string
		body     any
	}
)

// admit finds out who calls. Nobody who is unknown may change anything.
func (a *API) admit(r *http.Request, method string) (*call, error) {
	c := &call{Request: r}
	if !a.settings.Authenticated {
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

// linkPrefix begins the names of those who decide by a link without authentication. Nobody else may be called so.
const linkPrefix = "link:"

// person returns whom the authenticator extension has recognised; empty when it names nobody.
func (a *API) person(ctx context.Context) string {
	auth := client.FromContext(ctx).Auth
	if auth == nil {
		return ""
	}
	names := []string{a.settings.Identity}
	if a.settings.Identity == "" {
		names = []string{"subject", "username"}
	}
	for _, name := range names {
		if s, ok := auth.GetAttribute(name).(string); ok && IsPerson(s) && !strings.HasPrefix(s, linkPrefix) {
			return s
		}
	}
	return ""
}

// MaxPersonLen bounds, in bytes, the name of a person.
const MaxPersonLen = 128

// IsPerson reports whether s can name a person: it is printable and does not look like another name.
func IsPerson(s string) bool { return isName(s, MaxPersonLen) }

// isName reports whether s has 1 to n bytes of printable text, and no space at its ends.
func isName(s string, n int) bool {
	if s == "" || len(s) > n || !utf8.ValidString(s) || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// operator refuses whoever is not on the list of those who may intervene.
func (a *API) operator(c *call) error {
	if len(a.settings.Operators) > 0 && !slices.Contains(a.settings.Operators, c.by) {
		return refuse(http.StatusForbidden, "operator", "api::operators does not name %s", c.by)
	}
	return nil
}

// within bounds the work for a request.
func (a *API) within(c *call) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Context(), a.settings.Timeout)
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
		return refuse(http.StatusBadRequest, "body", "body must be the JSON object that the endpoint takes: %s", notifier.Clip(err.Error(), 200))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "body", "body must be one JSON object and nothing else")
	}
	return nil
}

// noteRefused puts into the audit that a person could not do something.
func (a *API) noteRefused(r *http.Request, c *call, said *refusal) {
	if c == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	a.note(r, auditchain.Entry{
		Kind: string(semconv.EventRemediationCall), Actor: c.by, Text: notifier.Line(said.Message, maxComment),
		Fields: map[string]string{
			"method": r.Method, "endpoint": r.Pattern, "status": strconv.Itoa(said.Status), "code": said.Code,
			"about": notifier.Line(r.PathValue("id"), 100),
		},
	})
}

// note puts an entry into the audit, unless there were too many.
func (a *API) note(r *http.Request, e auditchain.Entry) {
	now := time.Now()
	if !a.refusals.AllowN(now, 1) {
		a.observer.Unnoted()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.settings.Timeout)
	defer cancel()
	if err := a.memory.NoteCall(ctx, now, e); err != nil {
		a.observer.Unnoted()
		a.observer.Failed("note a refusal", err)
	}
}
