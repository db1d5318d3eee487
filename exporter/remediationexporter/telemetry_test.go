package remediationexporter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// took returns how many times a histogram recorded, and their sum.
func took(t testing.TB, tel *componenttest.Telemetry, name string) (count uint64, sum float64) {
	t.Helper()
	m, err := tel.GetMetric("otelcol_exporter_remediation_" + name)
	require.NoError(t, err)
	for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
		count, sum = count+p.Count, sum+p.Sum
	}
	return count, sum
}

// TestActingIsMeasured has a step be planned for 20 ms and carried out in vain, with a budget of one.
func TestActingIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		r.cfg.Budget.MaxActions, r.cfg.Breakers.Playbook.Failures = 1, 1
		c.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
			time.Sleep(20 * time.Millisecond)
			return planFor(o), nil
		}
		r.withAPI(false, nil)
		r.start()
		synctest.Wait() // until the permissions were reviewed
		r.must(opened("i-1"))
		time.Sleep(time.Second)
		synctest.Wait()
		count, sum := took(t, r.tel, "prepare_duration")
		assert.Equal(t, uint64(1), count)
		assert.InDelta(t, 0.02, sum, 1e-9)
		count, sum = took(t, r.tel, "call_delay")
		assert.Equal(t, uint64(1), count)
		assert.InDelta(t, 0.02, sum, 1e-9)
		count, _ = took(t, r.tel, "apply_duration")
		assert.Equal(t, uint64(1), count)
		assert.Equal(t, int64(1), r.sum("open_intents", "accepted"))
		assert.Equal(t, int64(0), r.sum("open_intents", "pending"))
		assert.Equal(t, int64(0), r.sum("open_breakers", "playbook_breaker"))

		r.must(on(opened("i-2"), "a"))
		assert.Equal(t, int64(1), r.sum("budget_refusals", "fleet"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, int64(1), r.sum("open_breakers", "playbook_breaker"), "it did not help")
		assert.Equal(t, int64(0), r.sum("open_breakers", "fleet_breaker"))

		r.ask("ann", "GET", "/v1/status", "")
		r.ask("ann", "GET", "/v1/nothing", "")
		assert.Equal(t, int64(1), r.sum("api_requests", "ok"))
		assert.Equal(t, int64(1), r.sum("api_requests", "refused"))
		late := &permit{e: r.exporter(), ref: playbook.Ref{Incident: "gone"}}
		require.Error(t, late.Allow(t.Context(), kubeaction.Request{Verb: "patch"}))
		assert.Equal(t, int64(1), r.sum("refused_permits", "ended"))
		r.stop()
	})
}

func TestRequestResults(t *testing.T) {
	for want, c := range map[string]kubeaction.Call{
		"success": {Status: 201}, "conflict": {Status: 409}, "throttled": {Status: 429}, "refused": {Status: 403}, "failed": {Status: 504},
		"unanswered": {}, "unsent": {Refused: true},
	} {
		assert.Equal(t, want, requestResult(&c))
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.onCluster(nil)
		r.start()
		r.exporter().witnessCall(kubeaction.Call{Status: 409})
		r.exporter().witnessCall(kubeaction.Call{Status: 200, DryRun: true})
		assert.Equal(t, int64(1), r.sum("mutating_requests", "conflict"))
		assert.Equal(t, int64(1), r.sum("mutating_requests"))
		r.stop()
	})
}
