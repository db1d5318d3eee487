package kubetest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/restmapper"
)

// Apply applies a file of manifests, YAML documents or JSON, as kubectl apply --server-side would, and returns what the API
// server made of them. A field that the server does not know is an error. Objects that belong into a namespace and name
// none go into this one. All are deleted when the test ends.
func (l *Lab) Apply(t testing.TB, namespace string, manifests []byte) []*unstructured.Unstructured {
	t.Helper()
	resources, err := restmapper.GetAPIGroupResources(l.client.Discovery())
	if err != nil {
		t.Fatalf("list the resources of the API server: %v", err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(resources)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var applied []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return applied
		}
		if err != nil {
			t.Fatalf("read manifest %d: %v", len(applied)+1, err)
		}
		if len(object.Object) == 0 { // an empty document
			continue
		}
		kind := object.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			t.Fatalf("apply %s: %v", describe(object), err)
		}
		client := l.dynamic.Resource(mapping.Resource).Namespace("")
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			if object.GetNamespace() == "" {
				object.SetNamespace(namespace)
			}
			client = l.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		made, err := client.Patch(t.Context(), object.GetName(), "application/apply-patch+yaml", toJSON(t, object),
			metav1.PatchOptions{FieldManager: "kubetest", FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			t.Fatalf("apply %s: %v", describe(object), err)
		}
		l.cleanUp(t, made)
		applied = append(applied, made)
	}
}

func toJSON(t testing.TB, object *unstructured.Unstructured) []byte {
	t.Helper()
	text, err := object.MarshalJSON()
	if err != nil {
		t.Fatalf("encode %s: %v", describe(object), err)
	}
	return text
}
