package notifiertest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Suite is what every driver must pass.
type Suite struct {
	// System starts the outside system as it documents itself: it answers, enforces every limit (see [Violation]), and keeps what
	// it was told. Open, if not nil, returns how many incidents are open in it.
	System func() (answer func(*Request) Answer, open func() int)
	// New returns the driver for a server at a URL, with a short pause between its own requests, if it makes several.
	New func(t testing.TB, url string, client *http.Client) notifier.Destination
	// Traits are the driver's.
	Traits driver.Traits
	// Secrets must stand in no error.
	Secrets []string
	// Except are faults, by name, that this system means in another way, such as a 404 that is to be tried again.
	Except map[string]Class
}

// life is the life of an incident, in order.
var life = []semconv.EventType{
	semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged,
	semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationStarted, semconv.EventTypeRemediationSucceeded,
	semconv.EventTypeIncidentResolved,
}

// tour is a driver at a server, with what it remembers.
type tour struct {
	t      testing.TB
	server *Server
	open   func() int
	d      notifier.Destination
	memory notifier.Memory
}

func (s *Suite) begin(t testing.TB) *tour {
	answer, open := s.System()
	server := NewServer(t, answer)
	return &tour{t: t, server: server, open: open, d: s.New(t, server.URL, server.HTTPClient())}
}

// deliver makes one attempt and keeps the memory, and checks that the message stays as it was.
func (r *tour) deliver(m *notifier.Message) error {
	r.t.Helper()
	m.Memory = maps.Clone(r.memory)
	before, err := json.Marshal(m)
	require.NoError(r.t, err)
	failure := r.attempt(m)
	now, err := json.Marshal(m)
	require.NoError(r.t, err)
	assert.Equal(r.t, string(before), string(now), "a driver must not change what it is given")
	return failure
}

// attempt is deliver without the check, which takes long for large messages.
func (r *tour) attempt(m *notifier.Message) error {
	m.Memory = maps.Clone(r.memory)
	memory, failure := r.d.Deliver(r.t.Context(), m)
	if memory != nil && m.Key != "" {
		r.memory = maps.Clone(memory)
	}
	return failure
}

func (r *tour) isOpen(n int, msg string) {
	r.t.Helper()
	if r.open != nil {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		assert.Equal(r.t, n, r.open(), msg)
	}
}

// Run runs all of it.
func (s *Suite) Run(t *testing.T) {
	t.Run("life", s.testLife)
	t.Run("repeated", s.testRepeated)
	t.Run("lost answers", s.testLostAnswers)
	t.Run("resolve before open", s.testResolveFirst)
	t.Run("all types", s.testTypes)
	t.Run("test message", s.testMarked)
	t.Run("hostile", s.testHostile)
	t.Run("faults", s.testFaults)
	t.Run("cancelled", s.testCancelled)
}

// RunLife runs the lives of incidents alone: for a driver with settings that change nothing but how a request is marked.
func (s *Suite) RunLife(t *testing.T) {
	t.Run("life", s.testLife)
	t.Run("lost answers", s.testLostAnswers)
	t.Run("all types", s.testTypes)
}

func (s *Suite) testLife(t *testing.T) {
	r := s.begin(t)
	for _, typ := range life {
		require.NoError(t, r.deliver(Message(typ)), typ)
		if typ != semconv.EventTypeIncidentResolved {
			r.isOpen(1, string(typ))
		}
	}
	r.isOpen(0, "after the end")
	assert.NotEmpty(t, r.server.Requests())
	// The same trouble again is a new occurrence.
	r.memory = nil
	require.NoError(t, r.deliver(Again(semconv.EventTypeIncidentOpened, 2)))
	r.isOpen(1, "after it came back")
}

