package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

const (
	stopGrace   = 8 * time.Second
	logTailSize = 16 << 10
)

// process is a child whose output goes to a file.
type process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	// gone is closed when the child has ended; err is valid from then on.
	gone chan struct{}
	err  error
}

func start(name, logPath, path string, args, env []string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own handle
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	isolate(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, logPath: logPath, cmd: cmd, gone: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// ended returns an error when the child is no longer there.
func (p *process) ended() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%s ended: %w", p.name, cmp.Or(p.err, errors.New("without an error")))
	default:
		return nil
	}
}

// stop asks the child to end, and ends it when it does not within the grace.
func (p *process) stop(grace time.Duration) {
	if terminate(p.cmd.Process) == nil {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.gone:
		case <-timer.C:
		}
	}
	_ = kill(p.cmd.Process) // also what the child may have left behind in its group
	<-p.gone
}

// lastLines returns the end of the child's output.
func (p *process) lastLines(n int) []string {
	f, err := os.Open(p.logPath)
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logTailSize {
		_, _ = f.Seek(-logTailSize, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(f, logTailSize))
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte{'\n'})
	var out []string
	for _, l := range lines[max(0, len(lines)-n):] {
		if len(l) > 0 {
			out = append(out, string(l))
		}
	}
	return out
}

// freePorts returns loopback ports that nothing listens on. They lie below those that the kernel takes for outgoing
// connections: a client that tries such a port again and again may in the end connect to itself.
func freePorts(n int) ([]int, error) {
	const lowest, span, tries = 15000, 15000, 1000
	var ports []int
	for range tries {
		if len(ports) == n {
			return ports, nil
		}
		port := lowest + mathrand.IntN(span)
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// Open until all are found, or the same port may be given twice.
		defer l.Close()
		ports = append(ports, port)
	}
	return nil, errors.New("no loopback port is free")
}
