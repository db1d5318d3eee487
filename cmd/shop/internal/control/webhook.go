package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// tolerance is how far a webhook's timestamp may be from the present.
	tolerance = 5 * time.Minute
	longestID = 256
)

// maxDeliveries bounds the deliveries that are remembered, for the list and against repetition. One that is older than
// the tolerance of its timestamp cannot be repeated, so the bound matters only in a flood.
const maxDeliveries = 1000

// delivery is one webhook call.
type delivery struct {
	ID       string    `json:"id"`
	Type     string    `json:"type,omitempty"`
	Incident string    `json:"incident_id,omitempty"`
	Verified bool      `json:"verified"`
	Action   string    `json:"action,omitempty"`
	Service  string    `json:"service,omitempty"`
	Status   int       `json:"status"`
	Result   string    `json:"result"`
	Time     time.Time `json:"time"`
}

type webhook struct {
	shop Shop
	keys []standardwebhooks.Key
	now  func() time.Time

	// mu guards everything below, and makes a webhook and its repetition take turns.
	mu         sync.Mutex
	deliveries []delivery // the latest last
	done       map[string]delivery
	order      []string // of the keys of done
}

func newWebhook(s Shop, keys []standardwebhooks.Key, now func() time.Time) *webhook {
	return &webhook{shop: s, keys: keys, now: now, done: map[string]delivery{}}
}

// event is what the shop reads of a CloudEvent about an incident.
type event struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Data        struct {
		Incident struct {
			ID     string `json:"id"`
			Causes []struct {
				Entity struct {
					Type string `json:"type"`
					Name string `json:"name"`
				} `json:"entity"`
				Resource map[string]any `json:"resource"`
			} `json:"causes"`
		} `json:"incident"`
		Action struct {
			Name       string                     `json:"name"`
			Parameters map[string]json.RawMessage `json:"parameters"`
		} `json:"action"`
	} `json:"data"`
}

func (h *webhook) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	d := delivery{ID: clip(r.Header.Get(standardwebhooks.HeaderID)), Time: h.now().UTC()}
	if err != nil {
		h.finish(w, d, statusOf(bodyError(err)), bodyError(err).Error())
		return
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/cloudevents+json" {
		h.finish(w, d, http.StatusUnsupportedMediaType, "content type must be application/cloudevents+json")
		return
	}
	if len(h.keys) == 0 {
		h.finish(w, d, http.StatusForbidden, "no webhook secret is configured, so no webhook can be verified")
		return
	}
	id := r.Header.Get(standardwebhooks.HeaderID)
	if id == "" || len(id) > longestID {
		h.finish(w, d, http.StatusUnauthorized, fmt.Sprintf("%s must have 1 to %d characters", standardwebhooks.HeaderID, longestID))
		return
	}
	if err := standardwebhooks.Verify(h.keys, id, r.Header.Get(standardwebhooks.HeaderTimestamp),
		r.Header.Get(standardwebhooks.HeaderSignature), body, d.Time, tolerance); err != nil {
		h.finish(w, d, http.StatusUnauthorized, err.Error())
		return
	}
	d.Verified = true
	if before, ok := h.done[id]; ok {
		before.Time, before.Result = d.Time, "repetition, nothing done; the first time: "+before.Result
		h.finish(w, before, before.Status, before.Result)
		return
	}
	status, result := h.handle(body, &d)
	h.remember(id, d, status, result)
	h.finish(w, d, status, result)
}

// handle does what a verified event asks for.
func (h *webhook) handle(body []byte, d *delivery) (int, string) {
	ev, err := parseEvent(body)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	d.Type, d.Incident = clip(ev.Type), clip(ev.Data.Incident.ID)
	action, asked, err := ev.action(h.shop.State().Services)
	d.Action, d.Service = clip(string(action.Name)), clip(action.Service)
	switch {
	case err != nil:
		return http.StatusBadRequest, err.Error()
	case !asked:
		return http.StatusAccepted, "noted, no action asked for"
	}
	out, err := h.shop.Act(action)
	if err != nil {
		return statusOf(err), err.Error()
	}
	return http.StatusOK, fmt.Sprintf("%s; faults cured: %d", out.Message, len(out.Cured))
}

