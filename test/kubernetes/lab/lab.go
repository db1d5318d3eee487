// Package lab starts a real Kubernetes control plane on loopback for tests: each component is a process of the same binary.
package lab

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options of one lab.
type Options struct {
	// Dir is for state, certificates, kubeconfigs and logs. Its path must be short: etcd's socket is in it.
	Dir string
	// Binary is the path of the kubelab binary; this process's own by default.
	Binary string
	// Nodes is how many nodes are simulated.
	Nodes int
	// Restart starts a component again when it ends, after 300 ms, as a kubelet does with its static pods.
	Restart bool
}

// Ready is what is known once the control plane serves. It is printed as one JSON line, which internal/kubetest reads.
type Ready struct {
	// Kubeconfig is the path of an administrator's kubeconfig.
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	Dir        string `json:"dir"`
	// PIDs are the components' processes. A component that was started again has another one, in Dir/<component>.pid.
	PIDs map[string]int `json:"pids"`
	// StartedIn tells the seconds from the start to the end of each step.
	StartedIn map[string]float64 `json:"started_in_s"`
}

// Print writes the ready line.
func (r *Ready) Print(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Lab is a running control plane.
type Lab struct {
	options Options
	served  atomic.Bool // Up has succeeded
	failed  chan error

	mu sync.Mutex
	// mu guards everything below and the commands of the components.
	components []*component
	stopping   bool
}

// Up starts all components and returns when they serve. On an error nothing is left running.
func Up(ctx context.Context, options Options) (*Lab, *Ready, error) {
	if options.Binary == "" {
		binary, err := os.Executable()
		if err != nil {
			return nil, nil, fmt.Errorf("find the kubelab binary: %w", err)
		}
		options.Binary = binary
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("find the state directory: %w", err)
	}
	options.Dir = dir
	l := &Lab{options: options, failed: make(chan error, 1)}
	ready, err := l.up(ctx)
	if err != nil {
		l.Stop(3 * time.Second)
		return nil, nil, err
	}
	return l, ready, nil
}

func (l *Lab) up(ctx context.Context) (*Ready, error) {
	began := time.Now()
	ready := &Ready{Dir: l.options.Dir, PIDs: map[string]int{}, StartedIn: map[string]float64{}}
	mark := func(step string) { ready.StartedIn[step] = float64(time.Since(began).Milliseconds()) / 1000 }

	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	p := plane{dir: l.options.Dir, apiPort: ports[0], controllerPort: ports[1], schedulerPort: ports[2], nodes: l.options.Nodes}
	ready.Server, ready.Kubeconfig = p.server(), p.kubeconfig(admin)
	roots, client, err := p.prepare()
	if err != nil {
		return nil, err
	}
	mark("files")
	secure := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}},
	}}
	defer secure.CloseIdleConnections()
	insecure := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // self-signed health ports on loopback
	}}
	defer insecure.CloseIdleConnections()

	// The API server tries etcd again itself, so both start at once.
	if _, err := l.start(Etcd, p.etcd()); err != nil {
		return nil, err
	}
	api, err := l.start(APIServer, p.apiServer())
	if err != nil {
		return nil, err
	}
	if err := await(ctx, secure, p.server()+"/readyz", api); err != nil {
		return nil, err
	}
	mark(APIServer)
	controllers, err := l.start(ControllerManager, p.controllerManager())
	if err != nil {
		return nil, err
	}
	scheduler, err := l.start(Scheduler, p.scheduler())
	if err != nil {
		return nil, err
	}
	if _, err := l.start(Kubelets, p.kubelets()); err != nil {
		return nil, err
	}
	if err := await(ctx, insecure, health(p.controllerPort), controllers); err != nil {
		return nil, err
	}
	mark(ControllerManager)
	if err := await(ctx, insecure, health(p.schedulerPort), scheduler); err != nil {
		return nil, err
	}
	mark(Scheduler)
	// Pods can be created once the controllers have made the default account.
	if err := await(ctx, secure, p.server()+"/api/v1/namespaces/default/serviceaccounts/default", controllers); err != nil {
		return nil, err
	}
	mark("default service account")
	l.served.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.components {
		ready.PIDs[c.name] = c.command.Process.Pid
	}
	return ready, nil
}

// Failed delivers the first component that ended by itself; never with Options.Restart.
func (l *Lab) Failed() <-chan error { return l.failed }

// Stop asks the components to end and kills those that have not after grace. When it returns none runs any more.
func (l *Lab) Stop(grace time.Duration) {
	l.mu.Lock()
	l.stopping = true
	components := l.components
	for _, c := range components {
		signal := syscall.SIGTERM
		if c.name == APIServer {
			signal = syscall.SIGKILL // asked nicely it waits for its watches, and without etcd for minutes
		}
		_ = c.command.Process.Signal(signal)
		_ = c.command.Process.Signal(syscall.SIGCONT) // a test may have paused it
	}
	l.mu.Unlock()
	end := time.After(grace)
	for _, c := range components {
		select {
		case <-c.done:
		case <-end:
			_ = c.command.Process.Kill()
			<-c.done
		}
	}
}

// freePorts finds TCP ports on loopback that nobody listens on now.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // at the end, so that the ports differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func health(port int) string { return fmt.Sprintf("https://127.0.0.1:%d/healthz", port) }

// await returns when a URL answers 200, or the component that should answer has ended.
func await(ctx context.Context, client *http.Client, url string, c *component) error {
	for {
		err := get(ctx, client, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", c.name, err)
		case <-c.done:
			return errors.New(c.ended())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}
