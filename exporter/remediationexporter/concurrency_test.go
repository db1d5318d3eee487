package remediationexporter

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

// TestConcurrentSendersCauseOneAction has many incidents with one cause arrive at once.
func TestConcurrentSendersCauseOneAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.editHook("shop", only)
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.start()
		var senders sync.WaitGroup
		for i := range 8 {
			senders.Go(func() {
				for j := range 20 {
					id := fmt.Sprintf("i-%d-%d", i, j)
					assert.NoError(t, r.consume(opened(id), updated(id, 2, time.Second)))
				}
			})
		}
		senders.Wait()
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 1)
		assert.Equal(t, int64(1), r.sum("actions", "started"))
		assert.Equal(t, int64(159), r.sum("skipped_actions", "target_busy"))
		revisions := map[string]string{}
		for _, q := range r.hooks["chat"].requests() {
			if q.typ() == "incident.opened.v1" || q.typ() == "incident.updated.v1" {
				id := q.event["correlationid"].(string)
				revisions[id] += q.typ()
			}
		}
		assert.Len(t, revisions, 160)
		for id, types := range revisions {
			assert.Equal(t, "incident.opened.v1incident.updated.v1", types, id)
		}
		r.stop()
	})
}

func BenchmarkConsumeLogs(b *testing.B) {
	others := plog.NewLogs()
	records := others.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range 1000 {
		records.AppendEmpty().Body().SetStr("GET / 200")
	}
	for name, next := range map[string]func(int) plog.Logs{
		"ordinary logs":   func(int) plog.Logs { return others },
		"incident opened": func(i int) plog.Logs { return logsOf(opened(fmt.Sprintf("i-%d", i))) },
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, "shop")
			r.cfg.QueueSize, r.cfg.MaxIncidents = 100_000, 100_000
			r.playbook("restart", "shop", nil)
			exp, err := NewFactory().CreateLogs(b.Context(), metadataSettings(newTelemetry(b)), r.cfg)
			require.NoError(b, err)
			b.ReportAllocs()
			i, n := 0, 0
			for b.Loop() {
				ld := next(i)
				i++
				n += ld.LogRecordCount()
				_ = exp.ConsumeLogs(context.Background(), ld)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			require.NoError(b, exp.Shutdown(context.Background()))
		})
	}
}
