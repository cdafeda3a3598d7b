//go:build solaris || aix

package udp

import (
	"os"

	"golang.org/x/sys/unix"
)

// setReuse shares a port. Package unix has no SO_REUSEPORT for Solaris (which got it in 11.4) and
// is not tested with it on AIX; for UDP SO_REUSEADDR alone shares a port on both.
func setReuse(fd uintptr) error {
	return os.NewSyscallError("setsockopt SO_REUSEADDR",
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
}
