//go:build !linux

package lab

import (
	"errors"
	"os/exec"
)

const loopbackUp = ""

func offline(*exec.Cmd) {}

// canBeOffline returns an error: only Linux has networks of a program's own.
func canBeOffline(string) error { return errors.ErrUnsupported }
