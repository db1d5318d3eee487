package incidentstore

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// count is how many rows a table has.
func count(t testing.TB, s *Store, table string) (n int) {
	t.Helper()
	require.NoError(t, s.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}

func resolved(inc eventdata.Incident) eventdata.Incident {
	inc.Status = semconv.StatusResolved
	return inc
}

// moveTo puts the clock of the database to a time.
func (d *database) moveTo(t *testing.T, s *Store, to time.Time) { d.later(to.Sub(clockOf(t, s))) }

func TestPruneByAge(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		lost := map[Loss]int64{}
		s := d.open(t, func(s *Settings) {
			s.Counted = func(l Loss, n int64) { lost[l] += n }
			s.MaxAge = time.Hour
			s.TokenAge = 24 * time.Hour
		})
		d.moveTo(t, s, at(0))
		record(t, s, opened(resolved(incident(1, 0))), opened(incident(2, 0)), opened(resolved(incident(3, 30))),
			intent(1, "i-1", 1, playbook.Awaiting, 0), intent(2, "i-none", 1, playbook.Awaiting, 0), intent(3, "i-none", 1, playbook.Succeeded, 0),
			intent(4, "i-2", 1, playbook.Succeeded, 0),
			delivery(1, "i-1", DeliveryDead, 0), delivery(2, "i-1", DeliveryQueued, 0), delivery(3, "i-gone", DeliveryDead, 0),
			audited(0), audited(1), audited(2), audited(59))
		require.NoError(t, s.GiveFeedback(t.Context(), "i-1", Feedback{By: "ann", At: at(50)}))
		_, err := s.AddSilence(t.Context(), Silence{Start: at(0), End: at(1)})
		require.NoError(t, err)
		_, err = s.Submit(t.Context(), Command{Kind: CommandReplay}, "token")
		require.NoError(t, err)
		_, err = s.Claim(t.Context(), Claim{Key: "k", Owner: "a", Locks: []string{"l"}, Lease: time.Minute, Window: time.Hour, Total: 1, PerClass: 1, MaxWeight: 1})
		require.NoError(t, err)
		d.moveTo(t, s, at(61).Add(30*time.Second))
		require.NoError(t, s.Prune(t.Context()))
		assert.Equal(t, map[Loss]int64{LossIncidents: 1, LossIntents: 2, LossDeliveries: 2, LossAudit: 2, LossSilences: 1}, lost)
		found, _, err := s.Incidents(t.Context(), IncidentFilter{}, Page{Limit: 10})
		require.NoError(t, err)
		assert.Equal(t, []string{"i-3", "i-2"}, ids(found), "what is open stays")
		left, _, err := s.Intents(t.Context(), IntentFilter{}, Page{Limit: 10})
		require.NoError(t, err)
		assert.Len(t, left, 2, "what awaits a person stays, and what belongs to an incident")
		for table, want := range map[string]int{
			"incident_details": 2, "evidence": 4, "signatures": 2, "feedback": 0, "deliveries": 1, "silences": 0, "tokens": 1, "claims": 1, "commands": 1,
			"incident_services": 4, "titles": 2,
		} {
			assert.Equal(t, want, count(t, s, table), table)
		}
		var orphans int
		require.NoError(t, s.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM history WHERE incident IN ('i-1', 'i-gone')").Scan(&orphans))
		assert.Zero(t, orphans)
		require.NoError(t, s.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM features WHERE incident NOT IN (SELECT num FROM incidents)").Scan(&orphans))
		assert.Zero(t, orphans)

		// The rest of the chain still verifies, from the anchor on.
		head, n := verify(t, s)
		assert.EqualValues(t, 5, n)
		var rest []auditchain.Record
		anchor, err := s.ExportAudit(t.Context(), func(r auditchain.Record) error { rest = append(rest, r); return nil })
		require.NoError(t, err)
		assert.EqualValues(t, 2, anchor.Seq)
		require.NoError(t, auditchain.Verify(rest, anchor))
		assert.Equal(t, head.Hash, rest[len(rest)-1].Hash)
		found2, err := s.Audit(t.Context(), 1, 10)
		require.NoError(t, err)
		assert.Equal(t, rest, found2)

		d.moveTo(t, s, at(100*24*60))
		require.NoError(t, s.Prune(t.Context()))
		assert.Zero(t, count(t, s, "claims")+count(t, s, "tokens")+count(t, s, "commands"))
		assert.Equal(t, 1, count(t, s, "audit"), "the head stays where people can find it")
		assert.EqualValues(t, 1, lost[LossTokens])
		assert.EqualValues(t, 1, lost[LossCommands])
		assert.EqualValues(t, 1, lost[LossClaims])
	})
}

func TestPruneByNumber(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		lost := map[Loss]int64{}
		s := d.open(t, func(s *Settings) {
			s.Counted = func(l Loss, n int64) { lost[l] += n }
			s.MaxIncidents, s.MaxIntents, s.MaxDeliveries, s.MaxAuditRecords = 3, 2, 2, 3
		})
		d.moveTo(t, s, at(0))
		for n := range 5 {
			inc := incident(n, n)
			if n == 4 {
				inc = resolved(inc)
			}
			record(t, s, opened(inc), intent(n, "x", 1, playbook.Awaiting, n), delivery(n, "x", DeliveryQueued, n), audited(n))
		}
		require.NoError(t, s.Prune(t.Context()))
		found, _, err := s.Incidents(t.Context(), IncidentFilter{}, Page{Limit: 10})
		require.NoError(t, err)
		assert.Equal(t, []string{"i-3", "i-2", "i-1"}, ids(found), "first what has ended, then the oldest")
		assert.Equal(t, map[Loss]int64{LossIncidents: 2, LossIntents: 3, LossDeliveries: 3, LossAudit: 2, LossOpen: 1 + 3 + 3}, lost)
		verify(t, s)
	})
}

