package lab

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const envBinary = "KUBELAB_BIN"

// client is the administrator's, of the one lab of this package.
var client kubernetes.Interface

// TestMain starts one lab for the package. KUBELAB_BIN names the binary.
func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (int, error) {
	binary := os.Getenv(envBinary)
	if binary == "" {
		return 1, fmt.Errorf("%s must name the kubelab binary; run make test-kubernetes", envBinary)
	}
	dir, err := os.MkdirTemp("", "kubelab")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	l, ready, err := Up(ctx, Options{Dir: dir, Binary: binary, Nodes: 3, Restart: true})
	if err != nil {
		return 1, fmt.Errorf("start the lab: %w", err)
	}
	defer l.Stop(10 * time.Second)
	fmt.Printf("the control plane started in: %v\n", ready.StartedIn)
	config, err := clientcmd.BuildConfigFromFlags("", ready.Kubeconfig)
	if err != nil {
		return 1, err
	}
	config.QPS = -1
	if client, err = kubernetes.NewForConfig(config); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	began := time.Now()
	for {
		err := check()
		if err == nil {
			t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: not within a minute: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// namespace makes a namespace in which pods can be created.
func namespace(t *testing.T) string {
	t.Helper()
	ns := must[*v1.Namespace](t)(client.CoreV1().Namespaces().Create(t.Context(),
		&v1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}, metav1.CreateOptions{}))
	t.Cleanup(func() {
		_ = client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{})
	})
	eventually(t, "default service account", func() error {
		_, err := client.CoreV1().ServiceAccounts(ns.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return ns.Name
}

func template(tag string, annotations map[string]string) v1.PodTemplateSpec {
	return v1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: annotations},
		Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "app", Image: "registry.invalid/web:" + tag}}},
	}
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}

// deployment makes a Deployment "web" and waits until it is rolled out.
func deployment(t *testing.T, ns string, replicas int32, annotations map[string]string) {
	t.Helper()
	must[*appsv1.Deployment](t)(client.AppsV1().Deployments(ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: template("v1", annotations)},
	}, metav1.CreateOptions{}))
	rolledOut(t, ns, replicas)
}

// rolledOut waits until the Deployment "web" has so many new and available pods and no others.
func rolledOut(t *testing.T, ns string, replicas int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("rolled out with %d", replicas), func() error {
		d, err := client.AppsV1().Deployments(ns).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s := d.Status; s.ObservedGeneration < d.Generation || s.UpdatedReplicas != replicas || s.AvailableReplicas != replicas || s.Replicas != replicas {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
}

func pods(t *testing.T, ns string) []v1.Pod {
	t.Helper()
	return must[*v1.PodList](t)(client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})).Items
}
