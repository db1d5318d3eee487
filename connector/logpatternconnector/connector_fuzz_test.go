package logpatternconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// decodeLogs makes records of bytes: a few services, times around one, and bodies of all types with the bytes as text.
func decodeLogs(data []byte) []plog.Logs {
	var out []plog.Logs
	for len(data) >= 6 {
		b := data[:6]
		n := min(int(b[5]), len(data)-6)
		text := string(data[6 : 6+n])
		data = data[6+n:]
		if len(out) == 0 || b[0]&0x80 != 0 {
			out = append(out, plog.NewLogs())
		}
		rl := out[len(out)-1].ResourceLogs().AppendEmpty()
		switch b[0] & 7 {
		case 0:
		case 1:
			rl.Resource().Attributes().PutInt("service.name", 1)
		default:
			rl.Resource().Attributes().PutStr("service.name", string('a'+rune(b[0]&7)))
		}
		lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		at := epoch.Add(time.Duration(b[1]) * time.Second)
		switch b[2] >> 5 {
		case 1:
			at = at.Add(time.Duration(b[3]) * time.Hour)
		case 2:
			at = at.Add(-time.Duration(b[3]) * time.Hour)
		}
		lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
		switch b[2] >> 5 {
		case 3:
			lr.SetTimestamp(0)
		case 4:
			lr.SetTimestamp(pcommon.Timestamp(uint64(b[3]) << 56))
		}
		lr.SetSeverityNumber(plog.SeverityNumber(int32(b[2]&31) - 2))
		switch b[4] & 7 {
		case 0, 1:
			lr.Body().SetStr(text)
		case 2:
			lr.Body().SetEmptyBytes().FromRaw([]byte(text))
		case 3:
			lr.Body().SetEmptyMap().PutStr("message", text)
		case 4:
			m := lr.Body().SetEmptyMap()
			m.PutStr(text, text)
			m.PutEmptyMap("x").PutEmptySlice("y")
			m.PutDouble("z", 1.5)
		case 5:
			lr.Body().SetEmptySlice().AppendEmpty().SetStr(text)
		case 6:
			lr.Body().SetDouble(float64(b[3]))
		}
		if b[4]&8 != 0 {
			lr.Attributes().PutStr(semconv.AttrExceptionType, text)
			lr.Attributes().PutStr(semconv.AttrExceptionStacktrace, text)
		}
		if b[4]&16 != 0 {
			lr.Attributes().PutStr(semconv.AttrLogPatternID, "00000000000000"+"0"+string('a'+rune(b[3]&3)))
			lr.Attributes().PutStr(semconv.AttrLogRecordTemplate, text)
			lr.Attributes().PutEmptySlice(semconv.AttrLogPatternAliases).AppendEmpty().SetStr("000000000000000a")
		}
		if b[4]&32 != 0 {
			lr.SetTraceID(pcommon.TraceID{b[3]})
		}
		lr.SetSeverityText(text)
	}
	return out
}

// FuzzConsume checks that what comes in goes out, and is counted once, whatever the limits.
func FuzzConsume(f *testing.F) {
	f.Add([]byte("\x02\x00\x0b\x00\x00\x05hello\x02\x01\x13\x00\x00\x06failed\x82\x20\x0b\x00\x00\x05hello"), uint8(0))
	f.Add([]byte("\x02\x00\x2b\x03\x08\x28E: x\n\tat a.b(C.java:1)\n\tat c.d(E.java:2)..\x83\x01\x53\x03\x1a\x06failed"), uint8(1))
	f.Add([]byte("\x01\x00\x6b\x03\x33\x03a b\x00\x01\x93\x03\x24\x06failed"), uint8(6))
	f.Add([]byte{0x82, 0, 11, 0, 16, 3, 'a', 'b', 'c', 0x82, 1, 11, 1, 16, 3, 'a', 'b', 'd', 0x82, 90, 11, 1, 16, 1, 'x'}, uint8(15))
	f.Fuzz(func(t *testing.T, data []byte, mode uint8) {
		annotations := []Annotate{AnnotateOff, AnnotateID, AnnotateIDAndText, AnnotateReplaceBody}
		w := newWorld(t, func(c *Config) {
			c.Annotate = annotations[mode&3]
			c.AcceptAnnotations = mode&4 != 0
			c.Learning, c.MinSeverity = LearningConfig{}, "unspecified"
			if mode&8 != 0 {
				c.Limits.Patterns, c.Limits.PatternsPerService, c.Limits.Exceptions = 4, 3, 1
				c.Limits.SeriesPerService, c.Limits.Series, c.Limits.Events = 2, 3, 2
			}
			c.PatternTTL = time.Hour
		})
		in := int64(0)
		for _, ld := range decodeLogs(data) {
			in += int64(ld.LogRecordCount())
			w.consumeLogs(ld)
		}
		w.stop()
		assert.Len(t, w.records(), int(in))
		assert.Equal(t, in, w.total(semconv.MetricLogPatternCount))
		for name := range map[string]bool{semconv.MetricLogPatternCount: true, semconv.MetricLogErrorCount: true, semconv.MetricLogExceptionCount: true} {
			w.points(name, func(_ pcommon.Map, dp pmetric.NumberDataPoint) {
				assert.Less(t, dp.StartTimestamp(), dp.Timestamp())
				assert.GreaterOrEqual(t, dp.IntValue(), int64(0))
			})
		}
	})
}

// FuzzRestore checks that no state that a storage may hand over does harm.
func FuzzRestore(f *testing.F) {
	w := newWorld(f, quick)
	w.consume(rec{text: "a 1", severity: info}, rec{text: trace, severity: fault})
	for i := range 10 {
		w.consume(rec{text: "a 1", severity: info, at: time.Duration(i) * 10 * second})
	}
	e := w.logs.(*logsView).lease.Engine()
	f.Add(e.appendState(nil, epoch))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t, quick)
		e := w.logs.(*logsView).lease.Engine()
		if len(data) >= 24 {
			data = append(e.appendState(nil, epoch)[:24:24], data[24:]...)
		}
		e.mu.Lock()
		err := e.restore(data, epoch)
		patterns := e.patterns
		e.mu.Unlock()
		if err != nil {
			assert.Zero(t, patterns)
		}
		w.consume(rec{text: "a 1", severity: info, at: second}, rec{text: "b 1", severity: fault, at: 60 * second})
		require.NotPanics(t, w.stop)
	})
}
