package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestPlan(t *testing.T) {
	o := options{services: 2, repeats: 3, learn: time.Minute}
	plan := newPlan(o, 1)
	assert.Equal(t, plan, newPlan(o, 1), "drawn from the seed alone")
	assert.NotEqual(t, plan, newPlan(o, 2))
	faults, seeds := map[fault]int{}, map[uint64]bool{}
	for _, in := range plan {
		faults[fault{in.Kind, in.Service}]++
		seeds[in.Seed] = true
		assert.Contains(t, shop.Targets(in.Kind), in.Service)
	}
	for f, n := range faults {
		assert.Equal(t, 3, n, f)
	}
	assert.Len(t, seeds, len(plan), "each in a shop of its own")
}

// TestRun simulates a few faults, and judges the same when it reads them again.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o := options{first: 1, seeds: 1, services: 1, repeats: 2, workers: 2, learn: 6 * time.Minute, watch: 30 * time.Second, after: 30 * time.Second, save: path}
	var simulated, read strings.Builder
	require.NoError(t, run(t.Context(), o, &simulated))
	assert.Contains(t, simulated.String(), "injections of 1 seeds")
	o.save, o.load = "", path
	require.NoError(t, run(t.Context(), o, &read))
	assert.Equal(t, simulated.String(), read.String())
}