// TestPruneBytes fills a file beyond its bound, and sees it shrink.
func TestPruneBytes(t *testing.T) {
	d := sqliteDatabase(t)
	lost := map[Loss]int64{}
	s := d.open(t, func(s *Settings) { s.Counted = func(l Loss, n int64) { lost[l] += n }; s.MaxBytes = 16 << 20 })
	var err error
	n := 0
	for ; err == nil && n < 5000; n += 20 {
		var records []Record
		for i := range 20 {
			inc := resolved(incident(n+i, n+i))
			inc.Causes = inc.Causes[:1]
			for range 10 {
				inc.Timeline = append(inc.Timeline, eventdata.TimelineEntry{Time: ptr(at(n)), Text: strings.Repeat("x", 8000)})
			}
			records = append(records, opened(inc), audited(n+i))
		}
		err = s.Record(t.Context(), records)
	}
	require.ErrorIs(t, err, ErrFull, "a quarter above the bound nothing more is taken")
	_, last := verify(t, s)
	require.NoError(t, s.Prune(t.Context()))
	z, err := s.Sizes(t.Context())
	require.NoError(t, err)
	assert.LessOrEqual(t, z.File, int64(16<<20)/10*9+1<<20)
	assert.Greater(t, z.File, int64(8<<20), "no more than must be")
	assert.Equal(t, z.Used, z.File, "nothing is left free")
	info, err := os.Stat(d.settings.Path)
	require.NoError(t, err)
	assert.Equal(t, z.File, info.Size())
	assert.Positive(t, lost[LossIncidents])
	assert.Positive(t, lost[LossAudit])
	found, _, err := s.Incidents(t.Context(), IncidentFilter{}, Page{Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("i-%d", last-1), found[0].ID, "the newest stay")
	record(t, s, opened(incident(9999, 9999)))
	verify(t, s)
}

// TestAuditIsAppendOnly is refused by the database itself.
func TestAuditIsAppendOnly(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		record(t, s, audited(1), audited(2), audited(3))
		forbidden := []string{
			"UPDATE audit SET text = 'other' WHERE seq = 2",
			"DELETE FROM audit WHERE seq = 1",
			"DELETE FROM audit",
			"INSERT INTO audit SELECT 9, at, kind, incident, intent, playbook, actor, text, fields, hash, 'other' FROM audit WHERE seq = 3",
			"UPDATE audit_anchor SET seq = 2, hash = 'other'",
			"DELETE FROM audit_anchor",
		}
		if d.settings.Driver == PostgreSQL {
			forbidden = append(forbidden, "TRUNCATE audit", "TRUNCATE audit_anchor")
		}
		for _, q := range forbidden {
			_, err := s.write.ExecContext(t.Context(), q)
			require.Error(t, err, q)
		}
		_, n := verify(t, s)
		assert.EqualValues(t, 3, n)
		// Who drops the guard is found out by the chain.
		drop := "DROP TRIGGER audit_update"
		if d.settings.Driver == PostgreSQL {
			drop = "DROP TRIGGER audit_guard ON audit"
		}
		for _, q := range []string{drop, forbidden[0]} {
			_, err := s.write.ExecContext(t.Context(), q)
			require.NoError(t, err)
		}
		_, _, err := s.VerifyAudit(t.Context())
		var broken *auditchain.BrokenError
		require.ErrorAs(t, err, &broken)
		assert.EqualValues(t, 2, broken.Seq)
	})
}

