package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// The components of a lab, by the names that the binary knows them by.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelets          = "fake-kubelet"
)

// Components returns the names of all components.
func Components() []string { return []string{Etcd, APIServer, ControllerManager, Scheduler, Kubelets} }

// restartAfter is how long a component that ended stays down.
const restartAfter = 300 * time.Millisecond

var errStopping = errors.New("the lab is stopping")

// component is one process of the lab, or with Options.Restart a succession of them.
type component struct {
	name    string
	command *exec.Cmd     // the newest process
	done    chan struct{} // closed when it has ended for good
	err     error         // why, once done is closed
}

func (c *component) ended() string { return fmt.Sprintf("%s ended: %v", c.name, c.err) }

// start starts a component. One that ends before the lab serves, because a port was taken say, is not started again: it
// fails Up at once.
func (l *Lab) start(name string, args []string) (*component, error) {
	c := &component{name: name, done: make(chan struct{})}
	log, err := os.Create(filepath.Join(l.options.Dir, "logs", name+".log"))
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", name, err)
	}
	started := make(chan error)
	go func() {
		// A child gets its death signal when the thread that started it ends, so keep that thread.
		runtime.LockOSThread()
		defer log.Close()
		defer close(c.done)
		err := l.spawn(c, args, log)
		started <- err
		for err == nil {
			c.err = c.command.Wait()
			if !l.options.Restart || !l.served.Load() {
				select {
				case l.failed <- errors.New(c.ended()):
				default:
				}
				return
			}
			time.Sleep(restartAfter)
			err = l.spawn(c, args, log)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.components = append(l.components, c)
	return c, nil
}

// spawn starts a process of a component and writes down its ID.
func (l *Lab) spawn(c *component, args []string, log *os.File) error {
	command := exec.Command(l.options.Binary, append([]string{c.name}, args...)...)
	command.Stdout, command.Stderr, command.Dir = log, log, l.options.Dir
	// No component outlives the lab, even if that is killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return errStopping
	}
	if err := command.Start(); err != nil {
		return err
	}
	c.command = command
	// Renamed into place: whoever reads it sees a whole number.
	file := filepath.Join(l.options.Dir, c.name+".pid")
	if err := os.WriteFile(file+".new", []byte(strconv.Itoa(command.Process.Pid)), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
