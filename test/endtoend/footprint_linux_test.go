package endtoend

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFootprint measures how soon the collector takes telemetry after its start and what it needs when idle. The
// assertions only catch a mistake; the figures are in the log.
func TestFootprint(t *testing.T) {
	const runs = 5
	const idle = 2 * time.Second
	var starts []time.Duration
	var memory []int
	for range runs {
		c, took := timedStart(t)
		starts = append(starts, took)
		select {
		case <-c.done:
			t.Fatal("the collector has ended")
		case <-time.After(idle):
		}
		memory = append(memory, anonymousKB(t, c.cmd.Process.Pid))
		c.stop()
	}
	slices.Sort(starts)
	slices.Sort(memory)
	t.Logf("from exec to accepting OTLP: median %s of %v", starts[runs/2], starts)
	t.Logf("anonymous memory after %s idle: median %.1f MB of %v kB", idle, float64(memory[runs/2])/1024, memory)
	assert.Less(t, starts[runs/2], 5*time.Second)
	assert.Less(t, memory[runs/2], 150*1024)
}

// timedStart starts a collector and measures the time until its OTLP port accepts a connection.
func timedStart(t *testing.T) (*collector, time.Duration) {
	t.Helper()
	c := prepare(t, setup{dir: t.TempDir(), config: quickstart})
	began := time.Now()
	c.exec()
	for {
		conn, err := net.Dial("tcp", c.grpc)
		if err == nil {
			took := time.Since(began)
			require.NoError(t, conn.Close())
			return c, took
		}
		require.Less(t, time.Since(began), patience, c.tail())
		time.Sleep(time.Millisecond)
	}
}

var anonymous = regexp.MustCompile(`(?m)^Anonymous: +(\d+) kB$`)

// anonymousKB returns the memory that a process has to itself, without what is mapped from files, in kB.
func anonymousKB(t testing.TB, pid int) int { return readKB(t, pid, "smaps_rollup", anonymous) }

var resident = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// mostResident bounds the memory of a collector at its default limits, in kB, whatever it is sent.
const mostResident = 500 * 1024

func assertResident(t testing.TB, c *collector) {
	t.Helper()
	kb := readKB(t, c.cmd.Process.Pid, "status", resident)
	t.Logf("resident memory: %.0f MB", float64(kb)/1024)
	assert.Less(t, kb, mostResident, "resident memory in kB")
}

func readKB(t testing.TB, pid int, file string, what *regexp.Regexp) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), file))
	require.NoError(t, err)
	m := what.FindSubmatch(b)
	require.NotNil(t, m, "%s of process %d", file, pid)
	kb, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kb
}
