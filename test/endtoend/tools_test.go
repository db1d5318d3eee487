package endtoend

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var tools struct {
	sync.Mutex
	dir string
}

// tool returns the path of one of our companion programs, built as it stands now.
func tool(t testing.TB, name string) string {
	t.Helper()
	tools.Lock()
	defer tools.Unlock()
	path := filepath.Join(tools.dir, name)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/"+name)
	build.Dir = repository
	out, err := build.CombinedOutput()
	require.NoError(t, err, "build cmd/%s: %s", name, out)
	return path
}

// ran is what a program did.
type ran struct {
	stdout, stderr string
	exit           int
	took           time.Duration
}

// runTool runs a companion program to its end.
func runTool(t testing.TB, name string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, name), args...)
	cmd.SysProcAttr = childAttributes()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	r := ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(began)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err, "run %s", name)
	}
	return r
}

// replay sends recorded files and requires that all of it is taken.
func replay(t testing.TB, c *collector, speed string, args ...string) time.Duration {
	t.Helper()
	r := runTool(t, "replay", append([]string{"--endpoint", c.grpc, "--speed", speed}, args...)...)
	require.Zero(t, r.exit, "replay: %s\n%s", r.stderr, r.stdout)
	return r.took
}