// testRepeated delivers everything twice with the memory of before, as after a kill between an answer and its being stored.
func (s *Suite) testRepeated(t *testing.T) {
	r := s.begin(t)
	for _, typ := range life {
		before := maps.Clone(r.memory)
		require.NoError(t, r.deliver(Message(typ)), typ)
		r.memory = before
		require.NoError(t, r.deliver(Message(typ)), typ)
		if typ != semconv.EventTypeIncidentResolved {
			r.isOpen(1, "twice "+string(typ))
		}
	}
	r.isOpen(0, "after the end was told twice")
}

// testLostAnswers loses the answer to each request once.
func (s *Suite) testLostAnswers(t *testing.T) {
	answer, open := s.System()
	lost := false
	server := NewServer(t, func(q *Request) Answer {
		a := answer(q)
		if lost = !lost; lost {
			return Answer{Status: http.StatusBadGateway, Violation: a.Violation}
		}
		return a
	})
	r := &tour{t: t, server: server, open: open, d: s.New(t, server.URL, server.HTTPClient())}
	for _, typ := range life {
		var err error
		for range 20 {
			if err = r.deliver(Message(typ)); err == nil {
				break
			}
			var refused *notifier.Refused
			require.NotErrorAs(t, err, &refused)
		}
		require.NoError(t, err, "%s must get through when every other answer is lost", typ)
		if typ != semconv.EventTypeIncidentResolved {
			r.isOpen(1, string(typ)+" with lost answers")
		}
	}
	r.isOpen(0, "after the end")
}

// testResolveFirst gives a driver the end of an incident that the system never heard of. The exporter does not do that, but a system
// may have forgotten: nothing must be open after it.
func (s *Suite) testResolveFirst(t *testing.T) {
	r := s.begin(t)
	err := r.deliver(Message(semconv.EventTypeIncidentResolved))
	var refused *notifier.Refused
	if err != nil {
		require.ErrorAs(t, err, &refused, "it must be taken or refused, since trying again does not help")
	}
	r.isOpen(0, "nothing was opened")
}

func (s *Suite) testTypes(t *testing.T) {
	r := s.begin(t)
	require.NoError(t, r.deliver(Message(semconv.EventTypeIncidentOpened)))
	for _, typ := range Types {
		require.NoError(t, r.deliver(Message(typ)), "%s: what a system cannot express is taken without a request", typ)
	}
	for _, typ := range s.Traits.Events {
		r := s.begin(t)
		if typ != semconv.EventTypeIncidentOpened {
			require.NoError(t, r.deliver(Message(semconv.EventTypeIncidentOpened)))
		}
		n := len(r.server.Requests())
		require.NoError(t, r.deliver(Message(typ)))
		assert.Greater(t, len(r.server.Requests()), n, "%s is sent by default, so the driver must tell of it", typ)
	}
}

// testMarked wants a test to be seen as one.
func (s *Suite) testMarked(t *testing.T) {
	r := s.begin(t)
	m := Message(semconv.EventTypeIncidentOpened)
	m.Test = true
	require.NoError(t, r.deliver(m))
	var sent strings.Builder
	for _, q := range r.server.Requests() {
		sent.Write(q.Body)
	}
	assert.Contains(t, strings.ToLower(sent.String()), "test", "a test message must say that it is one")
}

