package incidentstore

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// powerCutVariable is the path of the database in the process that is killed, and from which number on it records.
const powerCutVariable = "PARAMEDIC_INCIDENTSTORE_POWER_CUT"

// batch is what is recorded with a number, all or nothing.
func batch(n int) []Record {
	return []Record{audited(n), opened(incident(n, n)), intent(n, fmt.Sprintf("i-%d", n), 1, playbook.Awaiting, n), delivery(n, fmt.Sprintf("i-%d", n), DeliveryQueued, n)}
}

// recordUntilKilled is the process that is killed: it says what was acknowledged.
func recordUntilKilled(ctx context.Context, what string) error {
	from, path, _ := strings.Cut(what, ":")
	n, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	set := DefaultSettings()
	set.Path = path
	s, err := Open(ctx, set)
	if err != nil {
		return err
	}
	for ; ; n++ {
		if err := s.Record(ctx, batch(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestPowerCut kills a process that records, at random moments.
func TestPowerCut(t *testing.T) {
	cuts := cuts
	if testing.Short() {
		cuts = 5
	}
	path := filepath.Join(t.TempDir(), "store.db")
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable on purpose
	acknowledged := -1
	for cut := range cuts {
		acknowledged = powerCut(t, path, acknowledged+1, rng)
		set := DefaultSettings()
		set.Path = path
		s, err := Open(t.Context(), set)
		require.NoError(t, err)
		// One that was not acknowledged may be there, but then all of it.
		incidents := count(t, s, "incidents")
		assert.Contains(t, []int{acknowledged + 1, acknowledged + 2}, incidents, "cut %d", cut)
		for table, each := range map[string]int{"audit": 1, "intents": 1, "deliveries": 1, "incident_details": 1, "evidence": 2, "incident_services": 2, "signatures": 1} {
			require.Equal(t, each*incidents, count(t, s, table), "cut %d: %s", cut, table)
		}
		_, n := verify(t, s)
		require.EqualValues(t, incidents, n)
		var healthy string
		require.NoError(t, s.read.QueryRowContext(t.Context(), "PRAGMA quick_check").Scan(&healthy))
		require.Equal(t, "ok", healthy)
		acknowledged = incidents - 1
		require.NoError(t, s.Close())
	}
	t.Logf("%d cuts, %d records acknowledged", cuts, 4*(acknowledged+1))
}

// powerCut starts the process, kills it, and returns what was acknowledged last.
func powerCut(t *testing.T, path string, from int, rng *rand.Rand) int {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // ourselves
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d:%s", powerCutVariable, from, path))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	// It is killed some microseconds after some acknowledgment, or while it opens the database.
	after, last := rng.IntN(8), from-1
	delay := time.Duration(rng.IntN(15_000)) * time.Microsecond
	lines := bufio.NewScanner(out)
	for seen := 0; seen < after && lines.Scan(); seen++ {
		last, err = strconv.Atoi(lines.Text())
		require.NoError(t, err)
	}
	<-time.After(delay)
	require.NoError(t, c.Process.Kill())
	for lines.Scan() {
		// A line that the kill cut off was not acknowledged.
		if n, err := strconv.Atoi(lines.Text()); err == nil && n == last+1 {
			last = n
		}
	}
	require.Error(t, c.Wait(), "it was killed")
	return last
}
