package executor

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

// Secret is what receivers know the executor's messages by.
const Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// Event is what a receiver got: a CloudEvent as far as tests need it.
type Event struct {
	At   time.Time `json:"-"`
	ID   string    `json:"id"`
	Type string    `json:"type"`
	Data struct {
		Incident struct {
			ID       string `json:"id"`
			Revision int64  `json:"revision"`
		} `json:"incident"`
		Remediation *Remediation `json:"remediation"`
		Action      *struct {
			Name       string            `json:"name"`
			Parameters map[string]string `json:"parameters"`
		} `json:"action"`
	} `json:"data"`
}

// Remediation is news of an intent.
type Remediation struct {
	Intent    string `json:"intent"`
	Playbook  string `json:"playbook"`
	Step      int    `json:"step"`
	Action    string `json:"action_name"`
	Target    string `json:"target"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
	Escalated bool   `json:"escalated"`
	Plan      *struct {
		Summary  string   `json:"summary"`
		Objects  []string `json:"objects"`
		Commands []string `json:"commands"`
	} `json:"plan"`
}

// Name is the type without what all types have.
func (e Event) Name() string {
	return strings.TrimSuffix(strings.TrimPrefix(e.Type, "io.paramedic."), ".v1")
}

// Receiver is a webhook: a real HTTP server that verifies signatures and remembers what it took.
type Receiver struct {
	URL string
	// Answer, if set, is asked for the status of each answer before the event counts as taken; 0 takes it, and a negative
	// number takes it and breaks the connection instead of answering.
	Answer func(Event) int

	mu sync.Mutex
	// mu guards everything below.
	taken    []Event
	attempts int
	invalid  []string
}

// NewReceiver starts a receiver that ends with the test.
func NewReceiver(t testing.TB) *Receiver {
	t.Helper()
	key, err := standardwebhooks.ParseKey(Secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &Receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		event := Event{At: time.Now()}
		id := request.Header.Get(standardwebhooks.HeaderID)
		err = standardwebhooks.Verify([]standardwebhooks.Key{key}, id, request.Header.Get(standardwebhooks.HeaderTimestamp),
			request.Header.Get(standardwebhooks.HeaderSignature), body, event.At, 5*time.Minute)
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err != nil || event.ID != id {
			r.note(func() { r.invalid = append(r.invalid, string(body)) })
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		status := 0
		if r.Answer != nil {
			status = r.Answer(event)
		}
		r.note(func() {
			r.attempts++
			if status <= 0 {
				r.taken = append(r.taken, event)
			}
		})
		switch {
		case status < 0:
			panic(http.ErrAbortHandler)
		case status == 0:
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if len(r.invalid) > 0 {
			t.Errorf("%d messages were unsigned or unreadable, the first: %.500s", len(r.invalid), r.invalid[0])
		}
	})
	r.URL = server.URL
	return r
}

func (r *Receiver) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// Events are those that were taken, repetitions included, in their order.
func (r *Receiver) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taken)
}

// Attempts counts the messages that arrived, those that were not taken too.
func (r *Receiver) Attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts
}

// News are the events about remediations as name, or name/reason where there is one, each once.
func (r *Receiver) News() []string {
	var out []string
	seen := map[string]bool{}
	for _, e := range r.Events() {
		if e.Data.Remediation == nil || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		name := strings.TrimPrefix(e.Name(), "remediation.")
		if reason := e.Data.Remediation.Reason; reason != "" {
			name += "/" + reason
		}
		out = append(out, name)
	}
	return out
}
