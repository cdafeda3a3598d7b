//go:build unix

package group

import (
	"os/exec"
	"syscall"
)

// Own makes a command that has not started yet the leader of a process group of its own.
func Own(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// Kill ends a command that Own was called for, with its children.
func Kill(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// CanInterrupt reports whether Interrupt does anything.
const CanInterrupt = true

// Interrupt sends a command that Own was called for, and its children, what Ctrl-C sends.
func Interrupt(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
