//go:build !linux && !darwin && !windows

package tcp

import "time"

func setUserTimeout(uintptr, time.Duration) error { return nil }
