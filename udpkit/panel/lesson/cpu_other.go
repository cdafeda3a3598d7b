//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package lesson

import "time"

// cpuTime is not measured here: this system has no getrusage.
func cpuTime() (used time.Duration, ok bool) { return 0, false }
