package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configretry"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// board is an outside system with a driver: it opens a ticket for each incident, by the number that the driver remembers.
type board struct {
	mu       sync.Mutex
	got      []notifier.Message
	tickets  map[string]string
	answer   func(m *notifier.Message) error
	repeat   func(m *notifier.Message) time.Duration
	answered time.Duration
}

func newBoard() *board { return &board{tickets: map[string]string{}} }

// say makes the board answer.
func (b *board) say(answer func(*notifier.Message) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *board) Deliver(_ context.Context, m *notifier.Message) (notifier.Memory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := *m
	got.Memory = maps.Clone(m.Memory)
	b.got = append(b.got, got)
	time.Sleep(b.answered)
	if b.answer != nil {
		if err := b.answer(m); err != nil {
			return nil, err
		}
	}
	if m.Key == "" {
		return nil, nil
	}
	number := m.Memory["ticket"]
	if number == "" {
		number = fmt.Sprint("T", len(b.tickets)+1)
		b.tickets[number] = m.Key
	}
	return notifier.Memory{"ticket": number}, nil
}

// repeater is a board that must be told again.
type repeater struct{ *board }

func (r repeater) Repeat(m *notifier.Message) time.Duration { return r.repeat(m) }

func (b *board) messages() []notifier.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// said is what the board got, as type, incident and ticket.
func (b *board) said() []string {
	out := []string{}
	for _, m := range b.messages() {
		id := ""
		if m.Incident != nil {
			id = m.Incident.ID
		}
		out = append(out, strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(string(m.Type), "io.paramedic."), ".v1")+" "+id+" "+m.Memory["ticket"]))
	}
	return out
}

// withBoard replaces the driver of a webhook. It must be called before start.
func (r *rig) withBoard(name string, d notifier.Destination) {
	if r.boards == nil {
		r.boards = map[string]notifier.Destination{}
	}
	r.boards[name] = d
}

func onlyIncidents(h *WebhookConfig) {
	h.Events = []Event{"incident.opened", "incident.updated", "incident.resolved"}
}

func boardRig(t testing.TB, d notifier.Destination) *rig {
	r := newRig(t, "board")
	r.editHook("board", onlyIncidents)
	r.durable(&memoryStorage{data: map[string][]byte{}})
	r.withBoard("board", d)
	return r
}

// TestMemoryIsKept gives back what a driver remembers of an incident, also over a kill, and forgets it when the incident comes back.
func TestMemoryIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		r := boardRig(t, b)
		r.cfg.Cluster = "prod-eu"
		r.start()
		r.must(owned(opened("i-1"), map[string]string{"team": "payments", semconv.AttrK8sClusterName: "x"}), opened("i-2"))
		synctest.Wait()
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		n.must(updated("i-1", 2, time.Second), resolved("i-1", 3, time.Minute))
		back := opened("i-1")
		back.Incident.Revision, back.Incident.Reopened, back.Time = 4, 1, t0.Add(2*time.Minute)
		n.must(back, resolved("i-1", 5, 3*time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{
			"incident.opened i-1", "incident.opened i-2", "incident.updated i-1 T1", "incident.resolved i-1 T1", "incident.opened i-1", "incident.resolved i-1 T3",
		}, b.said())
		got := b.messages()
		assert.Equal(t, notifier.Key("prod-eu", "i-1"), got[0].Key)
		assert.Equal(t, "prod-eu", got[0].Cluster)
		assert.Equal(t, "payments", got[2].Owner)
		assert.Equal(t, []int{1, 1, 1, 1, 2, 2}, []int{got[0].Occurrence, got[1].Occurrence, got[2].Occurrence, got[3].Occurrence, got[4].Occurrence, got[5].Occurrence})
		// It is gone with the incident.
		time.Sleep(25 * time.Hour)
		for key, value := range n.disk.copy().data {
			assert.NotContains(t, string(value), "T1", key)
		}
		n.stop()
	})
}

func TestMemoryIsBounded(t *testing.T) {
	m := notifier.Memory{"long": strings.Repeat("x", 2000)}
	for i := range 20 {
		m[fmt.Sprint(i)] = "v"
	}
	kept, whole := bounded(m)
	assert.False(t, whole)
	assert.Len(t, kept, maxMemory)
	assert.NotContains(t, kept, "long")
}

