package anomalyprocessor

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
)

func TestSeveralPipelines(t *testing.T) {
	d := &disk{}
	f := NewFactory()
	h, stop := onDisk(t, d)
	stop()
	one, err := f.CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	two, err := f.CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	require.NoError(t, one.Start(t.Context(), d.host()))
	require.EqualError(t, two.Start(t.Context(), d.host()),
		"storage: anomaly is used in several pipelines, which cannot keep one state; give each a processor with a name of its own")
	require.NoError(t, two.Shutdown(t.Context()))
	require.NoError(t, one.Shutdown(t.Context()))
	require.NoError(t, one.Shutdown(t.Context()))
}

func TestStorageThatIsNone(t *testing.T) {
	for want, d := range map[string]host{
		"storage: extension disk is not configured": {},
		"storage: extension disk is a component.StartFunc": {extensions: map[component.ID]component.Component{diskID: struct {
			component.StartFunc
			component.ShutdownFunc
		}{}}},
	} {
		h, _ := onDisk(t, &disk{})
		p, err := NewFactory().CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
		require.NoError(t, err)
		err = p.Start(t.Context(), d)
		require.Error(t, err)
		if len(d.extensions) == 0 {
			require.EqualError(t, err, want)
		} else {
			require.ErrorContains(t, err, "and not a storage extension")
		}
		require.NoError(t, p.Shutdown(context.Background()))
	}
}
