package loop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// observed is what an incident said while a fault was there.
type observed struct {
	incident semconv.Incident
	service  string
	// failed are the traces with a failed span.
	failed map[string]bool
}

// observe injects a fault into the shop and returns what the real components say of it at last.
func observe(t *testing.T, kind shop.FaultKind) (out observed) {
	out.failed = map[string]bool{}
	cfg := shop.DefaultConfig()
	cfg.Start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	sim, err := shop.New(cfg)
	require.NoError(t, err)
	l, err := loop.New(t.Context(), loop.Default())
	require.NoError(t, err)
	for second := range 420 {
		if second == 360 {
			status, err := sim.Inject(shop.Fault{Kind: kind})
			require.NoError(t, err)
			out.service = status.Service
		}
		td, md, ld := sim.Tick()
		out.see(td)
		require.NoError(t, l.Feed(t.Context(), td, md, ld))
		for _, e := range l.Events() {
			out.incident = e.Incident
		}
	}
	require.NoError(t, l.Close(t.Context()))
	return out
}

// see notes the traces in which anything failed.
func (o *observed) see(td ptrace.Traces) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				if s.Status().Code() == ptrace.StatusCodeError {
					o.failed[s.TraceID().String()] = true
				}
			}
		}
	}
}

// TestEvidence looks at what the incident connector says of faults, with what the tracegraph connector makes of the spans.
func TestEvidence(t *testing.T) {
	t.Run("errors", func(t *testing.T) {
		o := observe(t, shop.ErrorBurst)
		ev := evidenceFor(t, &o, semconv.MetricGraphRequestFailedTotal)
		assert.Regexp(t, `^\d+ % of the calls from \S+ fail instead of [0-9.]+ % \((mostly )?error\.type=\S+, .+\)$`, ev.Summary)
		require.NotEmpty(t, ev.TraceIDs)
		for _, id := range ev.TraceIDs {
			assert.True(t, o.failed[id], id)
		}
		logged := evidenceFor(t, &o, semconv.AttrLogRecordTemplate)
		for _, id := range logged.TraceIDs {
			assert.True(t, o.failed[id], id)
		}
	})
	t.Run("latency", func(t *testing.T) {
		o := observe(t, shop.SlowDependency)
		ev := evidenceFor(t, &o, semconv.MetricGraphRequestClient, semconv.MetricGraphRequestServer)
		require.NotEmpty(t, ev.TraceIDs)
	})
	t.Run("change", func(t *testing.T) {
		o := observe(t, shop.BadDeploy)
		require.Equal(t, semconv.CauseChange, o.incident.Cause().Kind)
		change := o.incident.Cause().Change
		require.NotNil(t, change)
		assert.Equal(t, o.incident.Cause().Entity, change.Entity)
		assert.False(t, change.Time.After(o.incident.DetectedAt))
	})
}

// evidenceFor returns the evidence for the first cause with one of the signals.
func evidenceFor(t *testing.T, o *observed, signals ...string) semconv.Evidence {
	t.Helper()
	cause := o.incident.Cause()
	require.True(t, strings.HasSuffix(cause.Entity.Name, o.service), "%s for %s", cause.Entity, o.service)
	for _, ev := range cause.Evidence {
		for _, signal := range signals {
			if ev.Signal == signal {
				return ev
			}
		}
	}
	require.Fail(t, "no such evidence", fmt.Sprint(cause.Evidence))
	return semconv.Evidence{}
}
