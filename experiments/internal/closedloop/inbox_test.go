package closedloop

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

func TestInboxTakesWhatIsSigned(t *testing.T) {
	b, err := openInbox(t.Context())
	require.NoError(t, err)
	defer b.close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(id string, body []byte, key standardwebhooks.Key) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, bytes.NewReader(body))
		require.NoError(t, err)
		at := standardwebhooks.Timestamp(time.Now())
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", at)
		r.Header.Set("Webhook-Signature", standardwebhooks.Sign([]standardwebhooks.Key{key}, id, at, body))
		res, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	event := []byte(`{"specversion":"1.0","id":"e-1","source":"/paramedic","type":"io.paramedic.incident.opened.v1","data":{"incident":{"id":"i-1"}}}`)
	assert.Equal(t, http.StatusOK, post("e-1", event, b.key))
	assert.Equal(t, http.StatusOK, post("e-1", event, b.key), "again")
	list, err := b.from(0)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, "i-1", list[0].Incident.ID)
	list, err = b.from(1)
	require.NoError(t, err)
	assert.Empty(t, list)

	other, err := standardwebhooks.ParseKey("whsec_ZXhwZXJpbWVudHMtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OQ==")
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, post("e-2", event, other))
	_, err = b.from(0)
	require.Error(t, err, "a run must not go on with news that it cannot trust")
}
