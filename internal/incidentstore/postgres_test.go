package incidentstore

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/paramedic-otel/paramedic/internal/postgrestest"
)

var shared struct {
	once   sync.Once
	server *postgrestest.Server
}

// postgresDatabase is one of a server that all tests of the package share.
func postgresDatabase(t testing.TB) *database {
	t.Helper()
	shared.once.Do(func() { shared.server = postgrestest.New(t) })
	if shared.server == nil {
		t.Skip("no PostgreSQL")
	}
	set := DefaultSettings()
	set.Driver, set.DSN = PostgreSQL, shared.server.Database(t)
	return &database{settings: set, ahead: &atomic.Int64{}}
}
