package kubeaction

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// namedPermit allows everything and can be told from others.
type namedPermit struct{ name string }

func (namedPermit) Allow(context.Context, Request) error { return nil }

// TestWitnessKnowsThePermit tells the witness on whose behalf a request was made, for the audit.
func TestWitnessKnowsThePermit(t *testing.T) {
	server := newArrivals(t)
	client, calls := guardedHTTP(t, &rest.Config{Host: server.URL})
	send := func(ctx context.Context, query string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodDelete, server.URL+"/api/v1/namespaces/shop/pods/a"+query, nil)
		require.NoError(t, err)
		if resp, err := client.Do(req); err == nil {
			require.NoError(t, resp.Body.Close())
		}
	}
	send(WithPermit(t.Context(), namedPermit{"a"}), "")
	send(t.Context(), "")
	send(WithPermit(t.Context(), namedPermit{"b"}), "?dryRun=All")
	require.Len(t, *calls, 3)
	assert.Equal(t, namedPermit{"a"}, (*calls)[0].Permit)
	assert.Nil(t, (*calls)[1].Permit)
	assert.True(t, (*calls)[1].Refused)
	assert.Nil(t, (*calls)[2].Permit, "a dry run asks nobody")
}
