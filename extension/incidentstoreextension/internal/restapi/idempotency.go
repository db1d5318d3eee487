package restapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// keyHeader makes a request that is repeated, because its answer was lost, do nothing a second time.
const keyHeader = "Idempotency-Key"

const (
	maxKeyLen = 200
	// maxAnswers and answerAge bound the answers that are kept for repeated requests.
	maxAnswers = 1000
	answerAge  = time.Hour
)

// answers are those of requests with a key. They are for convenience, and gone with a restart: that a command is not given twice
// is seen to by the store, which keeps the token of each.
type answers struct {
	// mu guards everything below.
	mu   sync.Mutex
	kept map[string]*keptAnswer
	// order is the oldest first.
	order []string
}

// keptAnswer is set once done is closed.
type keptAnswer struct {
	at   time.Time
	body [sha256.Size]byte
	done chan struct{}

	answer any
	err    error
}

func newAnswers() *answers { return &answers{kept: map[string]*keptAnswer{}} }

// begin returns the answer that a key has already, which may not be there yet, or makes room for one.
func (s *answers) begin(key string, body [sha256.Size]byte, now time.Time) (kept *keptAnswer, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.kept[key]; kept != nil && now.Sub(kept.at) < answerAge {
		return kept, false
	}
	if s.kept[key] == nil {
		s.order = append(s.order, key)
	}
	if len(s.order) > maxAnswers {
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
	kept = &keptAnswer{at: now, body: body, done: make(chan struct{})}
	s.kept[key] = kept
	return kept, true
}

// forget lets a key be used again after a failure that may pass.
func (s *answers) forget(key string, k *keptAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[key] == k {
		delete(s.kept, key)
		for i, other := range s.order {
			if other == key {
				s.order = append(s.order[:i:i], s.order[i+1:]...)
				break
			}
		}
	}
}

// once serves a request, or gives the answer that the same request with the same key was given.
func (a *API) once(c *call, serve endpoint) (any, error) {
	key := c.Header.Get(keyHeader)
	if key == "" || c.Method != http.MethodPost {
		return serve(c)
	}
	if len(c.Header.Values(keyHeader)) != 1 || !isName(key, maxKeyLen) {
		return nil, refuse(http.StatusBadRequest, "idempotency_key", "%s must stand once, with 1 to %d bytes of printable text", keyHeader, maxKeyLen)
	}
	body, err := io.ReadAll(c.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "body_size", "body must have at most %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "body", "body could not be read")
	}
	c.Body = io.NopCloser(bytes.NewReader(body))
	name := c.token()
	kept, first := a.keys.begin(name, sha256.Sum256(body), time.Now())
	if !first {
		if kept.body != sha256.Sum256(body) {
			return nil, refuse(http.StatusUnprocessableEntity, "idempotency_key", "%s was used with another body", keyHeader)
		}
		select {
		case <-kept.done:
			return kept.answer, kept.err
		case <-c.Context().Done():
			return nil, c.Context().Err()
		}
	}
	defer close(kept.done)
	kept.answer, kept.err = serve(c)
	var said *refusal
	if kept.err != nil && (!errors.As(kept.err, &said) || said.Status >= 500) {
		a.keys.forget(name, kept)
	}
	return kept.answer, kept.err
}

// token is what the store knows a request with a key by: the person, what is asked, and the key. Empty without a key.
func (c *call) token() string {
	key := c.Header.Get(keyHeader)
	if key == "" {
		return ""
	}
	h := sha256.New()
	for _, s := range []string{c.by, c.Method, c.URL.EscapedPath(), key} {
		part := sha256.Sum256([]byte(s))
		_, _ = h.Write(part[:]) // a hash takes everything
	}
	return "key:" + hex.EncodeToString(h.Sum(nil))
}
