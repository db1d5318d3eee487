package kubetest

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// CustomType is a type of objects that some controller of the ecosystem defines. The lab has the types and no controllers
// for them: a test plays the controller with [Lab.PatchStatus].
type CustomType struct {
	schema.GroupVersionKind
	// scale is the path of the replicas of the pods in the status; empty without a scale subresource.
	scale string
}

// The types that owners of workloads have.
var (
	ArgoRollout = CustomType{
		GroupVersionKind: schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}, scale: ".status.replicas",
	}
	ArgoApplication = CustomType{
		GroupVersionKind: schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"},
	}
	FluxKustomization = CustomType{
		GroupVersionKind: schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
	}
	FluxHelmRelease = CustomType{
		GroupVersionKind: schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmRelease"},
	}
	KEDAScaledObject = CustomType{
		GroupVersionKind: schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"},
	}
)

// CustomTypes returns all of them.
func CustomTypes() []CustomType {
	return []CustomType{ArgoRollout, ArgoApplication, FluxKustomization, FluxHelmRelease, KEDAScaledObject}
}

// New makes an object of the type with this spec, which is not validated: the lab's schemas accept every field.
func (c CustomType) New(namespace, name string, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(c.GroupVersionKind)
	object.SetNamespace(namespace)
	object.SetName(name)
	object.SetLabels(labelsOf(name))
	return object
}

// Resource returns the resource of the type.
func (c CustomType) Resource() schema.GroupVersionResource {
	return c.GroupVersion().WithResource(strings.ToLower(c.Kind) + "s")
}

// definition returns the least CustomResourceDefinition of the type.
func (c CustomType) definition() *unstructured.Unstructured {
	plural := c.Resource().Resource
	subresources := map[string]any{"status": map[string]any{}}
	if c.scale != "" {
		subresources["scale"] = map[string]any{
			"specReplicasPath": ".spec.replicas", "statusReplicasPath": c.scale, "labelSelectorPath": ".status.selector",
		}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": plural + "." + c.Group},
		"spec": map[string]any{
			"group": c.Group,
			"scope": "Namespaced",
			"names": map[string]any{"kind": c.Kind, "plural": plural, "singular": strings.ToLower(c.Kind), "listKind": c.Kind + "List"},
			"versions": []any{map[string]any{
				"name": c.Version, "served": true, "storage": true, "subresources": subresources,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "x-kubernetes-preserve-unknown-fields": true,
				}},
			}},
		},
	}}
}

// Install has the API server serve custom types. They stay: tests that share the lab may install the same ones.
func (l *Lab) Install(t testing.TB, types ...CustomType) {
	t.Helper()
	for _, c := range types {
		definition := c.definition()
		if _, err := l.resource(t, definition).Create(t.Context(), definition, metav1.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
			t.Fatalf("install %s: %v", c.Kind, err)
		}
	}
	for _, c := range types {
		Eventually(t, c.Kind+" is served", func() error {
			list, err := l.client.Discovery().ServerResourcesForGroupVersion(c.GroupVersion().String())
			if err != nil {
				return err
			}
			for _, resource := range list.APIResources {
				if resource.Kind == c.Kind {
					_, err := l.dynamic.Resource(c.Resource()).List(t.Context(), metav1.ListOptions{Limit: 1})
					return err
				}
			}
			return fmt.Errorf("%s is not among the resources of %s", c.Kind, c.GroupVersion())
		})
	}
}
