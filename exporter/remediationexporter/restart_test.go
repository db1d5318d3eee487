package remediationexporter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/storagetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
)

// again makes a second rig with the same settings and receivers on the given disk.
func again(r *rig, disk *memoryStorage) *rig {
	n := &rig{t: r.t, cfg: r.cfg, host: r.host, hooks: r.hooks, api: r.api, boards: r.boards}
	n.durable(disk)
	return n
}

func TestKilledInTheMiddleOfAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.must(updated("i-1", 2, time.Second))
		killed := r.disk.copy() // nothing is closed: this is all that a killed process leaves
		before := r.hooks["shop"].requests()
		require.Len(t, before, 1)
		r.stop()

		r.hooks["shop"].status(200, "")
		n := again(r, killed)
		n.start()
		n.must(opened("i-1"), updated("i-1", 2, time.Second)) // upstream repeats itself
		synctest.Wait()
		got := r.hooks["shop"].requests()[1:]
		types := r.hooks["shop"].types()[1:]
		assert.Equal(t, []string{"incident.opened.v1", "remediation.started.v1", "incident.updated.v1"}, types, "in order, nothing lost, nothing twice")
		assert.Equal(t, before[0].id(), got[0].id())
		assert.Equal(t, before[0].body, got[0].body)
		n.must(resolved("i-1", 3, time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{"accepted", "succeeded/recovered"}, n.audit())
		n.stop()
		for key := range n.disk.copy().data {
			assert.NotContains(t, key, "event/", "delivered events must not stay")
		}
	})
}

func TestKilledWhileAnActionIsUnderWay(t *testing.T) {
	for name, tc := range map[string]struct {
		down     time.Duration
		attempts int
		want     []string
	}{
		"soon after": {time.Second, 1, []string{"accepted"}},
		"too late":   {10 * time.Minute, 0, []string{"inconclusive/undelivered"}}, // it may have been carried out
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.durable(&memoryStorage{data: map[string][]byte{}})
				r.playbook("restart", "shop", nil)
				r.hooks["shop"].status(503, "")
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				killed := r.disk.copy()
				r.stop()

				time.Sleep(tc.down)
				r.hooks["shop"].status(200, "")
				n := again(r, killed)
				n.start()
				synctest.Wait()
				got := n.hooks["shop"].requests()
				assert.Len(t, got, 1+tc.attempts)
				assert.Equal(t, got[0].id(), got[len(got)-1].id(), "the receiver can tell that it is the same")
				assert.Equal(t, tc.want, n.audit())
				n.stop()
			})
		})
	}
}

func TestCooldownAndBudgetSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.cfg.Budget.MaxActions = 2
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.must(resolved("i-1", 2, time.Second))
		r.stop()
		n := again(r, r.disk)
		n.start()
		n.must(opened("i-2"), on(opened("i-3"), "a"), on(opened("i-4"), "b"))
		synctest.Wait()
		assert.Equal(t, []string{"skipped/cooldown", "started", "skipped/budget", "accepted"}, n.audit())
		assert.Equal(t, int64(4), n.sum("incidents"))
		n.stop()
	})
}

func TestRestartWithStorageExtension(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		id := storagetest.NewFileBackedStorageExtension("test", dir).ID
		r.host.extensions[id] = storagetest.NewFileBackedStorageExtension("test", dir)
		r.cfg.Storage = &id
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.stop()
		r.hooks["shop"].status(200, "")
		n := &rig{t: t, cfg: r.cfg, host: r.host, hooks: r.hooks, api: r.api}
		n.start()
		synctest.Wait()
		got := r.hooks["shop"].requests()
		require.Len(t, got, 2)
		assert.Equal(t, got[0].id(), got[1].id())
		assert.Equal(t, 1, n.logs.FilterMessage("remediation state restored").Len())
		n.stop()
	})
}

