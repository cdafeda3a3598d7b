//go:build unix

package udp

import "syscall"

// setBroadcast sets SO_BROADCAST.
func setBroadcast(fd uintptr, on int) error {
	return syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, on)
}
