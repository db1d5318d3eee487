package remediationexporter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

// FuzzConsume starts the exporter, gives it any OTLP, and checks that every record and every event is accounted for.
func FuzzConsume(f *testing.F) {
	marshal := plog.ProtoMarshaler{}
	seed := func(ld plog.Logs) {
		b, err := marshal.MarshalLogs(ld)
		require.NoError(f, err)
		f.Add(b, false)
		f.Add(b, true)
	}
	seed(logsOf(opened("i-1"), updated("i-1", 2, time.Second), resolved("i-1", 3, time.Minute), opened("i-2")))
	seed(logsOf(on(opened("i-1"), "$(reboot)"), opened("../x")))
	seed(plog.NewLogs())
	f.Fuzz(func(t *testing.T, b []byte, failing bool) {
		unmarshal := plog.ProtoUnmarshaler{}
		ld, err := unmarshal.UnmarshalLogs(b)
		if err != nil {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, "a", "b")
			r.cfg.MaxBodySize = minBodySize
			r.playbook("restart", "a", func(p *PlaybookConfig) { p.When = []string{"true"} })
			if failing {
				r.hooks["a"].status(400, "no")
			}
			r.start()
			_ = r.exp.ConsumeLogs(context.Background(), ld)
			time.Sleep(5 * time.Minute)
			synctest.Wait()

			assert.Equal(t, int64(ld.LogRecordCount()), r.sum("received_records"))
			assert.Equal(t, int64(0), r.sum("queued_events"))
			requests := r.hooks["a"].requests()
			assert.Equal(t, int64(len(requests)+len(r.hooks["b"].requests())), r.sum("delivery_attempts"))
			ids := map[string]bool{}
			for _, q := range append(requests, r.hooks["b"].requests()...) {
				assert.LessOrEqual(t, len(q.body), minBodySize)
				assert.False(t, ids[q.id()], "an event is sent once to each webhook")
				ids[q.id()] = true
			}
			assert.Equal(t, r.sum("actions", "started"), r.sum("actions", "succeeded")+r.sum("actions", "failed")+
				r.sum("actions", "inconclusive")+r.sum("skipped_actions", "stale"), "every action ends")
			taken := r.sum("received_records") - r.sum("ignored_records") - r.sum("refused_records") -
				r.sum("approvals") - r.sum("refused_approvals")
			if r.sum("lost_events") == 0 {
				told := 0
				for _, q := range r.hooks["b"].requests() {
					if _, ok := q.event["data"].(map[string]any)["remediation"]; !ok {
						told++
					}
				}
				assert.Equal(t, taken, int64(told))
			}
			r.stop()
		})
	})
}

// FuzzDecodeDelivery reads what storage may hold.
func FuzzDecodeDelivery(f *testing.F) {
	f.Add([]byte(`{"version":1,"first":0,"end":2}`), []byte(`{"id":"a","type":"t","body":"e30="}`))
	f.Fuzz(func(t *testing.T, bounds, item []byte) {
		box := outbox{name: "a"}
		ops, err := box.loadOps(bounds, 1000)
		if err == nil {
			require.LessOrEqual(t, len(ops), 1000)
		}
		if d, err := decodeDelivery(item); err == nil {
			require.NotEmpty(t, d.Body)
			require.NotEmpty(t, d.ID)
		}
	})
}

// TestOtherRecordsCostNothing keeps ordinary logs in the same pipeline cheap.
func TestOtherRecordsCostNothing(t *testing.T) {
	r := newRig(t, "a")
	r.playbook("restart", "a", nil)
	exp, err := NewFactory().CreateLogs(t.Context(), metadataSettings(newTelemetry(t)), r.cfg)
	require.NoError(t, err)
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range 1000 {
		records.AppendEmpty().Body().SetStr("GET / 200")
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = exp.ConsumeLogs(context.Background(), ld) }))
	require.NoError(t, exp.Shutdown(context.Background()))
}
