package tracegraphconnector

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

// decodeSpans makes spans of bytes: small numbers for identities and times, so that spans meet, and a few wild ones.
func decodeSpans(data []byte) []ptrace.Traces {
	td := ptrace.NewTraces()
	out := []ptrace.Traces{td}
	states := []string{"", "", "ot=th:8", "ot=th:ffffffffffffff", "x=1,ot=rv:0;th:", "ot=th:-1"}
	keys := []string{
		"db.system", "db.namespace", "server.address", "messaging.system", "messaging.destination.name",
		"messaging.operation.type", "http.status_code", "rpc.grpc.status_code", "peer.service",
		"error.type", "http.route", "db.operation.name", "rpc.method",
	}
	for len(data) >= 8 {
		b := data[:8]
		data = data[8:]
		if b[0]&0x80 != 0 {
			td = ptrace.NewTraces()
			out = append(out, td)
		}
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.version", []string{"", "1", "2"}[b[7]%3])
		if name := b[0] & 7; name > 0 {
			rs.Resource().Attributes().PutStr("service.name", string('a'+rune(name)))
		}
		if b[0]&8 != 0 {
			rs.Resource().Attributes().PutInt("service.namespace", 7)
		}
		span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		span.SetTraceID(traceOf(uint64(b[1] & 3)))
		if b[1]&0x40 != 0 {
			span.SetTraceID(pcommon.TraceID{})
		}
		span.SetSpanID(spanID(uint64(b[2] & 15)))
		span.SetParentSpanID(spanID(uint64(b[2] >> 4)))
		span.SetKind(ptrace.SpanKind(b[3] % 7))
		end := epoch.Add(time.Duration(b[4]) * 100 * time.Millisecond)
		switch b[3] >> 5 {
		case 1:
			end = end.Add(time.Duration(b[5]) * time.Minute)
		case 2:
			end = end.Add(-time.Duration(b[5]) * time.Minute)
		}
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
		if b[3]>>5 == 3 {
			span.SetEndTimestamp(pcommon.Timestamp(uint64(b[5]) << 56))
		}
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(end.Add(-time.Duration(b[5]) * time.Millisecond)))
		span.SetName([]string{"", "GET /a/7", "b"}[b[5]%3])
		span.Status().SetCode(ptrace.StatusCode(b[6] & 3))
		span.TraceState().FromRaw(states[int(b[6]>>2)%len(states)])
		for i, k := range keys {
			if b[7]>>(i%8)&1 != 0 {
				if i == 6 || i == 7 {
					span.Attributes().PutInt(k, int64(b[5])*4)
				} else {
					span.Attributes().PutStr(k, []string{"receive", "x", "", "y"}[b[6]>>6])
				}
			}
		}
		for l := range b[6] >> 5 {
			link := span.Links().AppendEmpty()
			link.SetTraceID(traceOf(uint64(l & 3)))
			link.SetSpanID(spanID(uint64(b[2]&15) ^ uint64(l)))
		}
	}
	return out
}

