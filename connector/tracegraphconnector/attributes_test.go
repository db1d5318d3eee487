package tracegraphconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAttributeTables(t *testing.T) {
	for _, a := range attributeNames {
		assert.Equal(t, a.id, ofAll.find(a.key), a.key)
		assert.Equal(t, attrNone, ofAll.find(a.key+"x"))
		assert.Equal(t, attrNone, ofAll.find("x"+a.key))
		for i := range len(a.key) {
			other := []byte(a.key)
			other[i] ^= 0x20
			assert.Equal(t, attrNone, ofAll.find(string(other)), string(other))
		}
		if a.id <= lastOfServers {
			assert.Equal(t, a.id, ofServers.find(a.key), a.key)
		} else {
			assert.Equal(t, attrNone, ofServers.find(a.key), a.key)
		}
	}
	for _, key := range []string{"", "a", "ab", "http.request.methoD", "url.path"} {
		assert.Equal(t, attrNone, ofAll.find(key), key)
	}
}
