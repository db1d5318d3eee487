// Package endtoend tests the built collector as its users run it: as a process, with a configuration that is shipped, fed
// with OTLP over the network, and watched by what it sends.
package endtoend

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "endtoend")
	if err != nil {
		fmt.Fprintln(os.Stderr, "endtoend:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	tools.dir = dir
	if status := m.Run(); status != 0 {
		return status
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "endtoend:", err)
		return 1
	}
	return 0
}