// FuzzConsume checks that every span that comes in gets one outcome, and what goes out is consistent in itself.
func FuzzConsume(f *testing.F) {
	f.Add([]byte{1, 0, 1, 3, 10, 5, 0, 0, 2, 0, 0x12, 2, 10, 4, 0, 0}, uint8(0))
	f.Add([]byte{1, 0, 1, 4, 10, 5, 0, 24, 130, 0, 2, 5, 90, 4, 0x40, 24}, uint8(1))
	f.Add([]byte{1, 0, 0x21, 1, 10, 5, 0, 0, 2, 0, 0x12, 1, 10, 4, 0, 0, 0x83, 0, 0x13, 2, 10, 0, 0, 0}, uint8(2))
	f.Add([]byte{1, 0, 1, 0x23, 10, 255, 0, 0, 0x81, 0, 2, 0x63, 10, 255, 0, 0, 0x81, 0, 3, 3, 200, 4, 0, 0}, uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, mode uint8) {
		c, sink := start(t, func(c *Config) {
			if mode&1 != 0 {
				c.Temporality = TemporalityDelta
			}
			if mode&2 != 0 {
				c.Histogram.Type, c.Histogram.MaxSize = HistogramExponential, 4
			}
			if mode&4 != 0 {
				c.MaxPending, c.MaxEdges, c.MaxLinks = 5, 3, 2
				c.Operations.MaxPerEdge, c.Operations.MaxTotal, c.Operations.MaxVariants, c.Operations.MaxSize = 2, 4, 1, 3
			}
			if mode&8 != 0 {
				c.Dimensions, c.FailedAttribute = []string{"peer.service", "service.name"}, false
			}
			c.EdgeTTL = 30 * time.Second
		})
		received := int64(0)
		for _, td := range decodeSpans(data) {
			received += int64(td.SpanCount())
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
			s := stats(c)
			assert.Equal(t, received, s.Received)
			assert.Equal(t, s.Received+s.Links, outcomes(&s)+s.Pending)
		}
		require.NoError(t, c.Shutdown(t.Context()))
		s := stats(c)
		assert.Zero(t, s.Pending)
		assert.Zero(t, s.Held)
		checkOutput(t, sink.AllMetrics(), s.Rewinds > 0, mode&1 != 0)
	})
}

// checkOutput looks at what must hold for any metrics that the connector sends.
func checkOutput(t *testing.T, all []pmetric.Metrics, rewound, delta bool) {
	previous := map[string]pcommon.Timestamp{}
	requests := map[string]int64{}
	points(all, semconv.MetricGraphRequestTotal, func(dp pmetric.NumberDataPoint) {
		edge := edgeName(dp.Attributes())
		requests[edge+dp.Timestamp().String()] += dp.IntValue()
		key, err := json.Marshal(dp.Attributes().AsRaw())
		require.NoError(t, err)
		edge = string(key)
		assert.LessOrEqual(t, dp.StartTimestamp(), dp.Timestamp())
		assert.GreaterOrEqual(t, dp.IntValue(), int64(0))
		if !rewound {
			assert.Greater(t, dp.Timestamp(), previous[edge], edge)
			if delta && previous[edge] > 0 {
				assert.GreaterOrEqual(t, dp.StartTimestamp(), previous[edge], edge)
			}
		}
		previous[edge] = dp.Timestamp()
	})
	points(all, semconv.MetricGraphRequestFailedTotal, func(dp pmetric.NumberDataPoint) {
		assert.LessOrEqual(t, dp.IntValue(), requests[edgeName(dp.Attributes())+dp.Timestamp().String()])
	})
	operations := map[string]int64{}
	points(all, semconv.MetricGraphOperationRequestTotal, func(dp pmetric.NumberDataPoint) {
		assert.LessOrEqual(t, dp.StartTimestamp(), dp.Timestamp())
		operations[edgeName(dp.Attributes())+dp.Timestamp().String()] += dp.IntValue()
	})
	for edge, n := range operations {
		assert.Equal(t, requests[edge], n, "an edge has as many calls as its operations: %s", edge)
	}
	for _, name := range []string{
		semconv.MetricGraphRequestClient, semconv.MetricGraphRequestServer,
		semconv.MetricGraphOperationRequestClient, semconv.MetricGraphOperationRequestServer,
	} {
		each(all, name, func(m pmetric.Metric) {
			if m.Type() == pmetric.MetricTypeHistogram {
				for _, dp := range m.Histogram().DataPoints().All() {
					n := uint64(0)
					for _, b := range dp.BucketCounts().All() {
						n += b
					}
					assert.Equal(t, dp.Count(), n)
				}
				return
			}
			for _, dp := range m.ExponentialHistogram().DataPoints().All() {
				n := dp.ZeroCount()
				for _, b := range dp.Positive().BucketCounts().All() {
					n += b
				}
				assert.Equal(t, dp.Count(), n)
			}
		})
	}
}
