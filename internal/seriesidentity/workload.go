package seriesidentity

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Without is Resource or, behind the key of a metric, Series, of the attributes for which skip is false: the identity that
// a new instance of a workload shares with the old one. all says that none was skipped.
func (e *Encoder) Without(to Key, attributes pcommon.Map, skip func(name string) bool) (key Key, all bool) {
	key, all = to.plus(setOf), true
	for name, value := range attributes.All() {
		if skip(name) {
			all = false
			continue
		}
		key = key.plus(e.attribute(name, value)).plus(setOf)
	}
	return key, all
}
