package anomalyprocessor

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

func TestSpell(t *testing.T) {
	var w words
	var x texts
	for range 3 {
		attributes := pcommon.NewMap()
		require.NoError(t, attributes.FromRaw(map[string]any{
			"s": "value", "long": strings.Repeat("x", 300), "i": -7, "d": 0.5, "t": true, "f": false, "n": nil, "l": []any{"a", 1},
		}))
		text := x.appendTo([]byte("before"), x.put(w.encode("metric", attributes)))
		require.Equal(t, "before", string(text[:6]))
		s := anomalystate.Stream{Text: w.spell(nil, text[6:])}
		metric, got, ok := s.Describe()
		require.True(t, ok)
		assert.Equal(t, "metric", metric)
		assert.Equal(t, attributes.AsRaw(), got.AsRaw())
	}
}

func TestSpellDoesNotAllocate(t *testing.T) {
	var w words
	attributes := pcommon.NewMap()
	attributes.PutStr("http.route", "/cart")
	text := w.encode("metric", attributes)
	b := make([]byte, 0, 1000)
	assert.Zero(t, testing.AllocsPerRun(100, func() { w.spell(b, text) }))
}
