// Package prefetch asks the processor to bring memory into its caches that will be read soon. It changes nothing but the
// time that reading takes, and does nothing on processors that it does not know.
package prefetch

// Line is the size of a cache line in bytes.
const Line = 64
