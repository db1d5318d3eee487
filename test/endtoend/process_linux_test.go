package endtoend

import "syscall"

// childAttributes have the kernel end a child when the test process dies, however it dies.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
