package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/postgrestest"
	"github.com/paramedic-otel/paramedic/semconv"
)

func call(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	require.Equal(t, want, run(t.Context(), args, &out, &err), err.String())
	return out.String(), err.String()
}

// fill stores some incidents and audit records.
func fill(t *testing.T, set incidentstore.Settings) {
	t.Helper()
	s, err := incidentstore.Open(t.Context(), set)
	require.NoError(t, err)
	at := time.Now().Add(-time.Hour)
	for n := range 5 {
		require.NoError(t, s.Record(t.Context(), []incidentstore.Record{
			{ID: fmt.Sprint("a", n), At: at, Audit: &auditchain.Entry{Kind: "k", Text: "<text>"}},
			{ID: fmt.Sprint("i", n), At: at, Incident: &incidentstore.IncidentRecord{Incident: eventdata.Incident{
				ID: fmt.Sprint("i", n), DetectedAt: &at, Status: semconv.StatusResolved,
			}}},
		}))
	}
	require.NoError(t, s.Close())
}

func TestCommands(t *testing.T) {
	databases := map[string]func(t *testing.T) ([]string, incidentstore.Settings){
		"sqlite": func(t *testing.T) ([]string, incidentstore.Settings) {
			set := incidentstore.DefaultSettings()
			set.Path = filepath.Join(t.TempDir(), "store.db")
			return []string{"-sqlite", set.Path}, set
		},
		"postgresql": func(t *testing.T) ([]string, incidentstore.Settings) {
			set := incidentstore.DefaultSettings()
			set.Driver, set.DSN = incidentstore.PostgreSQL, postgrestest.Start(t).Database(t)
			t.Setenv(dsnVariable, set.DSN)
			return nil, set
		},
	}
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			flags, set := open(t)
			with := func(args ...string) []string { return append(append([]string{}, flags...), args...) }
			_, stderr := call(t, exitFailed, with("verify")...)
			if name == "postgresql" {
				assert.Contains(t, stderr, "run incidentstore migrate")
			} else {
				assert.Contains(t, stderr, "no such file")
				assert.NoFileExists(t, set.Path)
			}
			stdout, _ := call(t, exitOK, with("migrate")...)
			assert.Equal(t, "the database has version 1\n", stdout)
			fill(t, set)

			stdout, _ = call(t, exitOK, with("verify")...)
			assert.Contains(t, stdout, "5 records, unbroken\nhead  5  ")
			stdout, _ = call(t, exitOK, with("export", "audit")...)
			r, v := auditchain.NewReader(strings.NewReader(stdout), 1<<20), auditchain.NewVerifier(auditchain.Genesis())
			for range 5 {
				record, err := r.Next()
				require.NoError(t, err)
				require.NoError(t, v.Add(record))
			}
			stdout, _ = call(t, exitOK, with("export", "incidents")...)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			require.Len(t, lines, 5)
			var inc incidentstore.Incident
			require.NoError(t, json.Unmarshal([]byte(lines[0]), &inc))
			assert.Equal(t, "i4", inc.ID)
			stdout, _ = call(t, exitOK, with("stats")...)
			assert.Regexp(t, `incidents +5\n`, stdout)

			stdout, _ = call(t, exitOK, append([]string{"-max-incidents", "3", "-max-audit-records", "2"}, with("prune")...)...)
			assert.Equal(t, "removed_audit_records  3\nremoved_incidents  2\n", stdout)
			stdout, _ = call(t, exitOK, with("verify")...)
			assert.Contains(t, stdout, "2 records, unbroken\nhead  5  ")
			assert.Contains(t, stdout, "the 3 records before were removed by retention")

			copied := filepath.Join(t.TempDir(), "copy.db")
			if name == "postgresql" {
				_, stderr = call(t, exitFailed, with("backup", copied)...)
				assert.Contains(t, stderr, "use pg_dump")
				return
			}
			call(t, exitOK, with("backup", copied)...)
			again, _ := call(t, exitOK, "-sqlite", copied, "verify")
			assert.Equal(t, stdout, again)
		})
	}
}

func TestUsage(t *testing.T) {
	t.Setenv(dsnVariable, "")
	for want, args := range map[string][]string{
		"either -sqlite or the variable":  {"verify"},
		"the command must be one of":      {"-sqlite", "x"},
		"flag provided but not defined":   {"-dsn", "x"},
		"got [\"export\" \"all\"]":        {"-sqlite", "x", "export", "all"},
		"max_incidents must be at least ": {"-sqlite", "x", "-max-incidents", "0", "prune"},
	} {
		_, stderr := call(t, exitUsage, args...)
		assert.Contains(t, stderr, want)
	}
	_, stderr := call(t, exitOK, "-h")
	assert.Contains(t, stderr, "usage: incidentstore")
	path := filepath.Join(t.TempDir(), "x.db")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no database", 100)), 0o600))
	_, stderr = call(t, exitFailed, "-sqlite", path, "verify")
	assert.Contains(t, stderr, "file is not a database")
}
