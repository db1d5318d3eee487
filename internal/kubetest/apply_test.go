package kubetest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func TestKubernetesApply(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	manifests := []byte(`# a comment
apiVersion: v1
kind: ConfigMap
metadata: {name: flags}
data: {checkout: "on"}
---
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ` + ns + `}
rules:
- {apiGroups: [""], resources: [nodes], verbs: [list]}
`)
	applied := lab.Apply(t, ns, manifests)
	require.Len(t, applied, 2)
	assert.Equal(t, ns, applied[0].GetNamespace())
	assert.Empty(t, applied[1].GetNamespace())
	for _, object := range applied {
		assert.True(t, lab.Exists(t, object), object.GetKind())
	}
	assert.Equal(t, applied[0].GetUID(), lab.Apply(t, ns, manifests)[0].GetUID(), "applied again it is the same")
}
