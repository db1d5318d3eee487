//go:build amd64 || arm64

package prefetch

import "unsafe"

// Lines asks for n cache lines, n ≥ 1, from an address on. Nothing is read: any address is allowed.
//
//go:noescape
func Lines(address unsafe.Pointer, n int)