// TestOneIncidentHoldsUpNoOther has the delivery of one incident fail for a day.
func TestOneIncidentHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		b.say(func(m *notifier.Message) error {
			if m.Incident.ID == "poison" {
				return errors.New("the connection was cut")
			}
			return nil
		})
		r := boardRig(t, b)
		r.cfg.RetryConfig.MaxElapsedTime = 6 * time.Hour
		r.start()
		r.must(opened("poison"), updated("poison", 2, time.Second))
		synctest.Wait()
		start := time.Now()
		var late time.Duration
		for i := range 45 {
			r.must(opened(fmt.Sprint("i-", i)))
			sent := time.Now()
			for !slices.Contains(b.said(), fmt.Sprint("incident.opened i-", i)) {
				time.Sleep(time.Second)
			}
			late = max(late, time.Since(sent))
			time.Sleep(5 * time.Minute)
		}
		assert.LessOrEqual(t, late, maxPause+time.Second)
		attempts := []time.Duration{}
		for _, m := range b.messages() {
			if m.Incident.ID == "poison" {
				attempts = append(attempts, m.Now.Sub(start).Round(time.Second))
				assert.Equal(t, semconv.EventTypeIncidentOpened, m.Type, "its events stay in their order")
			}
		}
		want := []time.Duration{0, time.Second, 5 * time.Second, 21 * time.Second, 85 * time.Second, 341 * time.Second, 1365 * time.Second}
		assert.Equal(t, want, attempts[:7])
		assert.Equal(t, time.Hour, attempts[9]-attempts[8])
		time.Sleep(r.cfg.RetryConfig.MaxElapsedTime)
		synctest.Wait()
		assert.Contains(t, b.said(), "incident.updated poison", "then the next gets its turn")
		assert.Equal(t, int64(1), r.sum("lost_events", lostExhausted))
		killed := r.disk.copy()
		r.stop()
		items := 0
		for key := range killed.data {
			if strings.HasPrefix(key, "event/board/") {
				items++
			}
		}
		assert.LessOrEqual(t, items, 1, "nothing else is left behind")
	})
}

// TestRetryOfANotifier has settings of its own.
func TestRetryOfANotifier(t *testing.T) {
	c := defaultRetry()
	c.RandomizationFactor = 0
	for failures, want := range []time.Duration{0, time.Second, 4 * time.Second, 16 * time.Second, 64 * time.Second, 256 * time.Second, 1024 * time.Second, time.Hour, time.Hour} {
		if failures > 0 {
			assert.Equal(t, want, backoff(&c, failures, 0.3))
		}
	}
	c.RandomizationFactor = 1
	assert.Zero(t, backoff(&c, 1, 0))
	assert.Equal(t, time.Second, backoff(&c, 1, 0.5))
	assert.Less(t, backoff(&c, 1, 0.999), 2*time.Second)
	assert.LessOrEqual(t, backoff(&configretry.BackOffConfig{InitialInterval: time.Hour, Multiplier: 1000}, 100, 0.5), 24*time.Hour)
}

// TestBusyHoldsTheWholeDestination honours what a system asks for, for all incidents.
func TestBusyHoldsTheWholeDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		first := true
		b.say(func(*notifier.Message) error {
			if first {
				first = false
				return &notifier.Busy{Status: 429, Reason: "slow down", After: 5 * time.Minute}
			}
			return nil
		})
		r := boardRig(t, b)
		r.start()
		r.must(opened("i-1"), opened("i-2"))
		time.Sleep(5*time.Minute - time.Second)
		assert.Len(t, b.said(), 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened i-1", "incident.opened i-2", "incident.opened i-1"}, b.said())
		r.stop()
	})
}

