package incidentstore

import (
	"errors"
	"fmt"
	"time"
)

// Driver is the sort of database.
type Driver string

// The drivers.
const (
	// SQLite is one file of one process.
	SQLite Driver = "sqlite"
	// PostgreSQL is what several processes share.
	PostgreSQL Driver = "postgresql"
)

// Settings say where the database is, and bound what is in it.
type Settings struct {
	Driver Driver
	// Path is the file of SQLite, whose folder must be there.
	Path string
	// DSN is how to reach PostgreSQL, as libpq understands it. It may hold a password.
	DSN string
	// KeepVersion refuses a database that would have to be migrated, or is not there.
	KeepVersion bool
	// MaxConnections are those to PostgreSQL, 3 to 1000. One of them waits for notifications.
	MaxConnections int

	// MaxAge is how long what has ended is kept, at least 1 h. What is open, awaits a person or waits to be delivered stays.
	MaxAge time.Duration
	// MaxIncidents, MaxIntents, MaxDeliveries and MaxAuditRecords are how many are kept; of more, the oldest that have ended go first,
	// and then the oldest.
	MaxIncidents, MaxIntents, MaxDeliveries, MaxAuditRecords int
	// MaxChanges is how many changes can be asked for again.
	MaxChanges int
	// MaxBytes bounds the file of SQLite, at least 16 MiB; the oldest of everything goes first. PostgreSQL is bounded by the numbers.
	MaxBytes int64
	// MaxIncidentBytes bounds one incident, at least 8 KiB; of a larger one the details are cut.
	MaxIncidentBytes int
	// MaxHistory is how many entries of its timeline are kept for an incident, besides what it says of itself.
	MaxHistory int
	// MaxCommands is how many commands may wait, and MaxSilences how many silences may be kept that are not over. Of those that are over
	// the newest are kept: of commands ten times, of silences twice as many as may be.
	MaxCommands, MaxSilences int
	// CommandAge is how long a command waits to be taken.
	CommandAge time.Duration
	// TokenAge is how long a token is known to be used, at least 24 h: links must expire before.
	TokenAge time.Duration
	// ClaimAge is how long claims are kept, at least 24 h, and MaxClaims how many.
	ClaimAge  time.Duration
	MaxClaims int

	// Counted, if set, is told of what was removed, cut or refused to keep within the bounds; see [Loss].
	Counted func(l Loss, n int64)
	// Now is the clock of SQLite; nil is [time.Now]. PostgreSQL has its own.
	Now func() time.Time
}

// Loss is what was done to keep within a bound.
type Loss string

// The losses.
const (
	LossIncidents  Loss = "removed_incidents"
	LossIntents    Loss = "removed_intents"
	LossDeliveries Loss = "removed_deliveries"
	LossAudit      Loss = "removed_audit_records"
	LossSilences   Loss = "removed_silences"
	LossCommands   Loss = "removed_commands"
	LossTokens     Loss = "removed_tokens"
	LossClaims     Loss = "removed_claims"
	LossChanges    Loss = "removed_changes"
	LossHistory    Loss = "removed_history"
	LossExecutors  Loss = "removed_executors"
	// LossOpen are incidents that were still open, or intents that awaited a person, when they had to make room. They are counted
	// among the removed as well.
	LossOpen Loss = "removed_open"
	// LossCut are incidents of which details were cut, LossRefused records that were refused for good, since nothing of them can be stored.
	LossCut     Loss = "cut_incidents"
	LossRefused Loss = "refused_records"
)

// DefaultSettings are those of SQLite; they need a path.
func DefaultSettings() Settings {
	return Settings{
		Driver: SQLite, MaxConnections: 8,
		MaxAge: 90 * 24 * time.Hour, MaxIncidents: 100_000, MaxIntents: 200_000, MaxDeliveries: 200_000, MaxAuditRecords: 1_000_000,
		MaxChanges: 50_000, MaxBytes: 4 << 30, MaxIncidentBytes: 256 << 10, MaxHistory: 500, MaxCommands: 1000, MaxSilences: 1000,
		CommandAge: 5 * time.Minute, TokenAge: 30 * 24 * time.Hour, ClaimAge: 30 * 24 * time.Hour, MaxClaims: 100_000,
	}
}

// Validate says everything that is wrong with the settings.
func (s *Settings) Validate() error {
	var errs []error
	switch s.Driver {
	case SQLite:
		if s.Path == "" {
			errs = append(errs, errors.New("path must be set with driver sqlite; it is the file of the database"))
		}
	case PostgreSQL:
		if s.DSN == "" {
			errs = append(errs, errors.New("dsn must be set with driver postgresql, such as postgres://user@host/database"))
		}
		if s.MaxConnections < 3 || s.MaxConnections > 1000 {
			errs = append(errs, fmt.Errorf("max_connections must be between 3 and 1000, got %d", s.MaxConnections))
		}
	default:
		errs = append(errs, fmt.Errorf("driver must be %s or %s, got %q", SQLite, PostgreSQL, s.Driver))
	}
	for _, d := range []struct {
		name       string
		value, low time.Duration
	}{
		{"max_age", s.MaxAge, time.Hour},
		{"command_age", s.CommandAge, time.Second},
		{"token_age", s.TokenAge, 24 * time.Hour},
		{"claim_age", s.ClaimAge, 24 * time.Hour},
	} {
		if d.value < d.low {
			errs = append(errs, fmt.Errorf("%s must be at least %s, got %s", d.name, d.low, d.value))
		}
	}
	for _, n := range []struct {
		name       string
		value, low int64
	}{
		{"max_incidents", int64(s.MaxIncidents), 1},
		{"max_intents", int64(s.MaxIntents), 1},
		{"max_deliveries", int64(s.MaxDeliveries), 1},
		{"max_audit_records", int64(s.MaxAuditRecords), 1},
		{"max_changes", int64(s.MaxChanges), 1},
		{"max_bytes", s.MaxBytes, 16 << 20},
		{"max_incident_bytes", int64(s.MaxIncidentBytes), 8 << 10},
		{"max_history", int64(s.MaxHistory), 1},
		{"max_commands", int64(s.MaxCommands), 1},
		{"max_silences", int64(s.MaxSilences), 1},
		{"max_claims", int64(s.MaxClaims), 1},
	} {
		if n.value < n.low {
			errs = append(errs, fmt.Errorf("%s must be at least %d, got %d; it bounds the database", n.name, n.low, n.value))
		}
	}
	return errors.Join(errs...)
}

// place names the file for errors. A DSN may hold a password.
func (s *Settings) place() string {
	if s.Driver == PostgreSQL {
		return ""
	}
	return " " + s.Path
}
