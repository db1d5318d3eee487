package otlpjsonl

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecodeSkipsUnknownFields(t *testing.T) {
	b, err := Decode([]byte(`{"resourceLogs2":[{"resourceSpans":[]}], "later":{"a":["}","\"]",{}],"resourceMetrics":1},
		"resourceLogs" : [{"new":true,"scopeLogs":[{"logRecords":[{"timeUnixNano":"7","newer":{"x":[1,2]}}]}]}], "n":null}`), 16)
	require.NoError(t, err)
	assert.Equal(t, Logs, b.Signal)
	assert.Equal(t, 1, b.Items)
	assert.EqualValues(t, 7, b.Time)
}

func TestDecodeTakesFieldNamesOfProtobuf(t *testing.T) {
	for key, want := range map[string]Signal{"resource_spans": Traces, "resource_metrics": Metrics, "resource_logs": Logs} {
		b, err := Decode(fmt.Appendf(nil, `{%q:[]}`, key), 16)
		require.NoError(t, err)
		assert.Equal(t, want, b.Signal)
	}
}

func TestNaNAndInfinitySurvive(t *testing.T) {
	for text, want := range map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)} {
		line := fmt.Appendf(nil, `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"7","asDouble":%q}]}},
			{"name":"s","summary":{"dataPoints":[{"timeUnixNano":"7","sum":%q,"quantileValues":[{"quantile":0.5,"value":%q}]}]}}]}]}]}`, text, text, text)
		b, err := Decode(line, 32)
		require.NoError(t, err)
		metrics := b.Metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
		for _, got := range []float64{
			metrics.At(0).Gauge().DataPoints().At(0).DoubleValue(),
			metrics.At(1).Summary().DataPoints().At(0).Sum(),
			metrics.At(1).Summary().DataPoints().At(0).QuantileValues().At(0).Value(),
		} {
			assert.Equal(t, math.Float64bits(want), math.Float64bits(got), text)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(`{"resourceLogs":[],"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	_, err := Decode(nested(9), 10)
	require.NoError(t, err)
	_, err = Decode(nested(10), 10)
	require.EqualError(t, err, "nested deeper than 10")

	// Deep enough to overflow the stack of a decoder that recurses.
	deep := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + strings.Repeat(`{"arrayValue":{"values":[`, 1<<20)
	_, err = Decode([]byte(deep+strings.Repeat(`]}}`, 1<<20)+`}]}]}]}`), DefaultOptions().MaxDepth)
	require.EqualError(t, err, "nested deeper than 256")
}

// Whatever the line: no panic, a batch exactly when no error, and a batch that survives its own
// encoding, a shift and a cut without an item more or less.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"traces.json", "metrics.json", "logs.json"} {
		line, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(line)
	}
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[null,{"body":{"kvlistValue":null}}]}]}]}`))
	f.Add([]byte(`{"a\"":"\\","resource_metrics":[{"scopeMetrics":[{"metrics":[{"gauge":null,"sum":{}}]}]}]}`))
	f.Add([]byte(`{"resourceSpans":[]}}`))
	f.Add([]byte(`{"resourceSpans`))
	f.Fuzz(func(t *testing.T, line []byte) {
		b, err := Decode(line, 64)
		if err != nil {
			require.Equal(t, Batch{}, b)
			return
		}
		again, err := Decode([]byte(encode(t, b)), 128)
		if b.Items == 0 && err != nil {
			return // an empty request may be written without its one field
		}
		require.NoError(t, err)
		require.Equal(t, b.Signal, again.Signal)
		require.Equal(t, b.Items, again.Items)
		require.Equal(t, b.Time, again.Time)
		items := b.Items
		b.Shift(1)
		b.cut(0, math.MaxUint64)
		left := b.Items
		again.cut(math.MaxUint64, math.MaxUint64)
		require.Zero(t, again.Items)
		require.LessOrEqual(t, left, items)
	})
}
