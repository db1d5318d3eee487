// Package bubble runs components that live by the wall clock on simulated time, outside of tests.
//
// The fake clock of testing/synctest is for tests only. So a function that needs it is registered under a name, and the program
// runs itself anew as a test binary that has this one function for a test: time stands while anything works and jumps when all
// wait. The clock begins on 1 January 2000, UTC.
package bubble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
)

// environment names the function that this process is to run, and where its input and its output are.
const environment = "PARAMEDIC_EXPERIMENT_BUBBLE"

// Func works in a bubble: all goroutines that it starts must have ended when it returns.
type Func func(ctx context.Context, input []byte) (output []byte, err error)

var functions = map[string]Func{}

// Register makes a function known. Every process must do so before [Main].
func Register(name string, f Func) { functions[name] = f }

// Main runs the function that this process was started for and ends the process; if it was started for none it returns at once. A
// program, or the TestMain of a package that uses [Call], calls it first.
func Main() {
	order := os.Getenv(environment)
	if order == "" {
		return
	}
	name, folder, _ := strings.Cut(order, ":")
	f := functions[name]
	if f == nil {
		fmt.Fprintf(os.Stderr, "bubble: no function is registered as %q\n", name)
		os.Exit(1)
	}
	os.Args = []string{os.Args[0], "-test.timeout=0"}
	work := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			input, err := os.ReadFile(folder + "/input")
			if err != nil {
				t.Fatal(err)
			}
			output, err := f(t.Context(), input)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(folder+"/output", output, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: name, F: work}}, nil, nil) // ends the process
}

// Call runs a registered function in a process of its own.
func Call(ctx context.Context, name string, input []byte) (output []byte, err error) {
	if functions[name] == nil {
		return nil, fmt.Errorf("no function is registered as %q", name)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bubble")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := os.WriteFile(folder+"/input", input, 0o600); err != nil {
		return nil, err
	}
	var said bytes.Buffer
	child := exec.CommandContext(ctx, self) //nolint:gosec // this program itself
	child.Env = append(os.Environ(), environment+"="+name+":"+folder)
	child.Stdout, child.Stderr = &said, &said
	if err := child.Run(); err != nil {
		return nil, fmt.Errorf("%s in a bubble: %w\n%s", name, err, bytes.TrimSpace(said.Bytes()))
	}
	return os.ReadFile(folder + "/output")
}
