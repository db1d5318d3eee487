package main

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

const (
	recordsPerBatch = 200
	services        = 10
)

// epoch is when the stream begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// kinds are the messages of a service: %d, %s and the like are what varies.
var kinds = []struct {
	severity plog.SeverityNumber
	text     func(*rand.Rand) string
}{
	{plog.SeverityNumberInfo, func(r *rand.Rand) string {
		return fmt.Sprintf("GET /api/v1/carts/%d HTTP/1.1 200 %d %dms", r.Intn(1e6), r.Intn(9000), r.Intn(300))
	}},
	{plog.SeverityNumberInfo, func(r *rand.Rand) string {
		return fmt.Sprintf("order %08x placed by user %d for %d.%02d EUR", r.Uint32(), r.Intn(1e5), r.Intn(500), r.Intn(100))
	}},
	{plog.SeverityNumberInfo, func(r *rand.Rand) string {
		return fmt.Sprintf(`level=info msg="cache refreshed" entries=%d took=%dms shard=%d`, r.Intn(1e4), r.Intn(90), r.Intn(16))
	}},
	{plog.SeverityNumberDebug, func(r *rand.Rand) string {
		return fmt.Sprintf("connection to 10.%d.%d.%d:5432 taken from the pool, %d of 32 in use", r.Intn(256), r.Intn(256), r.Intn(256), r.Intn(32))
	}},
	{plog.SeverityNumberInfo, func(r *rand.Rand) string {
		return fmt.Sprintf("Received block blk_%d of size %d from /10.0.%d.%d", r.Int63(), r.Intn(1<<26), r.Intn(256), r.Intn(256))
	}},
	{plog.SeverityNumberWarn, func(r *rand.Rand) string {
		return fmt.Sprintf("payment provider answered after %d ms, attempt %d of 3, request 6f1e%04x-8c2d-4a55-9f0e-%012x", r.Intn(5000), r.Intn(3), r.Intn(1<<16), r.Int63n(1<<48))
	}},
	{plog.SeverityNumberError, func(r *rand.Rand) string {
		return fmt.Sprintf("cannot lock row %d of table stock: timeout after %d ms", r.Intn(1e6), r.Intn(9000))
	}},
}

// stream makes records as the log files of pods have them.
type stream struct {
	random *rand.Rand
	batch  int
}

func newStream() *stream { return &stream{random: rand.New(rand.NewSource(1))} }

// requests makes the next batches, ready to be sent: 10,000 records a second.
func (s *stream) requests(n int) ([][]byte, error) {
	out := make([][]byte, n)
	for k := range out {
		data, err := plogotlp.NewExportRequestFromLogs(s.next()).MarshalProto()
		if err != nil {
			return nil, err
		}
		out[k] = data
	}
	return out, nil
}

func (s *stream) next() plog.Logs {
	at := epoch.Add(time.Duration(s.batch) * 20 * time.Millisecond)
	s.batch++
	ld := plog.NewLogs()
	for service := range services {
		rl := ld.ResourceLogs().AppendEmpty()
		resource := rl.Resource().Attributes()
		resource.PutStr("service.name", fmt.Sprint("service-", service))
		resource.PutStr("service.namespace", "shop")
		resource.PutStr("k8s.pod.name", fmt.Sprintf("service-%d-5d8f9c7b6-x2k4q", service))
		resource.PutStr("k8s.node.name", "node-1")
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		for range recordsPerBatch / services {
			kind := &kinds[s.random.Intn(len(kinds))]
			lr := records.AppendEmpty()
			lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
			lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(at))
			lr.SetSeverityNumber(kind.severity)
			lr.SetSeverityText(kind.severity.String())
			lr.Body().SetStr(fmt.Sprintf("[worker-%d] ", service) + kind.text(s.random))
			lr.Attributes().PutStr("log.file.path", fmt.Sprintf("/var/log/pods/shop_service-%d/app/0.log", service))
			lr.Attributes().PutStr("log.iostream", "stdout")
			lr.Attributes().PutStr("thread.name", "worker")
			var trace pcommon.TraceID
			binary.BigEndian.PutUint64(trace[:8], s.random.Uint64())
			lr.SetTraceID(trace)
			lr.SetSpanID(pcommon.SpanID(trace[:8]))
		}
	}
	return ld
}
