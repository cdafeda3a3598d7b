//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package measure

import (
	"syscall"
	"time"
)

// CPU returns the processor time that this process has used so far, in its own code and in the
// system's on its behalf. ok is false where it cannot be told.
func CPU() (used time.Duration, ok bool) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
