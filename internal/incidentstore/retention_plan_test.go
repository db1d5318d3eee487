package incidentstore

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPruneReadsNothingYoung asks SQLite how it finds what is old: never by reading a whole table, which would hold up all who write.
func TestPruneReadsNothingYoung(t *testing.T) {
	s := sqliteDatabase(t).open(t)
	for what, query := range map[string]string{
		"incidents":  "SELECT num, id, s.features FROM incidents LEFT JOIN signatures s ON s.incident = num WHERE " + oldIncidents + " ORDER BY detected_at, num LIMIT 500",
		"intents":    "SELECT num, incident FROM intents WHERE " + oldIntents + " ORDER BY num LIMIT 500",
		"deliveries": "SELECT num, incident FROM deliveries WHERE " + oldDeliveries + " ORDER BY num LIMIT 500",
	} {
		steps := plan(t, s, query, 0, 0)
		require.NotEmpty(t, steps)
		subqueries := 0
		for i, step := range steps {
			// The search for the first that is young stops at it.
			if i > 0 && strings.HasPrefix(steps[i-1], "SCALAR SUBQUERY") {
				subqueries++
				continue
			}
			assert.False(t, strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE"), "%s: %s", what, step)
		}
		assert.LessOrEqual(t, subqueries, 1, what)
	}
}

// plan is how SQLite goes about a query.
func plan(t *testing.T, s *Store, query string, args ...any) (steps []string) {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	require.NoError(t, rows.Err())
	return steps
}

// TestPruneSilences keeps a bounded number of those that are over.
func TestPruneSilences(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		var lost int64
		s := d.open(t, func(s *Settings) { s.MaxSilences, s.Counted = 3, func(_ Loss, n int64) { lost += n } })
		d.moveTo(t, s, at(0))
		first, err := s.AddSilence(t.Context(), Silence{Start: at(0), End: at(600)})
		require.NoError(t, err)
		for range 10 {
			one, err := s.AddSilence(t.Context(), Silence{Start: at(0), End: at(600)})
			require.NoError(t, err)
			require.NoError(t, s.EndSilence(t.Context(), one.ID, "ann", at(0)))
			d.later(time.Second)
		}
		require.NoError(t, s.Prune(t.Context()))
		found, err := s.Silences(t.Context(), false, at(1))
		require.NoError(t, err)
		require.Len(t, found, 7, "twice as many, and what is not over")
		assert.Equal(t, first.ID, found[6].ID)
		assert.EqualValues(t, 4, lost)
	})
}
