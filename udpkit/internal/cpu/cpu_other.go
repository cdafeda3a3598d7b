//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

// Package cpu tells how much processor time a process has used.
package cpu

import "time"

// Used cannot tell: this system has no getrusage.
func Used() (used time.Duration, ok bool) { return 0, false }