// parseEvent reads a CloudEvent in structured mode.
func parseEvent(body []byte) (event, error) {
	var ev event
	if err := json.Unmarshal(body, &ev); err != nil {
		return ev, fmt.Errorf("body must be a CloudEvent in JSON: %w", err)
	}
	if ev.SpecVersion != "1.0" {
		return ev, fmt.Errorf("specversion must be 1.0, got %.20q", ev.SpecVersion)
	}
	if ev.ID == "" || ev.Source == "" || ev.Type == "" {
		return ev, errors.New("id, source and type must not be empty")
	}
	return ev, nil
}

// action returns what the event asks the shop to do, if anything. An event about an incident that is over never asks for
// anything, even if it tells of an action.
func (e *event) action(services []shop.ServiceState) (shop.Action, bool, error) {
	name := e.Data.Action.Name
	if name == "" || strings.HasSuffix(e.Type, ".incident.resolved.v1") {
		return shop.Action{}, false, nil
	}
	a := shop.Action{Name: shop.ActionName(name)}
	var errs error
	for key, raw := range e.Data.Action.Parameters {
		switch key {
		case "service":
			errs = errors.Join(errs, json.Unmarshal(raw, &a.Service))
		case "replicas":
			errs = errors.Join(errs, json.Unmarshal(unquote(raw), &a.Replicas))
		case "fraction":
			errs = errors.Join(errs, json.Unmarshal(unquote(raw), &a.Fraction))
		}
	}
	if errs != nil {
		return a, true, fmt.Errorf("action parameters must be of the right type: %w", errs)
	}
	if causes := e.Data.Incident.Causes; a.Service == "" && len(causes) > 0 {
		a.Service = causes[0].Entity.Name
		// What is no workload of ours, such as a node, may still tell its service.
		if name, ok := causes[0].Resource[semconv.AttrServiceName].(string); ok && !isService(target(a.Service, services), services) {
			a.Service = name
		}
	}
	a.Service = target(a.Service, services)
	return a, true, nil
}

// target returns the service that an entity's name stands for: "shop/cart", the name of one of its pods, or
// "orders-db/orders" as a database is called after its host and its name. An unknown name stays as it is.
func target(name string, services []shop.ServiceState) string {
	name = strings.TrimPrefix(name, shop.Namespace+"/")
	for _, s := range services {
		if slices.Contains(s.Pods, name) {
			return s.Name
		}
	}
	if host, _, ok := strings.Cut(name, "/"); ok && isService(host, services) {
		return host
	}
	return name
}

func isService(name string, services []shop.ServiceState) bool {
	return slices.ContainsFunc(services, func(s shop.ServiceState) bool { return s.Name == name })
}

// unquote lets a number stand in quotes, for playbooks whose parameters are all text.
func unquote(raw json.RawMessage) json.RawMessage {
	if len(raw) > 2 && raw[0] == '"' && raw[len(raw)-1] == '"' {
		return raw[1 : len(raw)-1]
	}
	return raw
}

func (h *webhook) remember(id string, d delivery, status int, result string) {
	if len(h.order) == maxDeliveries {
		delete(h.done, h.order[0])
		h.order = h.order[1:]
	}
	d.Status, d.Result = status, result
	h.done[id] = d
	h.order = append(h.order, id)
}

func (h *webhook) finish(w http.ResponseWriter, d delivery, status int, result string) {
	d.Status, d.Result = status, result
	if len(h.deliveries) == maxDeliveries {
		h.deliveries = h.deliveries[1:]
	}
	h.deliveries = append(h.deliveries, d)
	if status >= http.StatusBadRequest {
		reply(w, status, problem{result})
		return
	}
	reply(w, status, d)
}

func (h *webhook) list(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	deliveries := append([]delivery{}, h.deliveries...)
	h.mu.Unlock()
	reply(w, http.StatusOK, map[string][]delivery{"deliveries": deliveries})
}

func clip(s string) string {
	const limit = 256
	if len(s) > limit {
		return s[:limit]
	}
	return s
}
