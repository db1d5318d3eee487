package remediationexporter

import (
	"cmp"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// fed gives the exporter, once started, a metrics pipeline too.
func (r *rig) fed() {
	r.t.Helper()
	var err error
	r.metrics, err = r.createMetrics()
	require.NoError(r.t, err)
	require.NoError(r.t, r.metrics.Start(r.t.Context(), r.host))
}

// feed sends one gauge point of a service, at a time since t0.
func (r *rig) feed(service string, after time.Duration, value float64) {
	r.t.Helper()
	md := gaugeOf(service, after, value)
	if r.metric != "" {
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetName(r.metric)
	}
	require.NoError(r.t, r.metrics.ConsumeMetrics(context.Background(), md))
}

func gaugeOf(service string, after time.Duration, value float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceNamespace, "shop")
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("queue.size")
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(timestamp(after))
	p.SetDoubleValue(value)
	return md
}

// watching makes the playbook rest on the size of the target's queue.
func watching(p *PlaybookConfig) {
	p.Verify = defaultVerify()
	p.Verify.Within, p.Verify.Settle, p.Verify.Hold, p.Verify.FailHold = 2*time.Minute, 10*time.Second, 20*time.Second, 10*time.Second
	p.Verify.StaleAfter = 20 * time.Second
	p.Verify.Signals = []SignalConfig{{Name: "queue", Metric: &MetricSignalConfig{
		Name: "queue.size", Of: OfTarget, Stat: StatValue, Below: new(10.0), FailAbove: new(100.0),
	}}}
	p.Steps[0].OnFailure = "escalate"
}

// TestSignalsDecide plays what a signal says after an action: one value every 5 seconds, the first right after it.
func TestSignalsDecide(t *testing.T) {
	const missing = -1
	steady := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	for name, tc := range map[string]struct {
		values func(n int) float64
		ends   time.Duration // when the incident ends; 0 is never
		want   string
	}{
		"recovered":                           {steady(1), 45 * time.Second, "succeeded/recovered"},
		"not recovered":                       {steady(50), 0, "failed/not_recovered"},
		"incident goes on, signals are good":  {steady(1), 0, "failed/not_recovered"},
		"incident ended, signals are bad":     {steady(50), 45 * time.Second, "failed/not_recovered"},
		"incident ended, signals are missing": {steady(missing), 45 * time.Second, "inconclusive/no_data"},
		"flapping":                            {func(n int) float64 { return []float64{50, 1, 1, 1}[n%4] }, 45 * time.Second, "failed/not_recovered"},
		"worse":                               {steady(200), 0, "failed/worse"},
		"outage in the middle": {func(n int) float64 {
			if n >= 4 {
				return missing
			}
			return 1
		}, 45 * time.Second, "inconclusive/no_data"},
		"outage that ends": {func(n int) float64 {
			if n >= 4 && n < 12 {
				return missing
			}
			return 1
		}, 45 * time.Second, "succeeded/recovered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.playbook("restart", "shop", watching)
				r.start()
				r.fed()
				r.must(opened("i-1"))
				const offset = 500 * time.Millisecond // so that no point comes at the same time as a tick
				time.Sleep(offset)
				for n := range 30 {
					at := offset + time.Duration(n)*5*time.Second
					if v := tc.values(n); v != missing {
						r.feed("payment", at, v)
					}
					r.feed("cart", at, 1000) // another one's series says nothing of the target
					if tc.ends != 0 && at == offset+tc.ends {
						r.must(resolved("i-1", 2, at))
					}
					time.Sleep(5 * time.Second)
				}
				synctest.Wait()
				audit := r.audit()
				assert.Equal(t, tc.want, audit[len(audit)-1], r.logs.FilterMessage("remediation decision").All())
				r.stop()
			})
		})
	}
}

// TestSignalsTogether shows how many of several signals must agree.
func TestSignalsTogether(t *testing.T) {
	const missing = -1
	for name, tc := range map[string]struct {
		require int
		values  [3]float64
		want    string
	}{
		"all of three":           {0, [3]float64{1, 1, 1}, "succeeded/recovered"},
		"one is missing":         {0, [3]float64{1, 1, missing}, "inconclusive/no_data"},
		"two of three":           {2, [3]float64{1, 1, missing}, "succeeded/recovered"},
		"two of three, one poor": {2, [3]float64{1, 50, 1}, "succeeded/recovered"},
		"two are poor":           {2, [3]float64{1, 50, 50}, "failed/not_recovered"},
		"only one is known":      {2, [3]float64{1, missing, missing}, "inconclusive/no_data"},
		"one is worse":           {2, [3]float64{1, 1, 200}, "failed/worse"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.playbook("restart", "shop", func(p *PlaybookConfig) {
					watching(p)
					p.Verify.Require = tc.require
					one := p.Verify.Signals[0]
					p.Verify.Signals = nil
					for _, metric := range []string{"a", "b", "c"} {
						m := *one.Metric
						m.Name = metric
						p.Verify.Signals = append(p.Verify.Signals, SignalConfig{Name: metric, Metric: &m})
					}
				})
				r.start()
				r.fed()
				r.must(opened("i-1"))
				time.Sleep(500 * time.Millisecond)
				for n := range 10 {
					for i, metric := range []string{"a", "b", "c"} {
						if r.metric = metric; tc.values[i] != missing {
							r.feed("payment", time.Duration(n)*5*time.Second, tc.values[i])
						}
					}
					if n == 8 {
						r.must(resolved("i-1", 2, 40*time.Second))
					}
					time.Sleep(5 * time.Second)
				}
				if tc.want == "failed/not_recovered" {
					for n := range 20 {
						r.metric = "b"
						r.feed("payment", time.Duration(n+10)*5*time.Second, tc.values[1])
						r.metric = "c"
						r.feed("payment", time.Duration(n+10)*5*time.Second, tc.values[2])
						time.Sleep(5 * time.Second)
					}
				}
				time.Sleep(2 * time.Minute)
				assert.Equal(t, tc.want, r.last(), r.detail())
				r.stop()
			})
		})
	}
}