// TestResolveOnlyAfterADeliveredOpen gives up the beginning in every way, and kills the process in between.
func TestResolveOnlyAfterADeliveredOpen(t *testing.T) {
	refuse := func(typ semconv.EventType) func(*notifier.Message) error {
		return func(m *notifier.Message) error {
			if m.Type == typ {
				return &notifier.Refused{Status: 400, Reason: "no"}
			}
			return nil
		}
	}
	for name, tc := range map[string]struct {
		answer func(*notifier.Message) error
		events []semconv.IncidentEvent
		kill   bool
		want   []string
	}{
		"delivered":                {nil, []semconv.IncidentEvent{opened("i-1"), resolved("i-1", 2, time.Minute)}, false, []string{"incident.opened i-1", "incident.resolved i-1 T1"}},
		"refused":                  {refuse(semconv.EventTypeIncidentOpened), []semconv.IncidentEvent{opened("i-1"), resolved("i-1", 2, time.Minute)}, false, []string{"incident.opened i-1"}},
		"refused, then killed":     {refuse(semconv.EventTypeIncidentOpened), []semconv.IncidentEvent{opened("i-1"), resolved("i-1", 2, time.Minute)}, true, []string{"incident.opened i-1"}},
		"delivered, then killed":   {nil, []semconv.IncidentEvent{opened("i-1"), resolved("i-1", 2, time.Minute)}, true, []string{"incident.opened i-1", "incident.resolved i-1 T1"}},
		"only an update got there": {refuse(semconv.EventTypeIncidentOpened), []semconv.IncidentEvent{opened("i-1"), updated("i-1", 2, time.Second), resolved("i-1", 3, time.Minute)}, false, []string{"incident.opened i-1", "incident.updated i-1", "incident.resolved i-1 T1"}},
		"the same, killed midway":  {refuse(semconv.EventTypeIncidentOpened), []semconv.IncidentEvent{opened("i-1"), updated("i-1", 2, time.Second), resolved("i-1", 3, time.Minute)}, true, []string{"incident.opened i-1", "incident.updated i-1", "incident.resolved i-1 T1"}},
		"neither got there":        {func(m *notifier.Message) error { return &notifier.Refused{Status: 400} }, []semconv.IncidentEvent{opened("i-1"), updated("i-1", 2, time.Second), resolved("i-1", 3, time.Minute)}, false, []string{"incident.opened i-1", "incident.updated i-1"}},
		"the end comes back in vain": {refuse(semconv.EventTypeIncidentOpened), []semconv.IncidentEvent{opened("i-1"), resolved("i-1", 2, time.Minute), func() semconv.IncidentEvent {
			e := opened("i-1")
			e.Incident.Revision, e.Incident.Reopened, e.Time = 3, 1, t0.Add(2*time.Minute)
			return e
		}(), resolved("i-1", 4, 3*time.Minute)}, false, []string{"incident.opened i-1", "incident.opened i-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBoard()
				b.say(tc.answer)
				r := boardRig(t, b)
				r.start()
				for i, ev := range tc.events {
					if tc.kill && i == len(tc.events)-1 {
						synctest.Wait()
						killed := r.disk.copy()
						r.stop()
						r = again(r, killed)
						r.start()
					}
					r.must(ev)
				}
				synctest.Wait()
				assert.Equal(t, tc.want, b.said())
				r.stop()
			})
		})
	}
}

// TestReplayedOpenComesBeforeTheEnd has the end wait in the queue while somebody replays the beginning.
func TestReplayedOpenIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		b.say(func(*notifier.Message) error { return &notifier.Refused{Status: 400} })
		r := boardRig(t, b)
		r.withAPI(false, func(c *APIConfig) { c.Operators = []string{"ann"} })
		r.start()
		r.must(opened("i-1"), resolved("i-1", 2, time.Minute))
		synctest.Wait()
		b.say(nil)
		a := r.ask("ann", http.MethodPost, "/v1/deadletters/replay", `{"webhook": "board"}`)
		assert.Contains(t, a.raw, "its incident is over, and nobody would tell its end after it")
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened i-1"}, b.said())
		r.stop()
	})
}

// TestRepeater tells of an incident as long as it goes on, and for five minutes of its end, also after a kill.
func TestRepeater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		b.repeat = func(m *notifier.Message) time.Duration {
			if at := m.Incident.ResolvedAt; at != nil && m.Now.Sub(m.Time) > 5*time.Minute {
				return 0
			}
			return time.Minute
		}
		r := boardRig(t, repeater{b})
		r.start()
		now := time.Now()
		shift := func(e semconv.IncidentEvent, at time.Time) semconv.IncidentEvent {
			e.Time = at
			return e
		}
		r.must(shift(opened("i-1"), now))
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		assert.Len(t, b.said(), 4)
		assert.Equal(t, "incident.opened i-1 T1", b.said()[3])
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		synctest.Wait()
		assert.Len(t, b.said(), 5, "a restart tells at once")
		n.must(shift(updated("i-1", 2, 0), time.Now()))
		time.Sleep(61 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"incident.updated i-1 T1", "incident.updated i-1 T1"}, b.said()[5:], "the newest event is repeated")
		failing := 0
		b.say(func(*notifier.Message) error {
			if failing++; failing < 3 {
				return errors.New("away")
			}
			return nil
		})
		time.Sleep(10 * time.Minute)
		n.must(shift(resolved("i-1", 3, 0), time.Now()))
		time.Sleep(time.Hour)
		synctest.Wait()
		ends := 0
		for _, s := range b.said() {
			if s == "incident.resolved i-1 T1" {
				ends++
			}
		}
		assert.Equal(t, 7, ends, "its end, six times more within five minutes")
		assert.Positive(t, n.sum("repeated_events"))
		left := n.disk.copy()
		for key := range left.data {
			assert.False(t, strings.HasPrefix(key, "repeat/board/") && key != "repeat/board/slots", key)
		}
		n.stop()
	})
}

