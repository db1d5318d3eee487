//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func shell(t *testing.T, script string) *process {
	t.Helper()
	path, err := exec.LookPath("sh")
	require.NoError(t, err)
	p, err := start("child", filepath.Join(t.TempDir(), "log"), path, []string{"-c", script}, []string{"WORD=hello"})
	require.NoError(t, err)
	t.Cleanup(func() { p.stop(0) })
	return p
}

func TestStopEndsAChildThatIgnoresIt(t *testing.T) {
	p := shell(t, `trap "" TERM; sleep 600 & echo $!; wait; wait`)
	require.NoError(t, p.ended())
	require.Eventually(t, func() bool { return len(p.lastLines(1)) > 0 }, 5*time.Second, time.Millisecond)
	p.stop(50 * time.Millisecond)
	require.Error(t, p.ended())
	log, err := os.ReadFile(p.logPath)
	require.NoError(t, err)
	stat := filepath.Join("/proc", strings.TrimSpace(string(log)), "stat")
	require.Eventually(t, func() bool {
		grandchild, err := os.ReadFile(stat)
		// Gone, or dead, but nobody has asked for its status yet. A signal that was sent takes its time.
		return err != nil || strings.Contains(string(grandchild), ") Z ")
	}, 5*time.Second, time.Millisecond)
}

func TestChildThatEndsItself(t *testing.T) {
	p := shell(t, `echo one; echo $WORD; echo three >&2; exit 3`)
	<-p.gone
	require.ErrorContains(t, p.ended(), "child ended: exit status 3")
	assert.Equal(t, []string{"hello", "three"}, p.lastLines(2))
	p.stop(time.Hour) // returns at once
}

func TestStartFails(t *testing.T) {
	_, err := start("child", filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "nothing"), nil, nil)
	require.ErrorContains(t, err, "start child")
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(20)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, p := range ports {
		assert.False(t, seen[p])
		seen[p] = true
	}
}
