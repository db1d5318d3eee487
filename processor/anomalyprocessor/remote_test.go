package anomalyprocessor

import (
	"math"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/internal/openinference/openinferencetest"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
)

// pair is two gauges of one service that usually move together.
func pair(n int, when time.Time, apart bool) pmetric.Metrics {
	r := seeded(uint64(n))
	common := r.NormFloat64()
	md, m := metrics("a", "1")
	second := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	second.SetName("b")
	second.SetUnit("1")
	other := common
	if apart {
		other = -common - 6
	}
	for i, g := range []pmetric.Metric{m, second} {
		p := g.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(when))
		p.SetDoubleValue(100 + 10*[]float64{common, other}[i] + 0.2*r.NormFloat64())
	}
	return md
}

func (h *harness) remote(result string) int64 {
	m, err := h.telemetry.GetMetric("otelcol_processor_anomaly_remote_vectors")
	if err != nil {
		return 0
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if v, _ := p.Attributes.Value("result"); v.AsString() == result {
			return p.Value
		}
	}
	return 0
}

// A model on a server that knows that the two belong together, behind all that confighttp does.
func TestRemoteModel(t *testing.T) {
	var broken atomic.Bool
	model := &openinferencetest.Server{Model: "entity", Features: 2, Score: func(v []float64) float64 { return math.Abs(v[0] - v[1]) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() || r.Header.Get("tenant") != "cart" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		model.ServeHTTP(w, r)
	}))
	defer server.Close()
	h := &harness{t: t, cfg: createDefaultConfig().(*Config), telemetry: componenttest.NewTelemetry()}
	func(c *Config) {
		e := c.Entities.GetOrInsertDefault()
		e.WarmUp = 64
		e.Detectors = []EntityDetector{{Type: entitydetector.Remote}}
		r := e.Remote.GetOrInsertDefault()
		r.Endpoint, r.Model = server.URL, "entity"
		r.Headers = configopaque.MapList{{Name: "tenant", Value: "cart"}}
		r.Breaker.Failures = 3
	}(h.cfg)
	require.NoError(t, xconfmap.Validate(h.cfg))
	p, err := newAnomalyProcessor(h.settings(), h.cfg)
	require.NoError(t, err)
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	var scores []score
	feed := func(from, to int, apart bool) {
		for n := from; n < to; n++ {
			md, err := p.processMetrics(t.Context(), pair(n, at(n, step), apart))
			require.NoError(t, err)
			for _, rm := range md.ResourceMetrics().All() {
				if rm.ScopeMetrics().At(0).Scope().Name() == metadata.ScopeName {
					scores = append(scores, scoresOf(t, rm.Resource(), rm.ScopeMetrics().At(0))...)
				}
			}
			// The data path does not wait for answers, so here the test does.
			require.Eventually(t, func() bool { return p.remote.scorer.Waiting() == 0 }, time.Minute, time.Millisecond)
		}
	}
	feed(0, 300, false)
	assert.Empty(t, scores)
	feed(300, 320, true)
	if assert.NotEmpty(t, scores) {
		assert.Equal(t, "remote", scores[0].detector)
	}
	assert.Greater(t, h.remote("answered"), int64(200))
	broken.Store(true)
	feed(320, 360, false)
	require.NoError(t, p.shutdown(t.Context()))
	assert.Positive(t, h.remote("breaker_open")+h.remote("server_error"), "and the pipeline goes on")
}