// TestPointsInAnyOrder sends the points of half a minute all at once and backwards: late points say no more than in order.
func TestPointsInAnyOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		values func(n int) float64
		want   string
	}{
		"all good":        {func(int) float64 { return 1 }, "inconclusive/no_data"},
		"one of them bad": {func(n int) float64 { return []float64{1, 1, 50, 1}[n%4] }, "inconclusive/no_data"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.playbook("restart", "shop", watching)
				r.start()
				r.fed()
				r.must(opened("i-1"))
				time.Sleep(45500 * time.Millisecond)
				for n := range 8 {
					r.feed("payment", time.Duration(45-5*n)*time.Second, tc.values(n))
				}
				r.must(resolved("i-1", 2, 45*time.Second))
				time.Sleep(2 * time.Minute)
				assert.Equal(t, tc.want, r.last(), r.detail())
				r.stop()
			})
		})
	}
}

// TestViewsShareOneExporter stops the logs' view first: what it began is verified by what the metrics' view hears.
func TestViewsShareOneExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", watching)
		r.start()
		r.fed()
		r.must(opened("i-1"))
		synctest.Wait()
		require.NoError(t, r.exp.Shutdown(t.Context()))
		time.Sleep(500 * time.Millisecond)
		for n := range 7 {
			r.feed("payment", time.Duration(n)*5*time.Second, 200)
			time.Sleep(5 * time.Second)
		}
		assert.Equal(t, "failed/worse", r.last())
		r.stop()
	})
}

// TestLiveClock has data with the time of the clock on the wall, a few seconds behind, as they are live.
func TestLiveClock(t *testing.T) {
	for name, tc := range map[string]struct {
		age  time.Duration // of each point when it arrives
		lag  time.Duration // of each event; 0 is 3 seconds
		want string
	}{
		"live":                   {3 * time.Second, 0, "succeeded/recovered"},
		"ahead":                  {-time.Minute, 0, "succeeded/recovered"},
		"replay":                 {time.Hour, time.Hour, "succeeded/recovered"},
		"replay, points too old": {time.Hour + 22*time.Second, time.Hour, "inconclusive/no_data"},
		"too old":                {22 * time.Second, 0, "inconclusive/no_data"},
		"much too old":           {time.Hour, 0, "inconclusive/no_data"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.playbook("restart", "shop", watching)
				r.cfg.MaxEventAge = 0
				r.start()
				r.fed()
				begun := time.Now()
				lag := func(e semconv.IncidentEvent) semconv.IncidentEvent {
					e.Time = time.Now().Add(-cmp.Or(tc.lag, 3*time.Second))
					return e
				}
				r.must(lag(opened("i-1")))
				time.Sleep(500 * time.Millisecond)
				for n := range 12 {
					r.feed("payment", time.Now().Add(-tc.age).Sub(t0), 1)
					if n == 9 {
						r.must(lag(resolved("i-1", 2, 0)))
					}
					time.Sleep(5 * time.Second)
				}
				assert.WithinDuration(t, begun, time.Now(), 2*time.Minute)
				time.Sleep(2 * time.Minute)
				assert.Equal(t, tc.want, r.last(), r.detail())
				r.stop()
			})
		})
	}
}

// TestNobodyFeeds warns of signals that cannot be heard, and ends inconclusively.
func TestNobodyFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", watching)
		r.start()
		assert.Equal(t, 1, r.logs.FilterMessageSnippet("no metrics pipeline leads to this exporter").Len())
		r.must(opened("i-1"), updated("i-1", 2, time.Second))
		time.Sleep(30 * time.Second)
		r.must(resolved("i-1", 3, 30*time.Second))
		time.Sleep(3 * time.Minute)
		assert.Equal(t, "inconclusive/no_data", r.last())
		assert.Contains(t, r.detail(), "queue is unknown: nothing has been heard of it")
		r.stop()
	})
}
