//go:build !linux && !darwin && !freebsd && !windows

package udp

// These systems are not asked how a datagram comes in, and decide from where and by which way one
// goes out.
const (
	hasControl                                     = false
	protocolIPv4, protocolIPv6, kindIPv4, kindIPv6 = -1, -1, -1, -1
)

func askArrival(uintptr, bool) error { return nil }

func putControl([]byte, int, int, int) (data []byte, n int) { return nil, 0 }

func nextControl([]byte) (level, kind int, data, rest []byte) { return 0, 0, nil, nil }

func (a *arrival) takeIPv4([]byte) {}

func putIPv4([]byte, Path) int { return 0 }
