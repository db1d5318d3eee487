//go:build !linux

package main

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

func terminate(p *os.Process) error { return p.Signal(os.Interrupt) }

func kill(p *os.Process) error { return p.Kill() }
