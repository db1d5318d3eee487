package kubetest

import (
	"context"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
)

// Object is an object of Kubernetes: a type of k8s.io/api or an unstructured one.
type Object interface {
	runtime.Object
	metav1.Object
}

// Create creates objects and fills them with what the API server made of them.
func (l *Lab) Create(t testing.TB, objects ...Object) {
	t.Helper()
	for _, object := range objects {
		resource := l.resource(t, object)
		made, err := resource.Create(t.Context(), toUnstructured(t, object), metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("create %s: %v", describe(object), err)
		}
		fromUnstructured(t, made, object)
	}
}

// Refresh fills the objects with what the API server has of them now.
func (l *Lab) Refresh(t testing.TB, objects ...Object) {
	t.Helper()
	for _, object := range objects {
		got, err := l.resource(t, object).Get(t.Context(), object.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatalf("get %s: %v", describe(object), err)
		}
		fromUnstructured(t, got, object)
	}
}

// Exists tells whether the API server has an object of this type and name; one that is being deleted still exists.
func (l *Lab) Exists(t testing.TB, object Object) bool {
	t.Helper()
	_, err := l.resource(t, object).Get(t.Context(), object.GetName(), metav1.GetOptions{})
	if err != nil && !errors.IsNotFound(err) {
		t.Fatalf("get %s: %v", describe(object), err)
	}
	return err == nil
}

// Patch applies a JSON merge patch to an object, as a person with kubectl would, and fills the object with the result.
func (l *Lab) Patch(t testing.TB, object Object, patch string) {
	t.Helper()
	got, err := l.resource(t, object).Patch(t.Context(), object.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatalf("patch %s with %s: %v", describe(object), patch, err)
	}
	fromUnstructured(t, got, object)
}

// PatchStatus applies a JSON merge patch to an object's status, as the controller of a custom resource would.
func (l *Lab) PatchStatus(t testing.TB, object Object, patch string) {
	t.Helper()
	got, err := l.resource(t, object).Patch(t.Context(), object.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatalf("patch the status of %s with %s: %v", describe(object), patch, err)
	}
	fromUnstructured(t, got, object)
}

// Delete deletes objects; what they own goes with them in the background.
func (l *Lab) Delete(t testing.TB, objects ...Object) {
	t.Helper()
	background := metav1.DeletePropagationBackground
	for _, object := range objects {
		err := l.resource(t, object).Delete(t.Context(), object.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil {
			t.Fatalf("delete %s: %v", describe(object), err)
		}
	}
}

// cleanUp deletes an object when the test ends; one that is gone already is fine.
func (l *Lab) cleanUp(t testing.TB, object Object) {
	t.Helper()
	resource := l.resource(t, object)
	t.Cleanup(func() {
		err := resource.Delete(context.WithoutCancel(t.Context()), object.GetName(), metav1.DeleteOptions{})
		if err != nil && !errors.IsNotFound(err) {
			t.Errorf("clean up %s: %v", describe(object), err)
		}
	})
}

// resource returns the client for the objects of one type and namespace.
func (l *Lab) resource(t testing.TB, object Object) dynamic.ResourceInterface {
	t.Helper()
	gvk := object.GetObjectKind().GroupVersionKind()
	if gvk.Empty() {
		kinds, _, err := scheme.Scheme.ObjectKinds(object)
		if err != nil {
			t.Fatalf("%T is no object of Kubernetes: %v", object, err)
		}
		gvk = kinds[0]
		object.GetObjectKind().SetGroupVersionKind(gvk)
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	if object.GetNamespace() == "" {
		return l.dynamic.Resource(plural)
	}
	return l.dynamic.Resource(plural).Namespace(object.GetNamespace())
}

func toUnstructured(t testing.TB, object Object) *unstructured.Unstructured {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatalf("convert %s: %v", describe(object), err)
	}
	return &unstructured.Unstructured{Object: content}
}

func fromUnstructured(t testing.TB, from *unstructured.Unstructured, to Object) {
	t.Helper()
	if u, ok := to.(*unstructured.Unstructured); ok {
		u.Object = from.Object
		return
	}
	// The converter leaves alone what the answer does not have, so it must not see what was there before.
	blank, err := scheme.Scheme.New(to.GetObjectKind().GroupVersionKind())
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, blank)
	}
	if err != nil {
		t.Fatalf("convert %s: %v", describe(to), err)
	}
	reflect.ValueOf(to).Elem().Set(reflect.ValueOf(blank).Elem())
}

func describe(object Object) string {
	name := object.GetName()
	if ns := object.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	return object.GetObjectKind().GroupVersionKind().Kind + " " + name
}
