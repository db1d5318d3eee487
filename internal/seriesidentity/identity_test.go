package seriesidentity

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func attrs(kv ...any) pcommon.Map {
	m := pcommon.NewMap()
	for i := 0; i < len(kv); i += 2 {
		if err := m.PutEmpty(kv[i].(string)).FromRaw(kv[i+1]); err != nil {
			panic(err)
		}
	}
	return m
}

func TestOrderOfAttributesDoesNotMatter(t *testing.T) {
	var e Encoder
	assert.Equal(t,
		e.Resource(attrs("a", "1", "b", int64(2), "c", map[string]any{"x": "1", "y": "2"})),
		e.Resource(attrs("c", map[string]any{"y": "2", "x": "1"}, "b", int64(2), "a", "1")))
}

func TestDifferentSeriesHaveDifferentKeys(t *testing.T) {
	var e Encoder
	seen := map[Key]string{}
	put := func(name string, k Key) {
		require.NotContains(t, seen, k, "%s and %s", seen[k], name)
		seen[k] = name
	}
	values := []any{
		"", "1", int64(1), 1.0, true, false, []byte("1"),
		[]byte{},
		nil,
		[]any{},
		[]any{"1"},
		[]any{"1", ""},
		map[string]any{},
		map[string]any{"1": ""},
		[]any{[]any{}},
		[]any{[]any{}, []any{}},
	}
	for i, v := range values {
		put(fmt.Sprintf("value %d", i), e.Resource(attrs("k", v)))
		put(fmt.Sprintf("two values %d", i), e.Resource(attrs("k", v, "l", "1")))
	}
	put("none", e.Resource(pcommon.NewMap()))
	put("parts cut elsewhere", e.Resource(attrs("ab", "c")))
	put("parts cut here", e.Resource(attrs("a", "bc")))
	put("key as value", e.Resource(attrs("a", "x", "b", "y")))
	put("value as key", e.Resource(attrs("a", "y", "b", "x")))

	r, s := e.Resource(attrs("r", "1")), e.Resource(attrs("r", "2"))
	put("scope", e.Scope(r, "scope"))
	put("scope without a name", e.Scope(r, ""))
	put("scope of another resource", e.Scope(s, "scope"))
	put("metric of a scope", e.Metric(e.Scope(r, "scope"), "m", "u", 1))
	put("metric of another scope", e.Metric(e.Scope(r, "scop"), "m", "u", 1))
	put("metric of a scope of another resource", e.Metric(e.Scope(s, "scope"), "m", "u", 1))
	r, s = e.Scope(r, ""), e.Scope(s, "")
	put("metric", e.Metric(r, "m", "u", 1))
	put("metric of another resource", e.Metric(s, "m", "u", 1))
	put("metric cut elsewhere", e.Metric(r, "mu", "", 1))
	put("metric of another kind", e.Metric(r, "m", "u", 2))
	m := e.Metric(r, "m", "u", 1)
	put("series", e.Series(m, attrs("a", "1")))
	put("series without attributes", e.Series(m, pcommon.NewMap()))
}

// Sums must not hide anything: values that change places, numbers that lie close together.
func TestSetsOfAttributesAreKeptApart(t *testing.T) {
	var e Encoder
	seen := map[Key]bool{}
	put := func(kv ...any) {
		k := e.Resource(attrs(kv...))
		require.False(t, seen[k], kv)
		seen[k] = true
	}
	put("a", "1")
	put("a", "1", "b", "2")
	put("a", "2", "b", "1")
	for i := range int64(300) {
		for j := range int64(300) {
			put("i", i, "j", j)
		}
		put("i", float64(i), "j", i)
	}
	halves := map[uint64]bool{}
	for k := range seen {
		halves[k.Hi], halves[^k.Lo] = true, true
	}
	assert.Len(t, halves, 2*len(seen), "each half is a good hash by itself")
}

func TestExcept(t *testing.T) {
	var e Encoder
	r, what := e.Resource(attrs("r", "1")), e.Metric(Key{}, "errors", "", 0)
	of := func(names []string, kv ...any) Key { return e.Except(what, r, attrs(kv...), names) }
	assert.Equal(t, of(nil, "a", "1"), of([]string{"b"}, "b", "2", "a", "1"))
	assert.NotEqual(t, of(nil, "a", "1"), of(nil, "b", "2", "a", "1"))
	assert.NotEqual(t, of(nil), of(nil, "a", "1"))
	assert.NotEqual(t, of(nil, "a", "1"), e.Except(what, e.Resource(attrs("r", "2")), attrs("a", "1"), nil))
	assert.NotEqual(t, of(nil, "a", "1"), e.Except(e.Metric(Key{}, "drops", "", 0), r, attrs("a", "1"), nil))
}

func TestDeepValuesAreBounded(t *testing.T) {
	v := pcommon.NewValueSlice()
	inner := v
	for range 10_000 {
		inner = inner.Slice().AppendEmpty()
		inner.SetEmptySlice()
	}
	m := pcommon.NewMap()
	v.CopyTo(m.PutEmpty("deep"))
	var e Encoder
	assert.NotEqual(t, Key{}, e.Resource(m))
}

func TestKnownSeriesDoNotAllocate(t *testing.T) {
	var e Encoder
	a := attrs("z", "1", "b", int64(2), "a", 2.5, "m", map[string]any{"y": "2", "x": "1"})
	r := e.Resource(a)
	assert.Zero(t, testing.AllocsPerRun(100, func() { e.Series(e.Metric(e.Scope(r, "scope"), "name", "s", 1), a) }))
}

func BenchmarkSeries(b *testing.B) {
	var e Encoder
	a := attrs("http.request.method", "GET", "http.route", "/api/v1/items", "http.response.status_code", int64(200))
	m := e.Metric(e.Scope(e.Resource(a), "http"), "http.server.request.duration", "s", 1)
	b.ReportAllocs()
	for b.Loop() {
		e.Series(m, a)
	}
}
