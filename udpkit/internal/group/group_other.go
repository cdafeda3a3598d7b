//go:build !unix

package group

import (
	"errors"
	"os/exec"
)

// Own does nothing: there are no process groups.
func Own(*exec.Cmd) {}

// Kill ends a command, but not its children.
func Kill(cmd *exec.Cmd) error { return cmd.Process.Kill() }

// CanInterrupt reports whether Interrupt does anything.
const CanInterrupt = false

// Interrupt does nothing and returns an error.
func Interrupt(*exec.Cmd) error { return errors.ErrUnsupported }
