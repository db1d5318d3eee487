package seriesidentity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

func TestWithout(t *testing.T) {
	var e seriesidentity.Encoder
	attributes := func(version string) pcommon.Map {
		m := pcommon.NewMap()
		m.PutStr("service.name", "cart")
		if version != "" {
			m.PutStr("service.version", version)
		}
		return m
	}
	skip := func(name string) bool { return name == "service.version" }
	none := func(string) bool { return false }
	one, all := e.Without(seriesidentity.Key{}, attributes("1"), skip)
	assert.False(t, all)
	two, _ := e.Without(seriesidentity.Key{}, attributes("2"), skip)
	assert.Equal(t, one, two)
	bare, all := e.Without(seriesidentity.Key{}, attributes(""), skip)
	assert.Equal(t, one, bare)
	assert.True(t, all)
	assert.NotEqual(t, one, e.Resource(attributes("1")))

	whole, all := e.Without(seriesidentity.Key{}, attributes("1"), none)
	assert.True(t, all)
	assert.Equal(t, e.Resource(attributes("1")), whole)
	metric := e.Metric(whole, "m", "s", 1)
	series, _ := e.Without(metric, attributes("1"), none)
	assert.Equal(t, e.Series(metric, attributes("1")), series)
}
