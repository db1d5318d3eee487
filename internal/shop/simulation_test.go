package shop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

func config() shop.Config {
	cfg := shop.DefaultConfig()
	cfg.Start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	return cfg
}

func newShop(t testing.TB, cfg shop.Config) *shop.Simulation {
	t.Helper()
	s, err := shop.New(cfg)
	require.NoError(t, err)
	return s
}

func run(s *shop.Simulation, ticks int) {
	for range ticks {
		s.Tick()
	}
}

// output is everything that a simulation sends in some ticks, with a fault and an action on the way.
func output(t *testing.T, cfg shop.Config, ticks int) []byte {
	t.Helper()
	var out []byte
	s := newShop(t, cfg)
	for i := range ticks {
		switch i {
		case ticks / 4:
			_, err := s.Inject(shop.Fault{Kind: shop.MemoryLeak})
			require.NoError(t, err)
		case ticks / 2:
			_, err := s.Act(shop.Action{Name: shop.Restart, Service: "recommendation"})
			require.NoError(t, err)
		}
		traces, metrics, logs := s.Tick()
		for _, marshal := range []func() ([]byte, error){
			func() ([]byte, error) { return (&ptrace.ProtoMarshaler{}).MarshalTraces(traces) },
			func() ([]byte, error) { return (&pmetric.ProtoMarshaler{}).MarshalMetrics(metrics) },
			func() ([]byte, error) { return (&plog.ProtoMarshaler{}).MarshalLogs(logs) },
		} {
			b, err := marshal()
			require.NoError(t, err)
			out = append(out, b...)
		}
	}
	return out
}

func TestSameConfigurationGivesTheSameBytes(t *testing.T) {
	cfg := config()
	fault, err := shop.ParseFault("bad-deploy@5s+10s")
	require.NoError(t, err)
	cfg.Faults = []shop.ScheduledFault{fault}
	first := output(t, cfg, 40)
	assert.Equal(t, first, output(t, cfg, 40))

	cfg.Seed++
	assert.NotEqual(t, first, output(t, cfg, 40))
}

func TestFaultFreeHourIsCalm(t *testing.T) {
	s := newShop(t, config())
	var requests, failed int
	for tick := range 3600 {
		traces, _, logs := s.Tick()
		for _, span := range spans(traces) {
			if span.ParentSpanID().IsEmpty() {
				requests++
				if span.Status().Code() == ptrace.StatusCodeError {
					failed++
				}
				assert.Less(t, duration(span), 2*time.Second)
			}
		}
		for _, lr := range records(logs) {
			assert.Empty(t, lr.EventName(), "no changes")
		}
		if tick < 30 || tick%10 != 0 {
			continue
		}
		for _, v := range s.State().Services {
			assert.Less(t, v.Utilisation, 0.7, v.Name)
			assert.Zero(t, v.Queue, v.Name)
		}
	}
	require.Greater(t, requests, 60_000)
	assert.InDelta(t, 0.001, float64(failed)/float64(requests), 0.0006)
	st := s.State()
	assert.Zero(t, st.Dropped)
	assert.Empty(t, st.Ended)
	assert.Equal(t, config().Start.Add(time.Hour), s.Now())
}

func TestLoadFollowsDayAndWeek(t *testing.T) {
	cfg := config()
	cfg.Rate, cfg.Period = 2, 10*time.Minute
	s := newShop(t, cfg)
	day := func() (low, high, sum float64) {
		low = 1e9
		for range 600 {
			s.Tick()
			load := s.State().Load
			low, high, sum = min(low, load), max(high, load), sum+load
		}
		return low, high, sum
	}
	var total, quietest, busiest float64
	quietest = 1e9
	for range 7 {
		low, high, sum := day()
		assert.Greater(t, high, 1.8*low, "the day has a rhythm")
		total += sum
		quietest, busiest = min(quietest, sum), max(busiest, sum)
	}
	assert.InEpsilon(t, cfg.Rate, total/(7*600), 0.05)
	assert.Greater(t, busiest, 1.1*quietest, "the week has a rhythm")
}

