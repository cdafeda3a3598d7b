//go:build !linux && !darwin && !windows

package sock

import "time"

func setUserTimeout(uintptr, time.Duration) error { return nil }