func TestBrokenStoredValues(t *testing.T) {
	healthy := func(t *testing.T) *memoryStorage {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1"), opened("i-2"), opened("i-3"))
		synctest.Wait()
		disk := r.disk.copy()
		r.stop()
		return disk
	}
	for name, tc := range map[string]struct {
		key, value string
		delivered  int
		lost       int64
	}{
		"guards":           {"guards", "{", 4, 0},
		"guards version":   {"guards", `{"version":99}`, 4, 0},
		"incident":         {"incident/1", "{", 4, 0},
		"incidents":        {"slots", "-1", 4, 0},
		"queue":            {"queue/shop", "garbage", 1, 0},
		"queue version":    {"queue/shop", `{"version":99}`, 1, 0},
		"queue bounds":     {"queue/shop", `{"version":1,"first":9,"end":3}`, 1, 0},
		"endless queue":    {"queue/shop", `{"version":1,"first":0,"end":18446744073709551615}`, 1, 0},
		"event":            {"event/shop/1", "\x00", 3, 1},
		"incomplete event": {"event/shop/1", "{}", 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := healthy(t)
				require.Contains(t, disk.data, tc.key)
				disk.data[tc.key] = []byte(tc.value)
				r := newRig(t, "shop")
				r.durable(disk)
				r.start()
				synctest.Wait()
				assert.Equal(t, int64(1), r.sum("storage_errors", opDecode))
				assert.Equal(t, tc.lost, r.sum("lost_events", lostUnreadable))
				r.must(opened("i-9"))
				synctest.Wait()
				assert.Len(t, r.hooks["shop"].requests(), tc.delivered)
				final := r.disk
				r.stop()
				n := again(r, final)
				n.start()
				synctest.Wait()
				assert.Equal(t, int64(0), n.sum("storage_errors"), "it is whole again")
				assert.Len(t, n.hooks["shop"].requests(), tc.delivered)
				n.stop()
			})
		})
	}
}

func TestWriteFailureTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.start()
		r.disk.setFail(true)
		err := r.consume(opened("i-1"))
		require.ErrorIs(t, err, errDisk)
		require.False(t, consumererror.IsPermanent(err), "upstream may retry")
		synctest.Wait()
		assert.Empty(t, r.hooks["shop"].requests(), "what is not recorded is not done")
		assert.Empty(t, r.audit())
		assert.Equal(t, int64(0), r.sum("incidents"))
		assert.Equal(t, int64(1), r.sum("storage_errors", opWrite))
		r.disk.setFail(false)
		r.must(opened("i-1"))
		synctest.Wait()
		assert.Len(t, r.hooks["shop"].requests(), 2)
		r.stop()
	})
}

func TestUnreadableStorageFailsTheStart(t *testing.T) {
	r := newRig(t, "a")
	r.durable(&memoryStorage{data: map[string][]byte{"ledger": []byte("precious")}, fail: true})
	exp, err := NewFactory().CreateLogs(t.Context(), metadataSettings(newTelemetry(t)), r.cfg)
	require.NoError(t, err)
	require.EqualError(t, exp.Start(t.Context(), r.host), "read from storage memory/disk: disk is full")
	r.disk.setFail(false)
	require.NoError(t, exp.Shutdown(context.Background()))
	assert.Equal(t, "precious", string(r.disk.data["ledger"]))
}

func TestActionWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].answer = nil
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1")) // the opening is retried, the action waits behind it
		synctest.Wait()
		r.disk.setFail(true)
		r.hooks["shop"].status(200, "")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]))
		r.disk.setFail(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 1)
		r.stop()
	})
}

func TestStorageMisconfigured(t *testing.T) {
	missing := component.MustNewID("missing")
	noStorage := component.MustNewIDWithName("fake", "a")
	for want, id := range map[string]*component.ID{
		"storage: extension missing is not configured":                                             &missing,
		"storage: extension fake/a is a *remediationexporter.receiver and not a storage extension": &noStorage,
	} {
		r := newRig(t, "a")
		r.cfg.Storage = id
		exp, err := NewFactory().CreateLogs(t.Context(), metadataSettings(newTelemetry(t)), r.cfg)
		require.NoError(t, err)
		require.EqualError(t, exp.Start(t.Context(), r.host), want)
		require.NoError(t, exp.Shutdown(context.Background()))
	}
}

// TestActingWithoutStorageIsWarnedOf names the playbooks of which a crash would forget what they have begun.
func TestActingWithoutStorageIsWarnedOf(t *testing.T) {
	for name, tc := range map[string]struct {
		mode    Mode
		modes   map[Criticality]Mode
		durable bool
		want    int
	}{
		"auto":                        {mode: "auto", want: 1},
		"approve":                     {mode: "approve", want: 1},
		"for some":                    {mode: "observe", modes: map[Criticality]Mode{"low": "auto"}, want: 1},
		"never":                       {mode: "suggest", modes: map[Criticality]Mode{"low": "observe"}},
		"auto, and all of it is kept": {mode: "auto", durable: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Mode, p.Modes = tc.mode, tc.modes })
				if tc.durable {
					r.durable(&memoryStorage{data: map[string][]byte{}})
				}
				r.start()
				got := r.logs.FilterMessageSnippet("no storage is configured").All()
				if assert.Len(t, got, tc.want) && tc.want > 0 {
					assert.Equal(t, []any{"restart"}, got[0].ContextMap()["playbooks"])
				}
				r.stop()
			})
		})
	}
}
