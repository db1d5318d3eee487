package kubetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A lab that does not start says why.
func TestStartTellsWhy(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "kubelab")
	require.NoError(t, os.WriteFile(broken, []byte("#!/bin/sh\necho no port is free >&2\nexit 3\n"), 0o700))
	_, err := start(broken, Options{})
	require.ErrorContains(t, err, "it ended before it was ready: lab: exit status 3: no port is free")
	_, err = start(broken+"-missing", Options{Nodes: 1})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = join([]byte("no JSON"))
	require.ErrorContains(t, err, "read the ready line of the lab")
}

// endedTB panics with what a test ends with.
type endedTB struct{ testing.TB }

func (endedTB) Helper()                           {}
func (endedTB) Skip(args ...any)                  { panic("skip: " + fmt.Sprint(args...)) }
func (endedTB) Fatal(args ...any)                 { panic("fail: " + fmt.Sprint(args...)) }
func (endedTB) Fatalf(format string, args ...any) { panic("fail: " + fmt.Sprintf(format, args...)) }

// Without a lab tests skip, and fail where it is required; both say what to do.
func TestMissing(t *testing.T) {
	const todo = "needs a Kubernetes API: run make test-kubernetes, or set KUBELAB_BIN to what test/kubernetes/build.sh prints"
	t.Setenv(EnvRequired, "")
	assert.PanicsWithValue(t, "skip: "+todo, func() { missing(endedTB{t}) })
	t.Setenv(EnvRequired, "1")
	assert.PanicsWithValue(t, "fail: "+todo, func() { missing(endedTB{t}) })
}

// A test that make test-kubernetes would pass over does not pass.
func TestNames(t *testing.T) {
	assert.PanicsWithValue(t, "fail: TestNames needs a Kubernetes API: its name must begin with TestKubernetes, or make test-kubernetes does not run it",
		func() { Shared(endedTB{t}) })
}

// What tests share is not disturbed.
func TestSharedLabIsNotDisturbed(t *testing.T) {
	assert.PanicsWithValue(t, "fail: kube-apiserver may not be disturbed in a lab that tests share: start one with kubetest.Start",
		func() { (&Lab{}).Kill(endedTB{t}, APIServer) })
}
