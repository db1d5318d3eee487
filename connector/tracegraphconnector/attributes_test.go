package tracegraphconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAttributeOf(t *testing.T) {
	for _, a := range attributeNames {
		assert.Equal(t, a.id, attributeOf(a.key), a.key)
		assert.Equal(t, attrNone, attributeOf(a.key+"x"))
		assert.Equal(t, attrNone, attributeOf("x"+a.key))
	}
	for _, key := range []string{"", "a", "ab", "http.request.methoD", "url.path"} {
		assert.Equal(t, attrNone, attributeOf(key), key)
	}
}

// TestEveryAttributeIsRead asserts that each text has a place of its own.
func TestEveryAttributeIsRead(t *testing.T) {
	var d details
	seen := map[*string]spanAttribute{}
	for id := attrRPCStatusName; id <= attrDBSummary; id++ {
		text := d.text(id)
		if assert.NotNil(t, text, id) {
			assert.Zero(t, seen[text], id)
			seen[text] = id
		}
	}
}
