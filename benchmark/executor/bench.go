package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// bench is what the harness of the tests, which wants a test, runs in outside of one.
type bench struct {
	testing.TB
	ctx context.Context

	mu sync.Mutex
	// mu guards everything below.
	cleanups []func()
	failures []string
}

func (b *bench) Helper()                  {}
func (b *bench) Name() string             { return "BenchmarkKubernetesExecutor" }
func (b *bench) Context() context.Context { return b.ctx }

func (b *bench) Cleanup(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanups = append(b.cleanups, f)
}

func (b *bench) TempDir() string {
	dir, err := os.MkdirTemp("", "executor-*")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (b *bench) Error(args ...any) { b.fail(fmt.Sprint(args...)) }

func (b *bench) Errorf(format string, args ...any) { b.fail(fmt.Sprintf(format, args...)) }

func (b *bench) Fatal(args ...any) {
	b.fail(fmt.Sprint(args...))
	runtime.Goexit()
}

func (b *bench) Fatalf(format string, args ...any) {
	b.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (b *bench) Skip(args ...any) { b.Fatal(args...) }

func (b *bench) fail(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = append(b.failures, text)
}

// run runs f as a test runs, and cleans up after it.
func run(ctx context.Context, f func(*bench)) error {
	b := &bench{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(b)
	}()
	<-done
	b.ctx = context.WithoutCancel(ctx)
	for _, clean := range slices.Backward(b.cleanups) {
		clean()
	}
	if len(b.failures) > 0 {
		return fmt.Errorf("%s", strings.Join(b.failures, "\n"))
	}
	return ctx.Err()
}
