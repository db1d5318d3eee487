package closedloop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// EnvBinary names the collector's binary; without it that of bin/ is taken.
	EnvBinary = "PARAMEDIC_BIN"
	upWithin  = 30 * time.Second
	stopGrace = 10 * time.Second
	logTail   = 4 << 10
)

// Root returns the root of the repository: the next folder upwards with a builder-config.yaml.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "builder-config.yaml")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the experiments must be run inside of the repository")
		}
		dir = up
	}
}

// Binary returns the path of the built collector.
func Binary() (string, error) {
	path := os.Getenv(EnvBinary)
	if path == "" {
		root, err := Root()
		if err != nil {
			return "", err
		}
		path = filepath.Join(root, "bin", "otelcol-paramedic")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no built collector: %w; build it with `make otelcol-paramedic`, or name one in %s", err, EnvBinary)
	}
	return path, nil
}

// process is a collector that runs.
type process struct {
	log  string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended; err is valid from then on
	err  error
}

// launch starts the collector and waits until it says that it is healthy.
func launch(ctx context.Context, binary, config, log, health string, env ...string) (*process, error) {
	file, err := os.Create(log) //nolint:gosec // in a folder of our own
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own handle
	p := &process{log: log, cmd: exec.CommandContext(context.WithoutCancel(ctx), binary, "--config", config), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	for {
		if err := p.ended(); err != nil {
			return nil, err
		}
		if healthy(ctx, health) {
			return p, nil
		}
		select {
		case <-ctx.Done():
			p.stop()
			return nil, fmt.Errorf("the collector is not healthy: %w\n%s", ctx.Err(), p.lastWords())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func healthy(ctx context.Context, endpoint string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+endpoint+"/", http.NoBody)
	if err != nil {
		return false
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// ended returns an error when the collector is no longer there.
func (p *process) ended() error {
	select {
	case <-p.gone:
		return fmt.Errorf("the collector ended: %w\n%s", errors.Join(p.err, errors.New("it should not")), p.lastWords())
	default:
		return nil
	}
}

// stop asks the collector to end, and ends it when it does not.
func (p *process) stop() {
	if p.cmd.Process.Signal(os.Interrupt) == nil {
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-p.gone:
		case <-timer.C:
		}
	}
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.gone
}

// lastWords is the end of the collector's log.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-logTail):]))
}

// freeAddresses returns loopback addresses that nothing listens on. Their ports lie below those that the kernel takes for
// outgoing connections.
func freeAddresses(ctx context.Context, n int) ([]string, error) {
	const lowest, span, tries = 15000, 15000, 1000
	var out []string
	for range tries {
		if len(out) == n {
			return out, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+mathrand.IntN(span)))
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			continue
		}
		// Open until all are found, or the same port may be given twice.
		defer l.Close()
		out = append(out, address)
	}
	return nil, errors.New("no loopback port is free")
}
