package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/postgrestest"
)

func TestRun(t *testing.T) {
	t.Setenv(dsnVariable, "")
	o := options{incidents: 1000, evidence: 10, audit: 1000, queries: 2}
	var out strings.Builder
	require.NoError(t, run(t.Context(), o, &out))
	assert.Contains(t, out.String(), "sqlite: 1000 incidents with 10000 evidence records, 1000 intents and 1000 audit records")
	assert.Contains(t, out.String(), "get one, with evidence")
	assert.Contains(t, out.String(), "size after it")
	out.Reset()
	t.Setenv(dsnVariable, postgrestest.Start(t).Database(t))
	require.NoError(t, run(t.Context(), o, &out))
	assert.Contains(t, out.String(), "postgresql: 1000 incidents")
}
