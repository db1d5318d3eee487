package incidentstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Store is a [Memory] in a database.
type Store struct {
	settings    Settings
	dialect     *dialect
	write, read *sql.DB
	wake        *wake
	stop        context.CancelFunc
	running     sync.WaitGroup
	// ahead is by how many nanoseconds the clock of the database is to be ahead; tests set it.
	ahead *atomic.Int64

	// statements are those of the one connection that writes to SQLite.
	statementsMu sync.Mutex
	// statementsMu guards everything below.
	statements map[string]*sql.Stmt
}

var _ Memory = (*Store)(nil)

// Open opens the database, and brings it to the version of this program. It refuses one of a newer version. It must be closed.
func Open(ctx context.Context, settings Settings) (*Store, error) {
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("open incident store: %w", err)
	}
	if settings.Now == nil {
		settings.Now = time.Now
	}
	if settings.Counted == nil {
		settings.Counted = func(Loss, int64) {}
	}
	s := &Store{settings: settings, dialect: sqliteDialect, wake: newWake(), statements: map[string]*sql.Stmt{}}
	if settings.Driver == PostgreSQL {
		s.dialect = postgresDialect
	}
	var err error
	if s.write, s.read, err = s.dialect.open(&s.settings); err != nil {
		return nil, fmt.Errorf("open incident store: %w", err)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open incident store%s: %w", settings.place(), explain(err)), s.closePools())
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.dialect.notify != "" {
		s.running.Go(func() { s.listen(background) })
	}
	return s, nil
}

// prepare migrates, and bounds the file.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.settings.Driver != SQLite {
		return nil
	}
	// Retention keeps the file below the bound; what comes between two rounds of it must not fill the disk either.
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", (s.settings.MaxBytes+s.settings.MaxBytes/4)/pageBytes))
	return err
}

// Close ends all connections. Calls that are under way fail, and those that wait for changes return.
func (s *Store) Close() error {
	s.stop()
	s.wake.close()
	err := s.closePools()
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("close incident store: %w", err)
	}
	return nil
}

func (s *Store) closePools() error {
	s.statementsMu.Lock()
	for _, statement := range s.statements {
		_ = statement.Close() // the connection is closed next
	}
	clear(s.statements)
	s.statementsMu.Unlock()
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	return err
}

// tx is a transaction; those that write follow each other, also those of other processes.
type tx struct {
	s   *Store
	ctx context.Context //nolint:containedctx // a transaction is as short as its context
	*sql.Tx
	now     time.Time
	audit   *auditTail
	changed bool
	// lost is told once it is committed.
	lost map[Loss]int64
	// statements are the kept ones that were used, missed those that were not there.
	statements map[string]*sql.Stmt
	missed     []string
}

// update runs do in a transaction that writes.
func (s *Store) update(ctx context.Context, what string, do func(*tx) error) error {
	if err := s.tryUpdate(ctx, do); err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

func (s *Store) tryUpdate(ctx context.Context, do func(*tx) error) (err error) {
	inner, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	// The end of the context ends the transaction; to watch it in each statement as well costs more than the statement.
	t := &tx{s: s, ctx: context.WithoutCancel(ctx), Tx: inner, lost: map[Loss]int64{}, statements: map[string]*sql.Stmt{}}
	if s.dialect.numbered {
		t.ctx = ctx // a server may be slow to answer
	}
	defer func() {
		if err != nil {
			_ = inner.Rollback() // after a commit that failed it is over already
		}
	}()
	if s.dialect.serialise != "" {
		if _, err := inner.ExecContext(ctx, s.dialect.serialise); err != nil {
			return err
		}
	}
	if err := do(t); err != nil {
		return err
	}
	if t.changed && s.dialect.notify != "" {
		if _, err := inner.ExecContext(ctx, s.dialect.notify); err != nil {
			return err
		}
	}
	if err := inner.Commit(); err != nil {
		return err
	}
	s.keep(ctx, t.missed)
	if t.changed {
		s.wake.all()
	}
	for l, n := range t.lost {
		s.settings.Counted(l, n)
	}
	return nil
}

// view runs do in a transaction that reads one state of the database.
func (s *Store) view(ctx context.Context, what string, do func(*tx) error) error {
	inner, err := s.read.BeginTx(ctx, s.dialect.snapshot)
	if err == nil {
		err = do(&tx{s: s, ctx: ctx, Tx: inner})
		_ = inner.Rollback() // nothing was written
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

// clock is the time of the database.
func (t *tx) clock() (time.Time, error) {
	if !t.now.IsZero() {
		return t.now, nil
	}
	t.now = t.s.settings.Now().UTC().Truncate(time.Microsecond)
	if t.s.dialect.clock != "" {
		var micros int64
		if err := t.QueryRowContext(t.ctx, t.s.dialect.clock).Scan(&micros); err != nil {
			return time.Time{}, err
		}
		t.now = time.UnixMicro(micros).UTC()
	}
	if t.s.ahead != nil {
		t.now = t.now.Add(time.Duration(t.s.ahead.Load()))
	}
	return t.now, nil
}

// exec runs a statement, and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	var r sql.Result
	var err error
	if statement := t.statement(query); statement != nil {
		r, err = statement.ExecContext(t.ctx, args...)
	} else {
		r, err = t.ExecContext(t.ctx, t.s.dialect.query(query), args...)
	}
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// get reads one row; false when there is none.
func (t *tx) get(query string, args []any, into ...any) (bool, error) {
	var row *sql.Row
	if statement := t.statement(query); statement != nil {
		row = statement.QueryRowContext(t.ctx, args...)
	} else {
		row = t.QueryRowContext(t.ctx, t.s.dialect.query(query), args...)
	}
	err := row.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each reads rows; scan is given where each goes.
func (t *tx) each(query string, args []any, scan func(row func(...any) error) error) error {
	rows, err := t.QueryContext(t.ctx, t.s.dialect.query(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// maxStatements bounds those that are kept; all that write have a fixed text.
const maxStatements = 256

// statement returns a kept statement in a transaction that writes to SQLite, where compiling costs more than running; nil for others,
// whose driver keeps them. What is missing is prepared once the only connection is free again.
func (t *tx) statement(query string) *sql.Stmt {
	if t.lost == nil || t.s.dialect.numbered {
		return nil
	}
	if own := t.statements[query]; own != nil {
		return own
	}
	t.s.statementsMu.Lock()
	defer t.s.statementsMu.Unlock()
	kept := t.s.statements[query]
	if kept == nil {
		t.missed = append(t.missed, query)
		return nil
	}
	own := t.StmtContext(t.ctx, kept)
	t.statements[query] = own
	return own
}

// keep prepares the statements that a transaction missed. To prepare waits for the connection, whose holder may wait for statementsMu.
func (s *Store) keep(ctx context.Context, missed []string) {
	for _, query := range missed {
		s.statementsMu.Lock()
		known := s.statements[query] != nil || len(s.statements) >= maxStatements
		s.statementsMu.Unlock()
		if known {
			continue
		}
		statement, err := s.write.PrepareContext(ctx, query)
		if err != nil {
			return // without it, the statement is compiled each time
		}
		s.statementsMu.Lock()
		if s.statements[query] == nil {
			s.statements[query], statement = statement, nil
		}
		s.statementsMu.Unlock()
		if statement != nil {
			_ = statement.Close() // another was faster
		}
	}
}

// lose counts what is done to keep within a bound, once it is committed.
func (t *tx) lose(l Loss, n int64) {
	if n > 0 {
		t.lost[l] += n
	}
}
