package kubetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// The components of a lab, each a process of its own.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelets          = "fake-kubelet"
)

// PID returns the present process of a component.
func (l *Lab) PID(t testing.TB, component string) int {
	t.Helper()
	pid, err := l.pid(component)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (l *Lab) pid(component string) (int, error) {
	text, err := os.ReadFile(filepath.Join(l.Dir, component+".pid"))
	if err != nil {
		return 0, fmt.Errorf("find the process of %s: %w", component, err)
	}
	return strconv.Atoi(string(text))
}

// Kill kills a component (SIGKILL) and waits until the lab has started it again, which takes about 300 ms; the new one is
// not ready yet. Only a lab of the test's own may be disturbed.
func (l *Lab) Kill(t testing.TB, component string) {
	t.Helper()
	old := l.signal(t, component, syscall.SIGKILL)
	Eventually(t, component+" started again", func() error {
		pid, err := l.pid(component)
		if err == nil && pid == old {
			err = fmt.Errorf("process %d was killed", old)
		}
		return err
	})
}

// Pause stops a component without ending it (SIGSTOP): connections stay and nothing answers. It goes on at resume, or when
// the test ends. Only a lab of the test's own may be disturbed.
func (l *Lab) Pause(t testing.TB, component string) (resume func()) {
	t.Helper()
	pid := l.signal(t, component, syscall.SIGSTOP)
	resume = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	t.Cleanup(resume)
	return resume
}

// signal sends a signal to a component and returns its process.
func (l *Lab) signal(t testing.TB, component string, signal syscall.Signal) int {
	t.Helper()
	if !l.own {
		t.Fatalf("%s may not be disturbed in a lab that tests share: start one with kubetest.Start", component)
	}
	pid := l.PID(t, component)
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("send %s to %s: %v", signal, component, err)
	}
	return pid
}

// WaitReady waits until the API server serves and can reach etcd.
func (l *Lab) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, "API server ready", func() error {
		return l.client.RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error()
	})
}
