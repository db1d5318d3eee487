package remediationexporter

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dead returns the reasons and incidents of the dead letters, as the api lists them.
func (r *rig) dead() (ids, what []string) {
	r.t.Helper()
	a := r.ask("ann", http.MethodGet, "/v1/deadletters", "")
	require.Equal(r.t, http.StatusOK, a.status, a.raw)
	what = []string{}
	for _, v := range a.body["dead_letters"].([]any) {
		l := v.(map[string]any)
		ids = append(ids, l["id"].(string))
		what = append(what, fmt.Sprint(l["reason"], " ", l["incident"]))
	}
	return ids, what
}

func deadRig(t testing.TB) *rig {
	r := newRig(t, "chat")
	r.durable(&memoryStorage{data: map[string][]byte{}})
	r.withAPI(false, func(c *APIConfig) { c.Operators = []string{"ann"} })
	r.hooks["chat"].status(400, "no such channel")
	return r
}

func TestDeadLettersAreReplayedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deadRig(t)
		r.start()
		r.must(opened("i-1"), opened("i-2"), opened("i-3"))
		synctest.Wait()
		first := r.hooks["chat"].requests()
		ids, what := r.dead()
		assert.Equal(t, []string{"refused i-1", "refused i-2", "refused i-3"}, what)
		assert.Equal(t, int64(3), r.sum("dead_letters"))
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		_, what = n.dead()
		assert.Equal(t, []string{"refused i-1", "refused i-2", "refused i-3"}, what, "they survive a restart")
		n.hooks["chat"].status(200, "")
		assert.Equal(t, 403, n.ask("eve", "POST", "/v1/deadletters/replay", `{"webhook": "chat"}`).status)
		for _, body := range []string{`{}`, `{"webhook": "chat", "ids": ["x"]}`, `{"ids": [` + strings.TrimSuffix(strings.Repeat(`"x",`, 201), ",") + `]}`} {
			assert.Equal(t, 400, n.ask("ann", "POST", "/v1/deadletters/replay", body).status)
		}
		assert.Equal(t, 404, n.ask("ann", "POST", "/v1/deadletters/replay", `{"webhook": "none"}`).status)
		a := n.ask("ann", "POST", "/v1/deadletters/replay", fmt.Sprintf(`{"ids": [%q, "none"]}`, ids[1]))
		assert.Equal(t, []any{ids[1]}, a.body["replayed"])
		assert.Equal(t, []any{map[string]any{"id": "none", "reason": "there is no such dead letter"}}, a.body["refused"])
		n.ask("ann", "POST", "/v1/deadletters/replay", `{"webhook": "chat"}`)
		synctest.Wait()
		got := n.hooks["chat"].requests()[3:]
		require.Len(t, got, 3)
		assert.Equal(t, []string{first[1].id(), first[0].id(), first[2].id()}, []string{got[0].id(), got[1].id(), got[2].id()}, "with their old IDs")
		_, what = n.dead()
		assert.Empty(t, what)
		assert.Equal(t, int64(3), n.sum("replayed_events"))
		// Who was told of the opening after all is told of the end.
		n.must(resolved("i-2", 2, time.Minute))
		synctest.Wait()
		assert.Equal(t, "incident.resolved.v1", n.hooks["chat"].types()[6])
		n.stop()
		for key := range n.disk.copy().data {
			assert.False(t, strings.HasPrefix(key, "dead/") && key != "dead/slots", key)
		}
	})
}

// TestOrdersAreNotReplayedBlindly proves that an action whose intent has ended is not asked for again.
func TestOrdersAreNotReplayedBlindly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.hooks["shop"].status(400, "no")
		r.playbook("restart", "shop", nil)
		r.withAPI(false, nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.Len(t, r.hooks["shop"].requests(), 1)
		r.hooks["shop"].status(200, "")
		a := r.ask("ann", "POST", "/v1/deadletters/replay", `{"destination": "shop"}`)
		assert.Empty(t, a.body["replayed"])
		assert.Contains(t, a.raw, "its intent has ended: the action is no longer wanted")
		synctest.Wait()
		assert.Len(t, r.hooks["shop"].requests(), 1, "no call was made")
		ids, _ := r.dead()
		assert.Len(t, ids, 1, "it stays where it can be looked at")
		r.stop()
	})
}

func TestDeadLettersByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deadRig(t)
		r.cfg.RetryConfig.MaxElapsedTime = 2 * time.Second
		r.hooks["chat"].status(503, "")
		r.start()
		r.must(opened("i-1"))
		time.Sleep(time.Minute)
		r.hooks["chat"].status(410, "")
		r.must(opened("i-2"))
		synctest.Wait()
		r.must(opened("i-3"))
		_, what := r.dead()
		assert.Equal(t, []string{"exhausted i-1", "refused i-2", "disabled i-3"}, what)
		a := r.ask("ann", "POST", "/v1/deadletters/replay", `{"webhook": "chat"}`)
		assert.Contains(t, a.raw, "its destination is gone until a restart")
		r.stop()
	})
}

func TestDeadLettersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deadRig(t)
		r.cfg.DeadLetters = DeadLettersConfig{MaxEvents: 2, MaxAge: time.Hour}
		r.start()
		r.must(opened("i-1"), opened("i-2"), opened("i-3"))
		synctest.Wait()
		_, what := r.dead()
		assert.Equal(t, []string{"refused i-2", "refused i-3"}, what)
		assert.Equal(t, int64(1), r.sum("dropped_dead_letters", droppedFull))
		time.Sleep(time.Hour + time.Second)
		_, what = r.dead()
		assert.Empty(t, what)
		assert.Equal(t, int64(2), r.sum("dropped_dead_letters", droppedOld))
		r.stop()

		off := deadRig(t)
		off.cfg.DeadLetters.MaxEvents = 0
		off.start()
		off.must(opened("i-1"))
		synctest.Wait()
		_, what = off.dead()
		assert.Empty(t, what)
		off.stop()
	})
}

// TestReplayThatCannotBeStored leaves the letters where they were.
func TestReplayThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deadRig(t)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.disk.setFail(true)
		assert.Equal(t, 503, r.ask("ann", "POST", "/v1/deadletters/replay", `{"webhook": "chat"}`).status)
		r.disk.setFail(false)
		ids, _ := r.dead()
		assert.Len(t, ids, 1)
		synctest.Wait()
		assert.Len(t, r.hooks["chat"].requests(), 1)
		r.stop()
	})
}

func TestDeadLettersConfig(t *testing.T) {
	c := DeadLettersConfig{MaxEvents: -1}
	err := c.Validate()
	require.ErrorContains(t, err, "max_events must be between 0 and 10000, got -1; it bounds memory, and 0 keeps none")
	require.ErrorContains(t, err, "max_age must be between 1m and 2160h, got 0s")
	h := defaultWebhook()
	h.MaxEventsPerMinute = -1
	require.ErrorContains(t, h.Validate(), "max_events_per_minute must be between 0 and 100000, got -1; 0 is no limit")
}

// TestDeadLettersAreToldOfOnceAnHour tells a webhook with the default events that another refuses what it gets, without a message for each
// event, and nothing about itself.
func TestDeadLettersAreToldOfOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "duty", "ops")
		r.editHook("duty", func(h *WebhookConfig) { h.Events = []Event{"incident.opened", "delivery.dead_lettered"} })
		r.editHook("ops", func(h *WebhookConfig) { h.Events = defaultWebhook().Events[3:] })
		r.hooks["duty"].status(401, "wrong key")
		r.start()
		for i := range 30 {
			r.must(opened(fmt.Sprint("i-", i)))
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		assert.Equal(t, []string{"delivery.dead_lettered.v1"}, r.hooks["ops"].types())
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"delivery.dead_lettered.v1", "delivery.dead_lettered.v1"}, r.hooks["ops"].types())
		for i, want := range []any{nil, 28.0} {
			d := r.hooks["ops"].requests()[i].event["data"].(map[string]any)["delivery"].(map[string]any)
			assert.Equal(t, "duty", d["destination"])
			assert.Equal(t, want, d["more"])
		}
		time.Sleep(24 * time.Hour)
		assert.Len(t, r.hooks["ops"].types(), 2, "and nothing when there is nothing new")
		assert.Equal(t, int64(30), r.sum("lost_events", lostRefused, "duty"))
		assert.Equal(t, int64(30), r.sum("delivery_attempts", resultPermanent, "duty"))
		assert.Equal(t, int64(2), r.sum("delivered_events", "ops"))
		assert.Zero(t, r.sum("delivered_events", "duty"))
		r.stop()
	})
}

// TestDestinationByBothNames asks for the dead letters of a notifier under the name of today and under that of old.
func TestDestinationByBothNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deadRig(t)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		for _, query := range []string{"destination=chat", "webhook=chat"} {
			letters := r.ask("ann", "GET", "/v1/deadletters?"+query, "").body["dead_letters"].([]any)
			require.Len(t, letters, 1, query)
			assert.Equal(t, "chat", letters[0].(map[string]any)["destination"])
			assert.Equal(t, "chat", letters[0].(map[string]any)["webhook"])
		}
		assert.Empty(t, r.ask("ann", "GET", "/v1/deadletters?destination=x", "").body["dead_letters"])
		assert.Equal(t, 400, r.ask("ann", "GET", "/v1/deadletters?destination=chat&webhook=chat", "").status)
		assert.Equal(t, 400, r.ask("ann", "POST", "/v1/deadletters/replay", `{"destination": "chat", "webhook": "chat"}`).status)
		status := r.ask("ann", "GET", "/v1/status", "").body
		assert.Equal(t, []any{map[string]any{"name": "chat", "queued": 0.0}}, status["destinations"])
		assert.Equal(t, status["destinations"], status["webhooks"])
		r.stop()
	})
}
