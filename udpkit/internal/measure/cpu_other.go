//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package measure

import "time"

// CPU cannot tell: this system has no getrusage.
func CPU() (used time.Duration, ok bool) { return 0, false }