// TestGoneIsToldToTheOthers has one destination say that it takes nothing any more.
func TestGoneIsToldToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.editHook("b", func(h *WebhookConfig) {
			h.Events = []Event{"delivery.destination_disabled", "delivery.dead_lettered"}
			h.MaxEventsPerMinute = 1
		})
		r.editHook("a", onlyIncidents)
		r.hooks["a"].answer = func(n int, _ request) (int, http.Header, string, error) {
			return []int{400, 410}[min(n-1, 1)], http.Header{}, "bye", nil
		}
		r.start()
		r.must(opened("i-1"), opened("i-2"), opened("i-3"))
		synctest.Wait()
		assert.Equal(t, []string{"delivery.dead_lettered.v1", "delivery.destination_disabled.v1"}, r.hooks["b"].types()[:2])
		data := r.hooks["b"].requests()[1].event["data"].(map[string]any)["delivery"].(map[string]any)
		assert.Equal(t, "a", data["destination"])
		assert.InDelta(t, 1, data["dropped"], 0)
		assert.Contains(t, data["detail"], `answered 410: "bye"`)
		r.stop()
	})
}

// testLinks makes links like a store does.
type testLinks struct{ asked []string }

func (l *testLinks) Incident(id string) string {
	return "https://paramedic.example.com/incidents/" + id
}

func (l *testLinks) Decide(intent, digest, destination string, _ time.Time) (approve, deny string) {
	l.asked = append(l.asked, destination)
	return "https://paramedic.example.com/approve?t0ken=" + intent + digest, "https://paramedic.example.com/deny?t0ken=" + intent
}

var _ incidentstore.Links = (*testLinks)(nil)

// TestLinksAreNeitherStoredNorLogged gives each attempt its links.
func TestLinksAreNeitherStoredNorLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		r := boardRig(t, b)
		r.editHook("board", func(h *WebhookConfig) { h.Events = []Event{"incident.opened", "remediation.approval_requested"} })
		r.playbook("ask", "board", func(p *PlaybookConfig) { p.Mode = "approve" })
		r.start()
		l := &testLinks{}
		e := r.exporter()
		e.mu.Lock()
		e.links = l
		e.mu.Unlock()
		b.say(func(m *notifier.Message) error {
			if len(b.got) < 4 {
				return fmt.Errorf("could not reach %s", "the board")
			}
			return nil
		})
		r.must(opened("i-1"))
		time.Sleep(time.Minute)
		synctest.Wait()
		var asked *notifier.Message
		for _, m := range b.messages() {
			assert.Equal(t, "https://paramedic.example.com/incidents/i-1", m.Links.Incident)
			if m.Type == semconv.EventTypeRemediationApprovalRequested {
				asked = &m
			}
		}
		require.NotNil(t, asked)
		assert.Contains(t, asked.Links.Approve, "t0ken=")
		assert.Equal(t, "board", l.asked[0])
		for key, value := range r.disk.copy().data {
			assert.NotContains(t, string(value), "t0ken", key)
		}
		for _, line := range r.logs.All() {
			assert.NotContains(t, fmt.Sprint(line.Message, line.ContextMap()), "t0ken")
		}
		r.stop()
	})
}

// TestSparseQueueIsNumberedAnew lets one event stay behind while many pass it.
func TestSparseQueueIsNumberedAnew(t *testing.T) {
	box := outbox{name: "a"}
	stored := map[string]bool{}
	for i := range 10_000 {
		stored[box.push(delivery{ID: fmt.Sprint(i), Type: "t", Incident: fmt.Sprint(i), Body: []byte("{}")}).Key] = true
		if i == 0 {
			continue
		}
		for _, op := range box.remove(box.items[len(box.items)-1]) {
			if op.Value == nil {
				delete(stored, op.Key)
			} else {
				stored[op.Key] = true
			}
		}
		require.LessOrEqual(t, box.end-box.first, uint64(minSpan+1))
	}
	require.Len(t, box.items, 1)
	assert.Equal(t, "0", box.items[0].ID)
	assert.Equal(t, map[string]bool{box.itemKey(box.items[0].number): true}, stored)
	assert.Nil(t, box.remove(&queued{number: 3}), "what is gone is gone")
}
