package otlpjsonl

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func testBatch(t *testing.T, name string) Batch {
	t.Helper()
	line, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	b, err := Decode(line, DefaultOptions().MaxDepth)
	require.NoError(t, err)
	return b
}

// encode writes the batch as one line again.
func encode(t *testing.T, b Batch) string {
	t.Helper()
	var out []byte
	var err error
	switch b.Signal {
	case Traces:
		out, err = (&ptrace.JSONMarshaler{}).MarshalTraces(b.Traces)
	case Metrics:
		out, err = (&pmetric.JSONMarshaler{}).MarshalMetrics(b.Metrics)
	case Logs:
		out, err = (&plog.JSONMarshaler{}).MarshalLogs(b.Logs)
	}
	require.NoError(t, err)
	return string(out)
}

func TestEventTimes(t *testing.T) {
	tests := []struct {
		file        string
		signal      Signal
		items       int
		first, last pcommon.Timestamp
	}{
		{"traces.json", Traces, 3, 10_000000000, 30_000000000},
		{"metrics.json", Metrics, 6, 10_000000000, 15_000000000},
		{"logs.json", Logs, 3, 10_000000000, 20_000000000},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			b := testBatch(t, tt.file)
			assert.Equal(t, tt.signal, b.Signal)
			assert.Equal(t, tt.items, b.Items)
			assert.Equal(t, tt.first, b.First)
			assert.Equal(t, tt.last, b.Time)
			assert.False(t, b.Undated)
		})
	}
}

func TestCutGoesItemByItem(t *testing.T) {
	folder := "testdata"
	paths := []string{filepath.Join(folder, "traces.json"), filepath.Join(folder, "metrics.json"), filepath.Join(folder, "logs.json")}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	tests := []struct {
		name     string
		from, to time.Time
		want     [NumSignals]int64
		first    pcommon.Timestamp // of all items that are left
		last     pcommon.Timestamp
	}{
		{"none", time.Time{}, time.Time{}, [NumSignals]int64{3, 6, 3}, 10e9, 30e9},
		{"from is in", at(11), time.Time{}, [NumSignals]int64{2, 4, 1}, 11e9, 30e9},
		{"to is out", time.Time{}, at(11), [NumSignals]int64{1, 1, 1}, 10e9, 10e9},
		{"both", at(12), at(20), [NumSignals]int64{0, 3, 0}, 13e9, 15e9},
		{"nothing is left", at(40), time.Time{}, [NumSignals]int64{}, math.MaxUint64, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := DefaultOptions()
			opts.From, opts.To = tt.from, tt.to
			got, stats := readAll(t, opts, paths...)
			assert.Equal(t, tt.want, stats.Items)
			assert.Equal(t, 12-tt.want[0]-tt.want[1]-tt.want[2], stats.Cut)
			first, last := pcommon.Timestamp(math.MaxUint64), pcommon.Timestamp(0)
			var again [NumSignals]int64
			for _, b := range got {
				first, last = min(first, b.First), max(last, b.Time)
				again[b.Signal] += int64(b.Items)
				remeasured := b
				remeasured.measure()
				assert.Equal(t, b, remeasured)
			}
			assert.Equal(t, tt.want, again)
			assert.Equal(t, tt.first, first)
			assert.Equal(t, tt.last, last)
		})
	}
}

func TestShiftMovesEveryTimestamp(t *testing.T) {
	for _, name := range []string{"traces.json", "metrics.json", "logs.json"} {
		t.Run(name, func(t *testing.T) {
			b := testBatch(t, name)
			before := encode(t, b)
			b.Shift(100 * time.Second)
			// All times in testdata are two digits of seconds: put a 1 before them.
			want := timestamps.Replace(before)
			assert.NotEqual(t, before, want)
			assert.Equal(t, want, encode(t, b))
			assert.Equal(t, pcommon.Timestamp(110e9), b.First)
			b.Shift(-100 * time.Second)
			assert.Equal(t, before, encode(t, b))
			b.Shift(0)
			assert.Equal(t, before, encode(t, b))
		})
	}
}

var timestamps = strings.NewReplacer(`UnixNano":"`, `UnixNano":"1`)

func TestShiftStaysInRange(t *testing.T) {
	tests := []struct {
		t    pcommon.Timestamp
		d    time.Duration
		want pcommon.Timestamp
	}{
		{0, 5, 0},
		{0, -5, 0},
		{7, 5, 12},
		{7, -5, 2},
		{5, -5, 1},
		{4, -5, 1},
		{math.MaxUint64 - 4, 5, math.MaxUint64},
		{1 << 63, math.MinInt64, 1},
		{1<<63 + 9, math.MinInt64, 9},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, shifted(tt.t, tt.d), "%d by %d", tt.t, tt.d)
	}
}

func TestSignalNames(t *testing.T) {
	assert.Equal(t, "traces metrics logs unknown unknown",
		strings.Join([]string{Traces.String(), Metrics.String(), Logs.String(), NumSignals.String(), Signal(99).String()}, " "))
}
