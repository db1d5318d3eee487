package incidentstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// versionTable is where the database keeps which migrations were made.
const versionTable = "incidentstore_versions"

// migrate brings the database to the version of this program. Of several processes one does, and the others wait.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, s.dialect.files)
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
	}
	if s.dialect.name == goose.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(s.dialect.name, s.write, files, options...)
	if err != nil {
		return err
	}
	if s.settings.KeepVersion {
		sources := p.ListSources()
		return s.sameVersion(ctx, sources[len(sources)-1].Version)
	}
	// The first run makes the table of versions, which only one may.
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if current > target {
		return newer(current, target)
	}
	return nil
}

// ErrDamaged says that a file cannot be read.
var ErrDamaged = errors.New("it is damaged, or no database at all: restore a backup, or move it away to begin anew")

// ErrOlder says that a database must be migrated first.
var ErrOlder = errors.New("the database must be migrated")

// sameVersion refuses another version than that of this program.
func (s *Store) sameVersion(ctx context.Context, want int64) error {
	got, err := s.Version(ctx)
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrDamaged):
		return err
	case err != nil:
		return fmt.Errorf("%w: it is not one of an incident store: %w", ErrOlder, err)
	case got < want:
		return fmt.Errorf("%w: it has version %d, this program has %d", ErrOlder, got, want)
	case got > want:
		return newer(got, want)
	}
	return nil
}

func newer(got, known int64) error {
	return fmt.Errorf("%w: it has version %d, this program knows up to %d; use a newer program, or restore a backup", ErrNewer, got, known)
}

// Version is that of the database.
func (s *Store) Version(ctx context.Context) (int64, error) {
	var version int64
	err := s.view(ctx, "read version", func(t *tx) error {
		_, err := t.get("SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable, nil, &version)
		return err
	})
	return version, err
}
