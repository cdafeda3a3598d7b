//go:build !unix && !windows

package udp

import "errors"

// Ports cannot be shared on js, wasip1 and plan9: a socket opens, but a second one on the same port
// does not.
func setReuse(uintptr) error { return nil }

func getReadBuffer(uintptr) (int, error) { return 0, errors.ErrUnsupported }

// AddrInUse reports whether opening a socket failed since its port is taken; here no system says
// so.
func AddrInUse(error) bool { return false }
