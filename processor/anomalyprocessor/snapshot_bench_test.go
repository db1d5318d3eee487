package anomalyprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// BenchmarkSnapshot writes 20,000 streams to memory and reads them again. lock-ms is the longest time that the lock was held.
func BenchmarkSnapshot(b *testing.B) {
	const streams, resources = 20_000, 20
	cfg := createDefaultConfig().(*Config)
	cfg.Storage = &diskID
	set := (&harness{telemetry: componenttest.NewTelemetry()}).settings()
	make := func(d *disk) *anomalyProcessor {
		p, err := newAnomalyProcessor(set, cfg)
		require.NoError(b, err)
		p.owners = &owners{}
		p.keeper, err = openKeeper(b.Context(), p, d.host(), set.ID)
		require.NoError(b, err)
		return p
	}
	d := &disk{}
	p := make(d)
	for n := range 25 {
		for r := range resources {
			md, m := metrics("http.server.request.duration", "1")
			md.ResourceMetrics().At(0).Resource().Attributes().PutInt("pod", int64(r))
			points := m.SetEmptyGauge().DataPoints()
			for i := range streams / resources {
				point := points.AppendEmpty()
				point.SetTimestamp(pcommon.NewTimestampFromTime(lately(n, step)))
				point.SetDoubleValue(float64(i + n%3))
				point.Attributes().PutStr("http.route", "/api/cart")
				point.Attributes().PutInt("i", int64(i))
			}
			_, err := p.processMetrics(b.Context(), md)
			require.NoError(b, err)
		}
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range p.keeper.written {
				p.keeper.written[i] = written{}
			}
			p.keeper.flush(b.Context())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*streams), "ns/stream")
		longest := time.Duration(0)
		for shard := range indexShards {
			p.keeper.list(shard)
			began := time.Now()
			p.keeper.encode(shard)
			// All of it in turns of encodeStreams.
			turns := max(1, (len(p.keeper.slots)+encodeStreams-1)/encodeStreams)
			longest = max(longest, time.Since(began)/time.Duration(turns))
			for i := range p.keeper.writers {
				p.keeper.writers[i].Begin(p.keeper.header)
			}
		}
		b.ReportMetric(float64(longest.Microseconds())/1000, "lock-ms")
	})
	b.Run("restore", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			restored := make(d)
			require.Equal(b, streams, restored.table.held)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*streams), "ns/stream")
	})
}
