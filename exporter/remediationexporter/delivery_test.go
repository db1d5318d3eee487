package remediationexporter

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configopaque"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestDeliversIncidentEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.editHook("a", func(h *WebhookConfig) { h.Secrets = []configopaque.String{secretA, secretB} })
		r.start()
		r.must(opened("i-1"), updated("i-1", 2, time.Minute), resolved("i-1", 3, 2*time.Minute))
		synctest.Wait()
		got := r.hooks["a"].requests()
		require.Equal(t, []string{"incident.opened.v1", "incident.updated.v1", "incident.resolved.v1"}, r.hooks["a"].types())
		for _, q := range got {
			assert.Equal(t, "application/cloudevents+json; charset=UTF-8", q.header.Get("Content-Type"))
			assert.Equal(t, q.id(), q.event["id"])
			assert.Equal(t, "946684800", q.header.Get("webhook-timestamp"))
			checkSignature(t, q, secretA, secretB)
		}
		golden(t, "incident_opened.json", got[0].body)
		assert.Equal(t, int64(3), r.sum("delivered_events"))
		assert.Equal(t, int64(3), r.sum("delivery_attempts", "success"))
		assert.Equal(t, int64(3), r.sum("received_records"))
		assert.Equal(t, int64(1), r.sum("incidents"))
		assert.Equal(t, int64(1000), r.sum("incidents_limit"))
		assert.Equal(t, int64(0), r.sum("queued_events"))
		assert.Equal(t, int64(1), r.sum("decision_duration"))
		r.stop()
	})
}

// golden compares with a file of indented JSON.
func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		var v any
		require.NoError(t, json.Unmarshal(body, &v))
		b, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(body))
}

func TestRetryKeepsIDAndHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.hooks["a"].answer = func(n int, _ request) (int, http.Header, string, error) {
			switch n {
			case 1:
				return 0, nil, "", os.ErrDeadlineExceeded
			case 2:
				return 429, http.Header{"Retry-After": []string{"120"}}, "slow down", nil
			case 3:
				return 503, http.Header{"Retry-After": []string{time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)}}, "", nil
			case 4:
				return 408, http.Header{}, "", nil
			case 5:
				return 425, http.Header{}, "", nil
			default:
				return 200, http.Header{}, "", nil
			}
		}
		r.start()
		r.must(opened("i-1"))
		time.Sleep(time.Hour)
		synctest.Wait()
		got := r.hooks["a"].requests()
		require.Len(t, got, 6)
		var waits []time.Duration
		for i, q := range got {
			assert.Equal(t, got[0].id(), q.id())
			assert.Equal(t, got[0].body, q.body)
			checkSignature(t, q, secretA)
			if i > 0 {
				waits = append(waits, q.at.Sub(got[i-1].at))
			}
		}
		assert.Equal(t, []time.Duration{time.Second, 2 * time.Minute, 10 * time.Minute, 64 * time.Second, 256 * time.Second}, waits)
		assert.NotEqual(t, got[0].header.Get("webhook-timestamp"), got[5].header.Get("webhook-timestamp"))
		assert.Equal(t, int64(5), r.sum("delivery_attempts", "retryable"))
		assert.Equal(t, int64(1), r.sum("delivered_events"))
		r.stop()
	})
}

func TestFailingWebhookBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.cfg.RetryConfig.MaxElapsedTime = time.Hour
		r.hooks["a"].status(500, "broken")
		r.start()
		r.must(opened("i-1"), resolved("i-1", 2, time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened.v1", "incident.resolved.v1"}, r.hooks["b"].types())
		assert.Equal(t, int64(2), r.sum("queued_events"))
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		for _, typ := range r.hooks["a"].types() {
			assert.Equal(t, "incident.opened.v1", typ, "the end must not be told to who never heard of the beginning")
		}
		assert.Equal(t, int64(1), r.sum("lost_events", lostExhausted))
		assert.Equal(t, int64(1), r.sum("lost_events", lostUnopened))
		assert.Equal(t, int64(0), r.sum("queued_events"))
		assert.NotEqual(t, r.hooks["a"].requests()[0].id(), r.hooks["b"].requests()[0].id())
		r.stop()
	})
}

func TestPermanentAnswerIsDeadLettered(t *testing.T) {
	for name, status := range map[string]int{"bad request": 400, "unsupported": 415, "redirect": 302} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "a")
				r.hooks["a"].answer = func(n int, _ request) (int, http.Header, string, error) {
					if n == 1 {
						return status, http.Header{"Location": []string{"https://elsewhere.example.com/"}}, "no \n" + strings.Repeat("x", 9000), nil
					}
					return 200, http.Header{}, "", nil
				}
				r.start()
				r.must(opened("i-1"), opened("i-2"))
				synctest.Wait()
				require.Len(t, r.hooks["a"].requests(), 2, "one attempt each, no redirect followed")
				assert.Equal(t, int64(1), r.sum("lost_events", lostRefused))
				assert.Equal(t, int64(1), r.sum("delivery_attempts", "permanent"))
				failure := r.logs.FilterMessage("event could not be delivered").All()
				require.Len(t, failure, 1)
				text := failure[0].ContextMap()["error"].(string)
				assert.Contains(t, text, `no \nxxx`)
				assert.Less(t, len(text), 400)
				r.stop()
			})
		})
	}
}

func TestGoneDisablesTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.playbook("restart", "a", nil)
		r.hooks["a"].status(410, "bye")
		r.start()
		r.must(opened("i-1"), updated("i-1", 2, time.Second))
		synctest.Wait()
		r.must(on(opened("i-2"), "shop/cart"))
		synctest.Wait()
		assert.Len(t, r.hooks["a"].requests(), 1)
		assert.Equal(t, int64(1), r.sum("disabled_webhooks"))
		assert.Equal(t, int64(1), r.sum("lost_events", lostRefused))
		assert.Equal(t, 1, r.logs.FilterMessage("destination is gone and gets nothing more until a restart").Len())
		assert.Equal(t, []string{"started", "failed/refused", "skipped/endpoint"}, r.audit())
		require.Len(t, r.statuses(), 1)
		assert.Equal(t, componentstatus.StatusRecoverableError, r.statuses()[0].Status())
		require.ErrorIs(t, r.statuses()[0].Err(), errGone)
		r.stop()
	})
}

func TestEventsFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.editHook("a", func(h *WebhookConfig) { h.Events = []Event{"incident.resolved"} })
		r.editHook("b", func(h *WebhookConfig) { h.Events = nil })
		r.start()
		r.must(opened("i-1"), updated("i-1", 2, time.Second), resolved("i-1", 3, time.Second))
		synctest.Wait()
		assert.Equal(t, []string{"incident.resolved.v1"}, r.hooks["a"].types())
		assert.Empty(t, r.hooks["b"].types())
		r.stop()
	})
}

func TestQueueSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.cfg.QueueSize = 2
		r.hooks["a"].status(500, "")
		r.start()
		r.must(opened("i-1"), opened("i-2"), opened("i-3"))
		assert.Equal(t, int64(2), r.sum("queued_events"))
		assert.Equal(t, int64(1), r.sum("lost_events", lostQueueFull))
		r.hooks["a"].status(200, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		r.must(resolved("i-3", 2, time.Minute))
		synctest.Wait()
		assert.Equal(t, int64(1), r.sum("lost_events", lostUnopened))
		r.stop()
	})
}

func TestShutdownWithoutStorageSendsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		first := true
		r.hooks["a"].answer = func(int, request) (int, http.Header, string, error) {
			if first {
				first = false
				return 503, http.Header{}, "", nil
			}
			return 200, http.Header{}, "", nil
		}
		r.start()
		r.must(opened("i-1"), opened("i-2"), opened("i-3"))
		synctest.Wait()
		r.stop()
		assert.Len(t, r.hooks["a"].requests(), 4, "what failed once gets its last attempt, too")
		assert.Equal(t, r.hooks["a"].requests()[0].id(), r.hooks["a"].requests()[3].id(), "after the others")
	})
}

func TestShutdownWithoutStorageGivesUpOnADeadWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.hooks["a"].status(503, "")
		r.start()
		for i := range 100 {
			r.must(opened(fmt.Sprintf("i-%d", i)))
		}
		synctest.Wait()
		require.NoError(t, r.exp.Shutdown(context.Background()))
		assert.Len(t, r.hooks["a"].requests(), 2)
		assert.Equal(t, int64(100), r.sum("lost_events", lostExhausted), "what is lost is counted")
		require.NoError(t, r.exp.Shutdown(context.Background()))
		require.NoError(t, r.tel.Shutdown(context.Background()))
	})
}

// TestNewsAfterAWorkerHasStoppedIsCounted has one webhook refuse an action after the other has nothing left to do.
func TestNewsAfterAWorkerHasStoppedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].answer = func(int, request) (int, http.Header, string, error) {
			time.Sleep(time.Second)
			return 400, http.Header{}, "", nil
		}
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.NoError(t, r.exp.Shutdown(context.Background()))
		assert.Equal(t, []string{"started", "failed/refused"}, r.audit())
		assert.Equal(t, int64(3), r.sum("lost_events", lostExhausted), "that it failed, that a person is needed, and that it is a dead letter")
		require.NoError(t, r.tel.Shutdown(context.Background()))
	})
}

func TestSecretsAppearNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.playbook("restart", "a", nil)
		r.hooks["a"].answer = func(n int, _ request) (int, http.Header, string, error) {
			switch n {
			case 1:
				return 0, nil, "", os.ErrDeadlineExceeded
			case 2:
				return 500, http.Header{}, "", nil
			default:
				return 400, http.Header{}, "", nil
			}
		}
		r.editHook("a", func(h *WebhookConfig) {
			h.Headers = configopaque.MapList{{Name: "Authorization", Value: "Bearer hunter2"}}
		})
		r.start()
		r.must(opened("i-1"))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, "Bearer hunter2", r.hooks["a"].requests()[0].header.Get("Authorization"))
		r.stop()
		require.NotEmpty(t, r.logs.All())
		for _, l := range r.logs.All() {
			b, err := json.Marshal(l.ContextMap())
			require.NoError(t, err)
			for _, secret := range []string{"hunter2", strings.TrimPrefix(string(secretA), "whsec_"), "tok3n"} {
				assert.NotContains(t, l.Message+string(b), secret)
			}
		}
	})
}
