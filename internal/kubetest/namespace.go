package kubetest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Namespace makes a fresh namespace with these labels, waits until pods can be created in it, and deletes it when the test
// ends. Labels come in pairs: key, value.
func (l *Lab) Namespace(t testing.TB, labels ...string) string {
	t.Helper()
	if len(labels)%2 != 0 {
		t.Fatalf("labels must come in pairs, got %q", labels)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-", Labels: map[string]string{}}}
	for i := 0; i < len(labels); i += 2 {
		ns.Labels[labels[i]] = labels[i+1]
	}
	l.Create(t, ns)
	l.cleanUp(t, ns)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}}
	l.WaitFor(t, account, "created", func() error { return nil })
	return ns.Name
}
