//go:build !linux

package endtoend

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
