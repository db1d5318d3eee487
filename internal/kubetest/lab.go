package kubetest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The environment that says where the lab is.
const (
	// EnvBinary names the lab's binary, as test/kubernetes/build.sh prints it.
	EnvBinary = "KUBELAB_BIN"
	// EnvReady holds the ready line of a running lab that several test processes share.
	EnvReady = "KUBELAB_READY"
	// EnvRequired, when not empty, makes tests fail instead of skip when there is no lab.
	EnvRequired = "PARAMEDIC_KUBERNETES_REQUIRED"
)

// Options of a lab.
type Options struct {
	// Nodes is how many simulated nodes it has; 3 when zero. A lab that is joined has as many as it was started with.
	Nodes int
}

// Lab is a running control plane. Its methods are safe for concurrent use.
type Lab struct {
	// Kubeconfig is the path of a kubeconfig of an administrator.
	Kubeconfig string `json:"kubeconfig"`
	// Server is the URL of the API server.
	Server string `json:"server"`
	// Dir holds the lab's state: logs/<component>.log, <component>.pid, audit.log.
	Dir string `json:"dir"`
	// PIDs are the components' processes when the lab became ready; [Lab.PID] knows the present ones.
	PIDs map[string]int `json:"pids"`

	process   *process // nil when joined
	own       bool     // one test's alone
	transport *transport
	config    *rest.Config
	client    *kubernetes.Clientset
	dynamic   *dynamic.DynamicClient
}

// shared is the lab of this test process.
var shared struct {
	sync.Mutex
	options Options
	lab     *Lab
	err     error
	users   int // tests that use it now
}

// Main is the body of a TestMain: it runs the tests, stops the lab that they shared, and fails when goroutines are left. The
// lab starts when the first test asks for it. A package whose TestMain is generated needs no Main: the lab ends with the
// test process.
func Main(m *testing.M, options Options) { os.Exit(run(m, options)) }

func run(m *testing.M, options Options) int {
	shared.options = options
	status := m.Run()
	if shared.lab != nil {
		shared.lab.transport.close()
		if err := shared.lab.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "kubetest:", err)
			status = max(status, 1)
		}
	}
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "kubetest:", err)
			return 1
		}
	}
	return status
}

// Shared returns the lab of this test process: the running one that KUBELAB_READY describes, else one that is started from
// KUBELAB_BIN at the first call. Without either the test is skipped, or fails where the lab is required. Tests share the
// lab and so keep to a namespace of their own; whoever disturbs nodes or the control plane itself uses [Start].
func Shared(t testing.TB) *Lab {
	t.Helper()
	wellNamed(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.lab == nil && shared.err == nil {
		switch line, binary := os.Getenv(EnvReady), os.Getenv(EnvBinary); {
		case line != "":
			shared.lab, shared.err = join([]byte(line))
		case binary != "":
			shared.lab, shared.err = start(binary, shared.options)
		default:
			missing(t)
		}
	}
	if shared.err != nil {
		t.Fatalf("no Kubernetes to test with: %v", shared.err)
	}
	shared.users++
	t.Cleanup(leave)
	return shared.lab
}

// leave closes the connections to the shared lab when no test uses it now: in a package whose TestMain is not ours nobody
// else does.
func leave() {
	shared.Lock()
	defer shared.Unlock()
	if shared.users--; shared.users == 0 {
		shared.lab.transport.close()
	}
}

// Start starts a lab of the test's own, about 425 MB, and stops it when the test ends.
func Start(t testing.TB, options Options) *Lab {
	t.Helper()
	wellNamed(t)
	binary := os.Getenv(EnvBinary)
	if binary == "" {
		missing(t)
	}
	l, err := start(binary, options)
	if err != nil {
		t.Fatalf("no Kubernetes to test with: %v", err)
	}
	l.own = true
	t.Cleanup(func() {
		l.transport.close()
		if err := l.stop(); err != nil {
			t.Errorf("stop the lab: %v", err)
		}
	})
	return l
}

// wellNamed fails a test that make test-kubernetes would not run, so that it would be skipped everywhere.
func wellNamed(t testing.TB) {
	t.Helper()
	if name := t.Name(); !strings.HasPrefix(name, "TestKubernetes") && !strings.HasPrefix(name, "BenchmarkKubernetes") {
		t.Fatalf("%s needs a Kubernetes API: its name must begin with TestKubernetes, or make test-kubernetes does not run it", name)
	}
}

// missing skips the test, or fails it where the lab is required.
func missing(t testing.TB) {
	t.Helper()
	const todo = "needs a Kubernetes API: run make test-kubernetes, or set " + EnvBinary + " to what test/kubernetes/build.sh prints"
	if os.Getenv(EnvRequired) != "" {
		t.Fatal(todo)
	}
	t.Skip(todo)
}

// join makes a lab of the ready line of one that runs.
func join(line []byte) (*Lab, error) {
	l := &Lab{}
	if err := json.Unmarshal(line, l); err != nil {
		return nil, fmt.Errorf("read the ready line of the lab, %q: %w", line, err)
	}
	return l, l.connect()
}

// connect makes the administrator's clients.
func (l *Lab) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig of the lab: %w", err)
	}
	if l.config, l.transport, err = ownTransport(config); err != nil {
		return err
	}
	if l.client, err = kubernetes.NewForConfig(l.config); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if l.dynamic, err = dynamic.NewForConfig(l.config); err != nil {
		return fmt.Errorf("make a dynamic client: %w", err)
	}
	return nil
}

// Client returns the administrator's client.
func (l *Lab) Client() kubernetes.Interface { return l.client }

// Dynamic returns the administrator's client for objects of any type.
func (l *Lab) Dynamic() dynamic.Interface { return l.dynamic }

// Config returns a configuration of the administrator. It has a transport of its own, which is closed when the test ends.
func (l *Lab) Config(t testing.TB) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig)
	if err != nil {
		t.Fatalf("read the kubeconfig of the lab: %v", err)
	}
	own, transport, err := ownTransport(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.close)
	return own
}
