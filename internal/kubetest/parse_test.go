package kubetest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParse(t *testing.T) {
	tests := []struct {
		method, path string
		watch        bool
		want         string
		mutates      bool
	}{
		{http.MethodGet, "/api/v1/pods", false, "list pods", false},
		{http.MethodGet, "/api/v1/pods", true, "watch pods", false},
		{http.MethodGet, "/api/v1/namespaces", false, "list namespaces", false},
		{http.MethodGet, "/api/v1/namespaces/shop", false, "get namespaces shop", false},
		{http.MethodPut, "/api/v1/namespaces/shop/finalize", false, "update namespaces/finalize shop", true},
		{http.MethodPatch, "/apis/apps/v1/namespaces/shop/deployments/web", false, "patch deployments shop/web", true},
		{http.MethodPut, "/apis/apps/v1/namespaces/shop/deployments/web/scale", false, "update deployments/scale shop/web", true},
		{http.MethodPost, "/api/v1/namespaces/shop/pods/web/eviction", false, "create pods/eviction shop/web", true},
		{http.MethodDelete, "/api/v1/namespaces/shop/pods", false, "deletecollection pods shop/", true},
		{http.MethodDelete, "/api/v1/nodes/one", false, "delete nodes one", true},
		{http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false, "create selfsubjectaccessreviews", false},
		{http.MethodGet, "/version", false, "get /version", false},
		{http.MethodGet, "/apis/apps/v1", false, "get /apis/apps/v1", false},
		{http.MethodGet, "/api", false, "get /api", false},
	}
	for _, test := range tests {
		got := parse(test.method, test.path, test.watch)
		assert.Equal(t, test.want, got.String())
		assert.Equal(t, test.mutates, got.Mutates(), test.want)
	}
	dry := parse(http.MethodDelete, "/api/v1/nodes/one", false)
	dry.DryRun = true
	assert.False(t, dry.Mutates())
}