// TestFilesAreForTheOwnerAlone looks at who may read the database, what stands beside it, and a copy.
func TestFilesAreForTheOwnerAlone(t *testing.T) {
	d := sqliteDatabase(t)
	s := d.open(t)
	require.NoError(t, s.SetPause(t.Context(), Pause{By: "ann"}))
	copied := filepath.Join(filepath.Dir(d.settings.Path), "copy")
	require.NoError(t, s.Backup(t.Context(), copied))
	require.ErrorContains(t, s.Backup(t.Context(), copied), "already exists")
	files, err := os.ReadDir(filepath.Dir(d.settings.Path))
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), file.Name())
	}
}

// TestDamagedIsRefused says which file cannot be read, and never that it should be migrated.
func TestDamagedIsRefused(t *testing.T) {
	for _, keep := range []bool{false, true} {
		d := sqliteDatabase(t)
		d.settings.KeepVersion = keep
		require.NoError(t, os.WriteFile(d.settings.Path, []byte(strings.Repeat("this is no database. ", 100)), 0o600))
		_, err := Open(t.Context(), d.settings)
		require.ErrorIs(t, err, ErrDamaged)
		require.NotErrorIs(t, err, ErrOlder)
		assert.ErrorContains(t, err, d.settings.Path)
	}
}

func TestNewerIsRefused(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		v, err := s.Version(t.Context())
		require.NoError(t, err)
		_, err = s.write.ExecContext(t.Context(), s.dialect.query("INSERT INTO "+versionTable+" (version_id, is_applied) VALUES (?, ?)"), v+1, true)
		require.NoError(t, err)
		kept := d.settings
		kept.KeepVersion = true
		_, err = Open(t.Context(), kept)
		require.ErrorIs(t, err, ErrNewer)
		_, err = Open(t.Context(), d.settings)
		require.ErrorIs(t, err, ErrNewer)
		assert.ErrorContains(t, err, fmt.Sprintf("it has version %d, this program knows up to %d", v+1, v))
	})
}

