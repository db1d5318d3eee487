package postgrestest_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/postgrestest"
)

func TestServer(t *testing.T) {
	s := postgrestest.Start(t)
	one, other := s.Database(t), s.Database(t)
	assert.NotEqual(t, one, other)
	db, err := sql.Open("pgx", one)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "CREATE TABLE kept (n int)")
	require.NoError(t, err)
	require.Error(t, s.Launch(), "it runs already")
	for _, end := range []func() error{s.Stop, s.Kill} {
		require.NoError(t, end())
		require.NoError(t, end(), "twice is once")
		require.Error(t, db.PingContext(t.Context()))
		require.NoError(t, s.Launch())
	}
	require.NoError(t, s.Restart())
	_, err = db.ExecContext(t.Context(), "INSERT INTO kept VALUES (1)")
	if err != nil {
		// The pool may still have met a connection of the server before.
		_, err = db.ExecContext(t.Context(), "INSERT INTO kept VALUES (1)")
	}
	require.NoError(t, err)
}

func TestRequired(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if bin, err := postgrestest.Find(); err == nil {
		assert.Contains(t, bin, "/postgresql/", "the newest of the system's packages")
	}
}
