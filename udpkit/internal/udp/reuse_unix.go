//go:build unix && !solaris && !aix

package udp

import (
	"os"

	"golang.org/x/sys/unix"
)

// setReuse shares a port. Linux needs SO_REUSEADDR for sockets that are bound to it without
// SO_REUSEPORT, as Python's are; macOS and the BSDs need SO_REUSEPORT.
func setReuse(fd uintptr) error {
	if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	return os.NewSyscallError("setsockopt SO_REUSEPORT",
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}
