//go:build unix

package process

import (
	"os/exec"
	"syscall"
)

// OwnGroup makes a command that has not started yet the leader of a process group of its own.
func OwnGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// KillGroup ends a command that OwnGroup was called for, with its children.
func KillGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// CanInterrupt reports whether Interrupt does anything.
const CanInterrupt = true

// Interrupt sends a command that OwnGroup was called for, and its children, what Ctrl-C sends.
func Interrupt(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
