package prefetch

import (
	"testing"
	"unsafe"
)

func TestNothingChanges(t *testing.T) {
	var data [4 * Line]byte
	for n := 1; n <= 8; n++ {
		Lines(unsafe.Pointer(&data), n)
	}
	Lines(nil, 1)
	if data != [4 * Line]byte{} {
		t.Fatal("memory was written")
	}
}
