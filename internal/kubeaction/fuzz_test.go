package kubeaction

import (
	"encoding/json"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Whatever an object looks like, reading it does not fail badly, and what is kept of it is bounded.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"paramedic.io/shed":"0-of-3"}},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"b"}]}]}}},"status":{"conditions":[{"type":"Progressing","status":"False"}],"observedGeneration":"2"}}`))
	f.Add([]byte(`{"apiVersion":"apps/v1","kind":"DaemonSet","spec":{"template":{"spec":{"volumes":[{"configMap":{"name":"flags"}},{"projected":{"sources":[{}]}}]}}},"status":{"conditions":[1,{"type":[]}]}}`))
	f.Add([]byte(`{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"managedFields":[{"manager":"x","operation":"Apply","fieldsV1":{"f:spec":{"f:replicas":{}}}}]},"spec":{"ignoreDifferences":[{"jsonPointers":["/spec"]},2]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(data) != nil || u.IsList() {
			return
		}
		for _, path := range [][]string{{"spec", "replicas"}, {"spec", "template", "spec"}} {
			declared(u, path)
			declaredField(u, owner{ignored: ignoredByArgo(u, u)}, [][]string{path})
		}
		replicasOf(u)
		criticality(u)
		failed(u, time.Time{})
		_, _ = podSelector(u)
		scales(u, u)
		reads(u, "flags")
		_ = restartable(u)
		if template, found, _ := unstructured.NestedMap(u.Object, "spec", "template"); found && !sameTemplate(u, template) {
			t.Fatal("a template differs from itself")
		}
		e := evidence{Object: objectOf(u), Conditions: conditionsOf(u), Containers: containersOf(u)}
		if text := e.encode(); len(text) > maxEvidenceBytes || text != nil && !json.Valid(text) {
			t.Fatalf("%d bytes of evidence", len(text))
		}
	})
}

// Whatever note stands on a workload, restoring never asks for a number out of bounds.
func FuzzShedNote(f *testing.F) {
	for _, note := range []string{"0-of-3", "0-of-keda", "1-of-2", "", "-of-", "0-of--1", "0-of-99999999999999999999"} {
		f.Add(note, int64(0))
	}
	f.Fuzz(func(t *testing.T, note string, replicas int64) {
		item := shedItem{Note: note, Written: Object{Kind: "Deployment", Name: "web"}}
		u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": replicas}}}
		u.SetLabels(map[string]string{labelShed: note})
		patch, err := restorePatch(item)(u)
		if err != nil {
			return
		}
		spec, _ := patch["spec"].(fields)
		if n, written := spec["replicas"].(int); written && (n < 0 || n > maxReplicas) {
			t.Fatalf("%q would restore %d pods", note, n)
		}
	})
}

// A merge patch made from two maps leads from the one to the other.
func FuzzDifference(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1},"c":[1]}`), []byte(`{"a":{"d":"x"}}`))
	f.Fuzz(func(t *testing.T, from, to []byte) {
		var a, b fields
		if json.Unmarshal(from, &a) != nil || json.Unmarshal(to, &b) != nil {
			return
		}
		a, b = pruned(a), pruned(b)
		got, _ := json.Marshal(pruned(mergePatch(a, difference(a, b))))
		want, _ := json.Marshal(b)
		if string(got) != string(want) {
			t.Fatalf("%s by %v becomes %s, not %s", from, difference(a, b), got, want)
		}
	})
}

// mergePatch is RFC 7396's algorithm, as its section 2 states it.
func mergePatch(target any, patch fields) fields {
	object, ok := target.(fields)
	if !ok {
		object = fields{}
	}
	result := fields{}
	for name, value := range object {
		result[name] = value
	}
	for name, value := range patch {
		switch below := value.(type) {
		case nil:
			delete(result, name)
		case fields:
			result[name] = mergePatch(result[name], below)
		default:
			result[name] = value
		}
	}
	return result
}