func TestKeepVersion(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		keep := func(s *Settings) { s.KeepVersion = true }
		kept := d.settings
		keep(&kept)
		_, err := Open(t.Context(), kept)
		require.ErrorIs(t, err, ErrOlder)
		record(t, d.open(t), opened(incident(1, 0)), audited(1), intent(1, "i-1", 1, playbook.Awaiting, 1), delivery(1, "i-1", DeliveryDead, 1))
		s := d.open(t, keep)
		st, err := s.Stats(t.Context())
		require.NoError(t, err)
		assert.Positive(t, st.Sizes.File)
		head, _ := verify(t, s)
		assert.Equal(t, Stats{
			Version: 1, Incidents: 1, OpenIncidents: 1, Evidence: 2, Intents: 1, AwaitingIntents: 1, Deliveries: 1, DeadDeliveries: 1, AuditRecords: 1,
			AuditAnchor: auditchain.Genesis(), AuditHead: head, Sizes: st.Sizes,
		}, st)
		path := t.TempDir() + "/backup.db"
		if d.settings.Driver == PostgreSQL {
			require.ErrorContains(t, s.Backup(t.Context(), path), "use pg_dump")
			return
		}
		require.NoError(t, s.Backup(t.Context(), path))
		require.Error(t, s.Backup(t.Context(), path), "a file that is there is not overwritten")
		d.settings.Path = path
		_, n := verify(t, d.open(t, keep))
		assert.EqualValues(t, 1, n)
	})
}

func TestSettings(t *testing.T) {
	s := DefaultSettings()
	s.Path = "x"
	require.NoError(t, s.Validate())
	for want, change := range map[string]func(*Settings){
		"driver must be sqlite or postgresql":        func(s *Settings) { s.Driver = "mysql" },
		"path must be set with driver sqlite":        func(s *Settings) { s.Path = "" },
		"dsn must be set with driver postgresql":     func(s *Settings) { s.Driver = PostgreSQL },
		"max_connections must be between 3 and 1000": func(s *Settings) { s.Driver, s.DSN, s.MaxConnections = PostgreSQL, "x", 2 },
		"max_age must be at least 1h0m0s":            func(s *Settings) { s.MaxAge = 0 },
		"command_age must be at least 1s":            func(s *Settings) { s.CommandAge = 0 },
		"token_age must be at least 24h0m0s":         func(s *Settings) { s.TokenAge = time.Hour },
		"claim_age must be at least 24h0m0s":         func(s *Settings) { s.ClaimAge = time.Hour },
		"max_incidents must be at least 1":           func(s *Settings) { s.MaxIncidents = 0 },
		"max_intents must be at least 1":             func(s *Settings) { s.MaxIntents = 0 },
		"max_deliveries must be at least 1":          func(s *Settings) { s.MaxDeliveries = 0 },
		"max_audit_records must be at least 1":       func(s *Settings) { s.MaxAuditRecords = 0 },
		"max_changes must be at least 1":             func(s *Settings) { s.MaxChanges = 0 },
		"max_bytes must be at least 16777216, got 1": func(s *Settings) { s.MaxBytes = 1 },
		"max_incident_bytes must be at least 8192":   func(s *Settings) { s.MaxIncidentBytes = 1 },
		"max_history must be at least 1":             func(s *Settings) { s.MaxHistory = 0 },
		"max_commands must be at least 1":            func(s *Settings) { s.MaxCommands = 0 },
		"max_silences must be at least 1":            func(s *Settings) { s.MaxSilences = 0 },
		"max_claims must be at least 1":              func(s *Settings) { s.MaxClaims = 0 },
	} {
		bad := s
		change(&bad)
		require.ErrorContains(t, bad.Validate(), want)
		_, err := Open(t.Context(), bad)
		require.ErrorContains(t, err, "open incident store: "+want)
	}
	s.Path = t.TempDir() + "/none/x.db"
	_, err := Open(t.Context(), s)
	require.ErrorIs(t, err, ErrUnavailable)
	s.Driver, s.DSN = PostgreSQL, "postgres://me:secret@host:port/x"
	_, err = Open(t.Context(), s)
	require.ErrorContains(t, err, "dsn must be one that libpq understands")
	assert.NotContains(t, err.Error(), "secret")
}
