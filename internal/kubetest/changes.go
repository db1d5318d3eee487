package kubetest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Change is what became of one object.
type Change struct {
	// What is created, updated or deleted; an object that is being deleted counts as deleted.
	What                  string
	Kind, Namespace, Name string
	// Fields are the paths that differ of an object that was updated, in order, such as spec.replicas.
	Fields []string
}

// String tells the change without the namespace: "updated Deployment web: spec.replicas".
func (c Change) String() string {
	s := c.What + " " + c.Kind + " " + c.Name
	if len(c.Fields) > 0 {
		s += ": " + strings.Join(c.Fields, ", ")
	}
	return s
}

// Changes are the differences between two looks at the cluster, in the order of namespace, kind and name.
type Changes struct {
	// Direct are the changes of objects that no controller owns, without what controllers write there by themselves.
	Direct []Change
	// Owned are the changes of objects that have a controller, such as the pods of a Deployment: usually that controller's.
	Owned []Change
}

// Strings tells the direct changes; none is an empty slice.
func (c Changes) Strings() []string {
	out := make([]string, 0, len(c.Direct))
	for _, change := range c.Direct {
		out = append(out, change.String())
	}
	return out
}

// Changes tells what is different after do in the namespaces and on the nodes: in objects of every type that the API server
// serves. Status, bookkeeping of the API server and what controllers write into their own objects' owners are left out, so
// that what remains is what do did. It is a comparison of two states: what was done and undone within do is not seen; the
// [Recorder] and [Lab.Audit] see that.
func (l *Lab) Changes(t testing.TB, do func(), namespaces ...string) Changes {
	t.Helper()
	before := l.snapshot(t, namespaces)
	do()
	after := l.snapshot(t, namespaces)

	var changes Changes
	note := func(object *unstructured.Unstructured, what string, fields []string) {
		list := &changes.Direct
		if metav1.GetControllerOf(object) != nil {
			list = &changes.Owned
		}
		*list = append(*list, Change{
			What: what, Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName(), Fields: fields,
		})
	}
	for uid, object := range after {
		was, known := before[uid]
		switch {
		case !known:
			note(object, "created", nil)
		case object.GetDeletionTimestamp() != nil && was.GetDeletionTimestamp() == nil:
			note(object, "deleted", nil)
		case object.GetResourceVersion() != was.GetResourceVersion():
			if fields := differences("", essence(was), essence(object)); len(fields) > 0 {
				note(object, "updated", fields)
			}
		}
	}
	for uid, object := range before {
		if after[uid] == nil && object.GetDeletionTimestamp() == nil {
			note(object, "deleted", nil)
		}
	}
	for _, list := range [][]Change{changes.Direct, changes.Owned} {
		slices.SortFunc(list, func(a, b Change) int {
			return strings.Compare(a.Namespace+"\x00"+a.Kind+"\x00"+a.Name+"\x00"+a.What, b.Namespace+"\x00"+b.Kind+"\x00"+b.Name+"\x00"+b.What)
		})
	}
	return changes
}

// unwatched are resources that controllers write without owning each object, and those that tell the same twice.
var unwatched = map[string]bool{"events": true, "endpoints": true, "endpointslices": true}

// snapshot reads all objects of the namespaces, the namespaces themselves and the nodes.
func (l *Lab) snapshot(t testing.TB, namespaces []string) map[types.UID]*unstructured.Unstructured {
	t.Helper()
	groups, err := l.client.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		t.Fatalf("list the resources of the API server: %v", err)
	}
	var mu sync.Mutex
	objects := map[types.UID]*unstructured.Unstructured{}
	add := func(object unstructured.Unstructured) {
		mu.Lock()
		defer mu.Unlock()
		objects[object.GetUID()] = &object
	}
	var work errgroup.Group
	work.SetLimit(8)
	list := func(resource schema.GroupVersionResource, namespace string) {
		work.Go(func() error {
			found, err := l.dynamic.Resource(resource).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
			if errors.IsNotFound(err) { // another test is just installing the type
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s in %q: %w", resource.Resource, namespace, err)
			}
			for _, object := range found.Items {
				if object.GetKind() != "ConfigMap" || object.GetName() != "kube-root-ca.crt" {
					add(object)
				}
			}
			return nil
		})
	}
	for _, group := range groups {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			t.Fatalf("read the resources of the API server: %v", err)
		}
		for _, resource := range group.APIResources {
			if unwatched[resource.Name] || !slices.Contains(resource.Verbs, "list") {
				continue
			}
			for _, namespace := range namespaces {
				list(version.WithResource(resource.Name), namespace)
			}
		}
	}
	list(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, "")
	for _, namespace := range namespaces {
		work.Go(func() error {
			object, err := l.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).
				Get(t.Context(), namespace, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get namespace %s: %w", namespace, err)
			}
			add(*object)
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
	return objects
}

// essence returns an object without its status, the API server's bookkeeping and what Kubernetes' own controllers write into
// objects that they do not own.
func essence(object *unstructured.Unstructured) map[string]any {
	content := object.DeepCopy().Object
	for _, path := range [][]string{
		{"status"},
		{"metadata", "resourceVersion"},
		{"metadata", "generation"},
		{"metadata", "managedFields"},
		{"metadata", "annotations", "deployment.kubernetes.io/revision"},
		{"metadata", "annotations", "deprecated.daemonset.template.generation"},
		{"metadata", "annotations", "node.alpha.kubernetes.io/ttl"},
	} {
		unstructured.RemoveNestedField(content, path...)
	}
	switch object.GetKind() {
	case "Pod": // the scheduler's
		unstructured.RemoveNestedField(content, "spec", "nodeName")
	case "Node": // the node lifecycle controller mirrors conditions and spec.unschedulable
		taints, _, _ := unstructured.NestedSlice(content, "spec", "taints")
		taints = slices.DeleteFunc(taints, func(taint any) bool {
			key, _, _ := unstructured.NestedString(taint.(map[string]any), "key")
			return strings.HasPrefix(key, "node.kubernetes.io/")
		})
		unstructured.RemoveNestedField(content, "spec", "taints")
		if len(taints) > 0 {
			_ = unstructured.SetNestedSlice(content, taints, "spec", "taints")
		}
	}
	if annotations, _, _ := unstructured.NestedMap(content, "metadata", "annotations"); len(annotations) == 0 {
		unstructured.RemoveNestedField(content, "metadata", "annotations")
	}
	return content
}

// differences lists the paths at which two values differ; lists are compared as a whole.
func differences(path string, a, b any) []string {
	x, isMap := a.(map[string]any)
	y, isMapToo := b.(map[string]any)
	if !isMap || !isMapToo {
		if reflect.DeepEqual(a, b) {
			return nil
		}
		return []string{path}
	}
	keys := maps.Clone(x)
	maps.Copy(keys, y)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		below := key
		if path != "" {
			below = path + "." + key
		}
		out = append(out, differences(below, x[key], y[key])...)
	}
	return out
}
