package incidentstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is all in which the databases differ.
type dialect struct {
	name  goose.Dialect
	files string
	// open returns the connections that write and those that read.
	open func(s *Settings) (write, read *sql.DB, err error)
	// numbered says that arguments are $1, $2, … instead of ?.
	numbered bool
	// serialise, run first in a transaction, makes those that write follow each other; SQLite has but one that writes.
	serialise string
	// clock returns microseconds since 1970; empty where the process has the only clock.
	clock string
	// notify, run last, wakes other processes once what was written can be seen.
	notify string
	// contains is a condition on a column and an argument.
	contains string
	// offIndex keeps the planner from using the index of a column, where it has no statistics.
	offIndex string
	snapshot *sql.TxOptions
}

var (
	sqliteDialect = &dialect{
		name: goose.DialectSQLite3, files: "migrations/sqlite", open: openSQLite,
		contains: "instr(%s, ?) > 0", offIndex: "+", snapshot: &sql.TxOptions{ReadOnly: true},
	}
	postgresDialect = &dialect{
		name: goose.DialectPostgres, files: "migrations/postgres", open: openPostgres, numbered: true,
		serialise: "SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.paramedic_incidentstore'))",
		clock:     "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		notify:    "SELECT pg_notify('" + channel + "', '')",
		contains:  "strpos(%s, ?) > 0",
		snapshot:  &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	}
)

// channel is where processes tell each other that something has changed.
const channel = "paramedic_incidentstore"

const (
	// readers is how many connections read a file at the same time.
	readers   = 4
	pageBytes = 4096
)

// inMemory is a path that is no file.
const inMemory = ":memory:"

func openSQLite(s *Settings) (write, read *sql.DB, err error) {
	if s.Path != inMemory && !s.KeepVersion {
		if err := makeFile(s.Path); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, err) // the folder may be mounted a moment later
		}
	}
	// Pragmas are set in this order, on each connection; a vacuum is only possible when its mode is set before the first table.
	open := func(connections int, pragmas ...string) (*sql.DB, error) {
		q := url.Values{"_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
		if connections == 1 {
			q.Set("_txlock", "immediate")
		}
		// The path is escaped, so that no character of it is taken for a parameter.
		dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: s.Path}).EscapedPath(), RawQuery: q.Encode()}).String()
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return db, nil
	}
	write, err = open(1, "auto_vacuum(incremental)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)",
		"cache_size(-65536)", "journal_size_limit(16777216)")
	if err != nil {
		return nil, nil, err
	}
	read, err = open(readers, "query_only(on)", "cache_size(-16384)")
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
}

// makeFile makes a file that only its owner may read, if there is none: SQLite would let everybody on this machine read it, and gives
// what stands beside it the same permissions. A file that is there is not opened, since closing it would end the locks that this
// process may have on it.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func openPostgres(s *Settings) (write, read *sql.DB, err error) {
	cfg, err := pgx.ParseConfig(s.DSN)
	if err != nil {
		// The error of the parser may quote the password.
		return nil, nil, errors.New("dsn must be one that libpq understands, such as postgres://user@host/database")
	}
	cfg.RuntimeParams["application_name"] = "paramedic-incidentstore"
	// What was acknowledged must survive a loss of power, whatever the server's default is.
	cfg.RuntimeParams["synchronous_commit"] = "on"
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(s.MaxConnections)
	db.SetMaxIdleConns(s.MaxConnections)
	return db, db, nil
}

// query writes a query as the database wants it. None of ours has a question mark in a text.
func (d *dialect) query(q string) string {
	if !d.numbered {
		return q
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(q, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		q = after
	}
}

// explain gives an error the sentinel by which callers decide.
func explain(err error) error {
	var (
		lite *sqlite.Error
		pg   *pgconn.PgError
		dial *pgconn.ConnectError
		conn net.Error
	)
	switch {
	case err == nil, errors.Is(err, ErrUnavailable), errors.Is(err, ErrDamaged), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &lite):
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("%w: %w", ErrFull, err)
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	case errors.As(err, &pg):
		// Classes: 08 connection, 40 rolled back, 53 resources, 57 an operator stepped in, 58 the system.
		switch class := pg.Code[:min(2, len(pg.Code))]; {
		case pg.Code == "53100":
			return fmt.Errorf("%w: %w", ErrFull, err)
		case class == "08", class == "40", class == "53", class == "57", class == "58", pg.Code == "25006":
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case errors.As(err, &dial), errors.As(err, &conn), pgconn.SafeToRetry(err), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
