// Package control is the HTTP interface to the simulated shop: faults in, actions in, state out, and a webhook through
// which a remediation system acts on the shop.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

const maxBody = 256 << 10

// Shop is what is controlled.
type Shop interface {
	Inject(f shop.Fault) (shop.FaultStatus, error)
	Clear(id string) []shop.FaultStatus
	Act(a shop.Action) (shop.Outcome, error)
	State() shop.State
}

// Handler serves the interface.
type Handler struct {
	shop     Shop
	webhook  *webhook
	handler  http.Handler
	counters func() any
}

// NewHandler returns a handler. Webhooks must be signed with one of the keys, and without any are refused; now gives the time against which their
// timestamps are checked. What counters returns is shown with the state.
func NewHandler(s Shop, keys []standardwebhooks.Key, now func() time.Time, counters func() any) *Handler {
	h := &Handler{shop: s, webhook: newWebhook(s, keys, now), counters: counters}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", h.state)
	mux.HandleFunc("POST /faults", h.inject)
	mux.HandleFunc("DELETE /faults", h.clear)
	mux.HandleFunc("POST /actions/{name}", h.act)
	mux.HandleFunc("POST /webhook", h.webhook.receive)
	mux.HandleFunc("GET /webhooks", h.webhook.list)
	// A page that the user looks at must not reach the loopback interface through the browser.
	h.handler = http.NewCrossOriginProtection().Handler(mux)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	h.handler.ServeHTTP(w, r)
}

func (h *Handler) state(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, struct {
		shop.State
		Export any `json:"export,omitempty"`
	}{h.shop.State(), h.counters()})
}

// faultRequest is a fault with its duration as text.
type faultRequest struct {
	shop.Fault
	Duration string `json:"duration"`
}

func (h *Handler) inject(w http.ResponseWriter, r *http.Request) {
	var req faultRequest
	if err := decode(r, &req); err != nil {
		refuse(w, err)
		return
	}
	if req.Duration != "" {
		d, err := time.ParseDuration(req.Duration)
		if err != nil {
			refuse(w, fmt.Errorf("%w: duration must be a duration such as 90s, got %.40q", shop.ErrInvalid, req.Duration))
			return
		}
		req.Fault.Duration = d
	}
	st, err := h.shop.Inject(req.Fault)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusCreated, st)
}

// clear ends the fault with the id in the query, or all of them.
func (h *Handler) clear(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	ended := h.shop.Clear(id)
	if id != "" && len(ended) == 0 {
		reply(w, http.StatusNotFound, problem{fmt.Sprintf("no active fault has the id %.40q", id)})
		return
	}
	reply(w, http.StatusOK, map[string][]shop.FaultStatus{"ended": ended})
}

func (h *Handler) act(w http.ResponseWriter, r *http.Request) {
	var action shop.Action
	if err := decode(r, &action); err != nil {
		refuse(w, err)
		return
	}
	action.Name = shop.ActionName(r.PathValue("name"))
	out, err := h.shop.Act(action)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, out)
}

type problem struct {
	Error string `json:"error"`
}

var errTooLarge = fmt.Errorf("body must be at most %d bytes", maxBody)

// decode reads a JSON object that must hold nothing unknown. An empty body is an empty object.
func decode(r *http.Request, into any) error {
	if t := r.Header.Get("Content-Type"); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
			return fmt.Errorf("%w: content type must be application/json, got %.80q", shop.ErrInvalid, t)
		}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && d.More() {
		err = errors.New("there is something after the object")
	}
	return bodyError(err)
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return errTooLarge
	default:
		return fmt.Errorf("%w: body must be a JSON object: %w", shop.ErrInvalid, err)
	}
}

func refuse(w http.ResponseWriter, err error) { reply(w, statusOf(err), problem{err.Error()}) }

func statusOf(err error) int {
	switch {
	case errors.Is(err, shop.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, shop.ErrInvalid):
		return http.StatusBadRequest
	default:
		return http.StatusInternalServerError
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	// The client has the status already; that it hung up is not ours to report.
	_ = e.Encode(body)
}