func TestMetricsInterval(t *testing.T) {
	cfg := config()
	cfg.MetricsInterval = 3 * time.Second
	s := newShop(t, cfg)
	for i := 1; i <= 9; i++ {
		_, metrics, _ := s.Tick()
		assert.Equal(t, i%3 == 0, metrics.DataPointCount() > 0, i)
	}
}

func TestMetricsOnlyLeavesTheMetricsAsTheyAre(t *testing.T) {
	cfg := config()
	fault, err := shop.ParseFault("bad-deploy@5s+10s")
	require.NoError(t, err)
	cfg.Faults = []shop.ScheduledFault{fault}
	full := newShop(t, cfg)
	cfg.MetricsOnly = true
	lean := newShop(t, cfg)
	for range 40 {
		_, want, _ := full.Tick()
		traces, got, logs := lean.Tick()
		assert.Zero(t, traces.SpanCount()+logs.LogRecordCount())
		wantBytes, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(want)
		require.NoError(t, err)
		gotBytes, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(got)
		require.NoError(t, err)
		assert.Equal(t, wantBytes, gotBytes)
	}
}

func TestPendingRecordsAreBounded(t *testing.T) {
	cfg := config()
	cfg.MaxPending = 10
	s := newShop(t, cfg)
	run(s, 5)
	st := s.State()
	assert.LessOrEqual(t, st.Pending, cfg.MaxPending)
	assert.Positive(t, st.Dropped)
}

func TestConfigValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*shop.Config)
		want   string
	}{
		"start":      {func(c *shop.Config) { c.Start = time.Time{} }, "start must be after 1970"},
		"rate":       {func(c *shop.Config) { c.Rate = 0.5 }, "rate must be between 1 and 2000"},
		"period":     {func(c *shop.Config) { c.Period = time.Second }, "period must be between 1m and 744h"},
		"interval":   {func(c *shop.Config) { c.MetricsInterval = 1500 * time.Millisecond }, "metrics_interval must be whole seconds"},
		"pending":    {func(c *shop.Config) { c.MaxPending = 0 }, "max_pending must be greater than 0, got 0"},
		"fault":      {func(c *shop.Config) { c.Faults = []shop.ScheduledFault{{}} }, "faults::0: kind must be one of memory-leak"},
		"everything": {func(c *shop.Config) { *c = shop.Config{} }, "max_pending"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			require.NoError(t, cfg.Validate())
			tc.change(&cfg)
			require.ErrorContains(t, cfg.Validate(), tc.want)
			_, err := shop.New(cfg)
			require.Error(t, err)
		})
	}
}

func spans(traces ptrace.Traces) []ptrace.Span {
	var out []ptrace.Span
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				out = append(out, span)
			}
		}
	}
	return out
}

func records(logs plog.Logs) []plog.LogRecord {
	var out []plog.LogRecord
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				out = append(out, lr)
			}
		}
	}
	return out
}

func duration(span ptrace.Span) time.Duration {
	return span.EndTimestamp().AsTime().Sub(span.StartTimestamp().AsTime())
}

func state(t testing.TB, s *shop.Simulation, service string) shop.ServiceState {
	t.Helper()
	for _, v := range s.State().Services {
		if v.Name == service {
			return v
		}
	}
	require.Fail(t, "no such service", service)
	return shop.ServiceState{}
}

func BenchmarkTick(b *testing.B) {
	s := newShop(b, config())
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		traces, _, _ := s.Tick()
		n += traces.SpanCount()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "spans/s")
}

func TestServiceNames(t *testing.T) {
	assert.Equal(t, "frontend gateway catalogue cart checkout inventory payment shipping recommendation search user "+
		"notification analytics orders-db cache", strings.Join(shop.ServiceNames(), " "))
}
