package anomalyprocessor

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestWordsOfAllTypes(t *testing.T) {
	var w words
	a := pcommon.NewMap()
	require.NoError(t, a.FromRaw(map[string]any{
		"string": "GET", "empty": "", "int": int64(-5), "large": int64(math.MaxInt64), "double": 0.1, "true": true, "false": false, "nothing": nil,
		"bytes": []byte{1, 2}, "map": map[string]any{"x": int64(1)}, "slice": []any{"a", nil}, strings.Repeat("n", 300): strings.Repeat("v", 300),
	}))
	first := w.encode("http.requests", a)
	second := w.encode("http.requests", a)
	assert.Less(t, len(second), len(first), "from the second time on a value is a number")
	for _, text := range [][]byte{first, second} {
		metric, got := w.decode(text)
		assert.Equal(t, "http.requests", metric)
		assert.Equal(t, a.AsRaw(), got.AsRaw())
	}
	metric, got := w.decode(w.encode("", pcommon.NewMap()))
	assert.Empty(t, metric)
	assert.Zero(t, got.Len())
}

func TestCommonSeriesTakeFewBytes(t *testing.T) {
	var w words
	last := 0
	for i := range 1000 {
		a := pcommon.NewMap()
		a.PutStr("http.request.method", "GET")
		a.PutStr("http.route", "/api/v1/customers/{id}/orders/"+strconv.Itoa(i%10))
		a.PutInt("http.response.status_code", 200)
		a.PutStr("url.scheme", "https")
		a.PutStr("network.protocol.version", "1.1")
		last = len(w.encode("http.server.request.duration", a))
	}
	assert.Less(t, last, blockBytes-2, "one block")
}

func TestWordsAreBounded(t *testing.T) {
	var w words
	for i := range maxWords / 2 {
		a := pcommon.NewMap()
		a.PutStr("user", strconv.Itoa(i))
		w.encode("g", a)
	}
	assert.Less(t, len(w.all), maxWords/8, "values that come once are spelt out, but for a few")
	for i := range 2 * maxWords {
		a := pcommon.NewMap()
		a.PutStr("user"+strconv.Itoa(i), strings.Repeat("x", maxWord+1))
		metric, got := w.decode(w.encode("g", a))
		if metric != "g" || !got.Equal(a) {
			t.Fatal(i, metric, got.AsRaw())
		}
	}
	assert.Len(t, w.all, maxWords)
}
