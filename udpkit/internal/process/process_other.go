//go:build !unix

package process

import (
	"errors"
	"os/exec"
)

// OwnGroup does nothing: there are no process groups.
func OwnGroup(*exec.Cmd) {}

// KillGroup ends a command, but not its children.
func KillGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }

// CanInterrupt reports whether Interrupt does anything.
const CanInterrupt = false

// Interrupt does nothing and returns an error.
func Interrupt(*exec.Cmd) error { return errors.ErrUnsupported }