// texts are what telemetry may say.
var texts = map[string]string{
	"empty":      "",
	"control":    "a\x00b\x1b[31m\r\n\tc\u202egnp.exe\u0000\ufeff",
	"invalid":    "\xff\xfe\xc3\x28\xed\xa0\x80",
	"quotes":     `"}],"text":"x","routing_key":"y'` + "`${x}{{.}}\\",
	"markup":     `<!channel> <@U1|x> <https://evil.example.com|click> & <b onclick=x>&lt;script>`,
	"markdown":   "[click](https://evil.example.com) **b** ![](x) ~~~ | a\n# title",
	"query":      "a^ORDERBYsys_id^state=1&x=y;--%00/../..",
	"wide":       strings.Repeat("😀", 300),
	"combining":  "Z" + strings.Repeat("\u0301", 3000),
	"escapes":    strings.Repeat(`"\`, 2000) + strings.Repeat("\x01", 2000),
	"long":       strings.Repeat("x", 40_000),
	"long words": strings.Repeat("latency of shop/payment ", 2000),
	"entities":   strings.Repeat("&", 20_000),
}

// testHostile sends what telemetry might make of an event: the system must find nothing to complain about.
func (s *Suite) testHostile(t *testing.T) {
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			s.hostile(t, text, 0)
			s.hostile(t, text, 1)
			s.hostile(t, text[:min(len(text), 2000)], 60)
		})
	}
}

func (s *Suite) hostile(t *testing.T, text string, n int) {
	t.Helper()
	r := s.begin(t)
	for _, typ := range append(append([]semconv.EventType(nil), life...), semconv.EventTypeIncidentStorm, semconv.EventTypeRemediationPaused, semconv.EventTypeDeliveryDestinationDisabled) {
		if n == 0 && typ != semconv.EventTypeIncidentStorm && strings.HasPrefix(string(typ), "io.paramedic.remediation.") {
			continue // they always have a cause
		}
		require.NoError(t, r.attempt(Hostile(typ, text, n)), "%s with %d entries", typ, n)
	}
}

// Fuzz is the body of a driver's fuzz test.
func (s *Suite) Fuzz(f *testing.F) {
	for _, text := range texts {
		if len(text) < 1000 {
			f.Add(text, uint8(1))
		}
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) { s.hostile(t, text, int(n%8)) })
}

func (s *Suite) testFaults(t *testing.T) {
	for _, fault := range Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			for _, typ := range []semconv.EventType{semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentResolved} {
				r := s.begin(t)
				if typ == semconv.EventTypeIncidentResolved {
					require.NoError(t, r.deliver(Message(semconv.EventTypeIncidentOpened)))
				}
				r.server.Fail(&fault)
				if fault.Name == "hangs" {
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					defer cancel()
					m := Message(typ)
					m.Memory = r.memory
					_, err := r.d.Deliver(ctx, m)
					s.judge(t, &fault, err)
					continue
				}
				n := len(r.server.Requests())
				err := r.deliver(Message(typ))
				require.Greater(t, len(r.server.Requests()), n, "%s must be sent", typ)
				s.judge(t, &fault, err)
			}
		})
	}
}

// judge checks what a driver made of a failure.
func (s *Suite) judge(t *testing.T, f *Fault, err error) {
	t.Helper()
	class := f.Class
	if c, ok := s.Except[f.Name]; ok {
		class = c
	}
	var refused *notifier.Refused
	var busy *notifier.Busy
	isRefused, isBusy := errors.As(err, &refused), errors.As(err, &busy)
	switch class {
	case Retried:
		require.Error(t, err)
		assert.False(t, isRefused, "got %v", err)
	case Busy:
		require.True(t, isBusy, "must be busy, got %v", err)
		assert.GreaterOrEqual(t, busy.After, f.After)
	case Refused:
		require.True(t, isRefused, "must be refused, got %v", err)
		assert.False(t, refused.Gone)
	case Gone:
		require.True(t, isRefused && refused.Gone, "must be gone, got %v", err)
	case NotRefused:
		assert.False(t, isRefused, "got %v", err)
	}
	if err == nil {
		return
	}
	text := err.Error()
	assert.Less(t, len(text), 2000, "an error is short")
	assert.NotContains(t, text, "\x1b", "what a system says is hostile")
	for _, secret := range append([]string{Secret}, s.Secrets...) {
		assert.NotContains(t, text, secret)
	}
}

// testCancelled ends with its context.
func (s *Suite) testCancelled(t *testing.T) {
	r := s.begin(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.d.Deliver(ctx, Message(semconv.EventTypeIncidentOpened))
	require.Error(t, err)
	var refused *notifier.Refused
	require.NotErrorAs(t, err, &refused, "to be stopped is no refusal")
}
