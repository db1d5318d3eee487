// Package postgrestest runs throwaway PostgreSQL servers for tests, from the programs of the system's packages.
//
// A server listens on a Unix socket in a temporary folder only, so that it needs no port and no password.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RequiredVariable makes a test fail, not skip, where there is no PostgreSQL, when it is 1.
const RequiredVariable = "PARAMEDIC_POSTGRES_REQUIRED"

// Server is a running server.
type Server struct {
	bin, folder string
	owner       *syscall.Credential

	mu sync.Mutex
	// mu guards everything below.
	process *exec.Cmd
	output  *bytes.Buffer
	count   int
}

// startTimeout bounds how long a server may take to start or to stop.
const startTimeout = 60 * time.Second

// Find returns the folder of the server's programs: that of the postgres in PATH, or the newest of the system's packages.
func Find() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("no PostgreSQL: install it (Debian: apt-get install postgresql) or put its programs into PATH")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 is the oldest
	return n
}

// Start starts a server that is stopped when the test ends. Without PostgreSQL the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// New starts a server that is to be closed by the caller, such as a TestMain whose tests share it.
func New(t testing.TB) *Server {
	t.Helper()
	bin, err := Find()
	if err != nil {
		if os.Getenv(RequiredVariable) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &Server{bin: bin}
	if err := s.create(); err != nil {
		t.Fatal(errors.Join(err, s.Close()))
	}
	return s
}

// create makes the server's files and starts it.
func (s *Server) create() (err error) {
	// The path of a socket has at most 107 bytes, so the folder is not in that of the test.
	if s.folder, err = os.MkdirTemp("", "pg"); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		// The server refuses to run as root.
		if s.owner, err = unprivileged(); err != nil {
			return err
		}
		if err := os.Chown(s.folder, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	init := s.command(ctx, "initdb", "--pgdata", s.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
		"--locale", "C", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.Launch()
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err = errors.Join(err, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("no user postgres or nobody to run PostgreSQL as")
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...) //nolint:gosec // a program of the system
	c.Dir = s.folder
	// A test that is killed takes its server along.
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	return c
}

// Launch starts a server that was stopped or killed, and waits until it answers.
func (s *Server) Launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return errors.New("postgrestest: the server runs already")
	}
	s.output = &bytes.Buffer{}
	c := s.command(context.Background(), "postgres", "-D", s.data(), "-k", s.folder, "-c", "listen_addresses=", "-c", "max_connections=100",
		"-c", "shared_buffers=32MB", "-c", "fsync=off")
	c.Stdout, c.Stderr = s.output, s.output
	if err := c.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.process = c
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := s.command(ctx, "pg_isready", "--quiet", "--host", s.folder, "--username", "postgres").Run()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || c.ProcessState != nil {
			_ = s.end(syscall.SIGKILL) // it did not start anyway
			return fmt.Errorf("postgres does not answer: %w\n%s", err, s.output)
		}
		timer := time.NewTimer(20 * time.Millisecond)
		<-timer.C
	}
}

// end ends the process with a signal. s.mu is held.
func (s *Server) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	err := s.process.Process.Signal(signal)
	_ = s.process.Wait() // how it ended shows in its exit status, which says no more than the signal
	s.process = nil
	return err
}

// Stop stops the server and breaks off all connections.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(syscall.SIGINT)
}

// Kill ends the server as a crash would.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(syscall.SIGQUIT)
}

// Restart stops the server and starts it anew.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Launch()
}

// Close stops the server and removes its files.
func (s *Server) Close() error {
	err := s.Stop()
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}

// DSN is how to reach a database.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s", s.folder, database)
}

// Database makes an empty database and returns how to reach it.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.count++
	name := fmt.Sprintf("test%d", s.count)
	s.mu.Unlock()
	out, err := s.command(t.Context(), "createdb", "--host", s.folder, "--username", "postgres", name).CombinedOutput()
	if err != nil {
		t.Fatalf("createdb: %v\n%s", err, out)
	}
	return s.DSN(name)
}
