package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUpFailsAtOnce(t *testing.T) {
	t.Parallel()
	broken, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, _, err = Up(t.Context(), Options{Dir: shortDir(t), Binary: broken, Restart: true})
	if err == nil || !strings.Contains(err.Error(), "ended: exit status 1") || time.Since(began) > 10*time.Second {
		t.Fatalf("%v after %s, want the component that ended", err, time.Since(began))
	}
}

func TestUpNeedsAShortPath(t *testing.T) {
	t.Parallel()
	_, _, err := Up(t.Context(), Options{Dir: "/" + strings.Repeat("x", maxSocketPath), Binary: "unused"})
	if err == nil || !strings.Contains(err.Error(), "set TMPDIR to a shorter path") {
		t.Fatal(err)
	}
}

// However a lab ends, none of its processes stays: not when its standard input closes, not on a signal, not when it is killed.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end  func(lab *exec.Cmd, input io.Closer) error
		dirs bool // the state directory stays
	}{
		"input closed": {end: func(_ *exec.Cmd, input io.Closer) error { return input.Close() }},
		"killed":       {end: func(lab *exec.Cmd, _ io.Closer) error { return lab.Process.Kill() }, dirs: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(os.Getenv(envBinary), "up", "--until-eof", "--restart", "--nodes=1")
			input, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			output, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = command.Process.Kill() })
			line, err := bufio.NewReader(output).ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var ready Ready
			if err := json.Unmarshal(line, &ready); err != nil {
				t.Fatal(err)
			}
			if len(ready.PIDs) != len(Components()) {
				t.Errorf("processes %v, want one of each component", ready.PIDs)
			}

			if err := test.end(command, input); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait()
			for name, pid := range ready.PIDs {
				eventually(t, name+" ended", func() error {
					if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
						return fmt.Errorf("process %d: %w", pid, err)
					}
					return nil
				})
			}
			if _, err := os.Stat(ready.Dir); os.IsNotExist(err) == test.dirs {
				t.Errorf("state directory: %v", err)
			}
			_ = os.RemoveAll(ready.Dir)
		})
	}
}

// A command that runs in a lab finds it in its environment, tells how it ended, and leaves nothing.
func TestRunCommand(t *testing.T) {
	t.Parallel()
	script := `test -f "$KUBECONFIG" && test -x "$KUBELAB_BIN" && echo "$KUBELAB_READY" && exit 7`
	output, err := exec.Command(os.Getenv(envBinary), "run", "--nodes=1", "sh", "-c", script).CombinedOutput()
	line, said, _ := strings.Cut(string(output), "\n")
	if err == nil || !strings.Contains(said, "kubelab: sh: exit status 7") {
		t.Fatalf("%v, it said: %s", err, output)
	}
	var ready Ready
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	if _, err := os.Stat(ready.Dir); !os.IsNotExist(err) {
		t.Errorf("state directory: %v", err)
	}
	for name, pid := range ready.PIDs {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s, process %d: %v", name, pid, err)
		}
	}
}

// shortDir returns a directory whose path leaves room for a socket, which t.TempDir's may not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kubelab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
