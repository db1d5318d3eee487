package main

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate puts a child into a process group of its own, so that ctrl-C reaches only us, and has the kernel end it when
// we die without a chance to do so.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func terminate(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGTERM) }

func kill(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
