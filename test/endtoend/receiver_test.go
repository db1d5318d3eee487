package endtoend

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

// tolerance is how far a webhook's timestamp may be off.
const tolerance = 5 * time.Minute

// delivery is a webhook that was received. Only deliveries with a valid signature are kept.
type delivery struct {
	id    string
	body  []byte
	event event
}

func (d delivery) is(t semconv.EventType) bool { return d.event.Type == string(t) }

// event is what the tests read of a CloudEvent.
type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Incident struct {
			ID         string `json:"id"`
			Resolution string `json:"resolution"`
			Causes     []struct {
				Entity struct {
					Name string `json:"name"`
				} `json:"entity"`
				Kind string `json:"kind"`
			} `json:"causes"`
		} `json:"incident"`
		Action struct {
			Name       string            `json:"name"`
			Parameters map[string]string `json:"parameters"`
		} `json:"action"`
		Remediation struct {
			Outcome string `json:"outcome"`
		} `json:"remediation"`
	} `json:"data"`
}

// cause is the bare name of the service that the event's incident blames.
func (e event) cause() string {
	if len(e.Data.Incident.Causes) == 0 {
		return ""
	}
	return bare(e.Data.Incident.Causes[0].Entity.Name)
}

// bare takes the namespace off a service's name.
func bare(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// receiver is an HTTP server that takes webhooks and checks their signatures.
type receiver struct {
	server *httptest.Server
	key    standardwebhooks.Key

	mu sync.Mutex
	// mu guards everything below.
	taken    []delivery
	refused  []delivery // answered with 503
	bad      []string   // what was wrong with those that were not signed as they should
	refusing bool
}

// newReceiver starts a receiver at the address, or at a free one if it is empty.
func newReceiver(t testing.TB, address string) *receiver {
	t.Helper()
	key, err := standardwebhooks.ParseKey(secret)
	require.NoError(t, err)
	r := &receiver{key: key}
	r.server = httptest.NewUnstartedServer(r)
	if address != "" {
		require.NoError(t, r.server.Listener.Close())
		r.server.Listener, err = net.Listen("tcp", address)
		require.NoError(t, err)
	}
	r.server.Start()
	t.Cleanup(r.server.Close)
	t.Cleanup(func() { require.Empty(t, r.problems()) })
	return r
}

func (r *receiver) url() string     { return r.server.URL + "/webhook" }
func (r *receiver) address() string { return r.server.Listener.Addr().String() }

// ServeHTTP takes one webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	d := delivery{id: req.Header.Get(standardwebhooks.HeaderID), body: body}
	if err == nil {
		err = standardwebhooks.Verify([]standardwebhooks.Key{r.key}, d.id, req.Header.Get(standardwebhooks.HeaderTimestamp),
			req.Header.Get(standardwebhooks.HeaderSignature), body, time.Now(), tolerance)
	}
	if err == nil {
		err = json.Unmarshal(body, &d.event)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.bad = append(r.bad, err.Error())
		w.WriteHeader(http.StatusUnauthorized)
	case d.event.ID != d.id:
		r.bad = append(r.bad, "webhook-id "+d.id+" is not the event's id "+d.event.ID)
		w.WriteHeader(http.StatusBadRequest)
	case r.refusing:
		r.refused = append(r.refused, d)
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		r.taken = append(r.taken, d)
		w.WriteHeader(http.StatusAccepted)
	}
}

func (r *receiver) refuse(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = on
}

func (r *receiver) deliveries() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taken)
}

func (r *receiver) refusals() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refused)
}

func (r *receiver) problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bad)
}

// first returns the first delivery of this type for the incident, or for any if it is empty.
func (r *receiver) first(typ semconv.EventType, incident string) (delivery, bool) {
	for _, d := range r.deliveries() {
		if d.is(typ) && (incident == "" || d.event.Data.Incident.ID == incident) {
			return d, true
		}
	}
	return delivery{}, false
}
