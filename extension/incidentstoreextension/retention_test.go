package incidentstoreextension

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestRetention sees that a running extension keeps the bounds, at each interval and not before, and says when it cannot.
func TestRetention(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.db")
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		cfg.Database.Path, cfg.Retention.Interval, cfg.Retention.MaxIncidents = path, 7*time.Minute, 2
		tel := componenttest.NewTelemetry()
		core, logs := observing()
		set := extension.Settings{ID: component.NewID(typ), TelemetrySettings: tel.NewTelemetrySettings()}
		set.Logger = zap.NewNop().WithOptions(core)
		e, err := newIncidentStore(set, cfg)
		require.NoError(t, err)
		require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
		left := func() int {
			found, _, err := e.Memory().Incidents(t.Context(), incidentstore.IncidentFilter{}, incidentstore.Page{Limit: 10})
			require.NoError(t, err)
			return len(found)
		}
		for round := range 2 {
			var all []incidentstore.Record
			for n := range 5 {
				inc := eventdata.Incident{ID: fmt.Sprintf("i-%d-%d", round, n), Revision: 1, Status: semconv.StatusResolved}
				all = append(all, incidentstore.Record{ID: inc.ID, At: time.Now(), Incident: &incidentstore.IncidentRecord{Event: semconv.EventIncidentResolved, Incident: inc}})
			}
			before := left()
			require.NoError(t, e.Memory().Record(t.Context(), all))
			time.Sleep(cfg.Retention.Interval - time.Minute)
			synctest.Wait()
			assert.Equal(t, before+5, left(), "it is not yet time")
			time.Sleep(time.Minute)
			synctest.Wait()
			assert.Equal(t, 2, left(), "round %d", round)
		}
		metadatatest.AssertEqualExtensionIncidentstoreLostItems(t, tel, []metricdata.DataPoint[int64]{
			{Attributes: attribute.NewSet(attribute.String("loss", string(incidentstore.LossIncidents))), Value: 8},
		}, metricdatatest.IgnoreTimestamp())

		require.NoError(t, e.store.Close())
		time.Sleep(cfg.Retention.Interval)
		synctest.Wait()
		metadatatest.AssertEqualExtensionIncidentstoreFailedCalls(t, tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
		assert.Equal(t, 1, logs.FilterMessage("the store failed").Len())
		require.NoError(t, e.Shutdown(t.Context()))
		require.NoError(t, tel.Shutdown(t.Context()))
	})
}
