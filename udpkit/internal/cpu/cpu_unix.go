//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

// Package cpu tells how much processor time a process has used.
package cpu

import (
	"syscall"
	"time"
)

// Used returns the processor time that this process has used so far, in its own
// code and in the system's on its behalf. ok is false where it cannot be told.
func Used() (used time.Duration, ok bool) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
